"""Undoing a change: which files become what they were, and what may be in the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.change.found import as_found, subject
from lowmem_tui.change.reason import nothing_changed
from lowmem_tui.change.records.records import undone
from lowmem_tui.model.change import KEPT
from lowmem_tui.model.errors import NotPermittedError, RefusedError
from lowmem_tui.model.message import msg, of_path, of_text
from lowmem_tui.model.plan import Edit, FileChange, Plan
from lowmem_tui.model.unit import Key
from lowmem_tui.policy import dropin
from lowmem_tui.policy.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lowmem_tui.change.records.record import Record
    from lowmem_tui.change.steps import Ports
    from lowmem_tui.model.message import Value
    from lowmem_tui.model.plan import Action, Effect
    from lowmem_tui.model.ports import Files, System
    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.model.unit import Value as Setting


class Undo(NamedTuple):
    """What is to be done."""

    plan: Plan
    undoes: tuple[int, ...]
    note: str


class Thing(NamedTuple):
    """What a change makes something of: a file, or what an action changes."""

    key: str
    name: Value
    is_file: bool = False


def plan_undo(
    records: Sequence[Record],
    ports: Ports,
    situation: Callable[[Iterable[str]], Situation],
    change: str | None,
    *,
    force: bool,
    with_later: bool,
) -> Undo:
    """Return what undoes a change (None: the newest that is in force).

    Raises RefusedError when a file, or what an action has changed, is no longer what the change
    made of it: edited since, or changed by a later change.
    """
    record = _chosen(records, change)
    back = [record]
    if with_later:
        back = _later(records, record)
    # The newest of them made each file what it is; the oldest found what it is to be again.
    now: dict[str, str | None] = {}
    then: dict[str, str | None] = {}
    for each in back:
        for file in each.plan.files:
            now.setdefault(file.path, file.after)
            then[file.path] = file.before
    found = {path: _read(ports.files, path) for path in now}
    _unchanged(records, back, now, found, force=force)
    changes = tuple(FileChange(path, found[path], then[path]) for path in then)
    undoes = tuple(each.id for each in back)
    text = " and ".join(f"{number}" for number in undoes)
    actions = _actions(records, back, ports.system, force=force)
    made = replace(_plan(changes, back, situation), actions=actions)
    return Undo(made, undoes, f"undoes {text}")


def _chosen(records: Sequence[Record], change: str | None) -> Record:
    back = undone(records)
    if change is None:
        for record in reversed(records):
            if record.state in KEPT and record.id not in back and not record.undoes:
                return record
        raise RefusedError(msg("There is no change to undo: see `lowmem-tui history`."))
    for record in records:
        if str(record.id) != change:
            continue
        if record.id in back:
            by = next(
                r.id
                for r in records
                if record.id in r.undoes and r.id not in back and r.state in KEPT
            )
            raise RefusedError(
                msg(
                    "Change {id} is already undone, by change {by}: `lowmem-tui undo {by}` "
                    "applies it again.",
                    id=record.id,
                    by=by,
                )
            )
        if record.state not in KEPT:
            raise RefusedError(
                msg(
                    "Change {id} is not in force ({state}): there is nothing to undo.",
                    id=record.id,
                    state=record.state,
                )
            )
        return record
    raise RefusedError(
        msg("There is no change {id}: see `lowmem-tui history`.", id=of_text(change, 20))
    )


def _later(records: Sequence[Record], record: Record) -> list[Record]:
    """Return a change and all later ones that its files depend on, the newest first."""
    back, things = [record], _things(record)
    for later in records:
        if later.id > record.id and later.state in KEPT and things & _things(later):
            back.insert(0, later)
            things |= _things(later)
    return back


def _things(record: Record) -> set[str]:
    """Return all that a change makes something of."""
    actions = (a for a in record.plan.actions if not a.kind.repeats)
    return {*record.paths, *(f"{a.kind} {a.what}" for a in actions)}


def _actions(
    records: Sequence[Record], back: Sequence[Record], system: System, *, force: bool
) -> tuple[Action, ...]:
    """Return the inverse actions; what was changed since is refused."""
    inverse = [a.inverse for each in back for a in reversed(each.plan.actions)]

    def refuse(action: Action, now: str) -> None:
        del now
        thing = Thing(f"{action.kind} {action.what}", subject(action))
        _since(records, back, thing, force=force)

    once = as_found([a for a in inverse if not a.kind.repeats], system, refuse, ours=True)
    # What is done again is done once, and after all else.
    again = dict.fromkeys(a for a in inverse if a.kind.repeats)
    return (*once, *reversed(again))


def _unchanged(
    records: Sequence[Record],
    back: Sequence[Record],
    now: dict[str, str | None],
    found: dict[str, str | None],
    *,
    force: bool,
) -> None:
    for path, text in now.items():
        if found[path] == text:
            continue
        _since(records, back, Thing(path, of_path(path), is_file=True), force=force)


def _since(records: Sequence[Record], back: Sequence[Record], thing: Thing, *, force: bool) -> None:
    """Raise RefusedError for what is no longer as the newest of these changes left it."""
    newest = back[0].id
    for record in reversed(records):
        if record.id > newest and record.state in KEPT and thing.key in _things(record):
            raise RefusedError(
                msg(
                    "Change {id} came later and changed {what}, too: undo that first, or "
                    "pass --with-later to undo both.",
                    id=record.id,
                    what=thing.name,
                ),
                way="with_later",
            )
    if not force:
        words = msg(
            "{what} was changed since: check it. --force restores the value from before "
            "change {id} anyway, and keeps the present value in the record.",
            what=thing.name,
            id=back[-1].id,
        )
        if thing.is_file:
            words = msg(
                "{path} was edited since: check it. --force restores the file from before "
                "change {id} anyway, and keeps the present one in the record.",
                path=thing.name,
                id=back[-1].id,
            )
        raise RefusedError(words, way="force")


def _read(files: Files, path: str) -> str | None:
    try:
        if sentence := files.obstacle(path):
            raise RefusedError(sentence)
        return files.read(path)
    except PermissionError as error:
        raise NotPermittedError(
            msg("{path} cannot be read by this user: run the same with sudo.", path=of_path(path))
        ) from error
    except OSError as error:
        raise nothing_changed(error) from error


def _plan(
    changes: tuple[FileChange, ...],
    back: Sequence[Record],
    situation: Callable[[Iterable[str]], Situation],
) -> Plan:
    """Return the plan: exactly these files, with the effects and the checks of such edits."""
    edits = [edit for file in changes for edit in _edits(file)]
    made = Plan((), (), (), (), ())
    if edits:
        made = plan(edits, situation(dict.fromkeys(edit.unit for edit in edits)))
    effects = {(effect.unit, effect.key): effect for effect in made.effects}
    for record in back:
        effects = {(e.unit, e.key): e for e in _reversed(record)} | effects
    # The file of a unit that is gone by now is restored, too; what can be overridden is asked.
    return replace(
        made,
        files=tuple(file for file in changes if file.before != file.after),
        effects=tuple(effects.values()),
        refusals=tuple(refusal for refusal in made.refusals if refusal.forceable),
    )


def _reversed(record: Record) -> Iterator[Effect]:
    """Yield the effects of undoing a change, by the record: for an edited file's settings."""
    limits = {(limit.unit, limit.key): limit.before for limit in record.live.limits}
    scores = {scores.unit: scores.before for scores in record.live.scores}
    for effect in record.plan.effects:
        before: Setting | None = limits.get((effect.unit, effect.key))
        if effect.key is Key.OOM_SCORE_ADJUST:
            before = scores.get(effect.unit)
        yield replace(effect, from_=effect.to, to=effect.from_, loaded=before, live=before)


def _edits(file: FileChange) -> list[Edit]:
    """Return the edits that a change of one of our files is."""
    folder, _, name = file.path.rpartition("/")
    if name != dropin.OUR_NAME or not folder.startswith(dropin.FOLDER):
        return []
    unit = folder.rpartition("/")[2].removesuffix(".d")
    now, then = dropin.ours(file.before or ""), dropin.ours(file.after or "")
    return [Edit(unit, key, then.get(key)) for key in now | then if now.get(key) != then.get(key)]
