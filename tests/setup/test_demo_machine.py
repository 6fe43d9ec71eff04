"""The demo server's own swap, kernel values and journal, as the steps see and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lowmem_tui.demo import swap as demo_swap
from lowmem_tui.demo.roster import SWAP
from lowmem_tui.model.errors import LowmemError, RolledBackError

from .box import Box, codes

if TYPE_CHECKING:
    from collections.abc import Iterator

G = 1 << 30


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setattr(demo_swap, "PAUSE", 0.0)
    made = Box()
    yield made
    made.backend.close()


@pytest.mark.parametrize("name", ["sysctl", "journal"])
def test_done_once_and_undone(box: Box, name: str) -> None:
    step = box.step(name)
    before = box.files(), [(i.key, i.now) for i in step.look().items]
    assert step.look().findings
    # The journal's oldest files go by two of them: they are chosen, never taken by themselves.
    wishes = {item.key: item.value for item in step.look().items}
    left = {item.key for item in step.look().items if not item.taken}
    assert left == ({"SystemMaxUse", "MaxRetentionSec"} if name == "journal" else set())
    box.backend.apply(step.plan(wishes))
    assert step.look().findings == ()
    assert step.plan(wishes).empty
    box.backend.undo()
    assert (box.files(), [(i.key, i.now) for i in step.look().items]) == before


def test_its_swap_is_enough(box: Box) -> None:
    look = box.step("swap").look()
    assert codes(look) == []
    assert [(item.key, item.value, item.done) for item in look.items] == [("file", "", True)]


def test_a_swap_file_more(box: Box) -> None:
    step = box.step("swap")
    before = box.files()
    box.backend.apply(step.plan({"file": "1G"}))
    assert box.backend.look().host.swap_total == SWAP + G
    swaps = box.server.files.read("/proc/swaps")
    assert swaps is not None
    assert [line.split()[0] for line in swaps.splitlines()[1:]] == ["/dev/vda2", "/swapfile"]
    assert step.plan({"file": "1G"}).empty
    box.backend.apply(step.plan({"file": "512M"}))
    assert box.backend.look().host.swap_total == SWAP + G // 2
    box.backend.undo()
    assert box.backend.look().host.swap_total == SWAP + G
    box.backend.undo("1")
    assert box.backend.look().host.swap_total == SWAP
    assert box.files() == before


def test_shown_while_it_is_written_and_cancelled(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def pause(_: float) -> None:
        progress = box.backend.progress()
        seen.append(progress.done if progress else 0)
        if len(seen) == 4:
            box.backend.cancel()

    monkeypatch.setattr("lowmem_tui.demo.swap.sleep", pause)
    before = box.files()
    with pytest.raises(RolledBackError, match="everything has its previous value"):
        box.backend.apply(box.step("swap").plan({"file": "1G"}))
    assert seen == [n * demo_swap.PIECE for n in range(4)]
    assert box.backend.progress() is None
    assert box.files() == before
    assert box.backend.look().host.swap_total == SWAP


def test_what_is_in_use_cannot_be_switched_off(box: Box) -> None:
    box.backend.apply(box.step("swap").plan({"file": "1G"}))
    memory = box.server.init.memory
    group = next(g for g in memory.groups.values() if g.name == "cloudchat.service")
    group.limits["memory.swap.max"] = 8 * G
    group.tasks[0].swap += SWAP
    group.touch()
    with pytest.raises(LowmemError, match="cannot be switched off now"):
        box.backend.undo()
    assert memory.swap_total == SWAP + G
