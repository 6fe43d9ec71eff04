"""config.toml with other tiers in it: what is wanted counts, and every other line stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.unit import Tier
from lowmem_tui.policy.classify import matches, parse_config
from lowmem_tui.policy.files.tiers_file import HEAD, with_tiers

A, B = "a.service", "b.service"

CASES: dict[str, tuple[str | None, dict[str, int], str]] = {
    "no file": (None, {A: 0}, HEAD + '[tiers]\n"a.service" = 0\n'),
    "an empty file": ("\n", {A: 0}, "\n" + HEAD + '[tiers]\n"a.service" = 0\n'),
    "a comment alone": ("# mine", {A: 0}, '# mine\n[tiers]\n"a.service" = 0\n'),
    "an empty section": ("[tiers]", {A: 2}, '[tiers]\n"a.service" = 2\n'),
    "another number": (
        '# x\n[tiers] # y\n\n"a.service"  =  1   # why\n"b.service" = 0\n# end',
        {A: 2},
        '# x\n[tiers] # y\n\n"a.service"  =  2   # why\n"b.service" = 0\n# end',
    ),
    "a name without its suffix": ("[tiers]\na = 1\n", {A: 0}, "[tiers]\na = 0\n"),
    "a new name goes first": (
        '[tiers]\n# all\n"*.service" = 2\n',
        {A: 0},
        '[tiers]\n"a.service" = 0\n# all\n"*.service" = 2\n',
    ),
    "a name behind a pattern is moved": (
        '[tiers]\n"*.service" = 2\n"a.service" = 1\n',
        {A: 0},
        '[tiers]\n"a.service" = 0\n"*.service" = 2\n',
    ),
    "a mark of UTF-8 ahead of it": ("\ufeff[tiers]\na = 1\n", {A: 0}, "[tiers]\na = 0\n"),
    "a pattern": (
        '[tiers]\n"w@*" = 1\n',
        {"w@*.service": 2},
        '[tiers]\n"w@*" = 2\n',
    ),
    "several": (
        '[tiers]\n"a.service" = 1',
        {A: 2, B: 0},
        '[tiers]\n"b.service" = 0\n"a.service" = 2',
    ),
    "Windows' line ends": (
        '[tiers]\r\n"a.service" = 1\r\n',
        {A: 0, B: 2},
        '[tiers]\r\n"b.service" = 2\r\n"a.service" = 0\r\n',
    ),
    "a name with a backslash": (
        "[tiers]\n",
        {r"w@a\x2db.service": 1},
        '[tiers]\n"w@a\\\\x2db.service" = 1\n',
    ),
}


@pytest.mark.parametrize(("text", "wanted", "after"), CASES.values(), ids=CASES)
def test_the_file_afterwards(text: str | None, wanted: dict[str, int], after: str) -> None:
    assert with_tiers(text, {name: Tier(tier) for name, tier in wanted.items()}) == after


@pytest.mark.parametrize(
    "text",
    ['tiers = {"a.service" = 1}\n', 'tiers."a.service" = 1\n', '[ "tiers" ]\n"b.service" = 1\n'],
    ids=["inline", "dotted", "a quoted section"],
)
def test_what_is_not_written_line_by_line_is_left_to_its_author(text: str) -> None:
    with pytest.raises(
        InvalidValueError, match=r'add to its section .tiers. by hand: "a.service" = 0'
    ):
        with_tiers(text, {A: Tier.GATEKEEPER})


NAMES = st.sampled_from(["a", "b.service", "w@1.service", "w@*", "*.service", "c-*"])
ENTRIES = st.dictionaries(NAMES, st.integers(0, 2))
LINE = st.sampled_from(["", "# note", "  "])


@given(ENTRIES, st.lists(LINE, max_size=4), st.dictionaries(
    st.sampled_from([A, B, "w@1.service", "w@2.service"]), st.sampled_from(Tier), min_size=1,
))  # fmt: skip
def test_what_is_wanted_counts_and_every_other_line_stays(
    entries: dict[str, int], notes: list[str], wanted: dict[str, Tier]
) -> None:
    lines = [*notes, "[tiers]", *(f'"{name}" = {tier}' for name, tier in entries.items()), *notes]
    text = "\n".join(lines) + "\n"
    made = with_tiers(text, wanted)
    config = parse_config(made)
    for name, tier in wanted.items():
        assert next(t for pattern, t in config if matches(pattern, name)) is tier
    full = {name if "." in name else f"{name}.service" for name in wanted}
    others = [
        line
        for line in lines
        if not (line.startswith('"') and parse_config(f"[tiers]\n{line}")[0][0] in full)
    ]
    left = iter(made.splitlines())
    assert all(line in left for line in others)
    assert with_tiers(made, wanted) == made
