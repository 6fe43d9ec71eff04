"""The guided set-up as rows: the list of its steps, and the page of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.cells import cells, fit
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import msg
from lowmem_tui.model.setup import Severity, lines
from lowmem_tui.model.text import plain
from lowmem_tui.policy.setup_part import ON_TRIAL, WORTH_A_WORD, Stand
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text.item_row import ItemRow
from lowmem_tui.tui.text.unit_page import heading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.setup import Finding, Item, Lines, Look
    from lowmem_tui.policy.setup_part import Part
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.palette import Palette

NARROW = 60
"""Cells below which a step has no figures beside it, and an item has two lines."""

STATE = 13
"""Cells of how a step stands."""

BESIDE = STATE + 10
"""Cells of a step's line that are neither its title nor what was found."""

LEAST_FOUND = 12

MARKS = {Stand.TODO: "!", Stand.TRIAL: "~", Stand.DONE: "=", Stand.TROUBLE: "?", Stand.BY_HAND: "!"}
"""The state of a step, for the eye that runs down the list."""

SEVERITIES = {
    Severity.NOTE: msg("Note"),
    Severity.ADVICE: msg("Advice"),
    Severity.WARNING: msg("Warning"),
    Severity.PROBLEM: msg("Problem"),
}


# --- the list of steps --------------------------------------------------------------------------


