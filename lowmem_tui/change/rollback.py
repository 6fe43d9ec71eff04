"""Rolling back what is in a record: a change that was interrupted, or is incomplete."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.change.apply import needs_reload
from lowmem_tui.change.kernel_before import restoring
from lowmem_tui.change.records.records import undone
from lowmem_tui.change.revive import UNKNOWN, revive
from lowmem_tui.change.steps import Act, Reload, WriteFile
from lowmem_tui.change.transaction import Restore, roll_back
from lowmem_tui.change.trials.trial import TrialFile
from lowmem_tui.model.change import KEPT
from lowmem_tui.model.errors import LowmemError, UnsupportedError
from lowmem_tui.model.message import msg, of_setting
from lowmem_tui.model.plan import ActionKind, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.change.context import Site
    from lowmem_tui.change.records.record import Record
    from lowmem_tui.change.steps import Ports, Step
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Action, FileChange


class Rolled(NamedTuple):
    """The result of a rollback."""

    left: tuple[Message, ...]
    """What it could not do, each as what to do by hand; systemd's reload is not among it."""
    unreloaded: Message | None
    """Why systemd did not read the files again; None if it did."""
    revived: tuple[Message, ...]
    """Sentences on units that were started again."""


def rolled_back(site: Site, record: Record, records: Iterable[Record] = ()) -> Rolled:
    """Make all that a change did as it was, as far as that goes; may be done again and again.

    What later changes of ``records`` have made otherwise is theirs, and is left alone.
    """
    here = record.boot_id == site.boot_id
    left = roll_back(list(_steps(site, record, records, here=here)), site.ports)
    for file in (*record.plan.files, *(record.trial.files if record.trial else ())):
        with contextlib.suppress(OSError):
            site.ports.files.tidy(file.path)
    unreloaded = next((why for step, why in left.items() if isinstance(step, Reload)), None)
    rest = dict.fromkeys(why for step, why in left.items() if not isinstance(step, Reload))
    revived: tuple[Message, ...] = ()
    if here and not unreloaded:
        try:
            revived = tuple(revive(record.live.active, site.ports.manager))
        except (OSError, LowmemError):
            revived = (UNKNOWN,)
    return Rolled(tuple(rest), unreloaded, revived)


def _steps(site: Site, record: Record, records: Iterable[Record], *, here: bool) -> Iterator[Step]:
    """Yield the steps in the order in which they were done."""
    later = _later(record, records)
    paths = {path for each in later for path in each.paths}
    units = {unit for each in later for unit in each.units}
    acts = _actions_left(record, later)
    files = [file for file in record.plan.files if file.path not in paths]
    if record.trial is not None:
        files = [file for file in files if _is_ours(site, file)]
        yield from (TrialFile(file.path) for file in record.trial.files)
    yield from _acts(acts, Phase.EARLY)
    yield from (WriteFile(file.path, file.before, file.after) for file in files)
    yield from _acts(acts, Phase.FILES)
    if record.trial is not None or needs_reload(record.plan, record.plan.files):
        yield Reload()
    yield from restoring(record, same_boot=here, others=units)
    yield from _acts(acts, Phase.LATE)
    for action in acts:
        if action.kind is ActionKind.SYSCTL and action.before:
            yield Restore(Act(action).todo, partial(_is_there, action))


def _actions_left(record: Record, later: Iterable[Record]) -> list[Action]:
    """Return the actions whose value no later change has set since."""
    values = {_name(action) for each in later for action in each.plan.actions}
    return [a for a in record.plan.actions if a.kind.repeats or _name(a) not in values]


def _acts(actions: Iterable[Action], phase: Phase) -> Iterator[Act]:
    return (Act(action) for action in actions if action.phase is phase)


def _later(record: Record, records: Iterable[Record]) -> list[Record]:
    back = undone(records := list(records))
    return [r for r in records if r.id > record.id and r.state in KEPT and r.id not in back]


def _is_there(action: Action, ports: Ports) -> None:
    """Raise UnsupportedError for a setting that this kernel does not have (any more)."""
    if not ports.system.get(action.kind, action.what):
        raise UnsupportedError(
            msg("This kernel has no setting {setting}.", setting=of_setting(action.what))
        )


def _name(action: Action) -> tuple[str, str]:
    return action.kind, action.what


def _is_ours(site: Site, file: FileChange) -> bool:
    """Tell whether a final file of a trial may have been written: it was being kept."""
    with contextlib.suppress(OSError):
        return site.ports.files.read(file.path) == file.after
    return True
