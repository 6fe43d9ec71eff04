"""What an action finds: compared, as files are, with what the plan saw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lowmem_tui.change.machine.swap_file import FOREIGN, in_the_way
from lowmem_tui.model.errors import ChangedError, RefusedError
from lowmem_tui.model.kept import is_foreign, reason_of, shown
from lowmem_tui.model.plan import ActionKind, Phase
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.model.plan import Action
    from lowmem_tui.model.ports import System

_ORDER: Final = tuple(Phase)


def value(system: System, action: Action) -> str | None:
    """Return what there is now; None if there is nothing to compare and nothing to be done.

    OSError, LowmemError.
    """
    if action.kind.needs_what_runs and not _runs(system, action.what.partition(" ")[0]):
        return None  # it answers nothing, and takes its values when it starts
    now = system.get(action.kind, action.what)
    # A kernel that has no such setting (any more) has nothing to be undone either.
    if action.kind is ActionKind.SYSCTL and not now and action.before and action.after:
        return None
    return now


def _runs(system: System, unit: str) -> bool:
    return system.get(ActionKind.RUN, unit) == "active"


def as_found(
    actions: Sequence[Action],
    system: System,
    refuse: Callable[[Action, str], None],
    *,
    ours: bool = False,
) -> tuple[Action, ...]:
    """Return actions as they are to be done now, and written down.

    What is as it shall be already is left out: then its undo is not ours either. Where something
    else is found than was seen, or a file in the place of a link, ``refuse`` raises what speaks
    against replacing it; what it lets pass becomes the action's ``before``, which the record keeps
    and undo brings back. ``ours`` says that what was seen is what a change of ours has left there.

    Raises RefusedError for what cannot be kept, OSError, LowmemError.
    """
    made: dict[int, Action | None] = dict(enumerate(actions))
    seen = set()
    for n in sorted(made, key=lambda n: _ORDER.index(actions[n].phase)):
        action = actions[n]
        # Of several with one thing, the first finds what others have left.
        if action.kind.repeats or (action.kind, action.what) in seen:
            continue
        seen.add((action.kind, action.what))
        made[n] = _as_found(action, system, refuse, ours=ours)
    return tuple(action for action in made.values() if action is not None)


def _as_found(
    action: Action, system: System, refuse: Callable[[Action, str], None], *, ours: bool
) -> Action | None:
    now = value(system, action)
    if now is None or (now == action.before and (ours or not is_foreign(now))):
        return action
    if now == action.after:
        return None
    if reason := reason_of(now):
        raise RefusedError(f"{subject(action)} {plain(reason, 300)}.")
    if is_in_the_way(action, now):
        raise in_the_way(action.what)
    refuse(action, now)
    return replace(action, before=now)


def only_by_force(action: Action, now: str) -> None:
    """Raise ChangedError: what an action that is to be applied finds, it may replace by force."""
    if is_foreign(now):
        raise ChangedError(
            f"{subject(action)} is {shown(now)} that lowmem-tui did not write: look at it; --force "
            "replaces it and keeps it in the record, and `lowmem-tui undo` brings it back.",
            way="force",
        )
    raise ChangedError(
        f"{subject(action)} was changed after the plan was made, from "
        f"{_in_words(action, action.before)} to {_in_words(action, now)}: look at it, and make a "
        "new plan; --force changes it all the same, and `lowmem-tui undo` brings that back.",
        way="force",
    )


def is_in_the_way(action: Action, now: str) -> bool:
    """Tell whether there is a swap file that we did not make.

    To make one it is in the way (``put`` refuses); to remove ours it is none of ours.
    """
    return action.kind is ActionKind.SWAP_FILE and now == FOREIGN


def subject(action: Action) -> str:
    """Return what an action changes, to begin a sentence with."""
    return plain(action.subject, 200)


def changed(action: Action, now: str) -> str:
    """Return the sentence on what is neither as it was nor as an action makes it."""
    return (
        f"{subject(action)} was changed meanwhile (it is {_in_words(action, now)}) and is left "
        "alone: look at it."
    )


def _in_words(action: Action, value: str) -> str:
    return plain(action.in_words(value), 120)
