"""`lowmem-tui plan`: what would be written, and what it would do; nothing is touched."""

from __future__ import annotations

import difflib
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from lowmem_tui.cli import json_view
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.cli.output import shown, talk
from lowmem_tui.cli.policy import read_policy, step_plans
from lowmem_tui.cli.rules import rules_for
from lowmem_tui.model import language
from lowmem_tui.model.message import (
    N_,
    Message,
    as_value,
    msg,
    of_setting,
    of_unit,
    sentences,
)
from lowmem_tui.model.plan import When
from lowmem_tui.model.text import plain
from lowmem_tui.policy.merge import merged
from lowmem_tui.policy.plan import ALREADY, one_value_each, parse_set, plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.plan import Effect, FileChange, Notice, Plan

_WHEN = {
    When.LIVE: N_("{unit}: {key} {before} -> {after}, at once"),
    When.RELOAD: N_("{unit}: {key} {before} -> {after}, when systemd reloads"),
    When.RESTART: N_("{unit}: {key} {before} -> {after}, at the unit's next start"),
}


def run(options: argparse.Namespace) -> Exit:
    """Print the plan; REFUSED if a check would refuse it."""
    backend = open_backend(options, read_only=True)
    try:
        made = make(backend, options)
    finally:
        backend.close()
    if options.json:
        json_view.write(as_json(made))
    else:
        for line in describe(made):
            print(line)
    refused = made.refused(options.force)
    report_refusals(refused)
    return Exit.REFUSED if refused else Exit.DONE


def make(backend: ServerBackend, options: argparse.Namespace) -> Plan:
    """Make the plan for what ``--set`` or ``--policy`` asks.

    Raises InvalidValueError, ManagerError.
    """
    rules = rules_for(demo=backend.demo)
    others: list[Plan] = []
    if options.policy is None:
        edits = [parse_set(text) for text in options.sets]
    else:
        asked = read_policy(backend, options.policy)
        edits = list(asked.policy.edits)
        rules = rules.with_config(asked.policy.tiers + rules.config)
        others = step_plans(backend, asked)
    situation = backend.situation(dict.fromkeys(edit.unit for edit in edits))
    one_value_each(edits, situation)
    made = plan(
        edits, situation, rules.tiers(situation), at_restart=getattr(options, "at_restart", False)
    )
    return merged([made, *others])


def as_json(made: Plan) -> dict[str, object]:
    """Return the plan as cli.md's contract has it."""
    return {
        "files": [asdict(change) for change in made.files],
        "effects": [json_view.effect(e) for e in made.effects],
        "actions": [json_view.action(a.public) for a in made.actions],
        "warnings": [json_view.notice(n) for n in made.warnings],
        "refusals": [json_view.notice(n) for n in made.refusals],
    }


def describe(made: Plan) -> Iterator[str]:
    """Yield the plan as lines for a person: the diffs, the effects, the warnings."""
    for change in made.files:
        yield from difference(change)
    if made.empty and not made.refusals:
        yield language.tr("Nothing to do: it is already set.")
    if made.effects:
        yield ""
    for e in made.effects:
        yield _effect(e)
    for action in made.actions:
        yield plain(language.tr("Then: {action}", action=action.described), 200)
    yield from warned(made.warnings)


def warned(warnings: Iterable[Notice]) -> Iterator[str]:
    """Yield warnings for a person; several settings that are already set in one sentence."""
    found = list(warnings)
    already = [notice for notice in found if notice.code == ALREADY]
    if len(already) > 1:
        found = [notice for notice in found if notice.code != ALREADY]
        units: dict[str, list[str]] = {}
        for notice in already:
            setting = dict(notice.message.values)["setting"].value
            units.setdefault(notice.unit, []).append(str(setting))
        named = "; ".join(f"{unit} {', '.join(keys)}" for unit, keys in units.items())
        text = msg(
            "{count} settings are already set, nothing is changed there: {settings}.",
            count=len(already),
            settings=named,
        )
        yield _warning(ALREADY, text)
    for notice in found:
        yield _warning(notice.code, notice.named)


def _effect(e: Effect) -> str:
    named = {"unit": of_unit(e.unit), "key": of_setting(e.key)}
    values = {"before": as_value(str(e.from_)), "after": as_value(str(e.to))}
    return plain(language.say(Message(_WHEN[e.when], tuple((named | values).items()))))


def _warning(code: str, text: Message) -> str:
    return shown(language.tr("warning ({code}): {text}", code=code, text=text), sys.stdout)


def difference(change: FileChange) -> Iterator[str]:
    """Yield a file's change as a unified diff."""
    before = (change.before or "").splitlines()
    after = (change.after or "").splitlines()
    for line in difflib.unified_diff(
        before,
        after,
        change.path if change.before is not None else "/dev/null",
        change.path if change.after is not None else "/dev/null",
        lineterm="",
    ):
        yield plain(line)


def report_refusals(refusals: Iterable[Notice]) -> None:
    """Report on standard error what is refused, and whether that can be overridden."""
    for notice in refusals:
        code, text = notice.code, notice.named
        if notice.forceable:
            text = sentences(text, msg("Pass --force to override this check."))
        talk(msg("refused ({code}): {text}", code=code, text=text))
