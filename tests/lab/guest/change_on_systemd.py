"""Changes on a real systemd. Run as root, in the guest:

    python -m pytest change_on_systemd.py

Every test leaves the machine as it was.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.change.apply import apply
from lowmem_tui.change.machine.files import EtcFiles
from lowmem_tui.change.machine.kernel import KernelValues
from lowmem_tui.change.situation import situation
from lowmem_tui.host.dbus.jeepney_client import JeepneyManager
from lowmem_tui.host.sampler import ProcSampler
from lowmem_tui.model.errors import (
    ManagerError,
    NotPermittedError,
    RefusedError,
    RolledBackError,
    UnreloadedError,
)
from lowmem_tui.model.plan import Edit, When
from lowmem_tui.model.snapshot import Snapshot, Unit
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy import dropin
from lowmem_tui.policy.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lowmem_tui.model.plan import Outcome, Plan
    from lowmem_tui.model.snapshot import Situation, UnitSituation

UNITS = Path("/etc/systemd/system")
CGROUP = Path("/sys/fs/cgroup")
CONTROL = (Path("/etc/systemd/system.control"), Path("/run/systemd/system.control"))
MIB = 1 << 20
A, B = "lab-one.service", "lab-two.service"
THREE_PROCESSES = "[Service]\nExecStart=/bin/sh -c 'sleep infinity & sleep infinity & wait'\n"


def sh(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def show(unit: str, name: str) -> str:
    return sh("systemctl", "show", "-P", name, "--", unit).rstrip("\n")


class Server:
    """This machine, with the program's own ports."""

    def __init__(self) -> None:
        self.manager: Any = JeepneyManager()
        self.files = EtcFiles()
        self.kernel = KernelValues()

    def snapshot(self) -> Snapshot:
        sampler = ProcSampler()
        try:
            sample = sampler.sample()
        finally:
            sampler.close()
        units = {name: Unit(name, usage, None) for name, usage in sample.units.items()}
        return Snapshot(sample.time, sample.monotonic, sample.host, units)

    def situation(self, *names: str) -> Situation:
        return situation(names, self.manager, self.files, self.kernel, self.snapshot())

    def of(self, name: str) -> UnitSituation:
        return self.situation(name).units[name]

    def plan(self, *edits: tuple[str, Key, str | None]) -> Plan:
        names = dict.fromkeys(unit for unit, _, _ in edits)
        return plan([Edit(*edit) for edit in edits], self.situation(*names))

    def apply(self, made: Plan, *, force: bool = False) -> Outcome:
        return apply(made, manager=self.manager, files=self.files, kernel=self.kernel, force=force)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.manager.close()
    for folder in CONTROL:
        assert not folder.exists() or not list(folder.iterdir())


def tree() -> dict[str, str]:
    """Every file and folder that systemd reads and we could write."""
    found = {}
    for place in (UNITS, Path("/run/systemd/system")):
        for folder, _, names in os.walk(place):
            found[folder] = oct(Path(folder).stat().st_mode)
            for name in names:
                path = Path(folder) / name
                if "netplan" in name:  # its generator writes it anew at each reload
                    continue
                found[str(path)] = str(path.readlink()) if path.is_symlink() else path.read_text()
    return found


@pytest.fixture
def running() -> Iterator[Callable[..., str]]:
    """Makes and starts a unit, and takes it away again, with all its drop-ins."""
    made: list[str] = []
    before = tree()

    def run(name: str, text: str = THREE_PROCESSES) -> str:
        (UNITS / name).write_text(text)
        made.append(name)
        sh("systemctl", "daemon-reload")
        sh("systemctl", "start", name)
        return name

    yield run
    for name in made:
        subprocess.run(["systemctl", "stop", name], check=False)
        subprocess.run(["systemctl", "reset-failed", name], capture_output=True, check=False)
        (UNITS / name).unlink()
        folder = UNITS / f"{name}.d"
        for path in folder.glob("*") if folder.exists() else ():
            path.unlink()
        if folder.exists():
            folder.rmdir()
    sh("systemctl", "daemon-reload")
    assert tree() == before


def kernel_value(unit: str, file: str) -> str:
    return (CGROUP / show(unit, "ControlGroup")[1:] / file).read_text().strip()


