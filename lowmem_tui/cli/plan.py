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
from lowmem_tui.model.plan import When
from lowmem_tui.model.text import plain
from lowmem_tui.policy.merge import merged
from lowmem_tui.policy.plan import ALREADY, one_value_each, parse_set, plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.plan import FileChange, Notice, Plan

_WHEN = {
    When.LIVE: "at once",
    When.RELOAD: "when systemd reloads",
    When.RESTART: "at the unit's next start",
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
    say(refused)
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
        yield "Nothing to do: it is so already."
    if made.effects:
        yield ""
    for e in made.effects:
        yield plain(f"{e.unit}: {e.key} {e.from_} -> {e.to}, {_WHEN[e.when]}")
    for action in made.actions:
        yield plain(f"then: {action.described}", 200)
    yield from warned(made.warnings)


def warned(warnings: Iterable[Notice]) -> Iterator[str]:
    """Yield warnings for a person; what is so already, if it is much, in one sentence."""
    found = list(warnings)
    already = [notice for notice in found if notice.code == ALREADY]
    if len(already) > 1:
        found = [notice for notice in found if notice.code != ALREADY]
        units: dict[str, list[str]] = {}
        for notice in already:
            setting = dict(notice.message.values)["setting"].value
            units.setdefault(notice.unit, []).append(str(setting))
        named = "; ".join(f"{unit} {', '.join(keys)}" for unit, keys in units.items())
        text = f"{len(already)} settings are so already, and nothing is changed there: {named}."
        yield shown(plain(f"warning ({ALREADY}): {text}"), sys.stdout)
    for notice in found:
        yield shown(plain(f"warning ({notice.code}): {language.say(notice.named)}"), sys.stdout)


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


def say(refusals: Iterable[Notice]) -> None:
    """Tell on standard error what is refused, and whether it can be overruled."""
    for notice in refusals:
        forced = " (--force goes on all the same)" if notice.forceable else ""
        talk(plain(f"refused ({notice.code}): {language.say(notice.named)}{forced}"))
