"""/proc/swaps and fstab, as kernels and administrators write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.host.swaps import FstabSwap, Swap, parse_fstab, parse_swaps, tag_path

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
        ("Filename Type Size Used Priority\n/dev/vdb partition 1 0 first\n", []),
        ("Filename Type Size Used Priority\n/dev/vdb partition ٣ 0 1\n", []),
        (f"Filename Type Size Used Priority\n/dev/vdb partition {'9' * 5000} 0 1\n", []),
        (
            "Filename Type Size Used Priority\n/\u00a0\u2028\\303\\251 file 4 0 -2\n",
            [Swap("/\u00a0\u2028é", "file", 4 * K, 0, -2)],
        ),
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
        ("  /swap.img\tnone\tswap\tsw\t0\t0", [FstabSwap("/swap.img", frozenset({"sw"}))]),
        ("/\\303\\251\\011 none swap", [FstabSwap("/é\t", frozenset())]),
        ("/\\377 none swap", [FstabSwap("/\udcff", frozenset())]),
        ("/\u00a0 none swap", [FstabSwap("/\u00a0", frozenset())]),
    ],
)
def test_fstab(line: str, found: list[FstabSwap]) -> None:
    assert parse_fstab(f"/dev/vda1 / ext4 defaults 0 1\n{line}\n") == found


PATHS = {
    "/swap.img": "/swap.img",
    "/a=b": "/a=b",
    "UUID=97c8-a": "/dev/disk/by-uuid/97c8-a",
    'UUID="97c8"': "/dev/disk/by-uuid/97c8",
    "LABEL='my swap'": r"/dev/disk/by-label/my\x20swap",
    "LABEL=a/b": r"/dev/disk/by-label/a\x2fb",
    "LABEL=é": "/dev/disk/by-label/é",
    "LABEL=\udcff": r"/dev/disk/by-label/\xff",
    "PARTUUID=1-2": "/dev/disk/by-partuuid/1-2",
    "PARTLABEL=Linux swap": r"/dev/disk/by-partlabel/Linux\x20swap",
    "ID=nvme-x": "/dev/disk/by-id/nvme-x",
    "UUID=": "",
    "BOGUS=1": "",
    "none": "",
    "": "",
}


@pytest.mark.parametrize(("what", "path"), PATHS.items())
def test_what_fstab_names(what: str, path: str) -> None:
    assert tag_path(what) == path


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for line in parse_fstab(f"{text} none swap\n{text}"):
        path = tag_path(line.what)
        assert not path.startswith("/dev/disk/") or path.count("/") == 4 or line.what[:1] == "/"
    assert all(swap.size >= 0 for swap in parse_swaps(f"x\n{text}"))
