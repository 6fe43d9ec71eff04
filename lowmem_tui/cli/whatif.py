"""`lowmem-tui whatif`: the OOM kill order, now and after changes; nothing is written."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.cli import json_view
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.cli.output import talk
from lowmem_tui.cli.plan import report_refusals, warned
from lowmem_tui.cli.rules import rules_for
from lowmem_tui.model.cells import wrap
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import as_message, msg, of_unit, sentences
from lowmem_tui.policy.budget import budget
from lowmem_tui.policy.forecast import prediction_text, whatif
from lowmem_tui.policy.forecast.kills import BOX, Goes, predict, predictions
from lowmem_tui.policy.forecast.oom import cgroup_kill_order, kill_order, limited
from lowmem_tui.policy.forecast.userspace_killers import others
from lowmem_tui.policy.plan import one_value_each, parse_set, plan
from lowmem_tui.policy.protect import limits_advised

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Notice
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.policy.classify import Rules
    from lowmem_tui.policy.forecast.oom import Candidate

MOST = 10
"""Kills that are shown of each domain; JSON has them all."""


class _Look(NamedTuple):
    """The server now, and after what no check refuses."""

    now: Snapshot
    then: Snapshot
    """``now`` itself where nothing is changed."""
    warnings: tuple[Notice, ...] = ()
    refused: tuple[Notice, ...] = ()


def run(options: argparse.Namespace) -> Exit:
    """Print the kill order, and with ``--set`` the one after; REFUSED if a check refuses."""
    backend = open_backend(options, read_only=True)
    try:
        rules = rules_for(demo=backend.demo)
        backend.wait_ready()
        look = _look(backend, options.sets, rules, force=options.force)
    finally:
        backend.close()
    if look.now.notice:
        talk(as_message(look.now.notice))
    report_refusals(look.refused)
    if options.json:
        json_view.write(as_json(look))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
        for line in describe(look, rules, min(max(width, 60), 120)):
            print(line)
    return Exit.REFUSED if look.refused else Exit.DONE


def _look(backend: ServerBackend, sets: Sequence[str], rules: Rules, *, force: bool) -> _Look:
    """Return the server now and after; of a unit for which a check refuses something, nothing.

    Raises InvalidValueError, ManagerError, UnsupportedError.
    """
    edits = [parse_set(text) for text in sets]
    if not edits:
        now = backend.look()
        return _Look(now, now)
    situation = backend.situation(dict.fromkeys(edit.unit for edit in edits))
    one_value_each(edits, situation)
    made = plan(edits, situation, rules.tiers(situation))
    now = whatif.known(situation)
    refused = made.refused(force)
    barred = {notice.unit for notice in refused}
    wanted = whatif.changes(e for e in made.effects if e.unit not in barred)
    then = now if barred and not wanted else whatif.after(now, wanted)
    return _Look(now, then, made.warnings, refused)


def as_json(look: _Look) -> dict[str, object]:
    """Return the orders as cli.md's contract has it."""
    now, then = look.now, look.then
    names = dict.fromkeys((*limited(now), *limited(then)))
    return {
        "global": {
            "now": _entries(now, BOX, kill_order(now)),
            "then": _entries(then, BOX, kill_order(then)),
        },
        "cgroup": {
            name: {
                "now": _entries(now, name, cgroup_kill_order(now, name)),
                "then": _entries(then, name, cgroup_kill_order(then, name)),
            }
            for name in names
        },
        "others": [{"name": o.name, "unit": o.unit or None, "pid": o.pid} for o in others(now)],
        "sentences": list(map(str, whatif.sentences(now, then))) if now is not then else [],
        "warnings": [json_view.notice(n) for n in look.warnings],
        "refusals": [json_view.notice(n) for n in look.refused],
    }


def _entries(
    snapshot: Snapshot, domain: str, order: Iterable[Candidate]
) -> list[dict[str, object]]:
    """Return every candidate in kill order, with what the kill would mean.

    ``goes``, ``back`` and ``with`` are of those that would be the next victim when their turn
    comes; for the others ``with_pid`` is the victim that they are killed with. Empty for a limit
    that is never reached, and where no process is chosen by score.
    """
    found = predict(snapshot, domain)
    if found is not None and (found.never or found.instead):
        return []
    kills = {k.victim.pid: k for k in found.kills} if found else {}
    taken = {p.pid: k.victim.pid for k in kills.values() for p in k.others}
    entries: list[dict[str, object]] = []
    for one in order:
        entry: dict[str, object] = {
            "pid": one.pid,
            "unit": one.unit,
            "name": one.name,
            "score": one.score,
            "rss": one.rss,
            "swap": one.swap,
            "adj": one.adj,
            "points": one.points,
        }
        if (kill := kills.get(one.pid)) is not None:
            entry |= {
                "goes": None if kill.goes is Goes.UNKNOWN else kill.goes,
                "group": kill.group,
                "back": kill.ram,
                "back_swap": kill.swap,
                "left": kill.left,
            }
        else:
            entry["with_pid"] = taken.get(one.pid)
        entries.append(entry)
    return entries


def describe(look: _Look, rules: Rules, width: int) -> Iterator[str]:
    """Yield it for a person."""
    now, then = look.now, look.then
    barred = list(dict.fromkeys(notice.unit for notice in look.refused))
    fixed = {notice.unit for notice in look.refused if not notice.forceable}
    for name in barred:
        yield from _wrapped(
            sentences(
                msg("Refused, so not included: the settings of {unit}.", unit=of_unit(name, 60)),
                None if name in fixed else msg("--force includes them."),
            ),
            width,
        )
    if barred:
        yield ""
    if then is not now:
        for sentence in whatif.sentences(now, then):
            yield from _wrapped(sentence, width)
    for line in warned(look.warnings):
        yield from _wrapped(line, width)
    if then is not now or look.warnings:
        yield ""
    if then is not now:
        yield from _compared(now, then, width)
    elif barred:
        return  # the order of now was not asked for, and would hide why
    else:
        for found in predictions(now, MOST):
            yield from _wrapped(prediction_text.title(found), width)
            yield from prediction_text.kills(found, now, width, say)
            yield ""
    for sentence in prediction_text.other_killers(others(now)):
        yield from _wrapped(sentence, width)
        yield ""
    tiers = {
        name: rules.classify(unit, now.host.mem_total).tier
        for name, unit in then.units.items()
        if unit.usage
    }
    yield tr("The budget:") if then is now else tr("The budget after the change:")
    for line in prediction_text.budget_lines(
        budget(then), limits_advised(then, tiers, rules), width, say
    ):
        yield from _wrapped(line, width)


def _compared(now: Snapshot, then: Snapshot, width: int) -> Iterator[str]:
    names = dict.fromkeys((BOX, *limited(now), *limited(then)))
    changed = frozenset(whatif.differing(now, then))
    for name in names:
        before, after = predict(now, name, MOST), predict(then, name, MOST)
        if after is not None and (after.never or after.instead):
            yield from _wrapped(prediction_text.title(after), width)
            yield from prediction_text.kills(after, then, width, say)
        elif before is not None and after is not None:
            yield from _wrapped(prediction_text.title(after), width)
            yield from prediction_text.side_by_side(before, after, changed, width, MOST, render=say)
        elif after is not None:
            yield from _wrapped(tr("New: {title}", title=prediction_text.title(after)), width)
            yield from prediction_text.kills(after, then, width, say)
        elif before is not None:
            yield tr("{unit} has no limit then.", unit=of_unit(name, 60))
        yield ""


def _wrapped(text: Message | str, width: int) -> list[str]:
    return wrap(say(text), width, then="  ") or [""]
