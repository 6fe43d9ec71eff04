"""From reports and messages to incidents: one for each kill, with what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.amount import format_seconds
from lowmem_tui.model.incident import (
    Cause,
    Ending,
    EventKind,
    Evidence,
    Incident,
    OomReport,
    UnitEvent,
    Victim,
)
from lowmem_tui.policy.incidents import text as incident_words
from lowmem_tui.policy.incidents.build import join

A, B = "a.service", "b.service"
MEMCG, NONE = "CONSTRAINT_MEMCG", "CONSTRAINT_NONE"
K = EventKind
MIB = 1 << 20


def kill(time: float, unit: str = A, boot: str = "now", **more: Any) -> OomReport:  # noqa: ANN401
    values = {"constraint": MEMCG, "limit_unit": unit, "limit": 100 * MIB, **more}
    return OomReport(time, boot, Victim(int(time) + 10, "hog", 0, MIB), unit=unit, **values)


def say(
    time: float, kind: EventKind, detail: str = "", unit: str = A, boot: str = "now"
) -> UnitEvent:
    return UnitEvent(time, boot, unit, kind, detail)


def found(
    *things: OomReport | UnitEvent,
    running: tuple[str, ...] = (),
    **more: Any,  # noqa: ANN401
) -> list[Incident]:
    evidence = Evidence(
        "now",
        tuple(t for t in things if isinstance(t, OomReport)),
        tuple(t for t in things if isinstance(t, UnitEvent)),
        running=frozenset(running),
        **more,
    )
    return list(join(evidence).incidents)[::-1]


def stopped(time: float) -> tuple[UnitEvent, ...]:
    return say(time, K.OOM), say(time + 1, K.RESULT, "oom-kill")


RESTARTED = (*stopped(100), say(104, K.RESTART, "3"), say(105, K.STARTED))

CASES: dict[str, tuple[tuple[Any, ...], list[tuple[Cause, Ending, str, float | None]]]] = {
    "stopped and restarted": (
        (kill(100), *RESTARTED),
        [(Cause.LIMIT, Ending.BACK, "oom-kill", 5.0)],
    ),
    "systemd's word comes first": (
        (*stopped(99), kill(100), say(105, K.STARTED)),
        [(Cause.LIMIT, Ending.BACK, "oom-kill", 6.0)],
    ),
    "it went on after the first": (
        (kill(100), say(100, K.OOM), kill(104), say(104, K.OOM), say(105, K.RESULT, "signal")),
        [(Cause.LIMIT, Ending.LIVED, "", None), (Cause.LIMIT, Ending.DEAD, "signal", None)],
    ),
    "two for one shortage": (
        (kill(100), kill(100.3), say(101, K.RESULT, "signal")),
        [(Cause.LIMIT, Ending.DEAD, "signal", None)] * 2,
    ),
    "still down": ((kill(100), *stopped(100)), [(Cause.LIMIT, Ending.DEAD, "oom-kill", None)]),
    "a restart is due": (
        (kill(100), *stopped(100), say(102, K.RESTART, "1")),
        [(Cause.LIMIT, Ending.WAITING, "oom-kill", None)],
    ),
    "OOMPolicy=continue, the main process": (
        (kill(100), say(100, K.OOM), say(101, K.RESULT, "signal"), say(104, K.STARTED)),
        [(Cause.LIMIT, Ending.BACK, "signal", 4.0)],
    ),
    "it loops until it is refused": (
        (
            kill(100), *stopped(100), say(103, K.STARTED),
            kill(104), *stopped(104), say(107, K.RESTART, "2"),
            say(107, K.TOO_OFTEN), say(107, K.RESULT, "oom-kill"),
        ),
        [
            (Cause.LIMIT, Ending.BACK, "oom-kill", 3.0),
            (Cause.LIMIT, Ending.START_LIMIT, "oom-kill", None),
        ],
    ),
    "a failure much later is another matter": (
        (kill(100), say(100, K.OOM), say(900, K.RESULT, "exit-code"), say(903, K.STARTED)),
        [(Cause.LIMIT, Ending.LIVED, "", None)],
    ),
    "two kills, then the end": (
        (kill(100), kill(102), say(103, K.RESULT, "oom-kill"), say(106, K.STARTED)),
        [
            (Cause.LIMIT, Ending.BACK, "oom-kill", 6.0),
            (Cause.LIMIT, Ending.BACK, "oom-kill", 4.0),
        ],
    ),
    "the machine is out of memory": (
        (kill(100, constraint=NONE), *RESTARTED),
        [(Cause.RAM, Ending.BACK, "oom-kill", 5.0)],
    ),
    "no report": (stopped(100), [(Cause.OOM, Ending.DEAD, "oom-kill", None)]),
    "a result alone": (
        (say(100, K.RESULT, "oom-kill"), say(103, K.STARTED)),
        [(Cause.OOM, Ending.BACK, "oom-kill", 3.0)],
    ),
    "watchdog": (
        (say(100, K.RESULT, "watchdog"), say(103, K.STARTED)),
        [(Cause.WATCHDOG, Ending.BACK, "watchdog", 3.0)],
    ),
    "failed at every start": (
        (say(99, K.RESULT, "exit-code"), say(100, K.TOO_OFTEN), say(100, K.RESULT, "exit-code")),
        [(Cause.START_LIMIT, Ending.START_LIMIT, "", None)],
    ),
    "start-limit-hit": (
        (say(100, K.TOO_OFTEN), say(100, K.RESULT, "start-limit-hit")),
        [(Cause.START_LIMIT, Ending.START_LIMIT, "", None)],
    ),
    "systemd-oomd": (
        (say(100, K.OOMD), say(101, K.RESULT, "oom-kill"), say(104, K.STARTED)),
        [(Cause.OOMD, Ending.BACK, "oom-kill", 4.0)],
    ),
    "a slice counts what is told of its unit": (
        (kill(100, limit_unit="x.slice"), *stopped(100), say(100, K.OOM, unit="x.slice")),
        [(Cause.LIMIT, Ending.DEAD, "oom-kill", None)],
    ),
    "an ordinary failure is no incident": (
        (say(100, K.RESULT, "exit-code"), say(103, K.STARTED)),
        [],
    ),
    "a scope ends with its process": (
        (kill(100), say(101, K.ENDED)),
        [(Cause.LIMIT, Ending.DEAD, "", None)],
    ),
    "stopped by hand later": (
        (kill(100), say(200, K.ENDED)),
        [(Cause.LIMIT, Ending.LIVED, "", None)],
    ),
    "not back before the reboot": (
        (kill(100, boot="old"), say(101, K.RESULT, "oom-kill", boot="old"), say(200, K.STARTED)),
        [(Cause.LIMIT, Ending.REBOOT, "oom-kill", None)],
    ),
    "the machine went down with it": (
        (kill(100, boot="old"),),
        [(Cause.LIMIT, Ending.UNKNOWN, "", None)],
    ),
    "it went on until the reboot": (
        (kill(100, boot="old"), say(100, K.OOM, boot="old")),
        [(Cause.LIMIT, Ending.LIVED, "", None)],
    ),
    "somebody asked for it": (
        (kill(100, constraint=NONE, by_hand=True), *RESTARTED),
        [(Cause.OTHER, Ending.BACK, "oom-kill", 5.0)],
    ),
    "an unknown constraint": (
        (kill(100, constraint="CONSTRAINT_NEW"),),
        [(Cause.OTHER, Ending.DEAD, "", None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_outcome(case: str) -> None:
    things, wanted = CASES[case]
    assert [(i.cause, i.ending, i.result, i.back_after) for i in found(*things)] == wanted


def test_what_runs_now_counts() -> None:
    (lived,) = found(kill(100), running=(A,))
    assert lived.ending is Ending.LIVED
    (back,) = found(kill(100), *stopped(100), running=(A,))
    assert back.ending is Ending.RUNS
    (unread,) = found(kill(100), running=(A,), outcomes=False)
    assert unread.ending is Ending.RUNS
    (old,) = found(kill(100, boot="old"), outcomes=False)
    assert old.ending is Ending.UNKNOWN
    (early,) = found(
        kill(100, boot="old"), say(101, K.RESULT, "signal", boot="old"), events_since=500.0
    )
    assert early.ending is Ending.UNKNOWN


@pytest.mark.parametrize(
    ("now", "ending"), [(105.0, Ending.UNKNOWN), (111.0, Ending.LIVED), (None, Ending.LIVED)]
)
def test_the_outcome_is_not_known_at_once(now: float | None, ending: Ending) -> None:
    (incident,) = found(kill(100), say(100, K.OOM), running=(A,), now=now)
    assert incident.ending is ending


def test_units_are_kept_apart() -> None:
    first, second = found(
        kill(100), kill(101, B), say(102, K.RESULT, "oom-kill"), say(103, K.STARTED, unit=B),
        running=(B,),
    )  # fmt: skip
    assert (first.unit, first.ending) == (A, Ending.DEAD)
    assert (second.unit, second.ending) == (B, Ending.LIVED)


def test_a_report_without_a_unit_gets_the_one_that_systemd_names() -> None:
    incidents = found(
        kill(100), say(100, K.OOM), kill(101, ""), say(102, K.OOM, unit=B), kill(400, "")
    )
    assert [i.unit for i in incidents] == [A, B, ""]
    assert incidents[2].ending is Ending.UNKNOWN


# what came of it, what starts it → the words
UNTIL: dict[str, tuple[tuple[UnitEvent, ...], dict[str, str], str]] = {
    "a timer": (stopped(100), {A: "a.timer"}, "down until a.timer"),
    "none": (stopped(100), {B: "b.timer"}, "still down"),
    "it came back": (RESTARTED, {A: "a.timer"}, "restarted after 5s"),
}


@pytest.mark.parametrize(("events", "starters", "words"), UNTIL.values(), ids=UNTIL)
def test_what_starts_it_again(
    events: tuple[UnitEvent, ...], starters: dict[str, str], words: str
) -> None:
    (incident,) = found(kill(100), *events, starters=starters)
    assert str(incident_words.outcome(incident)) == words


APP = "app.slice"
TWO = (Victim(1, "x"), Victim(2, "y"))

# a report of a.service, what systemd says of others → who has a report, whom it is told of
AS_ONE: dict[str, tuple[OomReport, tuple[UnitEvent, ...], list[tuple[str, bool]]]] = {
    "its slice": (
        kill(100, also=TWO, together=APP),
        (say(101, K.OOM, unit=B),),
        [(A, True), (B, True)],
    ),
    "itself": (
        kill(100, also=TWO, together=A),
        (say(101, K.OOM, unit=B),),
        [(A, True), (B, False)],
    ),
    "later": (
        kill(100, also=TWO, together=APP),
        (say(106, K.OOM, unit=B),),
        [(A, True), (B, False)],
    ),
    "more units than were killed": (
        kill(100, also=TWO[:1], together=APP),
        (say(101, K.OOM, unit=B), say(101, K.OOM, unit="c.service")),
        [(A, True), (B, False), ("c.service", False)],
    ),
    "the slice itself": (
        kill(100, also=TWO, together=APP),
        (say(101, K.OOM, unit=APP),),
        [(A, True)],
    ),
}


@pytest.mark.parametrize(("report", "events", "told"), AS_ONE.values(), ids=AS_ONE)
def test_a_slice_killed_as_one_is_one_report(
    report: OomReport, events: tuple[UnitEvent, ...], told: list[tuple[str, bool]]
) -> None:
    incidents = found(report, say(100, K.OOM), *events)
    assert sorted((i.unit, i.report is not None) for i in incidents) == told


def test_a_slice_above_names_no_report() -> None:
    """systemd tells of each slice above a kill, too; of many kills only the first is whole."""
    user, slice_ = "user@1021.service", "user-1021.slice"
    slices = [say(100.136 + n / 1000, K.OOM, unit=u) for n, u in enumerate((slice_, "user.slice"))]
    bare = OomReport(100.0, "now", Victim(4242, "python", 1021, MIB), constraint=NONE)
    told = found(bare, slices[0], say(100.2, K.OOM, unit=user), slices[1], running=(user,))
    assert [incident.unit for incident in told] == [user]
    assert [incident.unit for incident in found(bare, *slices)] == [""]


def test_all_victims_of_a_slice_are_reported() -> None:
    report = kill(100, also=TWO, together=APP)
    evidence = Evidence("now", (report,), (say(100, K.OOM, unit=B),), counters={A: 1, B: 2})
    assert join(evidence).unreported == {}


def test_one_of_both_has_a_report_of_its_own() -> None:
    incidents = found(
        kill(100, also=TWO, together=APP), kill(101, B), say(100, K.OOM), say(101, K.OOM, unit=B)
    )
    assert [(i.unit, i.report and len(i.report.also)) for i in incidents] == [(A, 2), (B, 0)]


# what the kernel's report has more → why
WHYS: dict[str, tuple[dict[str, Any], str]] = {
    "all of it": ({"swap_free": 0, "swap_total": MIB}, "the machine's RAM and swap were used up."),
    "not told": ({}, "the machine's RAM was used up."),
    "not told whole": ({"swap_free": 0}, "the machine's RAM was used up."),
    "no swap": (
        {"swap_free": 0, "swap_total": 0},
        "the machine's RAM was used up, and there is no swap.",
    ),
    "swap free": (
        {"swap_free": MIB, "swap_total": 2 * MIB},
        "the machine's RAM was used up, with 1M of swap free.",
    ),
    "of one node": (
        {"constraint": "CONSTRAINT_CPUSET"},
        ": its memory nodes were used up (CONSTRAINT_CPUSET).",
    ),
    "cut": ({"constraint": ""}, ": the report is incomplete, so the reason cannot be determined."),
    "by hand": ({"by_hand": True}, "a kill was requested by hand (SysRq f), memory was not short."),
    "with a slice": (
        {"also": TWO, "together": APP},
        "and 2 other processes of app.slice: the machine's RAM was used up.",
    ),
}


@pytest.mark.parametrize(("more", "why"), WHYS.values(), ids=WHYS)
def test_why(more: dict[str, Any], why: str) -> None:
    (incident,) = found(kill(100, **({"constraint": NONE} | more)))
    assert str(incident_words.why(incident)).endswith(why)


def test_kills_that_only_a_counter_knows() -> None:
    evidence = Evidence(
        "now",
        (kill(100, also=(Victim(1, "x"),)), kill(5, B, boot="old")),
        counters={A: 5, B: 1, "c.service": 0},
    )
    assert join(evidence).unreported == {A: 2, B: 1}


# since when was looked for reports, and when the machine was booted → whether a counter is held
# against them
LOOKED: dict[str, tuple[float | None, float | None, bool]] = {
    "all there is": (None, None, True),
    "since before the boot": (10, 20, True),
    "since the boot": (20.1, 20, True),
    "since later": (30, 20, False),
    "the boot's time not known": (30, None, False),
}


@pytest.mark.parametrize(("since", "booted", "told"), LOOKED.values(), ids=LOOKED)
def test_a_counter_tells_of_more_only_where_all_of_the_boot_was_read(
    since: float | None, booted: float | None, *, told: bool
) -> None:
    evidence = Evidence("now", booted=booted, since=since, counters={A: 1})
    assert join(evidence).unreported == ({A: 1} if told else {})


EVENTS = st.builds(
    UnitEvent,
    st.floats(0, 500),
    st.sampled_from(["now", "old"]),
    st.sampled_from([A, B]),
    st.sampled_from(EventKind),
    st.sampled_from(["", "oom-kill", "signal", "watchdog", "7", "\x1b[2J"]),
)
KILLS = st.builds(
    kill,
    st.floats(0, 500),
    st.sampled_from([A, B, ""]),
    st.sampled_from(["now", "old"]),
    constraint=st.sampled_from([MEMCG, NONE, "", "X\x1b[2J"]),
    asked_by=st.text(max_size=8),
    cgroup=st.text(max_size=8),
    limit_cgroup=st.text(max_size=8),
)


@given(st.lists(KILLS, max_size=8), st.lists(EVENTS, max_size=20), st.booleans())
def test_every_report_is_one_incident_and_can_be_shown(
    kills: list[OomReport], events: list[UnitEvent], outcomes: bool
) -> None:
    incidents = found(*kills, *events, running=(A,), outcomes=outcomes)
    assert sum(i.report is not None for i in incidents) == len(kills)
    for incident in incidents:
        for words in (
            str(incident_words.whom(incident)),
            str(incident_words.short(incident)),
            str(incident_words.why(incident)),
            str(incident_words.what_next(incident)),
        ):
            assert words
            assert words.isprintable()


def test_in_words() -> None:
    (incident,) = found(kill(100, asked_by="nginx", asked_pid=7, swap_used=MIB), *RESTARTED)
    assert str(incident_words.short(incident)) == "hog 1M, limit 100M, restarted after 5s"
    assert str(incident_words.why(incident)) == (
        "The kernel killed hog (pid 110, 1M in RAM): the unit's own limit of 100M was reached, "
        "with 1M in swap, when nginx (pid 7) asked for more."
    )
    assert str(incident_words.what_next(incident)) == (
        "Outcome: restarted after 5s, systemd's result oom-kill, its automatic restart number 3."
    )
    (incident,) = found(kill(100, limit_unit="system.slice"), *stopped(100))
    assert str(incident_words.short(incident)) == "hog 1M, system.slice: limit 100M, still down"
    assert "systemctl start a.service" in str(incident_words.what_next(incident))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0s"), (0.44, "0.4s"), (5.0, "5s"), (9.96, "10s"), (90.2, "1min 30s")],
)
def test_spans(seconds: float, shown: str) -> None:
    assert format_seconds(seconds) == shown
