"""`lowmem-tui confirm`: keep the change that is on trial, from any login."""

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
    """Keep the trial; FINDINGS if verification failed."""
    backend = open_backend(options)
    try:
        say_settled(backend)
        outcome = backend.confirm()
    finally:
        backend.close()
    tell([tr("Confirmed: the change is permanent."), *report(outcome)])
    return Exit.DONE if outcome.well else Exit.FINDINGS
