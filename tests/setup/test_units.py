"""The step `units` on the demo server: what is found, what is written, what is left."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.setup import Severity
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import Tier
from lowmem_tui.policy.classify import Kind
from lowmem_tui.policy.protect import Role, proposals
from lowmem_tui.setup.units import step as units
from lowmem_tui.setup.units import tiering
from lowmem_tui.setup.units import words as units_words
from tests.unit.servers import known, properties, service, situation

from .box import Box, codes, defaults, goes_through

OURS = "/etc/systemd/system/{}.d/zz-lowmem-tui.conf"


@pytest.fixture
def box() -> Box:
    return Box()


def test_goes_through(box: Box) -> None:
    plan = goes_through(box, "units")
    assert plan.refusals == ()
    assert {file.path for file in plan.files} >= {OURS.format("cloudchat.service")}
    written = {(e.unit, e.key, e.to) for e in plan.effects}
    assert written >= {
        ("cloudchat.service", "OOMPolicy", "continue"),
        ("cloudchat.service", "OOMScoreAdjust", "100"),
        ("redis-server.service", "RestartSec", "3s"),
        ("systemd-logind.service", "OOMScoreAdjust", "-500"),
        ("worker@a.service", "MemoryMax", "70M"),
    }
    assert {e.key for e in plan.effects if e.unit == "ssh.service"} == {"RestartSec"}
    assert not any(e.key == "MemoryMax" and e.unit.startswith("systemd-") for e in plan.effects)


def test_says_where_the_guide_contradicts_itself(box: Box) -> None:
    facts = " ".join(box.step("units").look().facts)
    assert "600M for the application, 256M for Redis, a reserve of 400M" in facts
    assert "redis.service is only an alias of redis-server.service" in facts
    assert "ssh.service: sshd protects its listener itself (-1000)" in facts
    assert "have the same OOMScoreAdjust" not in facts
    box.write(OURS.format("cloudchat.service"), "[Service]\nOOMScoreAdjust=-100\n")
    assert (
        "cloudchat.service, redis-server.service have the same OOMScoreAdjust=-100: only their "
        "size decides which of them is killed first."
    ) in box.step("units").look().facts


def test_a_finding_s_remedy_is_the_command_that_mends_it(box: Box) -> None:
    found = {f.subject: f for f in box.step("units").look().findings}
    nginx = found["nginx.service"]
    assert (nginx.code, nginx.severity) == ("gatekeeper-unguarded", Severity.WARNING)
    assert nginx.text == (
        "It is a gatekeeper (tier 0). It hits the start limit after a few quick failures "
        "(RestartSec=100ms). It is stopped as a whole when one of its processes is killed "
        "(OOMPolicy=stop)."
    )
    assert nginx.remedy == (
        "sudo lowmem-tui apply --set 'nginx.service:RestartSec=3s' "
        "--set 'nginx.service:OOMPolicy=continue'"
    )
    redis = found["redis-server.service"]
    assert redis.severity is Severity.ADVICE
    assert redis.text == (
        "It is a business service (tier 1). It restarts at once after a failure (RestartSec=100ms)."
    )


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("docker.service", "/usr/bin/dockerd", "docker.service: its containers run in scopes"),
        ("app.service", "/usr/bin/docker compose up", "what `docker compose` starts runs in sc"),
        ("app.service", "/srv/app", "app.service runs processes in control groups of its own"),
    ],
)
def test_where_the_limit_belongs_is_reported(name: str, line: str, words: str) -> None:
    unit = service(name, exec_start=tuple(line.split()), delegate=True)
    assert unit.properties is not None
    role = Role(known(unit), unit.properties, Tier(1), Kind.APPLICATION, enabled=True)
    (told,) = map(str, units_words.by_hand([role], situation(known(unit))))
    assert words in told
    assert "docker run --memory" in told


EXCEPTIONS = {
    "ssh.service": (0, 0, "sshd protects its listener itself (-1000)"),
    "dropbear.service": (0, 0, "dropbear does not protect itself"),
    "containerd.service": (1, -999, "its package excludes it from OOM kills (OOMScoreAdjust=-999)"),
    "docker.service": (1, -500, "its package protects it (OOMScoreAdjust=-500)"),
}


@pytest.mark.parametrize(("name", "case"), EXCEPTIONS.items())
def test_the_exceptions_are_reported(name: str, case: tuple[int, int, str]) -> None:
    tier, score, words = case
    unit = service(name, oom_score_adjust=score, delegate=True)
    assert unit.properties is not None
    role = Role(known(unit), unit.properties, Tier(tier), Kind.HELPER, enabled=True)
    (told,) = map(str, units_words._exceptions([role]))
    assert told.startswith(f"{name}: {words}")


JOURNAL = "systemd-journald.service"
ON_DEMAND = {
    "its socket starts it": ("OOMScoreAdjust=-250\n", Severity.ADVICE,
        ("After a failure only systemd-journald.socket starts it again, when it is next used "
        "(Restart=no).")),
    "and something worse": ("OOMScoreAdjust=0\n", Severity.WARNING,
        ("OOMScoreAdjust is 0. After a failure only systemd-journald.socket starts it again, when "
        "it is next used (Restart=no).")),
}  # fmt: skip


@pytest.mark.parametrize(("more", "severity", "text"), ON_DEMAND.values(), ids=ON_DEMAND)
def test_what_a_socket_starts_again_is_no_warning(
    box: Box, more: str, severity: Severity, text: str
) -> None:
    box.write(f"/etc/systemd/system/{JOURNAL}.d/a.conf", f"[Service]\nRestart=no\n{more}")
    look = box.step("units").look()
    (found,) = [f for f in look.findings if f.subject == JOURNAL and "tier" in f.text]
    assert (found.severity, found.text) == (severity, f"It is a gatekeeper (tier 0). {text}")
    items = {i.key: i for i in look.items}
    assert str(items[f"{JOURNAL}:Restart"].why).startswith("Now only systemd-journald.socket")
    delay = items[f"{JOURNAL}:RestartSec"]
    assert (delay.value, delay.taken, delay.done) == ("3s", True, False)


def test_the_bus_keeps_the_restart_of_its_package(box: Box) -> None:
    look = box.step("units").look()
    assert not [f for f in look.findings if f.subject == "dbus.service"]
    assert not [i for i in look.items if i.key.startswith("dbus.service:Restart")]
    assert any("dbus.service: after a restart of the bus few" in str(f) for f in look.facts)


def test_what_is_preselected_is_warned_of_by_no_check(box: Box) -> None:
    """What the program considers right is what it proposes in the first place."""
    step = box.step("units")
    wishes = {i.key: i.value for i in step.look().items if i.taken and not i.done}
    assert wishes
    made = step.plan(wishes)
    assert not made.refusals
    assert [n.code for n in made.warnings] == []


SOCKET = {
    "ssh.service": (("ssh.socket",), "Then ssh.socket fails, too, and nobody can log in."),
    "sshd.service": (("sshd.socket",), "Then sshd.socket fails, too, and nobody can log in."),
    "a daemon of its own": ((), ""),
}


@pytest.mark.parametrize(("name", "case"), SOCKET.items())
def test_a_socket_that_fails_with_ssh_is_reported(
    name: str, case: tuple[tuple[str, ...], str]
) -> None:
    triggers, words = case
    name = name if triggers else "ssh.service"
    limits: dict[str, Any] = {"start_limit_interval_usec": 10_000_000, "start_limit_burst": 5}
    unit = service(name, restart="on-failure", triggered_by=triggers, **limits)
    assert unit.properties is not None
    role = Role(known(unit), unit.properties, Tier(0), Kind.HELPER, enabled=not triggers)
    made = proposals([role], situation(role.known))
    (found,) = units._findings([each for each in made if not each.done], [role])
    assert found.severity is Severity.WARNING
    assert str(found.text) == (
        "It is a gatekeeper (tier 0). It hits the start limit after a few quick failures "
        f"(RestartSec=100ms).{' ' * bool(words)}{words}"
    )
    (why,) = (each.why for each in made if each.key == "RestartSec")
    assert ("nobody can log in until somebody starts both" in str(why)) is bool(words)


def test_the_way_in_counts_while_it_waits_for_somebody() -> None:
    """Ubuntu's ssh.service is neither enabled nor, after a boot, running."""

    def way_in(state: str, *triggers: str, name: str = "ssh.service") -> list[str]:
        sockets = [Unit(t, None, properties(t, active_state=state)) for t in triggers]
        ssh = Unit(name, None, properties(name, active_state="inactive", triggered_by=triggers))
        return list(tiering._way_in({unit.name: unit for unit in (ssh, *sockets)}))

    assert way_in("active", "ssh.socket") == ["ssh.service"]
    assert way_in("inactive", "ssh.socket") == []
    assert way_in("active", "ssh.timer") == []
    assert way_in("active") == []
    assert way_in("active", "uuidd.socket", name="uuidd.service") == []
    lone = Unit("ssh.service", None, properties("ssh.service", triggered_by=("gone.socket",)))
    assert (
        list(tiering._way_in({"ssh.service": lone, "a.service": Unit("a.service", None, None)}))
        == []
    )


