"""A plan and its outcome, as lines for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.cells import cells, fit
from lowmem_tui.model.language import say, spaced, tr
from lowmem_tui.model.message import (
    as_message,
    msg,
    of_path,
    of_setting,
    of_unit,
    plural,
    sentences,
)
from lowmem_tui.model.plan import Phase, When
from lowmem_tui.model.text import plain
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text.diff import difference
from lowmem_tui.tui.text.unit_page import heading

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from lowmem_tui.model.plan import Action, Effect, Outcome, Plan
    from lowmem_tui.tui.terminal.palette import Palette

WHEN = {
    When.LIVE: msg("live, at once"),
    When.RELOAD: msg("at reload"),
    When.RESTART: msg("at its next start"),
}


def of_plan(
    plan: Plan,
    width: int,
    palette: Palette,
    fates: Sequence[Text] = (),
    beside: Sequence[Text] = (),
) -> list[Text]:
    """Return what would be done: refusals first, then warnings, effects and files.

    ``fates`` are the next OOM victims; ``beside`` is the kill order now and after: the files, which
    are what is being agreed to, come before it.
    """
    lines: list[Text] = []
    if plan.refusals:
        lines.append(heading(tr("REFUSED"), width, palette))
        for r in plan.refusals:
            how = msg('To override: press a and type "yes".') if r.forceable else None
            lines.append(Text(f" ! {say(sentences(r.named, how))}", style=BAD))
    if plan.warnings:
        lines.append(heading(tr("WARNINGS"), width, palette))
        lines += [Text(f" ! {say(w.named)}") for w in plan.warnings]
    if plan.effects:
        lines.append(heading(tr("WHAT CHANGES, AND WHEN"), width, palette))
        lines += effects(plan.effects, width)
    if plan.actions:
        lines.append(heading(tr("WHAT IS DONE, IN THIS ORDER"), width, palette))
        lines += actions(plan.actions, len(plan.files))
    if fates:
        lines += [heading(tr("OOM KILL ORDER"), width, palette), *fates]
    for change in plan.files:
        lines.append(heading(tr("FILE"), width, palette))
        lines += difference(change)
    if beside:
        lines += [heading(tr("OOM KILL ORDER, NOW AND AFTER"), width, palette), *beside]
    if plan.empty and not plan.refusals:
        lines.append(Text(" " + tr("Nothing to do: everything is already set.")))
    return lines


def of_notices(plan: Plan, units: Container[str], *, named: bool) -> Iterator[Text]:
    """Yield what is refused of these units, then what is warned of; ``named``: with the unit."""
    for r in plan.refusals:
        if r.unit in units:
            words = as_message(r.named if named else r.message)
            refused = tr("REFUSED: {why}", why=words)
            if r.forceable:
                refused = tr("REFUSED, unless overridden: {why}", why=words)
            yield Text(f" {refused}", style=BAD)
    warning = spaced(tr("Warning:"))
    for w in plan.warnings:
        if w.unit in units:
            yield Text.assemble((f" {warning}", "bold"), say(w.named if named else w.message))


def actions(rows: Iterable[Action], files: int) -> Iterator[Text]:
    """Yield what is done besides the files, and where among it their turn comes."""
    done = sorted(rows, key=lambda action: list(Phase).index(action.phase))
    early = [say(action.described) for action in done if action.phase is Phase.EARLY]
    later = [say(action.described) for action in done if action.phase is not Phase.EARLY]
    written = plural("change the file below", "change the {n} files below", files)
    for number, words in enumerate([*early, *([say(written)] if files else ()), *later], 1):
        yield Text(f" {number:>2}  {plain(words)}")


def effects(rows: tuple[Effect, ...], width: int) -> Iterator[Text]:
    """Yield a table where there is room for one, else two lines for each."""
    units = max((cells(plain(e.unit)) for e in rows), default=0)
    values = max((cells(f"{plain(e.from_)} -> {plain(e.to)}") for e in rows), default=0)
    whens = max(cells(say(when)) for when in WHEN.values())
    wide = units + 1 + 14 + 1 + values + 2 + whens < width
    for e in rows:
        change = f"{plain(e.from_)} -> {plain(e.to)}"
        when = (say(WHEN[e.when]), "bold" if e.when is When.RESTART else "")
        if wide:
            yield Text.assemble(
                f" {fit(plain(e.unit), units)} {e.key:<14} {fit(change, values)}  ",
                when,
                no_wrap=True,
            )
        else:
            yield Text(f" {plain(e.unit)}")
            yield Text.assemble(f"   {e.key} {change}" + spaced(tr(",")), when)


def of_outcome(outcome: Outcome, *, restored: bool = False) -> list[Text]:
    """Return what was done, what waits, and what failed the verification; after an undo or not."""
    lines: list[Text] = []
    for m in outcome.mismatches:
        differs = tr(
            "{setting} of {unit} is not {wanted}.",
            setting=of_setting(m.key),
            unit=of_unit(m.unit),
            wanted=m.wanted,
        )
        lines.append(Text(f" ! {differs}", style=BAD))
        now = msg(
            "Now: file {declared}, systemd {loaded}, kernel {kernel}.",
            declared=m.declared,
            loaded=m.loaded,
            kernel=m.kernel,
        )
        lines.append(Text(f"   {say(sentences(as_message(m.cause), now))}"))
    lines += [Text(f" ! {say(words)}", style=BAD) for words in outcome.down]
    for path in outcome.files:
        if path in outcome.removed:
            lines.append(Text(" " + tr("Removed: {path}", path=of_path(path))))
        elif restored:
            lines.append(Text(" " + tr("Restored: {path}", path=of_path(path))))
        else:
            lines.append(Text(" " + tr("Written: {path}", path=of_path(path))))
    for sentence in outcome.live:
        lines.append(Text(" " + tr("Live: {what}", what=as_message(sentence))))
    for action in outcome.done:
        lines.append(Text(" " + tr("Done: {what}", what=action)))
    waits = spaced(tr("Waits:"))
    lines += [
        Text.assemble((f" {waits}", "bold"), plain(say(sentence))) for sentence in outcome.pending
    ]
    if not outcome.mismatches:
        agree = tr("Verified: the files, systemd and the kernel agree.")
        lines.append(Text(f" {agree}", style="bold"))
    return lines
