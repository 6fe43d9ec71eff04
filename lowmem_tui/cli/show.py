"""`lowmem-tui show`: one unit whole, with every file that sets each of its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.cli import json_view, unit_sentences
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.cli.output import talk
from lowmem_tui.cli.rules import rules_for
from lowmem_tui.cli.unit_names import named, unknown
from lowmem_tui.model.cells import fit, left, wrap
from lowmem_tui.model.errors import ManagerError, NotPermittedError, UnsupportedError
from lowmem_tui.model.language import english, say, tr
from lowmem_tui.model.message import as_message, listed, msg, sentences
from lowmem_tui.model.settings import keys_of, render_value
from lowmem_tui.model.snapshot import Situation, Standing
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key, UnitType, is_unit_name, unit_type
from lowmem_tui.policy import dropin, settings_text
from lowmem_tui.policy.forecast.restart import Reaction
from lowmem_tui.policy.forecast.restart_text import at_every_start, killed_now, outlook

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Setting, Snapshot, Unit, UnitFile, UnitSituation
    from lowmem_tui.model.unit import Value
    from lowmem_tui.policy.classify import Rules, Verdict
    from lowmem_tui.policy.forecast.restart import Verdict as Restarts
    from lowmem_tui.policy.forecast.restart_text import Outlook

WIDTH = 80
COLUMN = 13
"""Cells of a value in the table of settings."""


class Shown(NamedTuple):
    """A unit, and all that could be found out about it."""

    unit: Unit
    verdict: Verdict
    known: UnitSituation | None
    """None where systemd does not answer."""
    snapshot: Snapshot


def run(options: argparse.Namespace) -> Exit:
    """Print each unit. Raises InvalidValueError for one that does not exist."""
    backend = open_backend(options, read_only=True)
    try:
        rules = rules_for(demo=backend.demo)
        backend.wait_ready()
        units, notice = _look(backend, options.units, rules)
    finally:
        backend.close()
    if notice is not None:
        talk(notice)
    if options.json:
        json_view.write(as_json(units))
        return Exit.DONE
    for at, shown in enumerate(units):
        if at:
            print()
        for line in page(shown):
            print(line)
    return Exit.DONE


def _look(
    backend: ServerBackend, words: Sequence[str], rules: Rules
) -> tuple[list[Shown], Message | None]:
    """Return the units, and a sentence where not all could be found out.

    Raises InvalidValueError; ManagerError, NotPermittedError, UnsupportedError where only systemd
    knows whether there is such a unit.
    """
    snapshot = backend.look()
    names = named(snapshot, words)
    notice = as_message(snapshot.notice) if snapshot.notice else None
    situations: dict[str, UnitSituation] = {}
    try:
        asked = filter(is_unit_name, names)
        situations = backend.situation(list(asked), hidden=True).units
    except (ManagerError, NotPermittedError, UnsupportedError) as error:
        if any(name not in snapshot.units for name in names):
            raise
        notice = sentences(error.message, msg("Until then settings are unknown."))
    for name in names:
        known = situations.get(name)
        if known is not None and not _exists(known.unit):
            raise unknown(name, backend, snapshot)
    return [_shown(name, snapshot, situations.get(name), rules) for name in names], notice


def _exists(unit: Unit) -> bool:
    return unit.usage is not None or unit.properties is None or unit.properties.exists


def _shown(name: str, snapshot: Snapshot, known: UnitSituation | None, rules: Rules) -> Shown:
    unit = known.unit if known else snapshot.units[name]
    return Shown(unit, rules.classify(unit, snapshot.host.mem_total), known, snapshot)


# --- for programs ---------------------------------------------------------------------------------


def as_json(units: Sequence[Shown]) -> dict[str, object]:
    """Return it as cli.md's contract has it: one unit is the document, several are a list."""
    views = [_view(shown) for shown in units]
    return views[0] if len(views) == 1 else {"units": views}


def _view(shown: Shown) -> dict[str, object]:
    unit, known = shown.unit, shown.known
    settings = known.settings if known else {}
    lone = Situation(shown.snapshot, {unit.name: known} if known else {})
    return {
        "unit": json_view.unit(unit, shown.verdict, lone),
        "files": [_file(each) for each in _files(known)],
        "settings": {k: _setting(s) for k, s in settings.items()} if known else None,
        "protection": _protection(settings),
        "after_kill": _after_kill(unit),
    }


class _File(NamedTuple):
    file: UnitFile
    loaded: bool
    """Whether systemd has read it."""


def _files(known: UnitSituation | None) -> list[_File]:
    """Return its files: those that are not read first, then the others in systemd's order."""
    if known is None:
        return []
    loaded = {file.path for file in known.files}
    files = list(known.files)
    if known.drop_in is not None and known.drop_in.path not in loaded:
        files = dropin.with_file(files, known.drop_in)
    return [_File(file, file.path in loaded) for file in (*known.hidden, *files)]


def _file(each: _File) -> dict[str, object]:
    text = each.file.text
    return {
        "path": each.file.path,
        "ours": dropin.marked(text or ""),
        "loaded": each.loaded,
        "readable": text is not None,
    }