def steps(parts: Sequence[Part], width: int, palette: Palette) -> Iterator[ItemRow]:
    """Yield a line for each step: its title, how it stands, what was found."""
    # What was found is shown whole below the list; of the titles there is no other place.
    room = max(12, width * 3 // 8, width - BESIDE - LEAST_FOUND)
    titles = min(max((cells(plain(tr(p.step.title))) for p in parts), default=0), room)
    for index, part in enumerate(parts):
        state = part.stand
        mark = MARKS.get(state, " ")
        text = Text(f" {mark} {index + 1:>2} {_cell(tr(part.step.title), titles)} ", no_wrap=True)
        style = palette.mark if state in {Stand.TODO, Stand.TRIAL} else palette.plain
        text.append(f" {_cell(say(part.words), STATE)}", style)
        if width >= NARROW:
            text.append(f"  {plain(say(part.found))}")
        yield ItemRow(text, index)


def _cell(text: str, width: int) -> str:
    return fit(plain(text, width), width)


# --- the page of one step -----------------------------------------------------------------------


def page(part: Part, width: int, palette: Palette) -> Iterator[ItemRow]:
    """Yield what a step is about, what is proposed, what was found, and what is still to do."""
    yield ItemRow(Text(f" {plain(tr(part.step.about), 4000)}"))
    look = part.look
    if part.on_trial:
        yield ItemRow(Text(f" {say(ON_TRIAL)}", style="bold"))
    if part.trouble:
        yield ItemRow(Text(f" ! {plain(say(part.trouble), 2000)}", style=BAD))
    if look is None:
        if not part.trouble:
            yield ItemRow(Text(" " + tr("Reading the configuration…")))
        return
    # What is asked comes before what led to it: on a small screen that alone fills the page.
    if look.items:
        yield ItemRow(heading(_proposed(part), width, palette))
        yield from items(part, width)
    yield from _found(look, width, palette)
    yield from _findings(look, width, palette)


def _found(look: Look, width: int, palette: Palette) -> Iterator[ItemRow]:
    """Yield what was found, and what the program cannot do."""
    if look.facts or look.absent:
        yield ItemRow(heading(tr("FOUND"), width, palette))
    if look.absent:
        yield ItemRow(Text(f" - {plain(say(look.absent), 2000)}", style="bold"))
    for fact in look.facts:
        yield ItemRow(Text(f" - {plain(say(fact), 2000)}"))
    if look.by_hand:
        yield ItemRow(heading(tr("BY HAND: THE PROGRAM CANNOT DO THIS"), width, palette))
        for words in look.by_hand:
            yield from _lines(words)


def _findings(look: Look, width: int, palette: Palette) -> Iterator[ItemRow]:
    """Yield what is wrong, the worst first, then the notes."""
    # What only repeats that an item has another value is not shown twice.
    asked = {item.key for item in look.items}
    wrong = [
        finding
        for finding in look.findings
        if finding.severity in WORTH_A_WORD
        and not (finding.severity is Severity.ADVICE and finding.subject in asked)
    ]
    notes = [finding for finding in look.findings if finding.severity is Severity.NOTE]
    if wrong or notes:
        title = tr("WHAT IS WRONG") if wrong else tr("WORTH KNOWING")
        yield ItemRow(heading(title, width, palette))
    rank = list(Severity).index
    for finding in (*sorted(wrong, key=lambda f: -rank(f.severity)), *notes):
        yield from _finding(finding)


def _proposed(part: Part) -> str:
    count = len(part.to_do())
    if not count:
        return tr("PROPOSED: NOTHING TO DO")
    return tr("PROPOSED: {n} TO DO", n=count)


def _lines(words: Lines) -> Iterator[ItemRow]:
    """Yield a text of several lines unchanged: it may be a file's."""
    first, *rest = lines(words) or ("",)
    yield ItemRow(Text(f" - {plain(say(first), 2000)}"))
    for line in rest:
        yield ItemRow(Text(f"     {plain(say(line), 2000)}"))


def _finding(finding: Finding) -> Iterator[ItemRow]:
    bad = finding.severity in {Severity.WARNING, Severity.PROBLEM}
    severity = SEVERITIES[finding.severity]
    words = tr("{subject}: {text}", subject=severity, text=finding.named)
    yield ItemRow(Text(f" ! {words}", style="bold" if bad else ""))


def items(part: Part, width: int) -> Iterator[ItemRow]:
    """Yield the items: selected or not, what it is about, what it is now and is to be."""
    shown = part.items
    titles = max((cells(plain(say(item.title))) for item in shown), default=0)
    unset = (item for item in shown if not part.is_so(item))
    nows = max((cells(plain(say(item.now))) for item in unset), default=0)
    nows = min(nows, max(8, width // 4))
    changes = max((cells(_change(part, item, nows)) for item in shown), default=0)
    titles = min(titles, max(width * 2 // 5, width - changes - 8))
    for index, item in enumerate(shown):
        first = f" {mark(part, item)} "
        if width < NARROW:
            yield ItemRow(Text(first + plain(say(item.title)), no_wrap=True), index)
            yield ItemRow(Text(f"     {_change(part, item, 0)}", no_wrap=True), index)
        else:
            change = _change(part, item, nows)
            yield ItemRow(
                Text(f"{first}{_cell(say(item.title), titles)}  {change}", no_wrap=True), index
            )


def mark(part: Part, item: Item) -> str:
    """Return the mark of an item: selected, not selected, or already set."""
    if part.is_so(item):
        return "[=]"
    return "[x]" if part.taken(item) else "[ ]"


def _change(part: Part, item: Item, nows: int) -> str:
    value = part.value(item) if part.takes.get(item.key, True) else item.value
    to = plain(value) or tr("unchanged")
    if len(item.choices) > 1:
        to = f"< {to} >"
    now = plain(say(item.now))
    if part.is_so(item):
        if len(item.choices) < 2 or not value:
            return tr("{value}, already set", value=now)
        return f"{to} {now}" if now != plain(value) else tr("{value} already set", value=to)
    return f"{_cell(now, nows) if nows else now} -> {to}"


def why(part: Part, index: int, glyphs: Glyphs) -> list[Text]:
    """Return why an item is proposed, and what else it may be."""
    shown = part.items
    if not 0 <= index < len(shown):
        return []
    item = shown[index]
    lines = [Text(f" {plain(say(item.why), 4000)}")]
    if len(item.choices) > 1:
        choices = (plain(c) or tr("unchanged") for c in item.choices)
        joined = f" {glyphs.dot} ".join(choices)
        lines.append(Text(" " + tr("Choices: {choices}", choices=joined)))
    return lines
