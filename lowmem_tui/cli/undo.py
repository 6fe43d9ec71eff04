"""`lowmem-tui undo`: undo a change, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.cli.apply import report, say_settled
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.cli.output import tell
from lowmem_tui.model.language import tr

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> Exit:
    """Undo; FINDINGS if files, systemd and the kernel do not agree afterwards."""
    backend = open_backend(options)
    try:
        say_settled(backend)
        outcome = backend.undo(options.id, force=options.force, with_later=options.with_later)
    finally:
        backend.close()
    tell([tr("Undone."), *report(outcome)])
    return Exit.DONE if outcome.well else Exit.FINDINGS
