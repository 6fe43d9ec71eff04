"""Carrying out a plan: all of it, verified, or nothing."""

from __future__ import annotations

import contextlib
import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from lowmem_tui.change.compare import PAGE, Machine, near
from lowmem_tui.change.found import as_found, only_by_force
from lowmem_tui.change.machine.files import EtcFiles, is_unit_file
from lowmem_tui.change.reason import nothing_changed
from lowmem_tui.change.revive import running
from lowmem_tui.change.signals import Interruptions
from lowmem_tui.change.situation import SettingsReader
from lowmem_tui.change.steps import Act, Ports, Reload, SetLimit, SetScore, WriteFile
from lowmem_tui.change.transaction import Transaction
from lowmem_tui.change.trials.drop_ins import our_files
from lowmem_tui.change.verify import to_be_live, verify
from lowmem_tui.model.errors import (
    ChangedError,
    LowmemError,
    ManagerError,
    NotPermittedError,
    RefusedError,
)
from lowmem_tui.model.message import msg, of_path, of_unit, plural
from lowmem_tui.model.plan import ActionKind, Outcome, Phase
from lowmem_tui.model.settings import WRITE_ORDER, same
from lowmem_tui.model.unit import CGROUP_FILES, Key, Unlimited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Action, Effect, FileChange, Plan
    from lowmem_tui.model.ports import Files, Kernel, Manager, System
    from lowmem_tui.model.unit import UnitProperties

_PASSES = 3
"""How often a unit's processes are searched: one that forks passes the old score on."""


class Recorder(Protocol):
    """Who records what is done."""

    def ahead(self, before: Mapping[str, UnitProperties]) -> None:
        """Everything is checked, and nothing touched yet; what this raises ends it."""

    def done(self) -> None:
        """Note that it is done and verified; if this raises, everything is rolled back."""

    def failed(self, failure: BaseException) -> None:
        """Note that it was rolled back, or not quite, as ``failure`` says. Raises nothing."""


class NoRecorder:
    """Records nothing."""

    def ahead(self, before: Mapping[str, UnitProperties]) -> None:
        """See ``Recorder``."""

    def done(self) -> None:
        """See ``Recorder``."""

    def failed(self, failure: BaseException) -> None:
        """See ``Recorder``."""


def apply(
    plan: Plan, *, manager: Manager, files: Files, kernel: Kernel, force: bool = False
) -> Outcome:
    """Write the files, reload systemd once, set what runs, and verify; or leave it as it was.

    On a real machine (``EtcFiles``) it holds the lock. SIGINT, SIGTERM and SIGHUP in the middle
    roll everything back too, if this is the main thread. Nothing is recorded: see change.entry.

    Raises RefusedError, ChangedError, NotPermittedError, RolledBackError, HalfDoneError.
    """
    not_refused(plan, force=force)
    with contextlib.ExitStack() as held:
        interruptions = held.enter_context(Interruptions())
        if isinstance(files, EtcFiles):
            try:
                held.enter_context(files.exclusive())
            except OSError as error:
                raise nothing_changed(error) from error
        ports = Ports(manager, files, kernel)
        plan = found_by(plan, ports.system, force=force)
        return perform(plan, ports, plan.files, interruptions.check, NoRecorder())


def found_by(plan: Plan, system: System, *, force: bool) -> Plan:
    """Return a plan with its actions as they are to be done now (change.found).

    Raises RefusedError, ChangedError, NotPermittedError, RolledBackError.
    """

    def refuse(action: Action, now: str) -> None:
        if not force:
            only_by_force(action, now)

    try:
        return replace(plan, actions=as_found(plan.actions, system, refuse))
    except (RefusedError, NotPermittedError):
        raise
    except (OSError, LowmemError) as error:
        raise nothing_changed(error) from error


def not_refused(plan: Plan, *, force: bool) -> None:
    """Raise RefusedError if the plan has a refusal that stands."""
    if refused := plan.refused(force):
        first = refused[0].named
        if others := len(refused) - 1:
            first = plural(
                "{first} One more check refuses it.",
                "{first} {n} more checks refuse it.",
                others,
                first=first,
            )
        way = "force" if not force and all(each.forceable for each in refused) else ""
        raise RefusedError(first, way=way)


def perform(
    plan: Plan,
    ports: Ports,
    changes: Sequence[FileChange],
    check: Callable[[], None],
    recorder: Recorder,
    ready: Callable[[], None] = lambda: None,
) -> Outcome:
    """Do what ``apply`` says, with these changes of files; the caller holds the lock.

    ``check`` raises Interruption when it is time to stop, ``ready`` what speaks against beginning.
    """
    try:
        _check((*plan.files, *changes), ports.files)
        ready()
        before = ports.manager.properties(_units(plan))
        recorder.ahead(before)
    except OSError as error:
        raise nothing_changed(error) from error
    run = Transaction(ports, check, running(before, ports.manager))
    try:
        done = _act(plan, Phase.EARLY, run, check)
        for change in changes:
            # Again: `systemctl edit` knows no lock, and the record and the timer took their time.
            _check((change,), ports.files)
            run.do(WriteFile(change.path, change.before, change.after))
        done += _act(plan, Phase.FILES, run, check)
        if needs_reload(plan, changes):
            run.do(Reload())
        after = ports.manager.properties(_units(plan))
        _still_loads(before, after)
        denied: set[str] = set()
        live = _set_what_runs(plan, run, ports, before, after, denied)
        done += _act(plan, Phase.LATE, run, check)
        check()
        verified = verify(plan, ports, denied)
        check()
        recorder.done()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is rolled back first
        failure = run.abandon(error)
        recorder.failed(failure)
        raise failure from (None if failure is error else error)
    return Outcome(
        tuple(change.path for change in changes),
        live,
        verified.pending,
        verified.mismatches,
        removed=tuple(change.path for change in changes if change.after is None),
        down=verified.down,
        done=done,
    )


