"""What is refused or warned of, each with the better alternative."""

from __future__ import annotations

import pytest

from lowmem_tui.model.message import msg
from lowmem_tui.model.plan import Edit, Notice
from lowmem_tui.model.snapshot import Unit, UnitFile, UnitSituation
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy.dropin import path, render
from lowmem_tui.policy.plan import plan

from .servers import M, known, process, properties, situation, unit, usage

A = "a.service"
OURS = path(A)
SCORE, MAX, HIGH, SWAP = (
    Key.OOM_SCORE_ADJUST,
    Key.MEMORY_MAX,
    Key.MEMORY_HIGH,
    Key.MEMORY_SWAP_MAX,
)
RESTART, SEC, POLICY = Key.RESTART, Key.RESTART_SEC, Key.OOM_POLICY

TEXT = render(A, {MAX: "1G"}, "Service")


def holding(name: str = A, **memory: int) -> Unit:
    """A running unit of 10M RSS, its group's memory as given."""
    return Unit(
        name, usage(name, process(5), cgroup="", **memory), properties(name, memory_max=INFINITY)
    )


def gone(state: str) -> Unit:
    return Unit(A, None, properties(A, load_state=state, active_state="inactive"))


def of(name: str, **changes: object) -> UnitSituation:
    return known(unit(name, **changes))


# unit, key, value, code, whether --force goes on, a word of its text
REFUSED: dict[str, tuple[UnitSituation, Key, str | None, str, bool, str]] = {
    "an unknown unit": (known(gone("not-found")), MAX, "1G", "unknown-unit", False, "no unit"),
    "systemd silent": (known(Unit(A, None, None)), MAX, "1G", "not-known", False, "try again"),
    "a masked unit": (known(gone("masked")), MAX, "1G", "masked", False, "systemctl unmask a.se"),
    "a broken unit": (known(gone("bad-setting")), MAX, "1G", "bad-setting", True, "correct them"),
    "an unreadable unit": (known(gone("error")), MAX, "1G", "bad-setting", True, "correct them"),
    "a template": (of("w@.service"), MAX, "1G", "template", False, "w@1.service"),
    "a timer": (of("a.timer"), MAX, "1G", "wrong-type", False, "edit the unit that it starts"),
    "the root slice": (of("-.slice"), MAX, "1G", "root-slice", False, "edit system.slice"),
    "a transient unit": (
        of("run-1.service", transient=True, slice="x.slice"),
        *(MAX, "1G", "transient", False, "edit its slice, x.slice"),
    ),
    "a session": (
        of("session-1.scope", transient=True, slice="user-0.slice"),
        *(MAX, "1G", "transient", False, "edit its slice, user-0.slice"),
    ),
    "a container": (
        of("docker-ab12.scope", transient=True, slice="system.slice"),
        *(MAX, "1G", "transient", False, "`docker update --memory=SIZE`"),
    ),
    "an obstacle": (
        known(unit(A), obstacle=msg("/etc/x is a link: remove it.")),
        *(MAX, "1G", "obstacle", False, "is a link: remove it"),
    ),
    "a drop-in that cannot be read": (
        known(unit(A), drop_in=UnitFile(OURS, None)),
        *(MAX, "1G", "obstacle", False, "cannot be read"),
    ),
    "somebody else's file of our name": (
        known(unit(A), drop_in=UnitFile(OURS, "[Service]\nMemoryMax=1G\n")),
        *(SCORE, "5", "not-ours", False, "rename it"),
    ),
    "our file with lines of others": (
        known(unit(A), drop_in=UnitFile(OURS, TEXT + "Nice=5\n")),
        *(SCORE, "5", "edited-by-hand", True, "drop-in of their own"),
    ),
    "Restart of a slice": (
        of("a.slice"),
        RESTART,
        "always",
        "wrong-key",
        False,
        "cannot have Restart",
    ),
    "Restart of a scope": (
        of("init.scope"),
        RESTART,
        "no",
        "wrong-key",
        False,
        "cannot have Restart",
    ),
    "a score of a scope": (of("init.scope"), SCORE, "5", "wrong-key", False, "on the service"),
    "a score of a slice": (of("a.slice"), SCORE, "5", "wrong-key", False, "on the service"),
    "OOMPolicy of a socket": (
        of("a.socket"),
        POLICY,
        "kill",
        "wrong-key",
        False,
        "cannot have OOMPolicy",
    ),
    "banana": (of(A), MAX, "banana", "bad-value", False, "write a size like 256M"),
    "a limit of 0": (of(A), MAX, "0", "bad-value", False, "write at least 1M"),
    "a score out of range": (of(A), SCORE, "5000", "bad-value", False, "from -1000 to 1000"),
    "a score of -1001": (of(A), SCORE, "-1001", "bad-value", False, "from -1000 to 1000"),
    "a score of -1000": (of(A), SCORE, "-1000", "oom-score-adjust-1000", False, "-500 to -200"),
    "no word of Restart": (of(A), RESTART, "maybe", "bad-value", False, "on-failure"),
    "no time span": (of(A), SEC, "soon", "bad-value", False, "1min 30s"),
    "no word of OOMPolicy": (of(A), POLICY, "die", "bad-value", False, "continue, stop, kill"),
    "always on a oneshot": (
        of(A, type="oneshot"),
        *(RESTART, "always", "restart-on-oneshot", False, "use on-failure"),
    ),
    "on-success on a oneshot": (
        of(A, type="oneshot"),
        *(RESTART, "on-success", "restart-on-oneshot", False, "use on-failure"),
    ),
    "a forgotten M": (of(A), MAX, "600", "limit-too-small", True, "600M if megabytes"),
    "a single byte": (of(A), MAX, "1", "limit-too-small", True, "MemoryMax=1 is 1 byte, and"),
    "a K for an M": (of(A), MAX, "10K", "limit-too-small", True, "write 10M if"),
    "a limit below use": (
        known(holding(anon=100 * M, shmem=20 * M, file=500 * M)),
        *(MAX, "119M", "memory-max-below-use", True, "uses 120M"),
    ),
    "a limit below the RSS, all that is known": (
        known(holding()),
        *(MAX, "9M", "memory-max-below-use", True, "uses 10M"),
    ),
    "a limit for journald": (
        known(holding("systemd-journald.service")),
        *(MAX, "500M", "needed-by-systemd", True, "OOMScoreAdjust=-500"),
    ),
    "a limit for a scope, which can have no score": (
        known(holding("init.scope")),
        *(MAX, "500M", "needed-by-systemd", True, "Set no limit on it, and limit others."),
    ),
    "a tight limit for ssh": (
        known(holding("ssh.service")),
        *(MAX, "30M", "no-room-for-logins", True, "nobody can log in"),
    ),
    "a tight limit for one ssh connection": (
        known(holding("sshd@1.service")),
        *(MAX, "30M", "no-room-for-logins", True, "nobody can log in"),
    ),
    "a limit for dbus": (
        known(holding("dbus.service")),
        *(MAX, "500M", "needed-by-systemd", True, "every login"),
    ),
}