def scores(unit: str) -> list[int]:
    pids = kernel_value(unit, "cgroup.procs").split()
    return [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in pids]


def loaded(unit: str) -> list[str]:
    names = ("MemoryMax", "MemoryHigh", "MemorySwapMax", "OOMScoreAdjust", "Restart", "RestartUSec")
    return [show(unit, name) for name in names]


def state(unit: str) -> list[object]:
    limits = [kernel_value(unit, f"memory.{f}") for f in ("max", "high", "swap.max")]
    return [loaded(unit), limits, scores(unit), show(unit, "NeedDaemonReload"), tree()]


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    sh("mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "lab", str(folder))
    try:
        yield
    finally:
        sh("umount", str(folder))
        if made:
            folder.rmdir()


EVERYTHING = (
    (A, Key.MEMORY_MAX, "64M"),
    (A, Key.MEMORY_HIGH, "48M"),
    (A, Key.MEMORY_SWAP_MAX, "32M"),
    (A, Key.OOM_SCORE_ADJUST, "-123"),
    (A, Key.RESTART, "on-failure"),
    (A, Key.RESTART_SEC, "3s"),
)


class TestAsAsked:
    def test_in_all_three_places(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        before = state(A)
        pids = kernel_value(A, "cgroup.procs").split()
        assert len(pids) == 3
        mask = os.umask(0o077)
        try:
            outcome = server.apply(server.plan(*EVERYTHING))
        finally:
            os.umask(mask)
        assert outcome.mismatches == ()
        assert outcome.pending == ()
        path = Path(dropin.path(A))
        assert outcome.files == (str(path),)
        assert path.stat().st_mode & 0o7777 == 0o644
        assert path.parent.stat().st_mode & 0o7777 == 0o755
        assert "MemoryMax=64M" in path.read_text()
        assert [p.name for p in path.parent.iterdir()] == ["zz-lowmem-tui.conf"]
        assert loaded(A) == [
            *(str(n * MIB) for n in (64, 48, 32)), "-123", "on-failure", "3s"
        ]  # fmt: skip
        assert kernel_value(A, "memory.max") == str(64 * MIB)
        assert kernel_value(A, "memory.high") == str(48 * MIB)
        assert kernel_value(A, "memory.swap.max") == str(32 * MIB)
        assert scores(A) == [-123] * 3
        assert show(A, "NeedDaemonReload") == "no"
        assert kernel_value(A, "cgroup.procs").split() == pids, "it was restarted"
        assert all(not s.differs for s in server.of(A).settings.values())

        sh("systemctl", "daemon-reload")
        assert kernel_value(A, "memory.max") == str(64 * MIB)
        sh("systemctl", "restart", A)
        assert kernel_value(A, "memory.max") == str(64 * MIB)
        assert scores(A) == [-123] * 3

        outcome = server.apply(server.plan(*((unit, key, None) for unit, key, _ in EVERYTHING)))
        assert outcome.mismatches == ()
        assert state(A) == before

    def test_one_reload_for_two_units(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        running(B)
        count = 0
        reload = server.manager.reload

        def counted() -> None:
            nonlocal count
            count += 1
            reload()

        server.manager.reload = counted
        outcome = server.apply(
            server.plan((A, Key.MEMORY_MAX, "50%"), (B, Key.MEMORY_MAX, "100000001"))
        )
        assert count == 1
        assert outcome.mismatches == ()
        assert kernel_value(A, "memory.max") == show(A, "MemoryMax")
        assert show(B, "MemoryMax") == "100000001"
        assert kernel_value(B, "memory.max") == str(100000001 // 4096 * 4096)
        assert not server.of(B).settings[Key.MEMORY_MAX].differs

    def test_an_alias_goes_to_the_primary_unit(self, server: Server) -> None:
        before = tree()
        made = server.plan(("redis.service", Key.OOM_SCORE_ADJUST, "-20"))
        outcome = server.apply(made)
        try:
            assert outcome.files == (dropin.path("redis-server.service"),)
            assert outcome.mismatches == ()
            assert set(scores("redis-server.service")) == {-20}
        finally:
            server.apply(server.plan(("redis.service", Key.OOM_SCORE_ADJUST, None)))
        assert tree() == before
        assert set(scores("redis-server.service")) == {0}

    def test_an_escaped_instance(self, server: Server) -> None:
        name = r"worker@a\x2db.service"
        before = tree()
        outcome = server.apply(server.plan((name, Key.MEMORY_MAX, "80M")))
        assert outcome.mismatches == ()
        assert kernel_value(name, "memory.max") == str(80 * MIB)
        assert kernel_value("worker@alpha.service", "memory.max") == "max"
        server.apply(server.plan((name, Key.MEMORY_MAX, None)))
        assert kernel_value(name, "memory.max") == "max"
        assert tree() == before

    def test_what_does_not_run(self, server: Server) -> None:
        before = tree()
        outcome = server.apply(server.plan(("backup.service", Key.MEMORY_MAX, "80M")))
        assert outcome.mismatches == ()
        assert outcome.live == ()
        assert show("backup.service", "MemoryMax") == str(80 * MIB)
        server.apply(server.plan(("backup.service", Key.MEMORY_MAX, None)))
        assert show("backup.service", "MemoryMax") == "infinity"
        assert tree() == before

    def test_processes_that_set_their_own_keep_it(
        self, server: Server, running: Callable[..., str]
    ) -> None:
        running(A)
        main = int(show(A, "MainPID"))
        other = next(p for p in kernel_value(A, "cgroup.procs").split() if int(p) != main)
        Path(f"/proc/{other}/oom_score_adj").write_text("77")
        outcome = server.apply(server.plan((A, Key.OOM_SCORE_ADJUST, "44")))
        assert sorted(scores(A)) == [44, 44, 77]
        assert outcome.mismatches == ()
        assert "2 running processes" in " ".join(map(str, outcome.live))

    def test_a_slice(self, server: Server, running: Callable[..., str]) -> None:
        running(A, THREE_PROCESSES + "Slice=labslice.slice\n")
        outcome = server.apply(server.plan(("labslice.slice", Key.MEMORY_MAX, "90M")))
        assert outcome.mismatches == ()
        assert (CGROUP / "labslice.slice/memory.max").read_text() == f"{90 * MIB}\n"
        found = server.of(A).settings[Key.MEMORY_MAX]
        assert (found.kernel, found.effective) == (INFINITY, 90 * MIB)
        assert found.capped_by == "labslice.slice"
        assert not found.differs
        outcome = server.apply(server.plan((A, Key.MEMORY_MAX, "200M")))
        (mismatch,) = outcome.mismatches
        assert "labslice.slice" in str(mismatch.cause)
        assert "90M" in str(mismatch.cause)
        assert kernel_value(A, "memory.max") == str(200 * MIB)
        server.apply(server.plan(("labslice.slice", Key.MEMORY_MAX, None)))
        assert (CGROUP / "labslice.slice/memory.max").read_text() == "max\n"


class TestVerificationFailed:
    def test_a_later_file_wins(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        later = UNITS / f"{A}.d" / "zzz-late.conf"
        later.parent.mkdir()
        later.write_text("[Service]\nMemoryMax=70M\nOOMScoreAdjust=7\n")
        sh("systemctl", "daemon-reload")
        outcome = server.apply(
            server.plan((A, Key.MEMORY_MAX, "90M"), (A, Key.OOM_SCORE_ADJUST, "9"))
        )
        assert {m.key for m in outcome.mismatches} == {Key.MEMORY_MAX, Key.OOM_SCORE_ADJUST}
        for mismatch in outcome.mismatches:
            assert str(later) in str(mismatch.cause)
        # systemd 252 sets what it has loaded at the reload itself.
        assert kernel_value(A, "memory.max") in {"max", str(70 * MIB)}
        assert scores(A) == [0] * 3

    def test_ssh_sets_its_own(self, server: Server) -> None:
        before = tree()
        mine = Path("/proc/self/oom_score_adj").read_text()
        made = server.plan(("ssh.service", Key.OOM_SCORE_ADJUST, "-300"))
        assert made.effects[0].when is When.RESTART
        outcome = server.apply(made, force=True)
        try:
            assert outcome.mismatches == ()
            assert "listener" in str(outcome.pending[0])
            listener = show("ssh.service", "MainPID")
            assert Path(f"/proc/{listener}/oom_score_adj").read_text() == "-1000\n"
            assert Path("/proc/self/oom_score_adj").read_text() == mine
            assert "sshd" in str(server.of("ssh.service").settings[Key.OOM_SCORE_ADJUST].differs)
        finally:
            server.apply(server.plan(("ssh.service", Key.OOM_SCORE_ADJUST, None)), force=True)
        assert tree() == before

    def test_what_is_refused_writes_nothing(
        self, server: Server, running: Callable[..., str]
    ) -> None:
        running(A)
        before = state(A)
        for edit in (
            (A, Key.OOM_SCORE_ADJUST, "-1000"),
            (A, Key.OOM_SCORE_ADJUST, "5000"),
            (A, Key.MEMORY_MAX, "banana"),
            ("backup.service", Key.RESTART, "always"),
            ("nosuch.service", Key.MEMORY_MAX, "1G"),
            ("worker@.service", Key.MEMORY_MAX, "1G"),
            ("e2scrub_reap.service", Key.MEMORY_MAX, "1G"),
        ):
            with pytest.raises(RefusedError):
                server.apply(server.plan(edit), force=True)
        assert state(A) == before

    def test_a_link_in_the_way(
        self, server: Server, running: Callable[..., str], tmp_path: Path
    ) -> None:
        running(A)
        folder = UNITS / f"{A}.d"
        folder.symlink_to(tmp_path)
        try:
            with pytest.raises(RefusedError, match="symbolic link"):
                server.apply(server.plan((A, Key.MEMORY_MAX, "90M")), force=True)
            assert list(tmp_path.iterdir()) == []
        finally:
            folder.unlink()


class TestRollback:
    def test_no_space(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        running(B)
        before = state(A)
        with mounted(UNITS / f"{B}.d", "size=4k"):
            (UNITS / f"{B}.d" / "full").write_bytes(b"x" * 4096)
            made = server.plan(*EVERYTHING, (B, Key.MEMORY_MAX, "70M"))
            assert [file.path for file in made.files] == [dropin.path(A), dropin.path(B)]
            with pytest.raises(RolledBackError, match=r"disk is full.*previous value"):
                server.apply(made)
            assert [p.name for p in (UNITS / f"{B}.d").iterdir()] == ["full"]
        assert state(A) == before

    def test_read_only(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        running(B)
        before = state(A)
        with mounted(UNITS / f"{B}.d", "ro"):
            made = server.plan(*EVERYTHING, (B, Key.MEMORY_MAX, "70M"))
            with pytest.raises(RolledBackError, match=r"read-only.*previous value"):
                server.apply(made)
        assert state(A) == before

    def test_immutable(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        path = Path(dropin.path(A))
        server.apply(server.plan((A, Key.MEMORY_MAX, "64M")))
        before = state(A)
        sh("chattr", "+i", str(path))
        try:
            with pytest.raises(RolledBackError, match=r"lsattr.*previous value"):
                server.apply(server.plan((A, Key.MEMORY_MAX, "65M")))
            with pytest.raises(RolledBackError, match=r"lsattr.*previous value"):
                server.apply(server.plan((A, Key.MEMORY_MAX, None)))
            assert [p.name for p in path.parent.iterdir()] == [path.name]
        finally:
            sh("chattr", "-i", str(path))
        assert state(A) == before

    @pytest.mark.parametrize("late", [False, True])
    def test_the_reload_fails(
        self, server: Server, running: Callable[..., str], late: bool
    ) -> None:
        running(A)
        before = state(A)
        made = server.plan(*EVERYTHING)
        reload = server.manager.reload
        failed: list[bool] = []

        def failing() -> None:
            if failed or late:
                reload()
            if not failed:
                failed.append(True)
                raise ManagerError("systemd was asked to reload and has not answered: try again.")

        server.manager.reload = failing
        with pytest.raises(RolledBackError, match=r"not answered.*previous value"):
            server.apply(made)
        assert state(A) == before

    def test_systemd_does_not_answer_in_time(
        self, server: Server, running: Callable[..., str]
    ) -> None:
        running(A)
        before = state(A)
        made = server.plan(*EVERYTHING)
        server.manager.close()
        server.manager = JeepneyManager(reload_seconds=0.001)
        with pytest.raises(UnreloadedError, match="as does `systemctl daemon-reload`"):
            server.apply(made)
        sh("systemctl", "daemon-reload")
        assert state(A) == before

    def test_the_bus_does_not_permit_it(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        before = state(A)
        made = server.plan(*EVERYTHING)
        policy = Path("/etc/dbus-1/system.d/lab.conf")
        policy.write_text(
            "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN' "
            "'https://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'><busconfig>"
            "<policy context='mandatory'><deny send_destination='org.freedesktop.systemd1' "
            "send_interface='org.freedesktop.systemd1.Manager' send_member='Reload'/></policy>"
            "</busconfig>"
        )
        read_again = [
            *("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus"),
            "ReloadConfig",
        ]
        sh(*read_again)
        try:
            with pytest.raises(NotPermittedError, match=r"only root.*previous value"):
                server.apply(made)
        finally:
            policy.unlink()
            sh(*read_again)
        assert state(A) == before

    def test_the_kernel_refuses(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        before = state(A)
        made = server.plan(*EVERYTHING)
        limit = CGROUP / show(A, "ControlGroup")[1:] / "memory.max"
        sh("mount", "--bind", "-o", "ro", str(limit), str(limit))
        try:
            sh("mount", "-o", "remount,bind,ro", str(limit))
            with pytest.raises(
                RolledBackError, match=r"memory\.max of lab-one\.service.*previous value"
            ):
                server.apply(made)
        finally:
            sh("umount", str(limit))
        assert state(A) == before

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_in_the_middle(
        self, server: Server, running: Callable[..., str], number: signal.Signals
    ) -> None:
        running(A)
        before = state(A)
        server.manager.close()
        child, reading = in_a_child(lambda: applying(*EVERYTHING))
        path = Path(dropin.path(A))
        deadline = time.monotonic() + 120
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.kill(child, number)
        with open(reading) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        assert f"RolledBackError: It was interrupted ({number.name})" in said
        assert state(A) == before

    def test_a_second_instance_is_refused(
        self, server: Server, running: Callable[..., str]
    ) -> None:
        running(A)
        made = server.plan((A, Key.MEMORY_MAX, "64M"))
        before = state(A)
        with server.files.exclusive():
            child, reading = in_a_child(lambda: applying((A, Key.MEMORY_MAX, "65M")))
            with open(reading) as pipe:
                said = pipe.read()
            os.waitpid(child, 0)
        assert said.startswith("RefusedError: Another lowmem-tui is changing this server")
        assert f"process {os.getpid()}" in said
        assert state(A) == before
        server.apply(made)

    def test_an_ordinary_user(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        before = state(A)
        server.manager.close()

        def as_op() -> str:
            user = pwd.getpwnam("op")
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            return applying((A, Key.MEMORY_MAX, "65M"))

        child, reading = in_a_child(as_op)
        with open(reading) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        assert said.startswith("NotPermittedError: Only root"), said
        assert state(A) == before


def applying(*edits: tuple[str, Key, str | None]) -> str:
    server = Server()
    try:
        server.apply(server.plan(*edits))
    except Exception as error:  # noqa: BLE001 - it goes to the parent
        return f"{type(error).__name__}: {error}"
    return "done"


def in_a_child(work: Callable[[], str]) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = "nothing"
        # Who started the tests may have had signals ignored (nohup).
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            said = work()
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    return child, reading


class TestSituation:
    def test_on_disk_loaded_and_in_the_kernel(
        self, server: Server, running: Callable[..., str]
    ) -> None:
        running(A)
        path = Path(dropin.path(A))
        path.parent.mkdir()
        path.write_text("[Service]\nMemoryMax=60M\nOOMScoreAdjust=-5\n")
        found = server.of(A)
        assert found.drop_in is not None
        setting = found.settings[Key.MEMORY_MAX]
        assert (setting.declared, setting.source) == ("60M", str(path))
        assert (setting.loaded, setting.kernel) == (INFINITY, INFINITY)
        assert str(setting.differs).startswith("Changed on disk, not reloaded")
        assert "daemon-reload" in str(found.settings[Key.OOM_SCORE_ADJUST].differs)
        assert not found.settings[Key.RESTART].differs

        sh("systemctl", "daemon-reload")
        found = server.of(A)
        setting = found.settings[Key.MEMORY_MAX]
        assert setting.loaded == 60 * MIB
        if setting.kernel is INFINITY:
            assert "memory.max of the running unit is infinity" in str(setting.differs)
        else:  # this systemd (252) has set it with the reload
            assert (setting.kernel, setting.differs) == (60 * MIB, "")
        score = found.settings[Key.OOM_SCORE_ADJUST]
        assert (score.loaded, score.kernel) == (-5, 0)
        assert "restarted" in str(score.differs)

        sh("systemctl", "restart", A)
        found = server.of(A)
        assert [s.differs for s in found.settings.values()] == [""] * len(Key)

        path.unlink()
        assert "no file sets MemoryMax any more" in str(
            server.of(A).settings[Key.MEMORY_MAX].differs
        )

    def test_a_drop_in_for_all_services_and_one_under_an_alias(self, server: Server) -> None:
        everyone = UNITS / "service.d" / "60-lab.conf"
        alias = UNITS / "redis.service.d" / "61-lab.conf"
        for path, text in ((everyone, "MemoryHigh=800M"), (alias, "MemoryMax=900M")):
            path.parent.mkdir()
            path.write_text(f"[Service]\n{text}\n")
        try:
            sh("systemctl", "daemon-reload")
            found = server.of("redis-server.service")
            assert [f.path for f in found.files][-2:] == [str(everyone), str(alias)]
            assert found.settings[Key.MEMORY_HIGH].source == str(everyone)
            assert found.settings[Key.MEMORY_MAX].source == str(alias)
        finally:
            for path in (everyone, alias):
                path.unlink()
                path.parent.rmdir()
            sh("systemctl", "daemon-reload")

    def test_of_set_property(self, server: Server, running: Callable[..., str]) -> None:
        running(A)
        sh("systemctl", "set-property", "--runtime", A, "MemoryMax=77M")
        try:
            setting = server.of(A).settings[Key.MEMORY_MAX]
            assert setting.source is not None
            assert setting.source.startswith("/run/systemd/system.control/")
            assert (setting.loaded, setting.kernel) == (77 * MIB, 77 * MIB)
            assert not setting.differs
        finally:
            folder = Path(f"/run/systemd/system.control/{A}.d")
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()

    def test_of_what_there_is_not(self, server: Server) -> None:
        names = ("nosuch.service", "worker@.service", "e2scrub_all.timer", "init.scope", "-.slice")
        found = server.situation(*names).units
        assert tuple(found) == names
        gone = found["nosuch.service"]
        assert gone.unit.properties is not None
        assert not gone.unit.properties.exists
        assert gone.settings == {}
        template = found["worker@.service"]
        assert [f.path for f in template.files] == ["/etc/systemd/system/worker@.service"]
        assert template.settings[Key.RESTART].declared == "on-failure"
        assert found["e2scrub_all.timer"].settings == {}
        assert found["-.slice"].settings[Key.MEMORY_MAX].kernel is None

    def test_an_untouched_server_differs_nowhere(self, server: Server) -> None:
        names = [
            u.name
            for u in server.manager.list_units()
            if u.name.endswith((".service", ".scope", ".slice"))
        ]
        differs = {
            (name, str(key), setting.differs)
            for name, found in server.situation(*names).units.items()
            for key, setting in found.settings.items()
            if setting.differs
        }
        assert differs == set()


class TestKernel:
    def test_a_reused_pid_is_not_touched(self, server: Server) -> None:
        pid = os.getpid()
        (start,) = (s for p, s in server.kernel.processes(own_group()) if p == pid)
        before = server.kernel.oom_score_adj(pid, start)
        assert before is not None
        assert server.kernel.oom_score_adj(pid, start - 1) is None
        assert not server.kernel.set_oom_score_adj(pid, start + 1, 999)
        assert server.kernel.oom_score_adj(pid, start) == before
        assert server.kernel.oom_score_adj(1 << 22, 0) is None

    def test_groups_that_are_gone(self, server: Server) -> None:
        assert server.kernel.processes("/nosuch.slice") == []
        assert server.kernel.limit("/nosuch.slice", "memory.max") is None
        assert server.kernel.limit("/", "memory.max") is None
        with pytest.raises(FileNotFoundError):
            server.kernel.set_limit("/nosuch.slice", "memory.max", 1)
        with pytest.raises(PermissionError):
            server.kernel.set_limit("/../../../tmp", "memory.max", 1)


def own_group() -> str:
    return Path("/proc/self/cgroup").read_text().strip().removeprefix("0::")
