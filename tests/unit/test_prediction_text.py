"""Predictions as lines: as wide as asked, harmless, and the bar adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.cells import cells
from lowmem_tui.model.unit import INFINITY
from lowmem_tui.policy.budget import Budget, Part, budget
from lowmem_tui.policy.forecast import prediction_text
from lowmem_tui.policy.forecast.growth import Growth, Reach, Way
from lowmem_tui.policy.forecast.kills import predict, predictions
from lowmem_tui.policy.forecast.userspace_killers import EARLYOOM, others

from .servers import M, process, service, snapshot

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message

NASTY = "x\x1b]0;owned\x07\u202e漢"
SERVER = snapshot(
    service("a-service-with-quite-a-long-name@instance.service", process(10, 50 * M, name=NASTY)),
    service("b.service", process(4194304, 40 * M, name="a-long-program"), memory={"max": 90 * M}),
    service("c.slice", process(12), memory={"max": INFINITY, "oom_group": True}),
    service(EARLYOOM, process(900, M, command=f"earlyoom --prefer={NASTY}")),
)


@pytest.mark.parametrize("width", [0, 36, 39, 40, 59, 60, 75, 76, 80, 120, 200])
def test_no_line_is_too_wide_and_none_is_harmful(width: int) -> None:
    lines: list[str] = []
    for found in predictions(SERVER):
        lines += prediction_text.kills(found, SERVER, width)
    assert max(map(len, lines)) <= max(width, 36)
    for found in predictions(SERVER):
        lines += prediction_text.side_by_side(found, found, {"b.service"}, width, 9)
    assert max(map(len, lines)) <= max(width, 60)
    lines += map(str, prediction_text.other_killers(others(SERVER)))
    assert all(line.isprintable() for line in lines)


def test_a_table() -> None:
    found = predict(SERVER, "b.service")
    assert found is not None
    assert str(prediction_text.title(found)) == (
        "b.service: OOM kill order with 40M of 90M + 1G swap in use:"
    )
    assert list(prediction_text.kills(found, SERVER, 80)) == [
        "  # UNIT                 PROCESS        SCORE FREES  SWAP AFTER ITS UNIT",
        "    in use now                                              40M",
        "  1 b.service            a-lon… 4194304   690   40M     0     0 ends",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("swap", [0, 300])
def test_the_title_and_the_figures_have_the_same_premise(width: int, swap: int) -> None:
    """The sizes of now: what the title says is in use is what each kill is counted down from."""
    server = snapshot(
        service("a.service", process(10, 300 * M), memory={"max": 400 * M, "current": 310 * M}),
        service("b.service", process(11, 200 * M, swap=swap * M)),
        service("c.service", process(12, 90 * M)),
        mem_available=200 * M,
        swap_total=1024 * M,
        swap_free=(1024 - swap) * M,
    )
    for found in predictions(server):
        title, (_, now, *rows) = (
            str(prediction_text.title(found)),
            prediction_text.kills(found, server, width),
        )
        assert f"OOM kill order with {format_size(found.held)} of " in title
        assert title.endswith(" in use:")
        assert now.split() == ["in", "use", "now", format_size(found.held)]
        assert not any(word in title for word in ("used up", "has filled", "When"))
        left = found.held
        for kill, row in zip(found.kills, rows, strict=True):
            left = max(0, left - kill.ram - kill.swap)
            assert f" {format_size(kill.ram)} " in row
            assert format_size(left) in row.split()
            assert kill.left == left


# what systemd has loaded → what is shown of a victim's unit
ITS_UNIT: dict[str, tuple[dict[str, Any], str]] = {
    "back": ({"restart": "always", "restart_usec": 3_000_000}, "restarts in 3s"),
    "down": ({"restart": "no"}, "stays down"),
    "a timer": ({"restart": "no", "triggered_by": ("a.timer",)}, "waits for timer"),
    "refused": ({"restart": "always", "type": "oneshot"}, "ends"),
    "only one": ({"oom_policy": "continue"}, "keeps running"),
}


@pytest.mark.parametrize(("loaded", "words"), ITS_UNIT.values(), ids=ITS_UNIT)
def test_what_happens_to_a_victims_unit(loaded: dict[str, Any], words: str) -> None:
    limits = {"start_limit_interval_usec": 10_000_000, "start_limit_burst": 5}
    server = snapshot(service("a.service", process(10), **(limits | loaded)))
    found = predict(server)
    assert found is not None
    assert list(prediction_text.kills(found, server, 80))[2].endswith(f" {words}")


def test_where_nobody_can_be_killed() -> None:
    server = snapshot()
    found = predict(server)
    assert found is not None
    assert list(prediction_text.kills(found, server, 80))[1] == "    no process can be killed"


PARTS = st.lists(st.builds(Part, st.just("a"), st.integers(0, M), st.integers(0, M)), max_size=40)


@given(st.integers(1, M), st.integers(0, M), PARTS, st.integers(0, 200))
def test_a_bar_is_as_wide_as_asked(ram: int, kept: int, parts: list[Part], width: int) -> None:
    made = Budget(ram, 0, min(kept, ram), tuple(parts))
    drawn = prediction_text.bar(made, width)
    assert len(drawn) == max(20, width)
    assert ("|" in drawn) is (made.promised > ram)
    assert list(prediction_text.legend(made))


BARS = {
    "half and half": ([(100, 320)], "[===============AAAaaaaaaaaa.............]"),
    "two": ([(320, 320), (0, 200)], "[===============AAAAAAAAAAAAbbbbbbbb.....]"),
    "too much": ([(320, 640), (100, 256)], "[============AAAAAAAAAAaaaaaaaaaa|BBbbbbb]"),
}


@pytest.mark.parametrize(("parts", "drawn"), BARS.values(), ids=BARS)
def test_bars(parts: list[tuple[int, int]], drawn: str) -> None:
    units = [
        service(f"u{n}.service", process(10 + n), memory={"anon": used * M, "max": most * M})
        for n, (used, most) in enumerate(parts)
    ]
    assert prediction_text.bar(budget(snapshot(*units)), 42) == drawn


def test_columns_are_aligned_by_cells() -> None:
    """A Chinese character takes two."""
    found = predict(SERVER, "b.service")
    assert found is not None
    words = {"UNIT": "单元", "PROCESS": "进程", "SCORE": "分数", "in use now": "当前已用"}

    def chinese(message: Message) -> str:
        return words.get(str(message), str(message))

    top, now, row = prediction_text.kills(found, SERVER, 80, chinese)
    english, _, same = prediction_text.kills(found, SERVER, 80)
    assert same == row
    assert top.startswith("  # 单元                 进程            分数 FREES")
    assert cells(top) == cells(english)
    assert cells(now) == cells(top.rpartition(" ITS")[0])


def test_distances_name_the_first() -> None:
    far = Reach("far.service", 10 * M, 100 * M, Growth(Way.UNKNOWN))
    near = Reach("near.service", 40 * M, 100 * M, Growth(Way.GROWS, M / 60))
    assert list(prediction_text.distances([far, near])) == [
        "far.service                 10% of  100M  unknown (needs one minute of data)",
        "near.service                40% of  100M  in about 1h at +1M/min (first)",
    ]
