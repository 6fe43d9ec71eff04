"""The few words beside a setting of the form."""

from __future__ import annotations

import pytest

from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import INFINITY, Key, Tier
from lowmem_tui.policy.setting_advice import advice, has_swap
from lowmem_tui.tui.text.forecast import limits
from lowmem_tui.tui.widgets.field import Field
from lowmem_tui.tui.widgets.form import Form
from tests.tui.conftest import opened
from tests.unit.servers import process, properties, snapshot, usage

M = 1 << 20
BUSINESS, GATEKEEPER = Tier.BUSINESS, Tier.GATEKEEPER
LIMITS = [
    (BUSINESS, None, None, "a limit, above its peak"),
    (BUSINESS, 90 * M, None, "a limit, above the 90M it has needed"),
    (BUSINESS, 90 * M, 140 * M, "140M; it has needed 90M"),
    (BUSINESS, None, 140 * M, "140M"),
    (GATEKEEPER, 90 * M, 140 * M, "none: it must not be killed"),
    (None, 90 * M, 140 * M, ""),
]


@pytest.mark.parametrize(("tier", "needed", "limit", "words"), LIMITS)
def test_a_limit(tier: Tier | None, needed: int | None, limit: int | None, words: str) -> None:
    assert str(advice(Key.MEMORY_MAX, tier, needed, limit=limit) or "") == words


# a gatekeeper, its setting → the advice
OWN = [
    ("ssh.service", Key.OOM_SCORE_ADJUST, "0: every login inherits it"),
    ("getty@tty1.service", Key.OOM_SCORE_ADJUST, "0: every login inherits it"),
    ("dropbear.service", Key.OOM_SCORE_ADJUST, "-200: every login inherits it"),
    ("dropbear@1.service", Key.OOM_SCORE_ADJUST, "0: every login inherits it"),
    ("nginx.service", Key.OOM_SCORE_ADJUST, "-200 to -500: killed last"),
    ("dbus.service", Key.RESTART, "none: dbus.socket starts it again"),
    ("dbus-broker.service", Key.RESTART_SEC, "none: dbus.socket starts it again"),
    ("nginx.service", Key.RESTART, "on-failure"),
]


@pytest.mark.parametrize(("unit", "key", "words"), OWN)
def test_the_advice_suits_the_unit_as_the_set_up_and_the_checks_do(
    unit: str, key: Key, words: str
) -> None:
    assert str(advice(key, GATEKEEPER, None, unit=unit)) == words


# swap of the server in MiB: all, free; the unit's MemorySwapMax and what it has there
SWAP: dict[str, tuple[int, int, int | None, int, bool]] = {
    "swap": (1024, 1024, None, 0, True),
    "none": (0, 0, None, 0, False),
    "full": (1024, 0, None, 0, False),
    "none for it": (1024, 1024, 0, 0, False),
    "its own is full": (1024, 900, 50, 50, False),
    "its own is not": (1024, 900, 50, 20, True),
}


@pytest.mark.parametrize(("total", "free", "most", "used", "good"), SWAP.values(), ids=SWAP)
@pytest.mark.parametrize("tier", Tier)
def test_memory_high_is_advised_where_swap_can_take_what_is_over(
    total: int, free: int, most: int | None, used: int, good: bool, tier: Tier
) -> None:
    limit = INFINITY if most is None else most * M
    group = usage("a.service", process(9), swap_max=limit)._replace(swap=used * M)
    unit = Unit("a.service", group, properties("a.service"))
    server = snapshot(unit, swap_total=total * M, swap_free=free * M)
    words = str(advice(Key.MEMORY_HIGH, tier, None, swap=has_swap(unit, server)))
    assert words.startswith("none")
    assert ("only slows down" in words) is not good
    assert ("a little below MemoryMax" in words) is (good and tier is BUSINESS)


async def test_the_form_names_the_budgets_figure() -> None:
    async with opened() as front:
        assert front.session.snapshot
        advised = {each.unit: each.limit for each in limits(front.session, front.session.snapshot)}
        await front.press("f3", *"worker@a", "enter", "enter")
        form = front.app.screen.query_one(Form)
        size = (advised["worker@a.service"] or 0) >> 20
        await front.until(lambda: any(f.advice.startswith(f"{size}M; ") for f in form.query(Field)))