EACH_REFUSED = pytest.mark.parametrize(
    ("one", "key", "value", "code", "forceable", "words"), REFUSED.values(), ids=REFUSED
)


@EACH_REFUSED
def test_refused(
    one: UnitSituation, key: Key, value: str | None, code: str, forceable: bool, words: str
) -> None:
    (refusal,) = plan([Edit(one.asked, key, value)], situation(one)).refusals
    assert (refusal.code, refusal.forceable) == (code, forceable)
    assert words in refusal.text


@EACH_REFUSED
def test_only_what_can_be_forced_is_in_the_files(
    one: UnitSituation, key: Key, value: str | None, code: str, forceable: bool, words: str
) -> None:
    assert bool(plan([Edit(one.asked, key, value)], situation(one)).files) is forceable


def test_a_unit_that_was_not_asked_for_is_unknown() -> None:
    (refusal,) = plan([Edit("x.service", MAX, "1G")], situation()).refusals
    assert refusal.code == "unknown-unit"


def test_each_unknown_unit_is_named_once() -> None:
    edits = [Edit("x.service", MAX, "1G"), Edit("x.service", SCORE, "5")]
    assert len(plan(edits, situation()).refusals) == 1


def test_a_template_s_instances_are_named() -> None:
    others = (unit("w@b.service"), unit("w@a.service"), unit("w@a.socket"), unit("v@a.service"))
    server = situation(of("w@.service"), others=others)
    (refusal,) = plan([Edit("w@.service", MAX, "1G")], server).refusals
    assert refusal.text.endswith("name an instance: w@a.service, w@b.service.")


