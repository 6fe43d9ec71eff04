"""What an action finds: compared, as files are, with what the plan saw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lowmem_tui.change.machine.swap_file import FOREIGN, in_the_way
from lowmem_tui.model.errors import ChangedError, RefusedError
from lowmem_tui.model.kept import is_foreign, reason_of, shown
from lowmem_tui.model.message import msg, of_text
from lowmem_tui.model.plan import ActionKind, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.model.message import Message, Value
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

    What is already set is left out: then its undo is not ours either. Where something
    else is found than was seen, or a file in the place of a link, ``refuse`` raises what speaks
    against replacing it; what it lets pass becomes the action's ``before``, which the record keeps
    and undo restores. ``ours`` says that what was seen is what a change of ours has left there.

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
        raise RefusedError(msg("{what}: {reason}", what=subject(action), reason=reason))
    if is_in_the_way(action, now):
        raise in_the_way(action.what)
    refuse(action, now)
    return replace(action, before=now)


def only_by_force(action: Action, now: str) -> None:
    """Raise ChangedError: what an action that is to be applied finds, it may replace by force."""
    if is_foreign(now):
        raise ChangedError(
            msg(
                "{what} is {found} that lowmem-tui did not write: check it. --force "
                "replaces it and keeps it in the record, and `lowmem-tui undo` restores it.",
                what=subject(action),
                found=shown(now),
            ),
            way="force",
        )
    raise ChangedError(
        msg(
            "{what} was changed after the plan was made, from {before} to {now}: check it, "
            "and make a new plan. --force changes it anyway, and `lowmem-tui undo` "
            "restores {now}.",
            what=subject(action),
            before=_value(action, action.before),
            now=_value(action, now),
        ),
        way="force",
    )


def is_in_the_way(action: Action, now: str) -> bool:
    """Tell whether there is a swap file that we did not make.

    To make one it is in the way (``put`` refuses); to remove ours it is none of ours.
    """
    return action.kind is ActionKind.SWAP_FILE and now == FOREIGN


def subject(action: Action) -> Value:
    """Return the name of what an action changes."""
    return of_text(action.subject, 200)


def changed(action: Action, now: str) -> Message:
    """Return the sentence on what is neither as it was nor as an action makes it."""
    return msg(
        "{what} was changed meanwhile (it is {now}) and is not touched: check it.",
        what=subject(action),
        now=_value(action, now),
    )


def _value(action: Action, value: str) -> Message:
    return action.in_words(value)
