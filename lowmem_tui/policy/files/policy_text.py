"""The policy file of a set-up's proposals, as TOML with comments that say why; pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from lowmem_tui.model.cells import wrap
from lowmem_tui.model.message import as_message, msg, of_command, of_setting
from lowmem_tui.model.setup import lines
from lowmem_tui.model.text import plain
from lowmem_tui.policy.files.policy_file import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.setup import Item, Look, Words

Render: TypeAlias = "Callable[[Words], str]"
"""Puts a message into words."""

WIDTH = 100
"""Cells of a comment's line."""

UNITS = "units"
"""The step whose items are named ``UNIT:KEY``: each unit has a section of its own."""

_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


class Part(NamedTuple):
    """A step as it goes into the file."""

    section: str
    title: Words
    look: Look | None
    trouble: Words = ""
    """Why the step could not examine the server: one sentence."""


def render(parts: Sequence[Part], where: Message, words: Render = str) -> str:
    """Return the file. What is already set, and what is not taken by default, is a comment in it.

    ``where`` names the server that it was made for; ``words`` renders the comments.
    """
    title = msg("The policy that 'lowmem-tui setup' proposes for {where}.", where=where)
    how = msg(
        "Read it, change it, then apply it: {command}",
        command=of_command("sudo lowmem-tui apply --policy THIS-FILE"),
    )
    made = [*_comment(words(title)), *_comment(words(how)), "", f"schema = {SCHEMA}"]
    for part in parts:
        made += ["", f"# --- {plain(words(part.title), 80)}"]
        made += _part(part, words)
    return "\n".join(made) + "\n"


def _part(part: Part, words: Render) -> Iterator[str]:
    look = part.look
    if look is None:
        why = as_message(part.trouble)
        yield from _comment(words(msg("This step could not examine the server: {why}", why=why)))
        return
    if look.absent:
        yield from _comment(words(look.absent))
        return
    for fact in look.facts:
        yield from _comment(words(fact))
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
            yield from _item(key, item, words)
    for by_hand in look.by_hand:
        first, *others = lines(by_hand) or ("",)
        yield from _comment(words(msg("By hand: {text}", text=as_message(first))))
        for line in others:
            yield from _comment(words(line))


def asked(item: Item) -> bool:
    """Tell whether an item is in the file unless the operator says otherwise."""
    return item.taken and item.value != "" and not item.done


def _item(key: str, item: Item, words: Render) -> Iterator[str]:
    line = f"{key if _BARE.match(key) else quoted(key)} = {value(item.value)}"
    why = as_message(item.why)
    if item.done:
        yield from _comment(
            words(msg("{line}  (already set) {why}", line=of_setting(line), why=why))
        )
        return
    title, now = as_message(item.title), as_message(item.now)
    yield from _comment(words(msg("{title} (now: {now}). {why}", title=title, now=now, why=why)))
    if not item.value:
        yield from _comment(words(msg("{setting}: unchanged.", setting=of_setting(key))))
    elif not item.taken:
        yield f"# {line}"
    else:
        yield line


def _comment(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for each in wrap(plain(line), WIDTH - 2) or [""]:
            yield f"# {each}".rstrip()


def quoted(text: str) -> str:
    """Return a text as TOML writes it: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value(text: str) -> str:
    """Return an item's value as TOML writes it."""
    return text if _INTEGER.match(text) else quoted(text)
