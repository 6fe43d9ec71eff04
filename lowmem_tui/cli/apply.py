"""`lowmem-tui apply`: write the drop-ins, reload once, set the kernel's values, verify."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.cli.output import talk, tell
from lowmem_tui.cli.plan import describe, make, report_refusals
from lowmem_tui.model import language
from lowmem_tui.model.errors import InvalidValueError, NotPermittedError
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import msg, of_list, of_unit
from lowmem_tui.model.text import plain
from lowmem_tui.policy import outcome_text
from lowmem_tui.policy.change_text import noted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.plan import Outcome
    from lowmem_tui.model.ports import Backend


def run(options: argparse.Namespace) -> Exit:
    """Apply what is asked for, after showing it; FINDINGS if verification failed."""
    if options.at_restart and options.trial is not None:
        raise InvalidValueError(
            msg(
                "--at-restart and --trial cannot be combined: a change that applies at a "
                "restart cannot be on trial."
            )
        )
    backend = open_backend(options)
    trial = None
    try:
        say_settled(backend)
        made = make(backend, options)
        for line in describe(made):
            print(line)
        if refused := made.refused(options.force):
            report_refusals(refused)
            return Exit.REFUSED
        if made.empty:
            return Exit.DONE
        if backend.cannot_change:
            raise NotPermittedError(backend.cannot_change)
        sys.stdout.flush()  # what cannot be shown is not applied
        if not options.yes and not _agreed():
            talk(tr("Nothing was changed."))
            return Exit.REFUSED
        outcome = backend.apply(made, force=options.force, trial=options.trial, note=options.note)
        trial = backend.trial()
    finally:
        backend.close()
    # The demo server ends with this command, and its trial with it.
    tell(_made(outcome, None if options.demo else trial))
    return Exit.DONE if outcome.well else Exit.FINDINGS


def _made(outcome: Outcome, trial: Trial | None) -> Iterator[str]:
    yield from report(outcome)
    if trial is not None:
        yield trial_line(trial)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise InvalidValueError(msg("There is no terminal to confirm on: pass --yes."))
    print(tr("Apply this? [y/N]"), end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def say_settled(backend: Backend) -> None:
    """Finish or roll back what was interrupted, or only report it, on standard error."""
    for sentence in backend.settle():
        talk(plain(language.say(sentence), 2000))


def trial_line(trial: Trial) -> str:
    """Return what is on trial, for how long, and what can be done about it."""
    until = time.strftime("%H:%M:%S", time.localtime(trial.deadline))
    left, units = round(trial.left), of_list(map(of_unit, trial.units))
    if trial.note:
        line = tr(
            "On trial until {time} ({seconds} s left): {units}, started by {by}. Note: {note}. "
            "`lowmem-tui confirm` keeps it, `lowmem-tui undo` undoes it.",
            time=until,
            seconds=left,
            units=units,
            by=trial.by.message,
            note=noted(trial.note),
        )
    else:
        line = tr(
            "On trial until {time} ({seconds} s left): {units}, started by {by}. "
            "`lowmem-tui confirm` keeps it, `lowmem-tui undo` undoes it.",
            time=until,
            seconds=left,
            units=units,
            by=trial.by.message,
        )
    return plain(line, 1000)


def report(outcome: Outcome) -> Iterator[str]:
    """Yield what was done, and what could not be verified, for a person."""
    yield ""
    for sentence in outcome_text.report(outcome):
        yield plain(language.say(sentence))
