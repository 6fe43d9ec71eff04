"""/proc/swaps and fstab, as kernels and administrators write them."""

from __future__ import annotations

import pytest

from lowmem_tui.host.swaps import FstabSwap, Swap, parse_fstab, parse_swaps

K = 1024
TWO = """\
Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/vdb                                partition\t524284\t\t12\t\t-2
/swap\\040file                           file\t\t2097148\t\t0\t\t-3
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", []),
        (
            TWO,
            [
                Swap("/dev/vdb", "partition", 524284 * K, 12 * K, -2),
                Swap("/swap file", "file", 2097148 * K, 0, -3),
            ],
        ),
        (
            "Filename Type Size Used Priority\n/swapfile\\040(deleted) file 1020 0 -2\n",
            [Swap("/swapfile", "file", 1020 * K, 0, -2)],
        ),
        ("Filename Type Size Used Priority\n/dev/zram0 partition many 0 100\n", []),
    ],
)
def test_swaps(text: str, found: list[Swap]) -> None:
    assert parse_swaps(text) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/swapfile none swap sw 0 0", [FstabSwap("/swapfile", frozenset({"sw"}))]),
        ("UUID=1-2\tnone\tswap\tsw,nofail", [FstabSwap("UUID=1-2", frozenset({"sw", "nofail"}))]),
        ("/my\\040swap none swap", [FstabSwap("/my swap", frozenset())]),
        ("# /swapfile none swap sw 0 0", []),
        ("/dev/vda1 / ext4 defaults 0 1", []),
        ("swap", []),
    ],
)
def test_fstab(line: str, found: list[FstabSwap]) -> None:
    assert parse_fstab(f"/dev/vda1 / ext4 defaults 0 1\n{line}\n") == found