def needs_reload(plan: Plan, changes: Iterable[FileChange]) -> bool:
    """Tell whether systemd must read its files again."""
    return any(is_unit_file(change.path) for change in changes) or any(
        action.kind is ActionKind.LINK for action in plan.actions
    )


def _act(
    plan: Plan, phase: Phase, run: Transaction, check: Callable[[], None]
) -> tuple[Message, ...]:
    """Do the actions of a phase; returns them in words."""
    done = [action for action in plan.actions if action.phase is phase]
    for action in done:
        run.do(Act(action, check))
    return tuple(action.described for action in done)


def _units(plan: Plan) -> list[str]:
    return list(dict.fromkeys(effect.unit for effect in plan.effects))


def _check(changes: Iterable[FileChange], files: Files) -> None:
    """Check that everything is as the plan saw it; raises before anything is touched."""
    for change in changes:
        try:
            if sentence := files.obstacle(change.path):
                raise RefusedError(sentence)
            now = files.read(change.path)
        except PermissionError as error:
            raise NotPermittedError(
                msg(
                    "{path} cannot be read by this user: run the same with sudo.",
                    path=of_path(change.path),
                )
            ) from error
        if now != change.before:
            raise ChangedError(
                msg(
                    "{path} was changed after the plan was made: refresh, and make a new plan.",
                    path=of_path(change.path),
                )
            )


def _still_loads(before: Mapping[str, UnitProperties], after: Mapping[str, UnitProperties]) -> None:
    for name, now in after.items():
        if before[name].load_state == "loaded" and now.load_state != "loaded":
            raise ManagerError(
                msg(
                    "systemd does not load {unit} with this change ({state}): see "
                    "`journalctl -b _PID=1`.",
                    unit=of_unit(name),
                    state=now.load_state,
                )
            )


def _set_what_runs(
    plan: Plan,
    run: Transaction,
    ports: Ports,
    before: Mapping[str, UnitProperties],
    after: Mapping[str, UnitProperties],
    denied: set[str],
) -> tuple[Message, ...]:
    """Set the kernel's values of what runs; returns sentences on what was set.

    The units whose scores the kernel does not let us lower are added to ``denied``.
    """
    done: list[Message] = []
    asked = {(edit.unit, edit.key) for edit in plan.edits if edit.value is not None}
    reader = SettingsReader(ports.files, ports.kernel, Machine(), strict=True)
    for key in WRITE_ORDER:
        for effect in plan.effects:
            unit = after[effect.unit]
            if (
                effect.key is not key
                or effect.live is None
                or not unit.control_group
                or not near(key, unit.loaded(key), effect.loaded)
            ):
                continue
            # Where another file overrides ours, its value was neither asked for nor checked.
            source = reader.settings(unit)[key].source
            if (unit.name, key) in asked and source not in our_files(unit.name):
                continue
            if key is Key.OOM_SCORE_ADJUST:
                done += _set_scores(run, ports, before[effect.unit], unit, denied)
            else:
                done += _set_limit(effect, run, ports, unit)
    return tuple(done)


def _set_limit(
    effect: Effect, run: Transaction, ports: Ports, unit: UnitProperties
) -> Iterator[Message]:
    file = CGROUP_FILES[effect.key]
    now = ports.kernel.limit(unit.control_group, file)
    wanted = to_be_live(effect, unit.loaded(effect.key))
    if (
        now is None
        or not isinstance(wanted, int | Unlimited)
        or same(effect.key, now, wanted, PAGE)
    ):
        return
    step = SetLimit(unit.name, effect.key, unit.control_group, file, now, wanted)
    run.do(step)
    yield step.done


def _set_scores(
    run: Transaction,
    ports: Ports,
    before: UnitProperties,
    unit: UnitProperties,
    denied: set[str],
) -> Iterator[Message]:
    """Give every process that still has the old score the new one; what set its own keeps it."""
    old, new = before.oom_score_adjust, unit.oom_score_adjust
    if old is None or new is None or old == new:
        return
    seen: set[tuple[int, int]] = set()
    done = 0
    for _ in range(_PASSES):
        found = {
            (pid, start)
            for pid, start in ports.kernel.processes(unit.control_group)
            if (pid, start) not in seen and ports.kernel.oom_score_adj(pid, start) == old
        }
        for pid, start in sorted(found):
            try:
                run.do(SetScore(unit.name, pid, start, old, new))
                done += 1
            except OSError as error:
                # A container may not lower it. systemd goes on without then, and so do we:
                # verifying shows it.
                if error.errno not in {errno.EACCES, errno.EPERM}:
                    raise
                denied.add(unit.name)
        seen |= found
        if not found:
            break
    if done:
        yield plural(
            "{unit}: oom_score_adj of {n} running process is now {new} (it was {old}).",
            "{unit}: oom_score_adj of {n} running processes is now {new} (it was {old}).",
            done,
            unit=of_unit(unit.name),
            new=new,
            old=old,
        )