def test_what_is_to_be_switched_off_is_not_set_up_by_default(box: Box) -> None:
    look = box.step("units").look()
    assert "snapd.service" not in {finding.subject for finding in look.findings}
    taken = {item.key: item.taken for item in look.items}
    assert not taken["snapd.service:OOMScoreAdjust"]
    assert taken["worker@a.service:MemoryMax"]
    # Once it is in use, it is set up as any other.
    box.write("/var/lib/snapd/snaps/certbot_1.snap", "")
    look = box.step("units").look()
    (found,) = [f for f in look.findings if f.subject == "snapd.service"]
    assert found.text == (
        "It is a business service (tier 1). OOMScoreAdjust is -900. It has no MemoryMax. It "
        "restarts at once after a failure (RestartSec=100ms)."
    )


def test_what_a_plan_would_refuse_is_not_proposed(box: Box) -> None:
    box.write(OURS.format("worker@a.service"), "[Service]\n# not ours\nNice=5\n")
    keys = [item.key for item in box.step("units").look().items if not item.done]
    assert "worker@b.service:MemoryMax" in keys
    assert "worker@a.service:MemoryMax" not in keys


def test_the_administrator_s_tiers_count(box: Box) -> None:
    config = '[tiers]\n"cron.service" = 0\n"worker@*" = 2\n'
    box.write("/etc/lowmem-tui/config.toml", config)
    step = box.step("units")
    wishes = {item.key: item.value for item in step.look().items if not item.done}
    assert wishes["cron.service:OOMScoreAdjust"] == "-200"
    assert not any(key.startswith("worker@") for key in wishes)
    box.write("/etc/lowmem-tui/config.toml", "[tiers]\ncron = 7\n")
    with pytest.raises(InvalidValueError, match=r"config.toml: Line 2: a tier is 0, 1 or 2"):
        step.look()


