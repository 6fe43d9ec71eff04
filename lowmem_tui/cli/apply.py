"""`lowmem-tui apply`: write the drop-ins, reload once, set the kernel's values, verify."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.cli.output import talk, tell
from lowmem_tui.cli.plan import describe, make, say
from lowmem_tui.model.errors import InvalidValueError, NotPermittedError
from lowmem_tui.model.text import plain
from lowmem_tui.model.trial import KEEP_OR_UNDO

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.plan import Outcome
    from lowmem_tui.model.ports import Backend


def run(options: argparse.Namespace) -> Exit:
    """Apply what is asked for, after showing it; FINDINGS if something did not come out."""
    if options.at_restart and options.trial is not None:
        raise InvalidValueError(
            "--at-restart and --trial cannot be combined: what waits for a restart is not on trial."
        )
    backend = open_backend(options)
    trial = None
    try:
        say_settled(backend)
        made = make(backend, options)
        for line in describe(made):
            print(line)
        if refused := made.refused(options.force):
            say(refused)
            return Exit.REFUSED
        if made.empty:
            return Exit.DONE
        if backend.cannot_change:
            raise NotPermittedError(backend.cannot_change)
        sys.stdout.flush()  # what cannot be shown is not applied
        if not options.yes and not _agreed():
            print("Nothing was changed.", file=sys.stderr)
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
        raise InvalidValueError("Nobody is there to agree: give --yes to apply without a question.")
    print("Apply this? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def say_settled(backend: Backend) -> None:
    """Finish or put back what was interrupted, or only tell of it, on standard error."""
    for sentence in backend.settle():
        talk(plain(sentence, 2000))


def trial_line(trial: Trial) -> str:
    """Return who tries what, for how long yet, and what can be done about it."""
    until = time.strftime("%H:%M:%S", time.localtime(trial.deadline))
    note = f" ({trial.note})" if trial.note else ""
    return plain(
        f"On trial until {until}, {trial.left:.0f} s left: {', '.join(trial.units)}, by "
        f"{trial.by}{note}. {KEEP_OR_UNDO}.",
        1000,
    )


def report(outcome: Outcome) -> Iterator[str]:
    """Yield what was done, and what is not as asked, for a person."""
    yield ""
    for path in outcome.files:
        yield plain(f"{'removed' if path in outcome.removed else 'written'}: {path}")
    for sentence in outcome.live:
        yield plain(sentence)
    for sentence in outcome.pending:
        yield plain(sentence)
    yield from outcome.down
    for m in outcome.mismatches:
        yield plain(
            f"not as asked: {m.unit} {m.key}: wanted {m.wanted}; declared {m.declared}, "
            f"loaded {m.loaded}, kernel {m.kernel}: {m.cause}"
        )
    if not outcome.mismatches:
        yield "Verified: the files, systemd and the kernel agree."
