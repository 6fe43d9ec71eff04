"""`lowmem-tui setup`: the guided first hour, as screens, as a policy file, as a report."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.looking import look
from lowmem_tui.cli.open import open_backend
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import msg, of_bytes, of_list, of_text
from lowmem_tui.policy.files.policy_text import Part, render
from lowmem_tui.setup.steps import STEPS

if TYPE_CHECKING:
    import argparse

    from lowmem_tui.cli.backend import ServerBackend


def run(options: argparse.Namespace) -> Exit:
    """Open the wizard, print the policy file that the defaults would make, or write the report.

    Raises InvalidValueError for a step that is none, and as the screen does.
    """
    if options.step is not None and options.step not in STEPS:
        raise InvalidValueError(
            msg(
                "There is no step '{step}': use one of {steps}.",
                step=of_text(options.step, 40),
                steps=of_list(STEPS),
            )
        )
    if options.print:
        return _print(options)
    if options.report is not None:
        return _report(options)
    from lowmem_tui.cli import screen

    return screen.run(options, start=f"setup/{options.step}" if options.step else "setup")


def _print(options: argparse.Namespace) -> Exit:
    backend = open_backend(options, read_only=True)
    try:
        sys.stdout.write(proposal(backend, options.step))
    finally:
        backend.close()
    return Exit.DONE


def _report(options: argparse.Namespace) -> Exit:
    from lowmem_tui.cli import report

    backend = open_backend(options, read_only=True)
    try:
        report.write(backend, options.report)
    finally:
        backend.close()
    return Exit.DONE


def proposal(backend: ServerBackend, only: str | None = None) -> str:
    """Return the policy file that the defaults of the steps (of one alone) would make."""
    parts = [
        Part(each.step.name, tr(each.step.title), each.look, each.trouble)
        for each in look(backend)
        if only in {None, each.step.name}
    ]
    host = backend.look().host
    where = msg(
        "{host} ({ram} of RAM, {swap} of swap)",
        host=of_text(host.hostname, 60),
        ram=of_bytes(host.mem_total),
        swap=of_bytes(host.swap_total),
    )
    if backend.demo:
        where = msg("the demo server {host}", host=where)
    return render(parts, where, say)
