"""The policy file of a set-up's proposals, as TOML with comments that say why; pure."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.setup import lines
from lowmem_tui.model.text import plain
from lowmem_tui.policy.files.policy_file import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.setup import Item, Look

WIDTH = 100
"""Characters of a comment's line."""

UNITS = "units"
"""The step whose items are named ``UNIT:KEY``: each unit has a section of its own."""

_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


class Part(NamedTuple):
    """A step as it goes into the file."""

    section: str
    title: str
    look: Look | None
    trouble: str = ""
    """Why the step could not examine the server: one sentence."""


def render(parts: Sequence[Part], where: str) -> str:
    """Return the file. What is already set, and what is not taken by default, is a comment in it.

    ``where`` says in a few words which server it was made for.
    """
    made = [
        *_comment(f"The policy that 'lowmem-tui setup' proposes for {where}."),
        "# Read it, change it, then apply it: sudo lowmem-tui apply --policy THIS-FILE",
        "",
        f"schema = {SCHEMA}",
    ]
    for part in parts:
        made += ["", f"# --- {plain(part.title, 80)}"]
        made += _part(part)
    return "\n".join(made) + "\n"


def _part(part: Part) -> Iterator[str]:
    look = part.look
    if look is None:
        yield from _comment(f"This step could not examine the server: {part.trouble}")
        return
    if look.absent:
        yield from _comment(str(look.absent))
        return
    for fact in look.facts:
        yield from _comment(str(fact))
    groups: dict[str, list[tuple[str, Item]]] = {}
    for item in look.items:
        head, key = part.section, item.key
        if part.section == UNITS:
            unit, _, key = item.key.rpartition(":")
            head = f"{UNITS}.{quoted(unit)}"
        groups.setdefault(head, []).append((key, item))
    for head, items in groups.items():
        if part.section == UNITS or head != next(iter(groups)):
            yield ""
        # A section without anything in it would say nothing.
        wanted = any(asked(item) for _, item in items)
        yield f"[{head}]" if wanted else f"# [{head}]"
        for key, item in items:
            yield from _item(key, item)
    for words in look.by_hand:
        yield from _comment("By hand: " + "\n".join(map(str, lines(words))))


def asked(item: Item) -> bool:
    """Tell whether an item is in the file unless the operator says otherwise."""
    return item.taken and item.value != "" and not item.done


def _item(key: str, item: Item) -> Iterator[str]:
    line = f"{key if _BARE.match(key) else quoted(key)} = {value(item.value)}"
    if item.done:
        yield from _comment(f"{line}  (already set) {item.why}")
        return
    yield from _comment(f"{item.title} (now: {item.now}). {item.why}")
    if not item.value:
        yield from _comment(f"{key}: unchanged.")
    elif not item.taken:
        yield f"# {line}"
    else:
        yield line


def _comment(text: str) -> Iterator[str]:
    for line in text.splitlines():
        shown = plain(line)
        for each in textwrap.wrap(shown, WIDTH - 2, break_on_hyphens=False) or [""]:
            yield f"# {each}".rstrip()


def quoted(text: str) -> str:
    """Return a text as TOML writes it: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value(text: str) -> str:
    """Return an item's value as TOML writes it."""
    return text if _INTEGER.match(text) else quoted(text)
