"""A plan and its outcome, as lines for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.language import say
from lowmem_tui.model.plan import Phase, When
from lowmem_tui.model.text import plain
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text.diff import difference
from lowmem_tui.tui.text.unit_page import heading

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from lowmem_tui.model.plan import Action, Effect, Outcome, Plan
    from lowmem_tui.tui.terminal.palette import Palette

WHEN = {When.LIVE: "live, at once", When.RELOAD: "at reload", When.RESTART: "at its next start"}


def of_plan(
    plan: Plan,
    width: int,
    palette: Palette,
    fates: Sequence[Text] = (),
    beside: Sequence[Text] = (),
) -> list[Text]:
    """Return what would be done: refusals first, then warnings, effects and files.

    ``fates`` say who dies first then; ``beside`` is the kill order now and then: the files, which
    are what is being agreed to, come before it.
    """
    lines: list[Text] = []
    if plan.refusals:
        lines.append(heading("REFUSED", width, palette))
        for r in plan.refusals:
            how = "Apply asks for a word to do it all the same." if r.forceable else ""
            lines.append(Text(f" ! {say(r.named)} {how}", style=BAD))
    if plan.warnings:
        lines.append(heading("WARNINGS", width, palette))
        lines += [Text(f" ! {say(w.named)}") for w in plan.warnings]
    if plan.effects:
        lines.append(heading("WHAT CHANGES, AND WHEN", width, palette))
        lines += effects(plan.effects, width)
    if plan.actions:
        lines.append(heading("WHAT IS DONE, IN THIS ORDER", width, palette))
        lines += actions(plan.actions, len(plan.files))
    if fates:
        lines += [heading("WHO DIES FIRST", width, palette), *fates]
    for change in plan.files:
        lines.append(heading("FILE", width, palette))
        lines += difference(change)
    if beside:
        lines += [heading("THE KILL ORDER, NOW AND THEN", width, palette), *beside]
    if plan.empty and not plan.refusals:
        lines.append(Text(" Nothing to do: it is so already."))
    return lines


def of_notices(plan: Plan, units: Container[str], *, named: bool) -> Iterator[Text]:
    """Yield what is refused of these units, then what is warned of; ``named`` says of which."""
    for r in plan.refusals:
        if r.unit in units:
            word = "REFUSED, unless forced" if r.forceable else "REFUSED"
            yield Text(f" {word}: {say(r.named if named else r.message)}", style=BAD)
    for w in plan.warnings:
        if w.unit in units:
            yield Text.assemble((" Warning: ", "bold"), say(w.named if named else w.message))


def actions(rows: Iterable[Action], files: int) -> Iterator[Text]:
    """Yield what is done besides the files, and where among it their turn comes."""
    done = sorted(rows, key=lambda action: list(Phase).index(action.phase))
    early = [action.described for action in done if action.phase is Phase.EARLY]
    later = [action.described for action in done if action.phase is not Phase.EARLY]
    written = ["change the file below" if files == 1 else f"change the {files} files below"]
    for number, words in enumerate([*early, *(written if files else ()), *later], 1):
        yield Text(f" {number:>2}  {plain(words)}")


def effects(rows: tuple[Effect, ...], width: int) -> Iterator[Text]:
    """Yield a table where there is room for one, else two lines for each."""
    units = max((len(plain(e.unit)) for e in rows), default=0)
    values = max((len(f"{plain(e.from_)} -> {plain(e.to)}") for e in rows), default=0)
    wide = units + 1 + 14 + 1 + values + 2 + len(max(WHEN.values(), key=len)) < width
    for e in rows:
        change = f"{plain(e.from_)} -> {plain(e.to)}"
        when = (WHEN[e.when], "bold" if e.when is When.RESTART else "")
        if wide:
            yield Text.assemble(
                f" {plain(e.unit):<{units}} {e.key:<14} {change:<{values}}  ", when, no_wrap=True
            )
        else:
            yield Text(f" {plain(e.unit)}")
            yield Text.assemble(f"   {e.key} {change}, ", when)


def of_outcome(outcome: Outcome, touched: str = "Written") -> list[Text]:
    """Return what was done, what waits, and what is not as asked."""
    lines: list[Text] = []
    for m in outcome.mismatches:
        lines.append(Text(f" ! {plain(m.unit)} {m.key} is not {plain(m.wanted)}.", style=BAD))
        values = f"file {m.declared}, systemd {m.loaded}, kernel {m.kernel}"
        lines.append(Text(f"   {plain(m.cause)} Now: {plain(values)}."))
    lines += [Text(f" ! {words}", style=BAD) for words in outcome.down]
    for path in outcome.files:
        did = "Removed" if path in outcome.removed else touched
        lines.append(Text(f" {did}: {plain(path)}"))
    for sentence in outcome.live:
        # An action's is not the kernel's value of something that runs.
        action = sentence.removeprefix("done: ")
        label = "Done" if action != sentence else "Live"
        lines.append(Text(f" {label}: {plain(action)}"))
    lines += [Text.assemble((" Waits: ", "bold"), plain(sentence)) for sentence in outcome.pending]
    if not outcome.mismatches:
        lines.append(Text(" Verified: the files, systemd and the kernel agree.", style="bold"))
    return lines
