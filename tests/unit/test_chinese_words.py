"""The Chinese texts: the terms of docs/glossary.md, full-width marks, blanks beside Latin words."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import catalogs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(ROOT.glob("docs/*.zh-CN.md"))

_HAN = r"[\u4e00-\u9fff]"
MARKS = {
    "a half-width mark beside Chinese": rf"{_HAN}[,;:?!(]|[,;:?!)]{_HAN}",
    "no blank between Chinese and Latin": rf"{_HAN}[A-Za-z0-9`]|[A-Za-z0-9`%]{_HAN}",
    "a blank beside a full-width mark": r"[，。：；？！（）、] | [，。：；？！（）、]",
}
"""How Chinese is written: docs/translation.md."""
_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[([^]]*)\]\([^)]*\)")
_QUOTED = re.compile(r"^```.*?^```|`[^`]*`", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"^\|[ -|]*\|$| ?\| ?|^[#>*-]+ |^\d\. ", re.MULTILINE)


@cache
def forbidden() -> dict[str, str]:
    """Return the Chinese variants that are not used: each pattern, and what to write."""
    page = (ROOT / "docs/glossary.md").read_text("utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    tables = (tomllib.loads(block) for block in blocks)
    found = next(table["chinese"] for table in tables if "chinese" in table)
    return {each["pattern"]: each["write"] for each in found}


def faults(text: str) -> Iterator[str]:
    """Yield what is wrong with a Chinese text."""
    for pattern, write in forbidden().items():
        if found := re.search(pattern, text):
            yield f"{found[0]}: write {write}: {text}"
    for fault, pattern in MARKS.items():
        if found := re.search(pattern, text):
            yield f"{fault}: {found[0]}: {text}"


def test_every_translation_uses_the_terms_and_marks() -> None:
    found = [
        fault
        for message in catalogs.load("zh_CN")
        if message.id and message.string
        for text in catalogs.texts(message.string)
        for fault in faults(text)
    ]
    assert found == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_every_document_uses_the_terms_and_marks(page: Path) -> None:
    # What is quoted stands there as one Latin word.
    text = _LINK.sub(r"\1", _QUOTED.sub("x", page.read_text("utf-8").replace("**", "")))
    lines = [line.strip() for line in _TABLE.sub("\n", text).splitlines()]
    assert [fault for line in lines for fault in faults(line)] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("试用会自动还原。", True),
        ("试用会自动回滚。", False),
        ("警告: 内存", True),
        ("内存（RSS）", False),
        ("内存(RSS)", True),
        ("内存RSS", True),
        ("警告： 内存", True),
    ],
)
def test_a_fault_is_found(text: str, wrong: bool) -> None:
    assert bool(list(faults(text))) is wrong


def english_of(page: Path) -> Path:
    """Return the document that a Chinese one is a translation of."""
    name = page.name.replace(".zh-CN", "")
    return ROOT / name if name == "README.md" else ROOT / "docs" / name


def commands(page: Path) -> set[str]:
    """Return the command lines in a page's blocks of code, without their comments."""
    blocks = _BLOCK.findall(page.read_text("utf-8"))
    lines = (line.partition(" # ")[0].strip() for block in blocks for line in block.splitlines())
    return {line for line in lines if re.match(r"(sudo |> )?(lowmem-tui|make|pipx|sudo)\b", line)}


def named(page: Path) -> set[str]:
    """Return the commands and options that a page names anywhere in backticks or code."""
    text = page.read_text("utf-8")
    quoted = "\n".join([*_BLOCK.findall(text), *re.findall(r"`[^`\n]+`", _BLOCK.sub("", text))])
    return {*re.findall(r"lowmem-tui [a-z]+", quoted), *re.findall(r"(?<![\w-])--[a-z-]+", quoted)}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_a_document_has_the_commands_of_its_english_one(page: Path) -> None:
    assert commands(page) <= commands(english_of(page))
    assert page.name in SHORTER or commands(page) == commands(english_of(page))


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_a_document_names_no_option_that_its_english_one_does_not(page: Path) -> None:
    assert named(page) - named(english_of(page)) <= NAMED_ELSEWHERE.get(page.name, set())


SHORTER = {"safety.zh-CN.md"}
"""What an operator needs of a longer English document."""

NAMED_ELSEWHERE = {"README.zh-CN.md": {"--lang", "--ascii"}}
"""How Chinese is chosen stands in the Chinese document alone."""


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_a_document_and_its_english_one_lead_to_each_other(page: Path) -> None:
    english = english_of(page)
    up = "../" if english.parent == ROOT else ""
    down = "docs/" if english.parent == ROOT else ""
    assert f"({up}{english.name})" in page.read_text("utf-8")
    assert f"({down}{page.name})" in english.read_text("utf-8")


def test_the_states_of_a_record_are_those_of_the_english_document() -> None:
    pages = [ROOT / "docs" / name for name in ("safety.md", "safety.zh-CN.md")]
    rows = [re.findall(r"^\| (`[a-zN.]+`)", p.read_text("utf-8"), re.MULTILINE) for p in pages]
    assert rows[0] == rows[1]


def test_the_exit_codes_are_those_of_the_english_document() -> None:
    pages = [ROOT / "docs" / name for name in ("cli.md", "cli.zh-CN.md")]
    codes = [re.findall(r"^\| (\d+)[ ,、]", p.read_text("utf-8"), re.MULTILINE) for p in pages]
    assert codes[0] == codes[1]
    assert len(codes[0]) > 8