def test_an_instance_is_no_template() -> None:
    assert not plan([Edit("w@a.service", MAX, "1G")], situation(of("w@a.service"))).refusals


def test_a_wrong_edit_leaves_the_others() -> None:
    made = plan([Edit(A, MAX, "banana"), Edit(A, SCORE, "5")], situation(of(A)))
    assert [e.key for e in made.effects] == [SCORE]


GONE = Unit(A, None, properties(A, load_state="not-found", restart=None, oom_score_adjust=None))


def test_our_setting_can_be_dropped_from_a_unit_that_is_gone() -> None:
    one = known(GONE, drop_in=UnitFile(OURS, TEXT))
    made = plan([Edit(A, MAX, None)], situation(one))
    assert (made.refusals, made.warnings) == ((), ())
    assert [(f.path, f.after) for f in made.files] == [(OURS, None)]
    assert [(e.from_, e.to) for e in made.effects] == [("1G", "infinity")]


def test_nothing_is_set_for_a_unit_that_is_gone() -> None:
    one = known(GONE, drop_in=UnitFile(OURS, TEXT))
    made = plan([Edit(A, MAX, None), Edit(A, SCORE, "5")], situation(one))
    assert [r.code for r in made.refusals] == ["unknown-unit"]
    assert [f.after for f in made.files] == [None]


def test_without_a_drop_in_of_ours_there_is_nothing_to_drop() -> None:
    (refusal,) = plan([Edit(A, MAX, None)], situation(known(GONE))).refusals
    assert refusal.code == "unknown-unit"


@pytest.mark.parametrize("state", ["masked", "bad-setting"])
def test_our_setting_can_be_dropped_from_a_unit_that_cannot_start(state: str) -> None:
    one = known(gone(state), drop_in=UnitFile(OURS, TEXT))
    made = plan([Edit(A, MAX, None)], situation(one))
    assert (made.refusals, len(made.files)) == ((), 1)


# unit, key, value, code, a word of its text
WARNED: dict[str, tuple[UnitSituation, Key, str, str, str]] = {
    "an alias": (known(unit(A), asked="b.service"), MAX, "512M", "alias", "written for a.service"),
    "files not read yet": (of(A, need_daemon_reload=True), MAX, "512M", "not-reloaded", "as well"),
    "ssh": (of("ssh.service"), SCORE, "-500", "sessions-inherit", "every shell"),
    "sshd": (of("sshd.service"), SCORE, "-500", "sessions-inherit", "every shell"),
    "dropbear": (of("dropbear.service"), SCORE, "-200", "sessions-inherit", "dropbear keeps"),
    "ssh by socket": (of("ssh@1.service"), SCORE, "5", "sessions-inherit", "every shell"),
    "a console": (of("getty@tty1.service"), SCORE, "-500", "children-inherit", "login shell"),
    "cron": (of("cron.service"), SCORE, "-500", "children-inherit", "Every job"),
    "below peak": (
        known(holding(anon=10 * M, peak=300 * M)),
        *(MAX, "256M", "memory-max-below-peak", "has used 300M"),
    ),
    "MemoryMax of a unit with groups of its own": (
        of(A, delegate=True),
        *(MAX, "256M", "delegated", "Limit what is in them"),
    ),
    "MemoryHigh without swap": (of(A), HIGH, "256M", "memory-high-without-swap", "MemoryMax"),
    "a timer's service for ever": (
        of(A, triggered_by=("a.timer",)),
        *(RESTART, "always", "restart-with-timer", "a.timer starts it when"),
    ),
    "a later drop-in": (
        known(
            unit(A, memory_max=2 << 30),
            files={"/etc/systemd/system/a.service.d/zzz.conf": "MemoryMax=2G"},
        ),
        *(
            MAX,
            "512M",
            "later-file",
            "/etc/systemd/system/a.service.d/zzz.conf is read after our drop-in",
        ),
    ),
    "a later drop-in that resets": (
        known(unit(A), files={"/run/systemd/system/a.service.d/zzz.conf": "MemoryMax="}),
        *(MAX, "512M", "later-file", "overrides it with MemoryMax="),
    ),
}