WRONG = {
    "cron.service": "is not UNIT:KEY=VALUE",
    "cron.service:Nice": "'Nice' is not a setting",
    "cron.service:MemoryMax": "'x' is not a limit",
    "zork.service:MemoryMax": "There is no unit zork.service",
    "../x:MemoryMax": "is not a unit's name",
}


@pytest.mark.parametrize(("key", "message"), WRONG.items(), ids=WRONG)
def test_a_request_that_is_invalid_is_named(box: Box, key: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message.replace("'", ".")):
        box.step("units").plan({key: "x"})


def test_what_is_refused_by_a_check_is_refused_here_too(box: Box) -> None:
    plan = box.step("units").plan({"dbus.service:MemoryMax": "64M"})
    assert [refusal.code for refusal in plan.refusals] == ["needed-by-systemd"]


def test_nothing_is_found_once_all_is_so(box: Box) -> None:
    step = box.step("units")
    box.backend.apply(step.plan(defaults(step.look())))
    box.now = 30.0
    assert codes(box.step("units").look()) == ["limits-over-ram"]


def test_what_would_be_too_much_is_not_ticked_and_shown(box: Box) -> None:
    step = box.step("units")
    limits = {"cloudchat.service:MemoryMax": "400M", "redis-server.service:MemoryMax": "200M"}
    box.backend.apply(step.plan(limits), force=True)
    look = box.step("units").look()
    (item,) = [i for i in look.items if i.key == "worker@a.service:MemoryMax"]
    assert not item.taken
    assert not item.done
    (found,) = [f for f in look.findings if f.code == "limit-does-not-fit"][:1]
    assert found.subject.startswith("worker@")
    assert "It has no MemoryMax, and " in found.text
    assert "Lower MemoryMax of redis-server.service from 200M to " in found.text
    box.backend.apply(box.step("units").plan(defaults(look)))
    assert "limits-over-ram" not in codes(box.step("units").look())


def test_what_the_administrator_has_promised_too_much_is_reported_with_the_figure(box: Box) -> None:
    """The demo server's own limits are 600M and 256M of 967M; the step changes neither."""
    look = box.step("units").look()
    (found,) = [f for f in look.findings if f.code == "limits-over-ram"]
    assert found.text.startswith(
        "Overcommitted: MemoryMax of all units (856M) and the reserve (363M) are "
    )
    assert "Lower MemoryMax of redis-server.service from 256M to " in found.text
    assert found.text in look.facts or any("Overcommitted" in fact for fact in look.facts)
    command = found.remedy.splitlines()[0]
    sets = [word for word in shlex.split(command) if "MemoryMax" in word]
    box.backend.apply(box.step("units").plan(dict(each.rsplit("=", 1) for each in sets)))
    assert sets == ["redis-server.service:MemoryMax=210M"]  # its maxmemory twice, and its own
    # cloudchat needs what it has: nothing is proposed that its form and the checks speak against.
    (left,) = [f for f in box.step("units").look().findings if f.code == "limits-over-ram"]
    assert "Lower MemoryMax" not in left.text
    assert "No limit can be lowered, it would be below what its unit needs" in left.text
    assert "Run fewer workers or services, move a service to another server" in left.text
    assert "MemoryMax" not in left.remedy


def test_limits_that_are_more_than_there_is_are_a_finding(box: Box) -> None:
    assert "limits-over-memory" not in codes(box.step("units").look())
    box.backend.apply(
        box.step("units").plan(
            {"cloudchat.service:MemoryMax": "2G", "redis-server.service:MemoryMax": "1G"}
        ),
        force=True,
    )
    (found,) = [f for f in box.step("units").look().findings if f.code == "limits-over-memory"]
    assert "are 2.4G more than 967M of RAM." in found.text
