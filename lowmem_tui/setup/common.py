"""What several steps do alike: reading files, finding services, checking what is requested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.kept import is_foreign, reason_of, shown
from lowmem_tui.model.message import (
    msg,
    of_list,
    of_path,
    of_setting,
    of_text,
    plural,
    sentences,
)
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Notice, Plan
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, UnitType, unit_type

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from lowmem_tui.model.message import Given, Message
    from lowmem_tui.model.ports import Files
    from lowmem_tui.model.setup import Item, Words
    from lowmem_tui.model.snapshot import Snapshot, Unit, UnitSituation

MIB = 1 << 20

NAMED = 8
"""So many keys are named where one is wrong."""


def remedy(step: str) -> str:
    """Return the command that goes through one step."""
    return f"sudo lowmem-tui setup --step {step}"


def read(files: Files, path: str) -> tuple[str | None, Message | None]:
    """Return a file's text (None: no such file, or unreadable), and why it cannot be read.

    The reason is a phrase without a full stop.
    """
    try:
        return files.read(path), None
    except PermissionError:
        return None, msg("{path} cannot be read by this user", path=of_path(path))
    except OSError as error:
        return None, msg(
            "{path} cannot be read ({error})", path=of_path(path), error=str(error.strerror)
        )


def obstacle(files: Files, path: str) -> Message | None:
    """Return why a file must not be written by us, or None."""
    try:
        return files.obstacle(path)
    except OSError as error:
        return msg(
            "{path} cannot be changed from here ({error}).",
            path=of_path(path),
            error=str(error.strerror),
        )


def services(snapshot: Snapshot, wanted: Callable[[Unit], bool]) -> list[str]:
    """Return the names of the services that are selected, sorted."""
    return sorted(
        name
        for name, unit in snapshot.units.items()
        if unit_type(name) is UnitType.SERVICE
        and unit.properties is not None
        and unit.properties.exists
        and wanted(unit)
    )


def program(unit: Unit) -> str:
    """Return the file name of the program that a service starts; "" if that is not known."""
    if unit.properties is None or not unit.properties.exec_start:
        return ""
    return unit.properties.exec_start[0].rpartition("/")[2]


def memory_max(situation: UnitSituation) -> int | None:
    """Return the MemoryMax that holds for a unit, in bytes; None for none."""
    setting = situation.settings.get(Key.MEMORY_MAX)
    if setting is None:
        return None
    found = setting.effective if setting.effective is not None else setting.loaded
    return found if isinstance(found, int) else None


def primary_name(unit: str, found: Iterable[UnitSituation]) -> str | None:
    """Return the primary name of a unit that may be given by another; None if there is none."""
    for each in found:
        properties = each.unit.properties
        if unit == each.unit.name or (properties is not None and unit in properties.names):
            return each.unit.name
    return None


def unknown(step: str, key: str, known: Iterable[str]) -> InvalidValueError:
    """Return the error for a key that a step does not have."""
    names = list(known)
    if not names:
        return InvalidValueError(
            msg(
                "[{step}] has no key '{key}': nothing can be set in this section.",
                step=of_setting(step),
                key=of_text(key, 80),
            )
        )
    return InvalidValueError(
        msg(
            "[{step}] has no key '{key}'. Write one of: {names}.",
            step=of_setting(step),
            key=of_text(key, 80),
            names=several(names, NAMED),
        )
    )


def wrong(step: str, key: str, value: str, say: Words) -> InvalidValueError:
    """Return the error for a value that is none; ``say`` is what to write."""
    return InvalidValueError(
        msg(
            "[{step}] '{key}' cannot be '{value}': write {what}.",
            step=of_setting(step),
            key=of_text(key, 80),
            value=of_text(value, 60),
            what=say,
        )
    )


def undone(step: str, items: Iterable[Item], reported: Collection[str]) -> Iterator[Finding]:
    """Yield advice on each item that would be changed, but for those that are reported already."""
    for item in items:
        if item.taken and item.value and not item.done and item.key not in reported:
            yield Finding(
                f"{step}-{item.key.rpartition(' ')[2]}",
                Severity.ADVICE,
                item.key,
                msg(
                    "{key} is {now}; {value} is better for a small server.",
                    key=of_setting(item.key),
                    now=item.now,
                    value=item.value,
                ),
                remedy(step),
            )


def plan_of(
    files: Iterable[FileChange], actions: Iterable[Action] = (), warnings: Iterable[Notice] = ()
) -> Plan:
    """Return the plan of these files and actions; what changes nothing is left out."""
    return Plan(
        edits=(),
        files=tuple(file for file in files if file.before != file.after),
        effects=(),
        warnings=tuple(warnings),
        refusals=(),
        actions=tuple(actions),
    )


def again(verb: str, unit: str) -> Action:
    """Return the action that restarts or reloads a unit that runs."""
    return Action(ActionKind.SERVICE, unit, verb, verb, words=f"systemctl {verb} {plain(unit)}")


def tested(what: str, words: str) -> Action:
    """Return the action that has a program check its own files."""
    return Action(ActionKind.TEST, what, "", "", words=words)


def in_the_place_of_links(actions: Iterable[Action]) -> Iterator[Notice]:
    """Yield a refusal for each file that lies where an action makes a link."""
    for action in actions:
        if action.kind is ActionKind.LINK and is_foreign(action.before):
            yield Notice(
                "file-in-place-of-link",
                action.what.rpartition("/")[2],
                _in_the_place(action),
                forceable=reason_of(action.before) is None,
            )


def _in_the_place(action: Action) -> Message:
    path = of_path(action.what)
    if reason := reason_of(action.before):
        return msg("{path}: {reason}", path=path, reason=reason)
    return sentences(
        msg(
            "{path} is {what} that lowmem-tui did not write: move it away.",
            path=path,
            what=shown(action.before),
        ),
        msg("With --force it is replaced and kept in the record, and undo restores it."),
    )


def percent(part: int, whole: int) -> str:
    """Return a share in words: ``12 %``."""
    return f"{round(100 * part / whole)} %" if whole else "?"


def several(names: Sequence[str], most: int = 4) -> Given:
    """Return names as a value of a message, of many only the first ones and how many more."""
    found = of_list(of_text(name, 60) for name in names[:most])
    if len(names) <= most:
        return found
    return plural("{names} and {n} other", "{names} and {n} others", len(names) - most, names=found)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return names as a list in a sentence, the many cut short."""
    shown = ", ".join(plain(name, 60) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
