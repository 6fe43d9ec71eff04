"""The few words beside a setting of the form."""

from __future__ import annotations

import pytest

from lowmem_tui.model.unit import Key, Tier
from lowmem_tui.tui.advice import advice
from lowmem_tui.tui.forecast import limits
from lowmem_tui.tui.widgets.field import Field
from lowmem_tui.tui.widgets.form import Form
from tests.tui.conftest import opened

M = 1 << 20
BUSINESS, DOOR = Tier.BUSINESS, Tier.GATEKEEPER
LIMITS = [
    (BUSINESS, None, None, "a limit, above its peak"),
    (BUSINESS, 90 * M, None, "a limit, above its peak of 90M"),
    (BUSINESS, 90 * M, 140 * M, "140M; its peak was 90M"),
    (BUSINESS, None, 140 * M, "140M"),
    (DOOR, 90 * M, 140 * M, "none: it must not be killed"),
    (None, 90 * M, 140 * M, ""),
]


@pytest.mark.parametrize(("tier", "peak", "limit", "words"), LIMITS)
def test_a_limit(tier: Tier | None, peak: int | None, limit: int | None, words: str) -> None:
    assert advice(Key.MEMORY_MAX, tier, peak, limit=limit) == words


async def test_the_form_names_the_budgets_figure() -> None:
    async with opened() as front:
        assert front.app.snapshot
        advised = {each.unit: each.limit for each in limits(front.app, front.app.snapshot)}
        await front.press("f3", *"worker@a", "enter", "enter")
        form = front.app.screen.query_one(Form)
        size = (advised["worker@a.service"] or 0) >> 20
        await front.until(lambda: any(f.advice.startswith(f"{size}M; ") for f in form.query(Field)))
