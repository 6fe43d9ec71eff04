"""What applying or undoing a change has done, in words: for the commands and the dialogue; pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lowmem_tui.model.message import as_message, msg, of_path, of_text, of_unit
from lowmem_tui.model.trial import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Edit, Outcome

WIDEST = 2000
"""Cells of one value within a sentence."""


def report(outcome: Outcome) -> Iterator[Message]:
    """Yield what was done, what waits, and what could not be verified."""
    for path in outcome.files:
        if path in outcome.removed:
            yield msg("Removed: {path}", path=of_path(path))
        else:
            yield msg("Written: {path}", path=of_path(path))
    yield from map(as_message, (*outcome.live, *outcome.pending, *outcome.down))
    for action in outcome.done:
        yield msg("Done: {action}", action=action)
    for m in outcome.mismatches:
        yield msg(
            "Verification failed: {key} of {unit} is not {wanted}. The files have {declared}, "
            "systemd has {loaded}, the kernel has {kernel}. {cause}",
            key=str(m.key),
            unit=of_unit(m.unit),
            wanted=of_text(str(m.wanted), WIDEST),
            declared=of_text(str(m.declared), WIDEST),
            loaded=of_text(str(m.loaded), WIDEST),
            kernel=of_text(str(m.kernel), WIDEST),
            cause=as_message(m.cause),
        )
    if not outcome.mismatches:
        yield msg("Verified: the files, systemd and the kernel agree.")


def command(program: str, edits: Iterable[Edit], *, trial: bool) -> str:
    """Return the command that applies just these edits; ``program`` is what root is to type."""
    sets = (f"{edit.unit}:{edit.key}={edit.value or ''}" for edit in edits)
    options = [f"--trial {USUAL}"] if trial else []
    return " ".join((program, "apply", *options, *(f"--set {shlex.quote(s)}" for s in sets)))
