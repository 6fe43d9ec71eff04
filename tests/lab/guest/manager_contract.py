"""What every D-Bus client must do, on a real systemd. Run as root, in the guest:

LOWMEM_BUS=jeepney python -m pytest manager_contract.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.host.dbus.systemd import unit_name, unit_path
from lowmem_tui.model.errors import ManagerError, ManagerGoneError
from lowmem_tui.model.unit import INFINITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lowmem_tui.model.ports import Changes, Manager
    from lowmem_tui.model.unit import UnitProperties

BUS = os.environ.get("LOWMEM_BUS", "jeepney")
UNITS = Path("/etc/systemd/system")


def connect(**options: float) -> Manager:
    if BUS == "pydbus":
        from lowmem_tui.host.dbus.pydbus_client import PydbusManager

        return PydbusManager(**options)
    from lowmem_tui.host.dbus.jeepney_client import JeepneyManager

    return JeepneyManager(**options)


def systemctl(*words: str) -> str:
    # It gives up after 25 s, which a busy lab may need.
    for _ in range(5):
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
    raise AssertionError(done)


def show(unit: str, name: str) -> str:
    return systemctl("show", "-P", name, unit).rstrip("\n")


@pytest.fixture
def manager() -> Iterator[Manager]:
    made = connect()
    yield made
    made.close()


@pytest.fixture
def unit() -> Iterator[Callable[[str, str], str]]:
    """Makes a unit file and loads it."""
    made: list[Path] = []

    def make(name: str, text: str) -> str:
        path = UNITS / name
        path.write_text(text)
        made.append(path)
        systemctl("daemon-reload")
        return name

    yield make
    for path in made:
        subprocess.run(["systemctl", "stop", path.name], capture_output=True, check=False)
        subprocess.run(["systemctl", "reset-failed", path.name], capture_output=True, check=False)
        path.unlink()
    systemctl("daemon-reload")


def one(manager: Manager, name: str) -> UnitProperties:
    (found,) = manager.properties([name]).values()
    return found


def until(manager: Manager, seen: Callable[[Changes], bool], seconds: float = 60) -> list[Changes]:
    """Collect changes until one is as wanted."""
    deadline = time.monotonic() + seconds
    all_: list[Changes] = []
    while time.monotonic() < deadline:
        all_.append(manager.changes(1.0))
        if seen(all_[-1]):
            return all_
    raise AssertionError(f"not seen in {seconds} s: {all_}")


class TestLists:
    def test_units_are_those_of_systemctl(self, manager: Manager) -> None:
        listed = {u.name: u for u in manager.list_units()}
        words = systemctl("list-units", "--all", "--plain", "--no-legend", "--full")
        shown = {line.split()[0] for line in words.splitlines()}
        # Sessions come and go.
        assert {n for n in set(listed) ^ shown if not n.endswith(".scope")} == set()
        assert listed["ssh.service"].load_state == "loaded"

    def test_unit_files_are_those_of_systemctl(self, manager: Manager) -> None:
        words = systemctl("list-unit-files", "--no-legend", "--full").splitlines()
        shown = {line.split()[0]: line.split()[1] for line in words}
        files = manager.list_unit_files()
        assert files == shown
        assert files["worker@.service"]
        assert files["e2scrub_all.timer"] == "masked"


class TestProperties:
    def test_of_a_service(self, manager: Manager) -> None:
        found = one(manager, "cloudchat.service")
        assert found.name == "cloudchat.service"
        assert found.load_state == "loaded"
        assert found.active_state == "active"
        assert found.fragment_path == "/etc/systemd/system/cloudchat.service"
        assert found.control_group == "/system.slice/cloudchat.service"
        assert found.slice == "system.slice"
        assert found.type == "simple"
        assert found.main_pid == int(show("cloudchat.service", "MainPID"))
        assert found.exec_start[0] == "/usr/bin/gunicorn"
        assert found.exec_start[-1] == "cloudchat:app"
        assert found.user == "www-data"
        assert found.restart == "always"
        assert found.restart_usec == 100_000
        assert found.oom_policy == "stop"
        assert found.oom_score_adjust == 0
        assert found.memory_max is INFINITY
        assert "multi-user.target" in found.required_by
        version = int(systemctl("--version").split()[1].partition("~")[0])
        assert (found.restart_steps is None) == (version < 254)
        assert (found.restart_max_delay_usec is None) == (version < 254)

    def test_all_agree_with_systemctl_show(self, manager: Manager) -> None:
        names = [u.name for u in manager.list_units() if u.name.endswith((".service", ".slice"))]
        found = manager.properties(names)
        assert list(found) == names
        keys = "Id,FragmentPath,ControlGroup,MainPID,OOMScoreAdjust,MemoryMax,Restart,OOMPolicy"
        blocks = systemctl("show", "-p", keys, "--", *names).split("\n\n")
        afterwards = manager.properties(names)
        for name, block in zip(names, blocks, strict=True):
            shown = dict(line.split("=", 1) for line in block.strip().splitlines())
            got = found[name]
            # What started or ended meanwhile is not compared.
            if got.active_state in {"activating", "deactivating"} or got != afterwards.get(name):
                continue
            assert got.name == shown["Id"]
            assert got.fragment_path == shown.get("FragmentPath", "")
            assert got.control_group == shown.get("ControlGroup", "")
            assert got.main_pid == int(shown.get("MainPID", 0))
            assert str(got.memory_max) == shown["MemoryMax"]
            assert (got.restart or "") == shown.get("Restart", "")
            assert (got.oom_policy or "") == shown.get("OOMPolicy", "")
            adjust = "" if got.oom_score_adjust is None else str(got.oom_score_adjust)
            assert adjust == shown.get("OOMScoreAdjust", "")

    def test_of_a_scope(self, manager: Manager) -> None:
        found = one(manager, "init.scope")
        assert found.active_state == "active"
        assert found.type == ""
        assert found.main_pid == 0
        assert found.restart is None
        assert found.oom_score_adjust is None
        assert found.memory_max is INFINITY

    def test_of_a_slice(self, manager: Manager) -> None:
        found = one(manager, "system.slice")
        assert found.control_group == "/system.slice"
        assert found.slice == "-.slice"
        assert found.memory_high is INFINITY
        assert one(manager, "-.slice").control_group in {"", "/"}

    def test_of_a_timer_and_what_it_starts(self, manager: Manager) -> None:
        found = manager.properties(["backup.timer", "backup.service"])
        assert found["backup.timer"].memory_max is None
        assert found["backup.service"].triggered_by == ("backup.timer",)
        assert found["backup.service"].type == "oneshot"

    def test_of_a_mount_is_no_service_type(self, manager: Manager) -> None:
        assert one(manager, "-.mount").type == ""

    def test_alias_gives_the_primary_unit(self, manager: Manager) -> None:
        found = manager.properties(["redis.service", "redis-server.service"])
        assert list(found) == ["redis.service", "redis-server.service"]
        assert found["redis.service"] == found["redis-server.service"]
        assert found["redis.service"].name == "redis-server.service"
        assert set(found["redis.service"].names) == {"redis.service", "redis-server.service"}

    @pytest.mark.parametrize(
        "name",
        [
            "nosuch.service",
            "nosuch@.service",
            "nosuch@1.service",
            "",
            "ssh",
            "/etc/passwd",
            "a b.service",
            "../x.service",
            "é.service",
            "x" * 300 + ".service",
            "a\nb.service",
            "nosuch.nosuch",
        ],
    )
    def test_of_what_there_is_not(self, manager: Manager, name: str) -> None:
        found = manager.properties([name, "ssh.service"])
        assert found[name].load_state == "not-found"
        assert not found[name].exists
        assert found[name].name == name
        assert found["ssh.service"].exists

    def test_of_a_masked_unit(self, manager: Manager) -> None:
        assert one(manager, "e2scrub_all.timer").load_state == "masked"
        assert one(manager, "e2scrub_all.timer").unit_file_state == "masked"

    def test_of_a_template_and_an_instance(self, manager: Manager) -> None:
        template = one(manager, "worker@.service")
        assert template.load_state == "template"
        assert template.exists
        instance = one(manager, "worker@alpha.service")
        assert instance.load_state == "loaded"
        assert instance.fragment_path.endswith("/worker@.service")
        new = one(manager, "worker@never-started.service")
        assert new.load_state == "loaded"
        assert new.active_state == "inactive"
        assert new.description == "Background worker never/started"

    def test_of_escaped_names(self, manager: Manager) -> None:
        found = one(manager, r"worker@a\x2db.service")
        assert found.name == r"worker@a\x2db.service"
        assert found.description == "Background worker a-b"
        assert found.control_group.endswith(r"/worker@a\x2db.service")

    def test_every_path_is_a_name_and_back(self, manager: Manager) -> None:
        for each in manager.list_units():
            assert unit_name(unit_path(each.name)) == each.name

    def test_of_drop_ins_and_a_stale_file(
        self, manager: Manager, unit: Callable[[str, str], str]
    ) -> None:
        name = unit("lab-a.service", "[Service]\nExecStart=/bin/sleep infinity\nMemoryMax=64M\n")
        systemctl("start", name)
        folder = UNITS / f"{name}.d"
        folder.mkdir()
        try:
            drop_in = folder / "override.conf"
            drop_in.write_text("[Service]\nOOMScoreAdjust=-77\nMemoryMax=50%\n")
            before = one(manager, name)
            assert before.memory_max == 64 << 20
            assert before.drop_in_paths == ()
            manager.reload()
            after = one(manager, name)
            assert after.drop_in_paths == (str(drop_in),)
            assert after.oom_score_adjust == -77
            assert not after.need_daemon_reload
            assert str(after.memory_max) == show(name, "MemoryMax")
            drop_in.write_text("[Service]\nOOMScoreAdjust=-78\n")
            os.utime(drop_in, (time.time() + 5, time.time() + 5))
            assert one(manager, name).need_daemon_reload
            assert one(manager, name).oom_score_adjust == -77
        finally:
            drop_in.unlink()
            folder.rmdir()

    def test_of_none(self, manager: Manager) -> None:
        assert manager.properties([]) == {}


class TestActing:
    def test_reload_returns_when_systemd_has_read(
        self, manager: Manager, unit: Callable[[str, str], str]
    ) -> None:
        name = unit("lab-b.service", "[Service]\nExecStart=/bin/true\nOOMScoreAdjust=1\n")
        (UNITS / name).write_text("[Service]\nExecStart=/bin/true\nOOMScoreAdjust=2\n")
        manager.reload()
        assert one(manager, name).oom_score_adjust == 2

    def test_restart(self, manager: Manager) -> None:
        before = one(manager, "worker@alpha.service").main_pid
        manager.restart_unit("worker@alpha.service")
        deadline = time.monotonic() + 60
        while one(manager, "worker@alpha.service").main_pid in {0, before}:
            assert time.monotonic() < deadline

    def test_reset_failed(self, manager: Manager, unit: Callable[[str, str], str]) -> None:
        name = unit("lab-c.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
        subprocess.run(["systemctl", "start", name], capture_output=True, check=False)
        assert one(manager, name).active_state == "failed"
        assert one(manager, name).result == "exit-code"
        manager.reset_failed_unit(name)
        assert one(manager, name).active_state == "inactive"

    def test_a_refusal_is_one_sentence(self, manager: Manager) -> None:
        with pytest.raises(ManagerError, match="nosuch") as caught:
            manager.restart_unit("nosuch.service")
        assert str(caught.value).endswith(".")
        assert "\n" not in str(caught.value)
        with pytest.raises(ManagerError, match="unmask"):
            manager.restart_unit("e2scrub_all.timer")


class TestChanges:
    def test_sees_a_start_and_a_stop(
        self, manager: Manager, unit: Callable[[str, str], str]
    ) -> None:
        name = unit("lab-d.service", "[Service]\nExecStart=/bin/sleep infinity\n")
        manager.subscribe()
        manager.changes(0)
        systemctl("start", name)
        until(manager, lambda c: name in c.units)
        until(manager, lambda c: not c.units)
        systemctl("stop", name)
        until(manager, lambda c: name in c.units)

    def test_sees_a_reload(self, manager: Manager) -> None:
        manager.subscribe()
        systemctl("daemon-reload")
        until(manager, lambda c: c.reloaded)
        manager.reload()
        until(manager, lambda c: c.reloaded)

    def test_nothing_changes_in_the_time_it_is_given(self, manager: Manager) -> None:
        manager.subscribe()
        deadline = time.monotonic() + 60
        while any(manager.changes(0.5)):
            assert time.monotonic() < deadline
        began = time.monotonic()
        assert not any(manager.changes(0.3))
        assert time.monotonic() - began >= 0.29
        began = time.monotonic()
        assert not any(manager.changes(0))
        assert time.monotonic() - began < 5

    def test_a_question_is_no_change(self, manager: Manager) -> None:
        manager.subscribe()
        until(manager, lambda c: not any(c))
        names = ["rescue.service", "emergency.service", "nosuch.service", "worker@zz.service"]
        echoes = []
        for _ in range(4):
            assert len(manager.properties(names)) == 4
            # What they are ordered before or after does change with them; and now and then systemd
            # tells of one that it has loaded for us. Not each time: who asks again then has an end.
            echoes.append(bool(manager.changes(2.0).units & set(names)))
        assert echoes.count(True) < 2

    def test_a_start_after_a_question_is_seen(self, manager: Manager) -> None:
        manager.subscribe()
        manager.properties(["worker@late.service"])
        manager.changes(1.0)
        systemctl("start", "worker@late.service")
        until(manager, lambda c: "worker@late.service" in c.units)
        until(manager, lambda c: not any(c))
        systemctl("stop", "worker@late.service")
        until(manager, lambda c: "worker@late.service" in c.units)

    def test_a_transient_unit_comes_and_goes(self, manager: Manager) -> None:
        manager.subscribe()
        subprocess.run(
            ["systemd-run", "--unit=lab-fleeting", "--quiet", "sleep", "infinity"], check=True
        )
        name = "lab-fleeting.service"
        until(manager, lambda c: name in c.units)
        assert one(manager, name).transient
        until(manager, lambda c: not any(c))
        systemctl("stop", name)
        until(manager, lambda c: name in c.units)
        deadline = time.monotonic() + 60
        while one(manager, name).exists:
            assert time.monotonic() < deadline

    def test_signals_between_replies_are_kept(self, manager: Manager) -> None:
        manager.subscribe()
        manager.changes(0)
        systemctl("restart", "worker@alpha.service")
        names = [u.name for u in manager.list_units()][:60]
        assert len(manager.properties(names)) == 60
        until(manager, lambda c: "worker@alpha.service" in c.units)

    def test_from_another_thread(self, manager: Manager) -> None:
        seen: list[bool] = []

        def work() -> None:
            manager.subscribe()
            systemctl("restart", "worker@alpha.service")
            until(manager, lambda c: "worker@alpha.service" in c.units)
            seen.append(one(manager, "ssh.service").exists)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(120)
        assert seen == [True]


class TestFailing:
    def test_while_systemd_is_deaf_it_waits(self, manager: Manager) -> None:
        reload = subprocess.Popen(["systemctl", "daemon-reload"])
        found = [one(manager, "ssh.service").active_state for _ in range(5)]
        assert reload.wait() == 0
        assert found == ["active"] * 5

    def test_no_answer_in_time(self) -> None:
        manager = connect(call_seconds=0.001)
        with pytest.raises(ManagerError, match=r"has not answered|cannot be reached|has ended"):
            manager.list_unit_files()
        manager.close()

    def test_a_late_answer_is_not_taken_for_another(self, manager: Manager) -> None:
        assert manager.list_units()
        limit = "_call_seconds"
        usual = getattr(manager, limit)
        setattr(manager, limit, 0.001)
        with pytest.raises(ManagerError, match="has not answered"):
            manager.list_unit_files()
        setattr(manager, limit, usual)
        assert one(manager, "ssh.service").name == "ssh.service"

    def test_no_bus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for address in ("unix:path=/nosuch/socket", "tcp:host=127.0.0.1,port=1", "nonsense", "x:"):
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
            with pytest.raises(ManagerGoneError, match="cannot be reached"):
                connect().list_units()

    def test_a_lost_connection_is_made_again(self, manager: Manager) -> None:
        manager.subscribe()
        cut(manager)
        with pytest.raises(ManagerGoneError, match="has ended"):
            manager.list_units()
        assert one(manager, "ssh.service").exists
        assert manager.changes(0).reloaded
        systemctl("restart", "worker@alpha.service")
        until(manager, lambda c: "worker@alpha.service" in c.units)

    def test_a_lost_connection_ends_waiting(self, manager: Manager) -> None:
        manager.subscribe()
        until(manager, lambda c: not any(c))
        timer = threading.Timer(0.5, cut, [manager])
        timer.start()
        with pytest.raises(ManagerGoneError):
            until(manager, lambda c: False, 30)
        timer.join()

    def test_closing_twice(self, manager: Manager) -> None:
        manager.list_units()
        manager.close()
        manager.close()

    def test_an_ordinary_user_looks_and_cannot_change(self) -> None:
        done = subprocess.run(
            [sys.executable, "-I", "-c", AS_A_USER, BUS],
            user="op",
            group="op",
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        lines = done.stdout.splitlines()
        assert len(lines) == 3, done
        assert all("only root" in line and "sudo" in line for line in lines), lines


# The bus goes by the user of the process, so it takes one of its own.
AS_A_USER = """
import sys
from lowmem_tui.model.errors import NotPermittedError
if sys.argv[1] == "pydbus":
    from lowmem_tui.host.dbus.pydbus_client import PydbusManager as Manager
else:
    from lowmem_tui.host.dbus.jeepney_client import JeepneyManager as Manager
manager = Manager()
assert len(manager.list_units()) > 50
found = manager.properties(["ssh.service", "worker@never.service"])
assert found["ssh.service"].main_pid > 1
assert found["worker@never.service"].load_state == "loaded"
manager.subscribe()
manager.changes(0)
for act, *arguments in (
    (manager.reload,),
    (manager.restart_unit, "ssh.service"),
    (manager.reset_failed_unit, "ssh.service"),
):
    try:
        act(*arguments)
        print("done")
    except NotPermittedError as error:
        print(error)
assert manager.properties(["ssh.service"])["ssh.service"].exists
"""


def cut(manager: Manager) -> None:
    """Cut the connection as the bus would."""
    if BUS == "pydbus":
        bus = getattr(manager, "_bus")  # noqa: B009
        bus.con.get_stream().get_socket().shutdown(True, True)
        return
    import socket

    link = getattr(manager, "_link")  # noqa: B009
    link._sock.shutdown(socket.SHUT_RDWR)
