"""How far a unit is from its limit: the robust slope, and when it is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.message import msg
from lowmem_tui.policy.forecast.growth import Growth, Reach, Way, first, growth, in_words

from .servers import M

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP = 4.0
LINE = [100 * M + i * M for i in range(30)]
SPAN = 60

# what was seen every 4 s → which way, MiB a minute
WAYS: dict[str, tuple[Sequence[int | None], Way, float]] = {
    "nothing": ([], Way.UNKNOWN, 0),
    "one": ([M], Way.UNKNOWN, 0),
    "less than a minute": (LINE[:15], Way.UNKNOWN, 0),
    "few points in a long time": ([M, *[None] * 30, 9 * M], Way.UNKNOWN, 0),
    "a line": (LINE, Way.GROWS, 15),
    "a line with holes": ([v if i % 3 else None for i, v in enumerate(LINE)], Way.GROWS, 15),
    "a line with one leap": ([900 * M if i == 9 else v for i, v in enumerate(LINE)], Way.GROWS, 15),
    "down": (LINE[::-1], Way.SHRINKS, -15),
    "flat": ([100 * M] * 30, Way.STEADY, 0),
    "flat with a spike": ([900 * M if i == 9 else 100 * M for i in range(30)], Way.STEADY, 0),
    "noise": ([100 * M + i % 3 * 4096 for i in range(30)], Way.STEADY, 0),
    "a saw": ([100 * M + i % 10 * 9 * M for i in range(60)], Way.UNEVEN, 0),
    "growth that has ended": ([100 * M + min(i, 30) * 5 * M for i in range(SPAN)], Way.UNEVEN, 0),
    "a start, then flat": ([50 * M + min(i, 30) * 7 * M for i in range(SPAN)], Way.UNEVEN, 0),
    "growth that has begun": (
        [100 * M + max(0, i - 54) * 8 * M for i in range(SPAN)],
        Way.UNEVEN,
        0,
    ),
    "growth twice as fast": ([i * M + max(0, i - 40) * M for i in range(SPAN)], Way.GROWS, 16.41),
    "one leap": ([M + i * 4096 + (200 * M if i > 30 else 0) for i in range(SPAN)], Way.UNEVEN, 0),
    "shrinking that has ended": (
        [300 * M - min(i, 30) * 5 * M for i in range(SPAN)],
        Way.UNEVEN,
        0,
    ),
    "growth of a kilobyte a minute": ([100 * M + i * 68 for i in range(60)], Way.STEADY, 0),
}


@pytest.mark.parametrize(("values", "way", "rate"), WAYS.values(), ids=WAYS)
def test_ways(values: Sequence[int | None], way: Way, rate: float) -> None:
    found = growth(values, STEP)
    assert found.way is way
    assert found.rate * 60 / M == pytest.approx(rate, abs=0.01)


@given(st.lists(st.none() | st.integers(0, 1 << 40), max_size=60), st.floats(0.5, 60))
def test_anything_that_was_seen_will_do(values: list[int | None], step: float) -> None:
    found = growth(values, step)
    if found.way is Way.GROWS:
        assert found.rate > 0
    text = str(in_words(Reach("a.service", 5, 10 * M, found)))
    assert text


WORDS: dict[str, tuple[int, Growth, str]] = {
    "there": (100, Growth(Way.GROWS, M / 60), "at its limit now"),
    "minutes": (70, Growth(Way.GROWS, M / 60), "in about 30min at +1M/min"),
    "seconds": (99, Growth(Way.GROWS, M), "in about 1s at +60M/min"),
    "hours": (10, Growth(Way.GROWS, M / 120), "in about 3h at +512K/min"),
    "days": (10, Growth(Way.GROWS, 100.0), "not within a day at +5.9K/min"),
    "steady": (70, Growth(Way.STEADY), "stable"),
    "shrinks": (70, Growth(Way.SHRINKS, -5.0), "shrinking"),
    "uneven": (70, Growth(Way.UNEVEN), "unknown (irregular growth)"),
    "new": (70, Growth(Way.UNKNOWN), "unknown (needs one minute of data)"),
}


@pytest.mark.parametrize(("held", "found", "words"), WORDS.values(), ids=WORDS)
def test_words(held: int, found: Growth, words: str) -> None:
    assert str(in_words(Reach("a.service", held * M, 100 * M, found))) == words


GROWING = Growth(Way.GROWS, M)

# what it uses, the swap left to it, how it grows → words: it swaps at its limit, then is killed
AT_ITS_LIMIT: dict[str, tuple[int, int, Growth, str]] = {
    "below": (90, 300, GROWING, "in about 10s at +60M/min"),
    "swaps": (97, 300, GROWING, "at its limit, swaps; killed in about 5min at +60M/min"),
    "over it": (101, 300, GROWING, "at its limit, swaps; killed in about 5min at +60M/min"),
    "rests": (97, 300, Growth(Way.STEADY), "at its limit, swaps; stable"),
    "new": (
        97,
        300,
        Growth(Way.UNKNOWN),
        "at its limit, swaps; killed: unknown (needs one minute of data)",
    ),
    "without swap": (97, 0, GROWING, "in about 3s at +60M/min"),
    "without swap, there": (100, 0, GROWING, "at its limit now"),
}


@pytest.mark.parametrize(
    ("held", "spare", "pace", "words"), AT_ITS_LIMIT.values(), ids=AT_ITS_LIMIT
)
def test_at_its_limit(held: int, spare: int, pace: Growth, words: str) -> None:
    assert str(in_words(Reach("a.service", held * M, 100 * M, pace, spare * M))) == words


def test_a_limit_that_is_never_reached_is_not_the_first() -> None:
    never = Reach("a.service", 97 * M, 100 * M, GROWING, 0, msg("x.slice allows 50M"))
    assert str(in_words(never)) == "never reached: x.slice allows 50M"
    assert first([never]) is None


def test_whoever_swaps_at_its_limit_may_be_the_first() -> None:
    swaps = Reach("swaps.service", 97 * M, 100 * M, Growth(Way.GROWS, M), 30 * M)
    fills = Reach("fills.service", 10 * M, 100 * M, Growth(Way.GROWS, M), 30 * M)
    assert first([fills, swaps]) == swaps


def test_the_first_is_the_soonest_not_the_fullest() -> None:
    fast = Reach("fast.service", 10 * M, 100 * M, Growth(Way.GROWS, M))
    full = Reach("full.service", 90 * M, 100 * M, Growth(Way.GROWS, 1000.0))
    rests = Reach("rests.service", 99 * M, 100 * M, Growth(Way.STEADY))
    assert first([rests, full, fast]) == fast
    assert first([rests]) is None
    assert first([]) is None
