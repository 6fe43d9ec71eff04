"""`lowmem-tui check`: what is wrong with this server for its memory, each with its remedy."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.cli import json_view, sudo
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.looking import look
from lowmem_tui.cli.open import open_backend
from lowmem_tui.model.language import say
from lowmem_tui.model.setup import Severity, lines
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from lowmem_tui.cli.looking import Looked
    from lowmem_tui.model.setup import Finding

ORDER = (Severity.PROBLEM, Severity.WARNING, Severity.ADVICE)
"""What is told, the worst first; notes are for the wizard's pages."""


class Told(NamedTuple):
    """A finding, and the step that made it."""

    step: str
    finding: Finding

    @property
    def sentence(self) -> str:
        """What is wrong, and where; its subject is not said twice."""
        finding = self.finding
        return f"{finding.severity} ({self.step}): {plain(say(finding.named), 2000)}"


def run(options: argparse.Namespace) -> Exit:
    """Print the findings; FINDINGS if there are any."""
    backend = open_backend(options, read_only=True)
    try:
        looked = look(backend)
    finally:
        backend.close()
    found = worst_first(looked)
    if options.json:
        json_view.write(as_json(found))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
        for line in describe(found, max(40, width), sudo.command(demo=options.demo)):
            print(line)
    return Exit.FINDINGS if found else Exit.DONE


def worst_first(looked: Iterable[Looked]) -> list[Told]:
    """Return the findings worth a word, the worst first, of equals in the steps' order."""
    found = [
        Told(each.step.name, finding)
        for each in looked
        if each.look is not None
        for finding in each.look.findings
        if finding.severity in ORDER
    ]
    return sorted(found, key=lambda told: ORDER.index(told.finding.severity))


def as_json(found: Sequence[Told]) -> dict[str, object]:
    """Return the findings as cli.md's contract has it."""
    return {"findings": [_as_json(each) for each in found]}


def _as_json(each: Told) -> dict[str, object]:
    finding = each.finding
    return {
        "step": each.step,
        "code": finding.code,
        "severity": finding.severity,
        "subject": finding.subject,
        "text": str(finding.text),
        "remedy": "\n".join(map(str, lines(finding.remedy))),
    }


def describe(found: Sequence[Told], width: int, program: str = "sudo lowmem-tui") -> Iterator[str]:
    """Yield the findings for a person; ``program`` is what is to be typed to run this one."""
    for told in found:
        text = told.sentence
        yield from textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
        for line in lines(told.finding.remedy):
            yield f"  -> {plain(say(line), 2000)}"
    if not found:
        yield "Nothing is wrong that lowmem-tui looks for."
    else:
        counts = [sum(f.severity is s for _, f in found) for s in ORDER]
        named = ("problem", "warning", "piece of advice")
        many = ("problems", "warnings", "pieces of advice")
        parts = [f"{n} {named[i] if n == 1 else many[i]}" for i, n in enumerate(counts) if n]
        yield ""
        yield f"{', '.join(parts)}. `{program} setup` goes through all of it."
