"""`lowmem-tui setup --report FILE.md`: one page on what was changed, and the result."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from lowmem_tui.cli.check import worst_first
from lowmem_tui.cli.looking import look
from lowmem_tui.cli.output import talk
from lowmem_tui.model.errors import InvalidValueError, LowmemError
from lowmem_tui.model.language import say, spaced, tr
from lowmem_tui.model.message import N_, msg, of_bytes, of_list, of_path, of_text, of_unit
from lowmem_tui.model.setup import lines
from lowmem_tui.model.text import plain
from lowmem_tui.policy.budget import budget, in_words
from lowmem_tui.policy.change_text import noted
from lowmem_tui.policy.checks.overcommit import overcommitted
from lowmem_tui.policy.forecast import prediction_text
from lowmem_tui.policy.forecast.gains import gained, in_force, without
from lowmem_tui.policy.forecast.kills import BOX, predict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
        changes, trouble = [], say(error.message)
    title = N_("{host} (the demo server), {time}") if backend.demo else N_("{host}, {time}")
    text = "\n".join(_lines(backend.look(), title, looked, changes, trouble)) + "\n"
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
            msg(
                "{path} cannot be written ({why}): name another file.",
                path=of_path(path),
                why=error.strerror or "",
            )
        ) from error
    if before:
        talk(msg("Overwritten: {path}", path=of_path(path)))
    else:
        talk(msg("Written: {path}", path=of_path(path)))


def _lines(
    now: Snapshot, title: str, looked: Sequence[Looked], changes: Sequence[Change], trouble: str
) -> Iterator[str]:
    time = datetime.fromtimestamp(now.time).astimezone()
    host, when = of_text(now.host.hostname, 60), f"{time:%Y-%m-%d %H:%M}"
    yield f"# {tr(title, host=host, time=when)}"
    box = next((each.look for each in looked if each.step.name == "box" and each.look), None)
    if box is not None:
        yield ""
        yield from (f"- {plain(say(fact))}" for fact in box.facts)
    yield from _changed(changes, trouble)
    yield from _memory(now, changes, _needs(looked))
    yield from _kills(now, changes)
    yield from _to_do(looked)


def _heading(text: str) -> tuple[str, ...]:
    return "", f"## {text}", ""


def _changed(changes: Sequence[Change], trouble: str) -> Iterator[str]:
    yield from _heading(tr("What was changed"))
    if trouble:
        yield plain(trouble, 1000)
    elif not changes:
        yield tr("The history contains no change.")
    for change in changes:
        time = datetime.fromtimestamp(change.time).astimezone()
        who = tr("{time}, by {by}", time=f"{time:%Y-%m-%d %H:%M}", by=change.by.message)
        if change.note:
            note = of_text(say(noted(change.note)), 200)
            who = tr("{subject}: {text}", subject=who, text=note)
        comma = spaced(tr(","))
        yield f"- **{change.id}**{comma}{who}"
        for effect in change.effects:
            text = f"{effect.key} {effect.from_} -> {effect.to}"
            text = tr("{subject}: {text}", subject=of_unit(effect.unit), text=text)
            yield f"  - {plain(text, 200)}"
        yield from (f"  - `{plain(say(action.described), 200)}`" for action in change.actions)
        others = len(change.files) - len({effect.unit for effect in change.effects})
        if others > 0:
            files = of_list(of_text(path, 100) for path in change.files)
            line = tr("files: {files}", files=files)
            yield f"  - {line}"
    if changes:
        yield from ("", tr("`sudo lowmem-tui undo ID` undoes one, byte for byte."))


def _needs(looked: Sequence[Looked]) -> dict[str, int]:
    """Return the bytes that units may use by their own configuration."""
    return {name: size for each in looked if each.look for name, size in each.look.needs.items()}


def _memory(now: Snapshot, changes: Sequence[Change], needs: Mapping[str, int]) -> Iterator[str]:
    host = now.host
    yield from _heading(tr("Memory"))
    freed = gained(action for change in changes for action in change.actions)
    if freed:
        used = tr("Services that were switched off used {size}.", size=of_bytes(freed))
        yield f"- {used}"
    now_ = tr(
        "{available} of {ram} RAM is available now; {used} of {swap} swap is used.",
        available=of_bytes(host.mem_available),
        ram=of_bytes(host.mem_total),
        used=of_bytes(host.swap_used),
        swap=of_bytes(host.swap_total),
    )
    yield f"- {now_}"
    found = overcommitted(now, needs=needs)
    yield f"- {say(in_words(budget(now)) if found is None else found.sentences)}"


def _kills(now: Snapshot, changes: Sequence[Change]) -> Iterator[str]:
    yield from _heading(tr("The next OOM victim"))
    before = predict(without(now, changes), BOX, KILLS)
    found = predict(now, BOX, KILLS)
    if before is None or found is None or before.first is None or found.first is None:
        yield tr("Unknown.")
        return
    first, was = plain(found.first.victim.unit, 60), plain(before.first.victim.unit, 60)
    if first == was:
        yield tr("{unit}, with the changes and without them.", unit=of_unit(first))
    else:
        yield tr("{unit}; without the changes {other}.", unit=of_unit(first), other=of_unit(was))
    yield from ("", "```")
    heads = (tr("WITHOUT THE CHANGES"), tr("NOW"))
    for line in prediction_text.side_by_side(before, found, (), WIDTH, KILLS, heads, say):
        yield line.rstrip()
    yield from ("```", "", tr("Both lists use the present sizes; stopped services are in neither."))


def _to_do(looked: Sequence[Looked]) -> Iterator[str]:
    yield from _heading(tr("What is still to do"))
    found = worst_first(looked)
    for each in found:
        yield f"- {say(each.sentence)}"
        for line in map(say, lines(each.finding.remedy)):
            # What is to be done by hand is prose, with backticks of its own.
            command = line.startswith(("sudo ", "lowmem-tui "))
            yield f"  `{plain(line, 1000)}`" if command else f"  {plain(line, 1000)}"
    manual = [(each.step.name, text) for each in looked if each.look for text in each.look.by_hand]
    for step, text in manual:
        words = of_text(" ".join(" ".join(map(say, lines(text))).split()), 1000)
        sentence = tr("by hand ({step}): {text}", step=step, text=words)
        yield f"- {sentence}"
    if not found and not manual:
        yield tr("No problem was found.")