@pytest.mark.parametrize(("one", "key", "value", "code", "words"), WARNED.values(), ids=WARNED)
def test_warned(one: UnitSituation, key: Key, value: str, code: str, words: str) -> None:
    made = plan([Edit(one.asked, key, value)], situation(one, swap=False))
    assert [w.code for w in made.warnings] == [code]
    assert words.replace("starts it", f"starts {one.unit.name}") in made.warnings[0].text
    assert (made.refusals, len(made.files)) == ((), 1)


def notices(one: UnitSituation, key: Key, value: str, *, swap: bool = True) -> list[Notice]:
    made = plan([Edit(one.asked, key, value)], situation(one, swap=swap))
    return [*made.refusals, *made.warnings]


FINE: dict[str, tuple[UnitSituation, Key, str]] = {
    "a limit at its use": (known(holding(anon=100 * M)), MAX, "100M"),
    "page cache does not count": (known(holding(anon=1 * M, file=500 * M)), MAX, "100M"),
    "a limit at its peak": (known(holding(anon=1 * M, peak=100 * M)), MAX, "100M"),
    "a limit for what does not run": (
        known(Unit(A, None, properties(A, active_state="inactive"))),
        *(MAX, "2M"),
    ),
    "no limit for journald": (known(unit("systemd-journald.service")), MAX, "infinity"),
    "MemoryHigh for journald": (known(holding("systemd-journald.service")), HIGH, "500M"),
    "a score for journald": (known(unit("systemd-journald.service")), SCORE, "-500"),
    "a score of -999": (of(A), SCORE, "-999"),
    "a score of 0 for ssh": (of("ssh.service", oom_score_adjust=-500), SCORE, "0"),
    "a wide limit for ssh": (known(holding("ssh.service")), MAX, "64M"),
    "a tight limit for what only sounds like ssh": (known(holding("sshguard.service")), MAX, "30M"),
    "no limit for what has groups of its own": (
        of(A, delegate=True, memory_max=5),
        MAX,
        "infinity",
    ),
    "a peak that may have been page cache": (
        known(holding(anon=10 * M, file=200 * M, peak=300 * M)),
        *(MAX, "100M"),
    ),
    "no swap for it": (of(A), SWAP, "0"),
    "on-failure on a oneshot": (of(A, type="oneshot"), RESTART, "on-failure"),
    "on-failure with a timer": (of(A, triggered_by=("a.timer",)), RESTART, "on-failure"),
    "always with a socket": (of(A, triggered_by=("a.socket",)), RESTART, "always"),
    "MemoryHigh with swap": (of(A), HIGH, "256M"),
    "an earlier drop-in": (
        known(unit(A), files={"/etc/systemd/system/a.service.d/override.conf": "MemoryMax=2G"}),
        *(MAX, "512M"),
    ),
    "a later drop-in that systemd ignores": (
        known(unit(A), files={"/etc/systemd/system/a.service.d/zzz.conf": "MemoryMax=banana"}),
        *(MAX, "512M"),
    ),
}


@pytest.mark.parametrize(("one", "key", "value"), FINE.values(), ids=FINE)
def test_nothing_speaks_against_it(one: UnitSituation, key: Key, value: str) -> None:
    assert notices(one, key, value) == []


@pytest.mark.parametrize("swap", [True, False])
def test_a_limit_below_use_says_what_swap_changes(swap: bool) -> None:
    (notice,) = notices(known(holding(anon=100 * M)), MAX, "50M", swap=swap)
    assert ("does not fit into swap" in notice.text) is swap


@pytest.mark.parametrize(
    ("value", "parent"),
    [("500M", "system-x.slice"), ("infinity", "system-x.slice"), ("200M", None), ("300M", None)],
)
def test_a_parent_s_limit_below_the_wanted_one_is_named(value: str, parent: str | None) -> None:
    slices = tuple(
        Unit(name, usage(name, cgroup=cgroup, max=limit), properties(name))
        for name, cgroup, limit in [
            ("system.slice", "/system.slice", 400 * M),
            ("system-x.slice", "/system.slice/system-x.slice", 300 * M),
            ("system-y.slice", "/system.slice/system-y.slice", 1 * M),
        ]
    )
    a = usage(A, process(5), cgroup="/system.slice/system-x.slice/a.service")
    one = known(Unit(A, a, properties(A, memory_max=5 * M)))
    made = plan([Edit(A, MAX, value)], situation(one, others=slices))
    found = [w.text.split()[0] for w in made.warnings if w.code == "parent-caps"]
    assert found == ([parent] if parent else [])
