"""`lowmem-tui check`: what is wrong with this server for its memory, each with its remedy."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.cli import json_view, sudo
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.looking import look
from lowmem_tui.cli.open import open_backend
from lowmem_tui.model.cells import wrap
from lowmem_tui.model.language import english, say, tr
from lowmem_tui.model.message import N_, msg, of_list, plural
from lowmem_tui.model.setup import Severity, lines
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from lowmem_tui.cli.looking import Looked
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.setup import Finding

ORDER = (Severity.PROBLEM, Severity.WARNING, Severity.ADVICE)
"""What is reported, the worst first; notes are for the pages of the set-up."""


SEVERITIES = {
    Severity.PROBLEM: N_("problem"),
    Severity.WARNING: N_("warning"),
    Severity.ADVICE: N_("advice"),
}


class Found(NamedTuple):
    """A finding, and the step that made it."""

    step: str
    finding: Finding

    @property
    def sentence(self) -> Message:
        """What is wrong, and where; a subject that the text names already is not repeated."""
        return msg(
            "{severity} ({step}): {text}",
            severity=tr(SEVERITIES[self.finding.severity]),
            step=self.step,
            text=self.finding.named,
        )


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


def worst_first(looked: Iterable[Looked]) -> list[Found]:
    """Return the findings worth a word, the worst first, of equals in the steps' order."""
    found = [
        Found(each.step.name, finding)
        for each in looked
        if each.look is not None
        for finding in each.look.findings
        if finding.severity in ORDER
    ]
    return sorted(found, key=lambda each: ORDER.index(each.finding.severity))


def as_json(found: Sequence[Found]) -> dict[str, object]:
    """Return the findings as cli.md's contract has it."""
    return {"findings": [_as_json(each) for each in found]}


def _as_json(each: Found) -> dict[str, object]:
    finding = each.finding
    return {
        "step": each.step,
        "code": finding.code,
        "severity": finding.severity,
        "subject": finding.subject,
        "text": english(finding.text),
        "remedy": "\n".join(map(english, lines(finding.remedy))),
    }


def describe(found: Sequence[Found], width: int, program: str = "sudo lowmem-tui") -> Iterator[str]:
    """Yield the findings for a person; ``program`` is what is to be typed to run this one."""
    for each in found:
        yield from wrap(say(each.sentence), width, then="  ")
        for line in lines(each.finding.remedy):
            yield f"  -> {plain(say(line), 2000)}"
    if not found:
        yield tr("No problem was found.")
        return
    counts = [sum(f.severity is s for _, f in found) for s in ORDER]
    named = (
        plural("{n} problem", "{n} problems", counts[0]),
        plural("{n} warning", "{n} warnings", counts[1]),
        plural("{n} piece of advice", "{n} pieces of advice", counts[2]),
    )
    parts = [words for n, words in zip(counts, named, strict=True) if n]
    yield ""
    yield tr(
        "{counts}. `{command}` goes through all of it.",
        counts=of_list(parts),
        command=f"{program} setup",
    )
