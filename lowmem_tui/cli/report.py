"""`lowmem-tui setup --report FILE.md`: one page on what was changed, and what came of it."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from lowmem_tui.cli.check import worst_first
from lowmem_tui.cli.looking import look
from lowmem_tui.cli.output import talk
from lowmem_tui.model.amount import format_size
from lowmem_tui.model.errors import InvalidValueError, LowmemError
from lowmem_tui.model.language import say
from lowmem_tui.model.setup import lines
from lowmem_tui.model.text import plain
from lowmem_tui.policy.budget import budget, in_words
from lowmem_tui.policy.checks.overcommit import overcommitted
from lowmem_tui.policy.forecast import prediction_text
from lowmem_tui.policy.forecast.gains import gained, in_force, without
from lowmem_tui.policy.forecast.kills import BOX, predict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.cli.looking import Looked
    from lowmem_tui.model.change import Change
    from lowmem_tui.model.snapshot import Snapshot

STANDARD_OUTPUT = "-"
KILLS = 8
"""Kills that are compared."""
WIDTH = 88


def write(backend: ServerBackend, path: str) -> None:
    """Write the report. Raises InvalidValueError where it cannot be written, LowmemError."""
    looked = look(backend)
    try:
        changes, trouble = in_force(backend.history()), ""
    except LowmemError as error:
        changes, trouble = [], str(error)
    where = " (the demo server)" if backend.demo else ""
    text = "\n".join(_lines(backend.look(), where, looked, changes, trouble)) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    before = os.path.lexists(path)
    # No link is followed: root may write this into /tmp.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags, 0o644), "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        raise InvalidValueError(
            f"{plain(path)} cannot be written ({error.strerror}): name another file."
        ) from error
    talk(plain(f"{'Written over what was there' if before else 'Written'}: {path}"))


def _lines(
    now: Snapshot, where: str, looked: Sequence[Looked], changes: Sequence[Change], trouble: str
) -> Iterator[str]:
    time = datetime.fromtimestamp(now.time).astimezone()
    yield f"# {plain(now.host.hostname, 60)}{where}, {time:%Y-%m-%d %H:%M}"
    box = next((each.look for each in looked if each.step.name == "box" and each.look), None)
    if box is not None:
        yield ""
        yield from (f"- {plain(say(fact))}" for fact in box.facts)
    yield from _changed(changes, trouble)
    yield from _memory(now, changes)
    yield from _kills(now, changes)
    yield from _left(looked)


def _changed(changes: Sequence[Change], trouble: str) -> Iterator[str]:
    yield from ("", "## What was changed", "")
    if trouble:
        yield plain(trouble, 1000)
    elif not changes:
        yield "Nothing, as far as the history goes."
    for change in changes:
        time = datetime.fromtimestamp(change.time).astimezone()
        note = f": {plain(change.note, 200)}" if change.note else ""
        yield f"- **{change.id}**, {time:%Y-%m-%d %H:%M}, by {plain(change.by, 100)}{note}"
        for effect in change.effects:
            text = f"{effect.unit}: {effect.key} {effect.from_} -> {effect.to}"
            yield f"  - {plain(text, 200)}"
        yield from (f"  - `{plain(action.described, 200)}`" for action in change.actions)
        others = len(change.files) - len({effect.unit for effect in change.effects})
        if others > 0:
            yield f"  - files: {', '.join(plain(path, 100) for path in change.files)}"
    if changes:
        yield from ("", "`sudo lowmem-tui undo ID` takes one back, byte for byte.")


def _memory(now: Snapshot, changes: Sequence[Change]) -> Iterator[str]:
    host = now.host
    yield from ("", "## Memory", "")
    back = gained(action for change in changes for action in change.actions)
    if back:
        yield f"- Services that were switched off held {format_size(back)}."
    yield (
        f"- {format_size(host.mem_available)} of {format_size(host.mem_total)} RAM are available "
        f"now; {format_size(host.swap_used)} of {format_size(host.swap_total)} swap are used."
    )
    found = overcommitted(now)
    yield f"- {in_words(budget(now)) if found is None else found.sentences}"


def _kills(now: Snapshot, changes: Sequence[Change]) -> Iterator[str]:
    yield from ("", "## Who dies first", "")
    before = predict(without(now, changes), BOX, KILLS)
    found = predict(now, BOX, KILLS)
    if before is None or found is None or before.first is None or found.first is None:
        yield "Not known."
        return
    first, was = plain(found.first.victim.unit, 60), plain(before.first.victim.unit, 60)
    yield f"{first} as before." if first == was else f"{first}; without the changes, {was}."
    yield from ("", "```")
    heads = ("WITHOUT THE CHANGES", "NOW")
    for line in prediction_text.side_by_side(before, found, (), WIDTH, KILLS, heads):
        yield line.rstrip()
    yield from ("```", "", "With the sizes of now; what was switched off is in neither list.")


def _left(looked: Sequence[Looked]) -> Iterator[str]:
    yield from ("", "## What is left", "")
    told = worst_first(looked)
    for each in told:
        yield f"- {each.sentence}"
        for line in map(say, lines(each.finding.remedy)):
            # What is to be done by hand is prose, with backticks of its own.
            command = line.startswith(("sudo ", "lowmem-tui "))
            yield f"  `{plain(line, 1000)}`" if command else f"  {plain(line, 1000)}"
    hands = [(each.step.name, text) for each in looked if each.look for text in each.look.by_hand]
    for step, text in hands:
        words = " ".join(" ".join(map(say, lines(text))).split())
        yield f"- by hand ({step}): {plain(words, 1000)}"
    if not told and not hands:
        yield "Nothing that lowmem-tui looks for."