def _setting(setting: Setting) -> dict[str, object]:
    view: dict[str, object] = {
        "declared": setting.declared,
        "loaded": json_view.value(setting.loaded),
        "kernel": json_view.value(setting.kernel),
        "effective": json_view.value(setting.effective),
        "sources": [
            {
                "file": source.path,
                "line": source.line,
                "key": source.key,
                "value": source.value,
                "wins": None
                if source.standing is Standing.UNKNOWN
                else source.standing is Standing.DECIDES,
                "state": source.standing,
            }
            for source in setting.sources
        ],
    }
    if setting.differs:
        view["differs"] = english(setting.differs)
    return view


def _protection(settings: Mapping[Key, Setting]) -> dict[str, object]:
    low, least = settings.get(Key.MEMORY_LOW), settings.get(Key.MEMORY_MIN)
    return {
        "min": json_view.value(least.kernel) if least else None,
        "low": json_view.value(low.kernel) if low else None,
        "effective_min": json_view.value(least.effective) if least else None,
        "effective_low": json_view.value(low.effective) if low else None,
    }


_OUTCOMES = {
    Reaction.RESTARTS: "restarts",
    Reaction.RESTARTS_INDEFINITELY: "restarts",
    Reaction.STAYS_DOWN: "stays down",
    Reaction.START_LIMIT: "start limit",
}


def _after_kill(unit: Unit) -> dict[str, object] | None:
    """Return what becomes of it; None for what is no service, and where it is unknown."""
    found = outlook(unit.properties) if unit.properties else None
    if found is None:
        return None
    return {
        "outcome": _outcome(found, found.now),
        "text": english(killed_now(found)),
        "at_every_start": {
            "outcome": _outcome(found, found.start),
            "text": english(at_every_start(found)),
        },
    }


def _outcome(found: Outlook, verdict: Restarts) -> str:
    return "stays down" if found.unloadable else _OUTCOMES[verdict.reaction]


# --- for a person ---------------------------------------------------------------------------------


def page(shown: Shown) -> Iterator[str]:
    """Yield its lines, wrapped to 80 cells; a path that is longer stays whole."""
    unit, known = shown.unit, shown.known
    yield from _wrapped(unit_sentences.identity(unit, shown.verdict))
    if unit.properties is None:
        yield from _wrapped([msg("What systemd has loaded of it is unknown.")])
    yield ""
    yield from _wrapped(unit_sentences.memory(unit.usage))
    yield from _wrapped(_kill(unit))
    if known is None:
        return
    own = keys_of(unit_type(unit.name))
    if settings := {key: s for key, s in known.settings.items() if key in own}:
        yield ""
        yield from _table(known, settings)
        yield ""
        yield tr("SETTINGS AND SOURCE FILES")
        for line in settings_text.lines(settings, WIDTH, say):
            yield from wrap(line.text, WIDTH, then="     ")
    if (unread := settings_text.unread(known)) is not None:
        yield from _wrapped([unread])
    if files := _files(known):
        yield ""
        yield tr("FILES, IN THE ORDER OF SYSTEMD")
        for each in files:
            yield f" {plain(each.file.path)}{_remark(each)}"


def _kill(unit: Unit) -> list[Message]:
    found = list(unit_sentences.after_a_kill(unit))
    if not found and unit_type(unit.name) is UnitType.SERVICE:
        found = [msg("What happens after an OOM kill is unknown.")]
    if unit.usage is not None and unit.usage.memory.oom_group:
        found.append(msg("The OOM killer kills all of its processes together (memory.oom.group)."))
    return found


def _table(known: UnitSituation, settings: Mapping[Key, Setting]) -> Iterator[str]:
    heads = (tr("FILES"), tr("SYSTEMD"), tr("KERNEL"), tr("EFFECTIVE"))
    yield (
        " " + left(tr("SETTING"), 15) + "".join(f" {left(each, COLUMN)}" for each in heads)
    ).rstrip()
    known_files = all(file.text is not None for file in known.files)
    for key, s in settings.items():
        declared = s.declared
        if declared is None:
            declared = tr("not set") if known_files else tr("unknown")
        cells = (
            declared or tr("(default)"),
            _shown_value(key, s.loaded, applies=True),
            _shown_value(key, s.kernel, applies=key.facts.file is not None),
            _shown_value(key, s.effective, applies=key.facts.bounded is not None),
        )
        yield (
            f" {key:<15}" + "".join(f" {fit(plain(each), COLUMN, '…')}" for each in cells).rstrip()
        )


def _shown_value(key: Key, value: Value | None, *, applies: bool) -> str:
    if not applies:
        return "—"
    return tr("unknown") if value is None else render_value(key, value)


def _remark(each: _File) -> str:
    notes = []
    if dropin.marked(each.file.text or ""):
        notes.append(tr("written by lowmem-tui"))
    if not each.loaded:
        notes.append(tr("not read by systemd"))
    return f" ({say(listed(*notes))})" if notes else ""


def _wrapped(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        yield from wrap(say(message), WIDTH, then="  ")
