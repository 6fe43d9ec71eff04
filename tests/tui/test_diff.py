"""What a change does to a file, as lines."""

from __future__ import annotations

import pytest

from lowmem_tui.model.plan import FileChange
from lowmem_tui.tui.text.diff import difference

LONG = "".join(f"line {n}\n" for n in range(100))


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (None, "a\nb\n", [" new /f", "   + a", "   + b"]),
        ("a\nb\n", None, [" removed /f", "   - a", "   - b"]),
        ("a\nb\n", "a\nc\n", [" changed /f", "     a", "   - b", "   + c"]),
        ("\ta\x1b[2J\n", "\ta\n", [" changed /f", "   -     a·[2J", "   +     a"]),
        (
            LONG,
            LONG.replace("line 50\n", "line 50\nnew\n"),
            [
                " changed /f",
                "     …",
                *(f"     line {n}" for n in (48, 49, 50)),
                "   + new",
                *(f"     line {n}" for n in (51, 52, 53)),
                "     …",
            ],
        ),
        (
            LONG,
            "first\n" + LONG.replace("line 99\n", ""),
            [
                " changed /f",
                "   + first",
                *(f"     line {n}" for n in (0, 1, 2)),
                "     …",
                *(f"     line {n}" for n in (96, 97, 98)),
                "   - line 99",
            ],
        ),
        ("a\n", "a\n", [" changed /f"]),
    ],
)
def test_difference(before: str | None, after: str | None, shown: list[str]) -> None:
    assert [line.plain.rstrip() for line in difference(FileChange("/f", before, after))] == shown
