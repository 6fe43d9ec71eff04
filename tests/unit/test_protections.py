"""Protections that the slices do not grant, that are shared, and that RAM cannot give."""

from __future__ import annotations

from typing import Any

import pytest

from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import CGROUP_FILES, Key
from lowmem_tui.model.snapshot import Situation, Unit
from lowmem_tui.policy.checks.protections import KEYS
from lowmem_tui.policy.plan import parse_set, plan

from .servers import M, known, process, properties, snapshot, usage

NOT_GRANTED, SHARED, OVER = "protection-not-granted", "protection-shared", "protections-over-ram"
TREE = {
    "system.slice": "/system.slice",
    "app.slice": "/app.slice",
    "a.service": "/system.slice/a.service",
    "b.service": "/system.slice/b.service",
    "c.service": "/app.slice/c.service",
}


def server(key: Key, **asked: int) -> Situation:
    """RAM of 1 GiB; MiB of the protection by the first letter of the name."""
    units = []
    for name, path in TREE.items():
        size = M * asked.get(name[0], 0)
        memory: dict[str, Any] = {CGROUP_FILES[key].partition(".")[2]: size}
        loaded: dict[str, Any] = {key.name.lower(): size}
        used = usage(name, process(5, 30 * M), cgroup=path, **memory)
        units.append(Unit(name, used, properties(name, **loaded)))
    return Situation(snapshot(*units), {u.name: known(u) for u in units})


CASES: dict[str, tuple[dict[str, int], dict[str, str], list[str]]] = {
    "no slice grants it": ({}, {"a.service": "20M"}, [NOT_GRANTED]),
    "the slice grants less": ({"s": 10}, {"a.service": "20M"}, [NOT_GRANTED]),
    "the slice grants it": ({"s": 20}, {"a.service": "20M"}, []),
    "the same plan has the slice grant it": ({}, {"a.service": "20M", "system.slice": "20M"}, []),
    "more than enough": ({}, {"a.service": "20M", "system.slice": "50%"}, []),
    "as much as the slice has": ({"s": 64}, {"a.service": "infinity"}, [NOT_GRANTED]),
    "two share what is not enough": ({"s": 30, "b": 20}, {"a.service": "20M"}, [SHARED]),
    "two share what is enough": ({"s": 40, "b": 20}, {"a.service": "20M"}, []),
    "those of another slice do not count": ({"s": 30, "c": 20}, {"a.service": "20M"}, []),
    "taken back": ({"b": 900}, {"b.service": "0"}, []),
    "more than RAM": ({}, {"system.slice": "700M"}, [OVER]),
    "all of RAM": ({}, {"system.slice": "infinity"}, [OVER]),
    "all slices together more than RAM": (
        {}, {"system.slice": "400M", "app.slice": "300M"}, [OVER],
    ),
    "what is not granted takes no RAM": ({}, {"a.service": "900M"}, [NOT_GRANTED]),
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("asked", "sets", "codes"), CASES.values(), ids=CASES)
def test_protections(
    key: Key, asked: dict[str, int], sets: dict[str, str], codes: list[str]
) -> None:
    made = plan([Edit(unit, key, value) for unit, value in sets.items()], server(key, **asked))
    assert made.refusals == ()
    assert [notice.code for notice in made.warnings] == codes
    assert all(notice.text.isprintable() for notice in made.warnings)


def test_another_setting_is_no_reason_to_warn() -> None:
    seen = server(Key.MEMORY_LOW, s=900, b=950)
    assert plan([parse_set("a:RestartSec=5s")], seen).warnings == ()


def test_what_does_not_run_asks_its_slice() -> None:
    loaded = properties("d.service", slice="system.slice", active_state="inactive")
    seen = server(Key.MEMORY_LOW, s=10)
    idle = known(Unit("d.service", None, loaded))
    seen = Situation(seen.snapshot, {**seen.units, "d.service": idle})
    (notice,) = plan([Edit("d.service", Key.MEMORY_LOW, "20M")], seen).warnings
    assert notice.code == NOT_GRANTED
    assert "system.slice above d.service grants only 10M of MemoryLow=20M" in notice.text


def test_what_follows_is_in_the_warning() -> None:
    low, hard = (
        plan([Edit("system.slice", key, "infinity")], server(key)).warnings[0].text for key in KEYS
    )
    assert "reclaims from all of them" in low
    assert "kills instead of reclaiming" in hard
    assert "640M of MemoryLow would fit" in low
