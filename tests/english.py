"""What the steps of the set-up have to say, in English: messages as the words that tests assert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model import setup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.ports import Step


@dataclass(frozen=True, slots=True)
class Finding(setup.Finding):
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Item(setup.Item):
    title: str
    now: str
    why: str


@dataclass(frozen=True, slots=True)
class Look(setup.Look):
    facts: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    findings: tuple[Finding, ...] = ()
    by_hand: tuple[str, ...] = ()
    absent: str = ""


class EnglishStep:
    """A step whose looks are in English."""

    def __init__(self, step: Step) -> None:
        self.of = step
        self.name, self.title, self.about = step.name, step.title, step.about

    def look(self) -> Look:
        return look(self.of.look())

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        return self.of.plan(wishes)


def look(found: setup.Look) -> Look:
    return Look(
        facts=tuple(map(str, found.facts)),
        items=tuple(item(each) for each in found.items),
        findings=tuple(findings(found.findings)),
        by_hand=tuple(text(each) for each in found.by_hand),
        absent=str(found.absent),
    )


def findings(found: Iterable[setup.Finding]) -> list[Finding]:
    return [Finding(f.code, f.severity, f.subject, str(f.text), text(f.remedy)) for f in found]


def item(found: setup.Item) -> Item:
    return Item(
        found.key,
        str(found.title),
        str(found.now),
        found.value,
        str(found.why),
        found.choices,
        found.taken,
        found.done,
    )


def text(words: setup.Lines) -> str:
    return "\n".join(map(str, setup.lines(words)))
