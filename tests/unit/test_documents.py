"""The documents: their links lead somewhere, and the modules that they name exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.test_words import strings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lowmem_tui"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), ROOT / "tests/lab/README.md"]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_PATH = re.compile(r"`([a-z_]+(?:/[a-z_]+)+)(?:\.py)?`")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _CODE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(prose(page))
    }


def broken(page: Path) -> Iterator[str]:
    """Yield the links of a page that lead to no file, or to no heading."""
    for link in _LINK.findall(prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_link_leads_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_modules_that_a_page_names_exist(page: Path) -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    named = {path for path in _PATH.findall(prose(page)) if path.partition("/")[0] in rooms}
    missing = {p for p in named if not ((PACKAGE / p).is_dir() or (PACKAGE / f"{p}.py").exists())}
    assert missing == set()


QUOTED = {
    "docs/first-hour.md": ["not selected", "OOM scores, limits, restarts", "Unneeded services"],
    "docs/first-hour.zh-CN.md": [
        "not selected",
        "OOM scores, limits, restarts",
        "Unneeded services",
    ],
    "docs/services.md": ["OOM scores, limits, restarts", "Unneeded services"],
    "docs/prediction.md": [
        *("ITS UNIT", "whole slice ends", "keeps running", "stays down", "in use now"),
        *("if it is watched", "unknown (irregular growth)", "never reached"),
        "at its limit, swaps",
    ],
    "docs/incidents.md": [
        *("restarted after", "the unit went on", "a restart is scheduled", "hit the start limit"),
        *("still down", "down until", "down until the reboot", "runs again", "outcome unknown"),
        *("nothing to kill", "no RAM", "by hand (SysRq)"),
    ],
}
"""What the documents quote of the screens: where the screens' words change, theirs do."""


@pytest.mark.parametrize(("page", "quotes"), QUOTED.items(), ids=list(QUOTED))
def test_what_a_page_quotes_is_what_the_program_says(page: str, quotes: list[str]) -> None:
    text = (ROOT / page).read_text("utf-8")
    program = "\n".join(strings(m.read_text("utf-8")) for m in PACKAGE.rglob("*.py"))
    assert [quote for quote in quotes if quote not in text] == []
    assert [quote for quote in quotes if quote not in program] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A b (c)\n[x](#a-b-c) [y](#z) [z](none.md)\n```\n[w](none)\n```\n", "utf-8")
    assert list(broken(page)) == ["#z", "none.md"]
