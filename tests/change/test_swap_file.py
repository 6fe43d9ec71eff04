"""Swap files on a real file system, with the real mkswap."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.machine import swap_file as module
from lowmem_tui.change.machine.swap_file import PIECE, SwapFiles, temporary
from lowmem_tui.change.machine.swap_unit import check_off, check_room
from lowmem_tui.change.signals import Interruption
from lowmem_tui.host.programs import find
from lowmem_tui.model.errors import InvalidValueError, ManagerError, RefusedError
from lowmem_tui.setup.steps import allowed

from .faults import FaultyOs, Killed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 8 * PIECE


@pytest.fixture(autouse=True)
def _mkswap() -> None:
    assert find("mkswap"), "these tests need mkswap (util-linux)"


@pytest.fixture
def swap(tmp_path: Path) -> SwapFiles:
    return SwapFiles(str(tmp_path), allowed())


def never() -> None:
    """Nobody interrupts."""


def after(pieces: int) -> Callable[[], None]:
    """Interrupt after so many checks."""
    left = [pieces]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Interruption("SIGINT")

    return check


def names(root: Path) -> list[str]:
    return sorted(each.name for each in root.iterdir())


def test_made_whole_and_removed(tmp_path: Path, swap: SwapFiles) -> None:
    seen = []

    def check() -> None:
        seen.append(swap.progress.done if swap.progress else 0)

    before = os.umask(0)
    try:
        swap.put("/swapfile", str(SIZE), check)
    finally:
        os.umask(before)
    assert names(tmp_path) == ["swapfile"]
    found = (tmp_path / "swapfile").stat()
    assert (found.st_mode & 0o777, found.st_size, found.st_nlink) == (0o600, SIZE, 1)
    assert found.st_blocks * 512 >= SIZE
    assert swap.get("/swapfile") == str(SIZE)
    assert seen[:9] == [n * PIECE for n in range(8)] + [SIZE]
    assert swap.progress is None
    swap.put("/swapfile", str(SIZE), after(0))
    swap.put("/swapfile", "", never)
    swap.put("/swapfile", "", never)
    assert names(tmp_path) == []
    assert swap.get("/swapfile") == ""


@pytest.mark.parametrize("pieces", [0, 1, 7, 8])
def test_interrupted_it_leaves_nothing(tmp_path: Path, swap: SwapFiles, pieces: int) -> None:
    with pytest.raises(Interruption):
        swap.put("/swapfile", str(SIZE), after(pieces))
    assert names(tmp_path) == []
    assert swap.progress is None


def test_what_is_not_ours_is_never_touched(tmp_path: Path, swap: SwapFiles) -> None:
    theirs = tmp_path / "swapfile"
    theirs.write_text("precious")
    assert swap.get("/swapfile") == "foreign"
    with pytest.raises(RefusedError, match="not made by lowmem-tui"):
        swap.put("/swapfile", str(SIZE), never)
    swap.put("/swapfile", "", never)
    assert theirs.read_text() == "precious"
    theirs.unlink()
    # Somebody's swap space is not ours either.
    theirs.write_bytes(bytes(SIZE))
    os.system(f"mkswap -q {theirs}")
    assert swap.get("/swapfile") == "foreign"
    swap.put("/swapfile", "", never)
    assert theirs.exists()


def test_one_that_comes_meanwhile_is_not_replaced(tmp_path: Path, swap: SwapFiles) -> None:
    theirs = tmp_path / "swapfile"

    def come() -> None:
        theirs.write_text("precious")

    with pytest.raises(RefusedError, match="already exists"):
        swap.put("/swapfile", str(SIZE), come)
    assert theirs.read_text() == "precious"
    assert names(tmp_path) == ["swapfile"]


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_file_is_in_the_way(tmp_path: Path, swap: SwapFiles, kind: str) -> None:
    path = tmp_path / "swapfile"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert swap.get("/swapfile") == "foreign"
    with pytest.raises(RefusedError):
        swap.put("/swapfile", str(SIZE), never)
    swap.put("/swapfile", "", never)
    assert names(tmp_path) == ["swapfile"]


def test_what_does_not_fit_is_refused_before_it_is_begun(tmp_path: Path, swap: SwapFiles) -> None:
    with pytest.raises(RefusedError, match="does not fit"):
        swap.put("/swapfile", str(1 << 60), after(0))
    assert names(tmp_path) == []


def test_no_other_place(swap: SwapFiles) -> None:
    for path in ("/etc/passwd", "/swapfile/../etc/passwd", "/swapfile\n", "swapfile"):
        with pytest.raises(InvalidValueError):
            swap.put(path, "", never)


def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    faulty = FaultyOs()
    monkeypatch.setattr(module, "os", faulty)
    SwapFiles(str(tmp_path), allowed()).put("/swapfile", str(2 * PIECE), never)
    monkeypatch.undo()
    SwapFiles(str(tmp_path), allowed()).put("/swapfile", "", never)
    return len(faulty.calls)


@pytest.mark.parametrize("death", [False, True])
def test_each_call_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: bool) -> None:
    """A call fails with ENOSPC, or is the last one ever: settling it leaves no file of ours."""
    many = calls(tmp_path, monkeypatch)
    assert many > 8
    for number in range(many):
        faulty = FaultyOs(number, errno.ENOSPC, kill=death)
        monkeypatch.setattr(module, "os", faulty)
        with contextlib.suppress(OSError, Killed):
            SwapFiles(str(tmp_path), allowed()).put("/swapfile", str(2 * PIECE), never)
        monkeypatch.undo()
        # What the transaction, or the next start, does.
        SwapFiles(str(tmp_path), allowed()).put("/swapfile", "", never)
        assert names(tmp_path) == [], number


def test_the_temporary_name_is_hidden() -> None:
    assert temporary("/swapfile") == "/.swapfile.lowmem-tui"


SWAPS = "Filename Type Size Used Priority\n"


# Swap spaces (path, MiB, MiB used), MemAvailable in MiB; whether /swapfile can be switched off.
@pytest.mark.parametrize(
    ("spaces", "available", "room"),
    [
        ([("/swapfile", 1024, 200)], 300, True),
        ([("/swapfile", 1024, 200)], 100, False),
        ([("/swapfile", 1024, 200), ("/dev/vdb", 512, 100)], 100, True),
        ([("/swapfile", 1024, 600), ("/dev/vdb", 512, 100)], 100, False),
        ([("/swapfile", 1024, 0)], 0, True),
        ([("/dev/vdb", 512, 100)], 0, True),
    ],
)
def test_room_to_switch_off(
    tmp_path: Path, spaces: list[tuple[str, int, int]], available: int, room: bool
) -> None:
    rows = "".join(f"{path} file {size << 10} {used << 10} -2\n" for path, size, used in spaces)
    (tmp_path / "swaps").write_text(SWAPS + rows)
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {available << 10} kB\n")
    if room:
        check_room("/swapfile", str(tmp_path))
    else:
        with pytest.raises(RefusedError, match="cannot be switched off now"):
            check_room("/swapfile", str(tmp_path))
    if any(path == "/swapfile" for path, _, _ in spaces):
        with pytest.raises(ManagerError, match="could not be"):
            check_off("/swapfile", str(tmp_path))
    else:
        check_off("/swapfile", str(tmp_path))
