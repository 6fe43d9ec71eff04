"""What systemd says, decoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.host.dbus import systemd
from lowmem_tui.model.errors import LowmemError, ManagerError, ManagerGoneError, NotPermittedError
from lowmem_tui.model.unit import INFINITY, UnitProperties

SERVICE: dict[str, object] = {
    "Id": "redis-server.service",
    "Names": ["redis.service", "redis-server.service"],
    "Description": "Redis",
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "FragmentPath": "/usr/lib/systemd/system/redis-server.service",
    "DropInPaths": ["/etc/systemd/system/redis-server.service.d/override.conf"],
    "NeedDaemonReload": True,
    "RequiredBy": ["a.target"],
    "RequisiteOf": ["b.service"],
    "BoundBy": ["c.service"],
    "WantedBy": ["multi-user.target"],
    "ControlGroup": "/system.slice/redis-server.service",
    "Type": "notify",
    "MainPID": 333,
    "ExecStart": [("/usr/bin/redis-server", ["redis-server", "--x"], False, 0, 0, 0, 0, 9, 0, 0)],
    "RestartUSec": 100_000,
    "StartLimitIntervalUSec": 2**64 - 1,
    "OOMScoreAdjust": -100,
    "MemoryMax": 256 << 20,
    "MemoryHigh": 2**64 - 1,
}


def test_a_service() -> None:
    found = systemd.decode("redis.service", SERVICE)
    assert found.name == "redis-server.service"
    assert found.names == ("redis.service", "redis-server.service")
    assert found.drop_in_paths == ("/etc/systemd/system/redis-server.service.d/override.conf",)
    assert found.need_daemon_reload
    assert found.required_by == ("a.target", "b.service", "c.service", "multi-user.target")
    assert found.exec_start == ("redis-server", "--x")
    assert found.oom_score_adjust == -100
    assert found.memory_max == 256 << 20
    assert found.memory_high is INFINITY
    assert found.start_limit_interval_usec is INFINITY
    assert found.main_pid == 333


def test_what_a_version_or_a_type_does_not_have_is_not_known() -> None:
    found = systemd.decode("redis.service", SERVICE)
    assert found.restart_steps is None
    assert found.restart_max_delay_usec is None
    assert found.memory_swap_max is None
    assert found.oom_policy is None
    assert systemd.decode("a.service", {"OOMPolicy": "", "Restart": ""}).oom_policy is None


@pytest.mark.parametrize(
    ("result", "when", "unmet"),
    [(False, 9, True), (False, 0, False), (True, 9, False), (None, None, False)],
)
def test_a_condition_that_did_not_hold(result: object, when: object, *, unmet: bool) -> None:
    raw = {"ConditionResult": result, "ConditionTimestamp": when}
    assert systemd.decode("a.service", raw).unmet is unmet


def test_a_mounts_type_is_its_file_systems() -> None:
    assert systemd.decode("-.mount", {"Id": "-.mount", "Type": "ext4"}).type == ""


@pytest.mark.parametrize("value", [[], None, "x", [()], [("x",)], [("x", "y", 1)]])
def test_no_command(value: object) -> None:
    assert systemd.decode("a.service", {"ExecStart": value}).exec_start == ()


def test_values_of_odd_types_are_not_known() -> None:
    odd = dict.fromkeys(systemd.WANTED, object())
    found = systemd.decode("a.service", odd)
    assert found.name == "a.service"
    assert found.memory_max is None
    assert found.load_state == "not-found"
    assert systemd.decode("a.service", {"MainPID": True}).main_pid == 0


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ssh.service", "ssh_2eservice"),
        ("-.slice", "_2d_2eslice"),
        ("1.service", "_31_2eservice"),
        (r"worker@a\x2db.service", "worker_40a_5cx2db_2eservice"),
        ("a_b.service", "a_5fb_2eservice"),
    ],
)
def test_paths(name: str, path: str) -> None:
    assert systemd.unit_path(name) == f"/org/freedesktop/systemd1/unit/{path}"
    assert systemd.unit_name(f"/org/freedesktop/systemd1/unit/{path}") == name


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_paths_back(name: str) -> None:
    assert systemd.unit_name(systemd.unit_path(name)) == name


@pytest.mark.parametrize(
    "path",
    ["", "/", "/org/freedesktop/systemd1", "/org/freedesktop/systemd1/job/1", "/x/unit/a_zz"],
)
def test_other_paths(path: str) -> None:
    assert systemd.unit_name(path) is None
    assert systemd.unit_name(f"{systemd.UNIT_PATH}a_") is None


DBUS = "org.freedesktop.DBus.Error."


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        (f"{DBUS}InteractiveAuthorizationRequired", NotPermittedError, "sudo"),
        (f"{DBUS}AccessDenied", NotPermittedError, "sudo"),
        (f"{DBUS}NoReply", ManagerError, "has not answered"),
        (f"{DBUS}ServiceUnknown", ManagerGoneError, "systemctl status dbus"),
        (f"{DBUS}Disconnected", ManagerGoneError, "systemctl status dbus"),
        ("org.freedesktop.systemd1.UnitMasked", ManagerError, "unmask"),
        ("org.freedesktop.systemd1.LoadFailed", ManagerError, "what it said"),
        ("", ManagerError, "what it said"),
    ],
)
def test_errors(name: str, kind: type[LowmemError], words: str) -> None:
    error = systemd.refusal(name, "what it said\x1b[31m\n.", "restart a.service")
    assert type(error) is kind
    assert words in str(error)
    assert str(error).isprintable()
    assert str(error).endswith(".")


class TestAnnouncements:
    def unit(self, active: str = "inactive", name: str = "a.service") -> UnitProperties:
        return UnitProperties(name=name, active_state=active)

    def test_merged_and_announced_once(self) -> None:
        news = systemd.Announcements()
        assert not news
        news.signal(systemd.unit_path("a.service"), "PropertiesChanged", ())
        news.signal(systemd.unit_path("a.service"), "PropertiesChanged", ())
        news.signal(systemd.MANAGER_PATH, "UnitNew", ("b.service", "/x"))
        news.signal(systemd.MANAGER_PATH, "UnitRemoved", ("c.service", "/x"))
        assert news
        assert news.take().units == {"a.service", "b.service", "c.service"}
        assert not any(news.take())

    def test_reloading_counts_when_it_is_over(self) -> None:
        news = systemd.Announcements()
        news.signal(systemd.MANAGER_PATH, "Reloading", (True,))
        assert not news
        news.signal(systemd.MANAGER_PATH, "Reloading", (False,))
        assert news.take().reloaded

    def test_the_echo_of_a_question(self) -> None:
        news = systemd.Announcements()
        news.asking(["a.service", "b.service"])
        news.signal(systemd.MANAGER_PATH, "UnitNew", ("a.service", "/x"))
        news.answered("a.service", self.unit())
        news.answered("b.service", self.unit("active", "b.service"))
        news.signal(systemd.MANAGER_PATH, "UnitRemoved", ("a.service", "/x"))
        assert not news
        for name in ("a.service", "b.service"):
            news.signal(systemd.MANAGER_PATH, "UnitNew", (name, "/x"))
        assert news.take().units == {"a.service", "b.service"}

    def test_of_an_alias(self) -> None:
        news = systemd.Announcements()
        news.asking(["alias.service"])
        news.answered("alias.service", self.unit())
        news.signal(systemd.MANAGER_PATH, "UnitNew", ("a.service", "/x"))
        assert not news

    def test_a_start_is_no_echo(self) -> None:
        news = systemd.Announcements()
        news.asking(["a.service"])
        news.answered("a.service", self.unit())
        news.signal(systemd.unit_path("a.service"), "PropertiesChanged", ())
        assert news.take().units == {"a.service"}

    @pytest.mark.parametrize("body", [(), (1,), ([],)])
    def test_odd_signals(self, body: tuple[object, ...]) -> None:
        news = systemd.Announcements()
        for member in ("Reloading", "UnitNew", "UnitRemoved", "PropertiesChanged", "Other"):
            news.signal("/x", member, body)
        assert not news.take().reloaded


def test_a_match_rule() -> None:
    assert systemd.match_rule({"member": "UnitNew"}) == (
        "type='signal',sender='org.freedesktop.systemd1',member='UnitNew'"
    )


@pytest.mark.parametrize(
    "properties", [systemd.revert_timer(60), systemd.revert_service(("/bin/sh", "/run/revert"))]
)
def test_what_stops_all_else_leaves_the_revert(
    properties: list[tuple[str, tuple[str, object]]],
) -> None:
    given = dict(properties)
    assert given["IgnoreOnIsolate"] == ("b", True)
    assert given["DefaultDependencies"] == ("b", False)
