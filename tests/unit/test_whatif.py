"""The server after a change, and what that means in words."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.snapshot import Snapshot, Unit
from lowmem_tui.model.unit import INFINITY, Key, Value
from lowmem_tui.model.usage import Knobs
from lowmem_tui.policy.forecast import whatif
from lowmem_tui.policy.forecast.kills import Goes, predict
from lowmem_tui.policy.forecast.oom import kill_order
from lowmem_tui.policy.forecast.whatif import after

from .servers import M, host, process, properties, service, snapshot


def sentences(now: Snapshot, then: Snapshot) -> list[str]:
    return list(map(str, whatif.sentences(now, then)))


def server() -> Snapshot:
    return snapshot(
        service("big.service", process(10, 300 * M), process(11, 100 * M)),
        service("mid.service", process(20, 200 * M)),
        service("small.service", process(30, 20 * M)),
        service("gate.service", process(40, 30 * M, oom_score_adj=-1000), oom_score_adjust=-1000),
        Unit("idle.service", None, properties("idle.service")),
    )


Wanted = dict[str, dict[Key, Value]]
ADJ, MAX, POLICY = Key.OOM_SCORE_ADJUST, Key.MEMORY_MAX, Key.OOM_POLICY
SWAP, HIGH, AGAIN, WAIT = Key.MEMORY_SWAP_MAX, Key.MEMORY_HIGH, Key.RESTART, Key.RESTART_SEC

FAILING = (
    "If a.service fails at every start, now: restarts indefinitely, 20 times a minute; after the "
    "change: stays down."
)
ENDS = "a.service ends in spite of OOMPolicy=continue, because its main process is killed first."
STAYS = "The OOM kill order does not change: a.service is killed first."
AT_ONCE = (
    "When mid.service reaches 250M, the kernel kills p20 (20), and all processes of mid.service at "
    "once."
)

SAID: dict[str, tuple[Wanted, list[str]]] = {
    "nothing": ({}, ["The OOM kill order does not change: big.service is killed first."]),
    "a small step": (
        {"small.service": {ADJ: 1}},
        ["The OOM kill order does not change: big.service is killed first."],
    ),
    "past one": (
        {"small.service": {ADJ: 110}},
        ["With this change, small.service is killed before mid.service."],
    ),
    "past all": (
        {"small.service": {ADJ: 500}},
        [
            "With this change, small.service is killed before big.service and mid.service.",
            "The next OOM victim is then small.service, not big.service.",
        ],
    ),
    "protected": (
        {"big.service": {ADJ: -500}},
        [
            "With this change, mid.service and small.service are killed before big.service.",
            "The next OOM victim is then mid.service, not big.service.",
        ],
    ),
    "never": (
        {"mid.service": {ADJ: -1000}},
        ["With this change, the kernel never chooses mid.service."],
    ),
    "no longer never": (
        {"gate.service": {ADJ: 0}},
        ["With this change, the kernel may choose gate.service."],
    ),
    "a limit": (
        {"mid.service": {MAX: 250 * M}},
        ["When mid.service reaches 250M, the kernel kills p20 (20), and mid.service ends."],
    ),
    "a limit and its policy": (
        {"mid.service": {MAX: 250 * M, POLICY: "kill"}},
        [
            AT_ONCE,
            "When one process of mid.service is chosen, the kernel kills them all.",
        ],
    ),
    "a limit beyond the machine": (
        {"mid.service": {MAX: 100 << 30}},
        ["mid.service never reaches its limit of 100G: the machine has 1G of RAM."],
    ),
    "what does not run": (
        {"idle.service": {ADJ: 500}},
        ["The OOM kill order does not change: big.service is killed first."],
    ),
    "what is not there": (
        {"nobody.service": {ADJ: 500}},
        ["The OOM kill order does not change: big.service is killed first."],
    ),
}


@pytest.mark.parametrize(("wanted", "said"), SAID.values(), ids=SAID)
def test_sentences(wanted: Wanted, said: list[str]) -> None:
    now = server()
    assert sentences(now, after(now, wanted)) == said


S = 1_000_000
DIES = {
    "restart": "always",
    "restart_usec": 3 * S,
    "start_limit_interval_usec": 10 * S,
    "start_limit_burst": 5,
    "main_pid": 10,
}

# what systemd has loaded of a service of p10 (50M) and p11, what is set → what is said
ONE: dict[str, tuple[dict[str, Any], dict[Key, Value], list[str]]] = {
    "no restart": (
        DIES,
        {AGAIN: "no"},
        ["If a.service is killed, now: restarts in 3s; after the change: stays down."],
    ),
    "another delay": (
        DIES,
        {WAIT: 5 * S},
        ["If a.service is killed, now: restarts in 3s; after the change: restarts in 5s."],
    ),
    "the same after a kill": (
        DIES | {"restart": "on-abort"},
        {AGAIN: "no"},
        [FAILING],
    ),
    "not known how it restarts": ({}, {AGAIN: "always"}, [STAYS]),
    "less swap": ({}, {SWAP: 50 * M}, ["a.service may then use 50M of swap; now it may use 1G."]),
    "no swap at its limit": (
        {},
        {SWAP: 0},
        [
            (
                "a.service may then use no swap; now it may use 1G. "
                "At its limit it is then killed at once."
            )
        ],
    ),
    "more swap than there is": ({}, {SWAP: 50 << 30}, [STAYS]),
    "slowed down": (
        {},
        {HIGH: 40 * M},
        ["Above 40M a.service is then throttled, not killed."],
    ),
    "the main process is the largest": (
        {"main_pid": 10},
        {POLICY: "continue"},
        [ENDS],
    ),
    "another is the largest": (
        {"main_pid": 11},
        {POLICY: "continue"},
        ["When one process of a.service is killed, the others keep running."],
    ),
}


@pytest.mark.parametrize(("loaded", "wanted", "said"), ONE.values(), ids=ONE)
def test_the_sentences_about_one(
    loaded: dict[str, Any], wanted: dict[Key, Value], said: list[str]
) -> None:
    both = process(10, 50 * M), process(11, 20 * M)
    limits = {"max": 100 * M, "high": INFINITY, "swap_max": INFINITY}
    now = snapshot(service("a.service", *both, memory=limits, **loaded))
    assert sentences(now, after(now, {"a.service": wanted})) == said


def test_where_the_machine_stops_no_order_is_shown() -> None:
    now = replace(server(), host=host(knobs=Knobs(panic_on_oom=1)))
    said = sentences(now, after(now, {"big.service": {ADJ: -500}}))
    assert said == ["When memory is used up, the machine stops (vm.panic_on_oom)."]


def test_a_limit_taken_away() -> None:
    now = snapshot(service("a.service", process(10), memory={"max": 100 * M}))
    then = after(now, {"a.service": {MAX: INFINITY}})
    assert sentences(now, then) == ["a.service then has no MemoryMax of its own."]
    assert predict(then, "a.service") is None


def test_two_changed_units_are_reported_once() -> None:
    now = server()
    then = after(now, {"big.service": {ADJ: -500}, "mid.service": {ADJ: 100}})
    told = [s for s in sentences(now, then) if "mid.service" in s and "before" in s]
    assert told == [
        "With this change, mid.service and small.service are killed before big.service."
    ]


def test_a_policy_counts_at_once_in_what_if() -> None:
    now = server()
    then = after(now, {"big.service": {POLICY: "kill"}})
    found = predict(then)
    assert found is not None
    assert found.kills[0].goes is Goes.GROUP


def test_what_has_a_score_of_its_own_keeps_it() -> None:
    now = snapshot(service("a.service", process(10), process(11, oom_score_adj=7)))
    then = after(now, {"a.service": {ADJ: 300}})
    usage_ = then.units["a.service"].usage
    assert usage_ is not None
    assert [p.oom_score_adj for p in usage_.processes] == [300, 7]
    assert now == snapshot(service("a.service", process(10), process(11, oom_score_adj=7)))


NAMES = [f"{letter}.service" for letter in "abcde"]


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(-999, 999)), min_size=5, max_size=5),
    st.dictionaries(st.sampled_from(NAMES), st.integers(-1000, 1000), max_size=3),
)
def test_the_sentences_are_true(sizes: list[tuple[int, int]], wanted: dict[str, int]) -> None:
    now = snapshot(
        *(
            service(name, process(10 + n, mib * M, oom_score_adj=adj), oom_score_adjust=adj)
            for n, (name, (mib, adj)) in enumerate(zip(NAMES, sizes, strict=True))
        )
    )
    then = after(now, {name: {ADJ: adj} for name, adj in wanted.items()})
    was, will = ([c.unit for c in kill_order(server)] for server in (now, then))
    said = sentences(now, then)
    assert (said[0].startswith("The OOM kill order does not change")) is (was == will)
    for text in said:
        if not (
            pair := re.fullmatch(r"With this change, (.*) (?:is|are) killed before (.*)\.", text)
        ):
            continue
        for first in re.findall(r"[a-e]\.service", pair[1]):
            for second in re.findall(r"[a-e]\.service", pair[2]):
                assert was.index(first) > was.index(second)
                assert will.index(first) < will.index(second)


def test_hostile_names_are_harmless() -> None:
    now = snapshot(service("a.service", process(10, name="x\x1b[2J"), memory={"max": INFINITY}))
    text = " ".join(sentences(now, after(now, {"a.service": {MAX: 50 * M}})))
    assert text.isprintable()
