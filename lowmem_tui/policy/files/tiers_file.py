"""The administrator's config.toml with other tiers in it, every other line as it is; pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_list, of_path
from lowmem_tui.policy import toml
from lowmem_tui.policy.classify import matches, parse_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.unit import Tier
    from lowmem_tui.policy.classify import Config

HEAD = (
    "# The tier of a unit on this server, where it differs from lowmem-tui's own table:\n"
    "# 0 gatekeeper, 1 business, 2 short-lived. The first line that fits counts; * is a pattern.\n"
)

_NUMBER = re.compile(r"([^=\n]*=[ \t]*)[0-9_+]+(.*)\Z", re.DOTALL)
_SECTION = re.compile(r"[ \t]*\[[ \t]*tiers[ \t]*\][ \t]*(?:#.*)?\r?\Z")


def with_tiers(text: str | None, wanted: Mapping[str, Tier]) -> str:
    """Return the file's text with these tiers; ``text`` None is "no such file yet".

    A name that stands there gets another number on its line; one that does not, a line of its own
    ahead of the others, because the first that fits counts. Raises InvalidValueError for a file
    that is written in a way that cannot be edited line by line.
    """
    text = text and text.removeprefix(toml.BOM)
    if text is None or not text.strip():
        made = "".join(_line(name, tier) for name, tier in wanted.items())
        return f"{text or ''}{HEAD}[tiers]\n{made}"
    config = parse_config(text)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    fresh: list[str] = []
    for name, tier in wanted.items():
        at = _stands(lines, text, name)
        if at is None or _shadowed(config, name):
            fresh.append(_line(name, tier, end))
            if at is not None:
                lines[at] = ""
        else:
            lines[at] = _renumbered(lines[at], tier)
    if fresh:
        head = _head(lines)
        if head is None and config:
            raise _by_hand(wanted)
        _insert(lines, head, fresh, end)
    result = "".join(lines)
    _check(result, config, wanted)
    return result


def _renumbered(line: str, tier: Tier) -> str:
    found = _NUMBER.match(line)
    return f"{found[1]}{int(tier)}{found[2]}" if found else line


def _head(lines: list[str]) -> int | None:
    """Return the index of the line ``[tiers]``; None where there is none."""
    return next((i for i, line in enumerate(lines) if _SECTION.match(line.rstrip("\n"))), None)


def _insert(lines: list[str], head: int | None, fresh: list[str], end: str) -> None:
    """Put lines behind ``[tiers]``, which is written at the end where it is not there."""
    if head is None:
        head = len(lines)
        lines.append(f"[tiers]{end}")
    for at in (head - 1, head):
        if at >= 0 and lines[at] and not lines[at].endswith("\n"):
            lines[at] += end
    lines[head + 1 : head + 1] = fresh


def _stands(lines: list[str], text: str, name: str) -> int | None:
    """Return the index of the line that is ``NAME = NUMBER``, and nothing else."""
    for written in (name, name.removesuffix(".service")):
        number = toml.line_of(text, ("tiers", written))
        if number is not None and _names(lines, number - 1, written):
            return number - 1
    return None


def _shadowed(config: Config, name: str) -> bool:
    """Tell whether a pattern that stands before a name fits it, and so counts."""
    return next((pattern for pattern, _ in config if matches(pattern, name)), name) != name


def _names(lines: list[str], at: int, name: str) -> bool:
    """Tell whether a line is ``NAME = NUMBER`` and nothing else."""
    try:
        found = toml.parse(lines[at])
    except (InvalidValueError, IndexError):
        return False
    return list(found) == [name] and bool(_NUMBER.match(lines[at]))


def _line(name: str, tier: Tier, end: str = "\n") -> str:
    return f"{json.dumps(name, ensure_ascii=False)} = {int(tier)}{end}"


def _check(made: str, before: Config, wanted: Mapping[str, Tier]) -> None:
    """See that the new text says what is meant, and all else as before."""
    try:
        after = dict(parse_config(made))
    except InvalidValueError as error:
        raise _by_hand(wanted) from error
    if after != dict(before) | dict(wanted):
        raise _by_hand(wanted)


def _by_hand(wanted: Mapping[str, Tier]) -> InvalidValueError:
    lines = of_list(f'"{name}" = {int(tier)}' for name, tier in wanted.items())
    return InvalidValueError(
        msg(
            "{path} is not written line by line: add to its section [tiers] by hand: {lines}.",
            path=of_path("/etc/lowmem-tui/config.toml"),
            lines=lines,
        )
    )
