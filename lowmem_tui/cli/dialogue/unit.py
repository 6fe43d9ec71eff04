"""One unit whole, and finding out which unit is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.cli import unit_sentences
from lowmem_tui.cli.dialogue.words import known, limit, size
from lowmem_tui.cli.unit_names import by_name
from lowmem_tui.model import language
from lowmem_tui.model.errors import InvalidValueError, LowmemError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import N_, msg, of_list, of_unit
from lowmem_tui.model.settings import Bound, render_value
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.policy import dropin, settings_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Setting, Snapshot, UnitSituation
    from lowmem_tui.model.usage import Process

MOST = 10
"""Processes that are listed, the largest first."""

WHICH = N_("Which unit? Type its number in the last list, or its name.")
HELP = N_(
    "list gives the units their numbers. A name may be typed without .service, or in part where "
    "no other unit has that part."
)


def chosen(d: Dialogue, typed: str, question: str = WHICH, *, several: bool = False) -> list[str]:
    """Return the units that are meant, asking until they are understood; none to go back."""
    while True:
        answer = typed or d.ask(question, HELP)
        typed = ""
        if answer is None:
            return []
        try:
            found = [_named(d, word) for word in answer.replace(",", " ").split()]
        except LowmemError as error:
            d.console.message(error.message)
            continue
        if len(found) == 1 or (found and several):
            return list(dict.fromkeys(found))
        d.console.say("Name one unit here.")


def _named(d: Dialogue, word: str) -> str:
    """Return the primary name of the unit that a number or a word means.

    Raises InvalidValueError, ManagerError.
    """
    number = natural(word, 6)
    if number is not None:
        if 1 <= number <= len(d.listed):
            return d.listed[number - 1]
        raise InvalidValueError(
            msg(
                "No unit has number {number} in the last list: type list to get the numbers.",
                number=number,
            )
        )
    snapshot = d.backend.look()
    return by_name(snapshot, word) or _in_part(d, snapshot, word)


def _in_part(d: Dialogue, snapshot: Snapshot, word: str) -> str:
    found = [name for name in snapshot.units if word.lower() in name.lower()]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise InvalidValueError(
            msg(
                "{count} units have {word} in their names: type list {word} to see them.",
                count=len(found),
                word=word,
            )
        )
    name = dropin.full_name(word)
    # It may be a unit that systemd has not loaded.
    loaded = d.backend.situation([name]).units[name].unit
    if loaded.properties is None or not loaded.properties.exists:
        raise InvalidValueError(
            msg("There is no unit {unit}: type list all to see every unit.", unit=of_unit(name))
        )
    return loaded.name


# --- the page -----------------------------------------------------------------------------------


def page(d: Dialogue, typed: str) -> None:
    """Say everything about one unit."""
    for name in chosen(d, typed):
        d.backend.watch(name)
        try:
            snapshot = d.look()
        finally:
            d.backend.watch(None)
        d.kills.looked_at(name)
        unit = snapshot.units.get(name) or Unit(name, None, None)
        verdict = None
        if name in snapshot.units:
            verdict = d.rules.classify(unit, snapshot.host.mem_total)
        _say(d, unit_sentences.identity(unit, verdict))
        _say(d, unit_sentences.memory(unit.usage))
        try:
            _settings(d, d.backend.situation([name], hidden=True).units[name])
        except LowmemError as error:
            d.console.message(error.message)
        _say(d, unit_sentences.after_a_kill(unit))
        if unit.usage is not None:
            _processes(d, unit.usage.processes)
        d.console.say("edit {unit} sets its settings.", unit=name)


def _say(d: Dialogue, words: Iterable[Message]) -> None:
    for each in words:
        d.console.message(each)


def _settings(d: Dialogue, situation: UnitSituation) -> None:
    unset = [key for key, setting in situation.settings.items() if setting.declared is None]
    for key, setting in situation.settings.items():
        if key not in unset:
            d.console.say(
                "{key} is {value}, set in {file}.",
                key=key,
                value=setting.declared or tr("reset to its default"),
                file=setting.source or tr("an unknown file"),
            )
        for words in settings_text.not_decisive(setting):
            d.console.message(words)
        _strange(d, setting)
    if unset:
        d.console.say("No file sets {keys}.", keys=of_list(unset))
    if (unread := settings_text.unread(situation)) is not None:
        d.console.message(unread)


def _strange(d: Dialogue, setting: Setting) -> None:
    if setting.differs:
        d.console.say(
            "{key} differs: systemd has {loaded}, the kernel {kernel}. {why}",
            key=setting.key,
            loaded=render_value(setting.key, setting.loaded),
            kernel=render_value(setting.key, setting.kernel),
            why=language.say(setting.differs),
        )
    if setting.capped_by:
        sentence = N_("{parent} caps {key} at {limit}.")
        if setting.key.facts.bounded is Bound.PROTECTION:
            sentence = N_("{parent} grants {key} only {limit}.")
        d.console.say(
            sentence,
            parent=setting.capped_by,
            key=setting.key,
            limit=limit(setting.effective),
        )


def _processes(d: Dialogue, rows: Sequence[Process]) -> None:
    ranked = sorted(rows, key=lambda p: p.rss + (p.swap or 0), reverse=True)
    d.console.say_count("It has 1 process.", "It has {n} processes.", len(ranked))
    for p in ranked[:MOST]:
        d.console.say(
            "Process {pid}: {rss} RSS, {swap} swap, OOM score {score}, oom_score_adj {adj}: "
            "{command}",
            pid=p.pid,
            rss=size(p.rss),
            swap=size(p.swap),
            score=known(p.oom_score),
            adj=known(p.oom_score_adj),
            command=p.command or f"[{p.name}]",
        )
    if len(ranked) > MOST:
        d.console.say("{count} smaller ones are not listed.", count=len(ranked) - MOST)
