"""What a unit has needed is not forgotten with the group that it was killed in."""

from __future__ import annotations

import pytest

from lowmem_tui.model.snapshot import Unit
from lowmem_tui.policy.budget import need
from lowmem_tui.tui.session.peaks import Peaks
from lowmem_tui.tui.widgets.field import Field
from lowmem_tui.tui.widgets.form import Form
from tests.tui.conftest import opened
from tests.tui.test_forecast import CHAT
from tests.unit.servers import M, properties, snapshot, usage

A = "a.service"


def look(
    anon: int | None,
    peak: int = 0,
    *,
    file: int = 0,
    current: int | None = None,
    limit: int | None = None,
    kills: int = 0,
    result: str = "success",
) -> Unit:
    """The unit at one moment, in MiB; ``anon`` None: it does not run."""
    if anon is None:
        return Unit(A, None, properties(A, result=result))
    held = usage(
        A,
        anon=anon * M,
        file=file * M,
        shmem=0,
        peak=peak * M,
        current=(anon if current is None else current) * M,
        max=None if limit is None else limit * M,
        oom_kills=kills,
    )
    return Unit(A, held, properties(A, result=result))


DEAD = look(None, result="oom-kill")

# looks, what it has needed
LOOKS: dict[str, tuple[tuple[Unit, ...], int]] = {
    "its peak": ((look(100, 150),), 150),
    "the page cache apart": ((look(100, 150, file=40),), 110),
    "through a restart": ((look(100, 150), look(None), look(20, 20)), 150),
    "through one between two looks": ((look(100, 150), look(20, 20)), 150),
    "a kill close to its limit": ((look(100, 150, limit=160, current=155), DEAD, look(9)), 160),
    "a kill far from it, of RAM": ((look(100, 150, limit=600), DEAD, look(9)), 150),
    "an end that was no kill": ((look(90, 100, limit=104, current=100), look(None)), 100),
    "a kill that it lived through": (
        (look(90, 99, limit=100, current=99), look(20, 99, limit=100, kills=1)),
        100,
    ),
}


@pytest.mark.parametrize(("looks", "needed"), LOOKS.values(), ids=LOOKS)
def test_the_most_that_was_needed(looks: tuple[Unit, ...], needed: int) -> None:
    peaks = Peaks()
    for unit in looks:
        peaks.update(snapshot(unit))
    assert peaks.of(A) == needed * M
    last = look(20, 25, file=3)
    assert need(peaks.into(snapshot(last)).units[A]) == needed * M


def test_who_is_gone_for_good_is_forgotten() -> None:
    peaks = Peaks()
    peaks.update(snapshot(look(100, 150)))
    peaks.update(snapshot())
    assert peaks.of(A) == 0


async def test_the_advice_remembers_a_kill() -> None:
    async with opened() as front:
        while not front.session.kills.unseen(CHAT):
            await front.tick(5)
        await front.tick(10)
        await front.press("f3", *"cloudchat", "enter", "enter")
        form = front.app.screen.query_one(Form)
        assert "a limit, above the 600M it has needed" in {f.advice for f in form.query(Field)}
