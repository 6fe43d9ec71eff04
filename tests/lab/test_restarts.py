"""Real services that die: what the restart simulator says of each is what systemd does."""

from __future__ import annotations

import itertools
import json
from math import inf
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pytest

from . import recipe
from .guest.mortals import MORTALS, SAMPLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .machine import Machine

GUEST = Path(__file__).parent / "guest"

SLOW = 4
"""Seconds that a start, and systemd noticing its end, may take in the emulation."""

Line = dict[str, Any]
"""A service: the verdict, and what systemd did. Seconds."""


def mortals(machine: Machine, seconds: int, names: Sequence[str] = ()) -> list[Line]:
    machine.put(GUEST, "/root/guest")
    work = f"cd /root && {recipe.VENV}/bin/python -m guest.restarts {seconds} {' '.join(names)}"
    done = machine.run(work, timeout=len(MORTALS) * seconds + 600)
    return [json.loads(line) for line in done.stdout.splitlines()]


def life(line: Line) -> float:
    """Return how long its starts lived, with what systemd took to notice; 0 if not known."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(line["began"])]
    return (
        fmean(gap - delay for gap, delay in zip(gaps, line["delays"], strict=False)) if gaps else 0
    )


def predicted(line: Line) -> str:
    """Return its reaction as predicted for starts that live as long as they did."""
    within = inf if line["within"] is None else line["within"]
    return (
        "restarts-indefinitely"
        if line["reaction"] == "start-limit" and life(line) > within
        else line["reaction"]
    )


def wrong(line: Line) -> str:
    """Return what is not as predicted, in words; "" if all is."""
    began, reaction = line["began"], predicted(line)
    if line["refused"]:
        right = line["load"] == "bad-setting" and not began
        return "" if right else f"systemd took it: {line['load']}"
    gaps = [later - earlier for earlier, later in itertools.pairwise(began)]
    late = [
        f"start {n + 2} after {gap:.2f} s, delay {delay} s"
        for n, (gap, delay) in enumerate(zip(gaps, line["delays"], strict=False))
        if not delay - 0.02 <= gap <= delay + SLOW
    ]
    if late:
        return "; ".join(late)
    if reaction == "stays-down":
        # With RestartSec=infinity systemd calls it "activating" indefinitely, and does nothing.
        waits = line["waits"] and line["sub"] == "auto-restart"
        right = len(began) == 1 and (waits or line["state"] in {"failed", "inactive"})
    elif reaction == "start-limit":
        right = len(began) == line["starts"] and line["state"] == "failed"
    elif reaction == "restarts":
        right = len(began) == 2 and line["state"] == "active"
    else:
        # Until the last look, as often as the slowest pace that passes for right allows.
        pace = line["delays"][-1] + SLOW
        right = line["until"] - began[-1] <= pace and line["state"] in {"activating", "active"}
    return "" if right else f"{len(began)} starts, {line['state']} ({line['result']})"


def show(line: Line) -> str:
    """Return a row of the table in docs/prediction.md."""
    did = f"{len(line['began'])} starts"
    if line["began"]:
        did += f" in {line['began'][-1] - line['began'][0]:.1f} s"
    did += f", {line['state']} {line['sub']}"
    return f"| {line['name']} | {line['words']} | {life(line):.1f} s | {did} |"


def prove(lines: list[Line], names: Sequence[str]) -> None:
    print("\n".join(show(line) for line in lines))
    assert [line["name"] for line in lines] == list(names)
    assert {line["name"]: said for line in lines if (said := wrong(line))} == {}


def test_some_restart_policies(machine: Machine) -> None:
    prove(mortals(machine, 20, SAMPLE), SAMPLE)


@pytest.mark.long
def test_every_restart_policy(machine: Machine) -> None:
    lines = mortals(machine, 60)
    prove(lines, [mortal.name for mortal in MORTALS])
    # Where starts live too long for the limit, nothing is shown of it.
    assert sum(predicted(line) == "start-limit" for line in lines) >= 6
