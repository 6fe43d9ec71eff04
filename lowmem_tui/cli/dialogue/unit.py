"""One unit whole, and finding out which unit is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.cli.dialogue.words import known, limit, size
from lowmem_tui.model import language
from lowmem_tui.model.errors import InvalidValueError, LowmemError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import N_, msg, of_list, of_unit
from lowmem_tui.model.settings import Bound, render_value
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import CGROUP_FILES
from lowmem_tui.policy import dropin, settings_text
from lowmem_tui.policy.setting_advice import TIER_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.snapshot import Setting, Snapshot, UnitSituation
    from lowmem_tui.model.usage import Process, UnitUsage

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
    if word in snapshot.units:
        return word
    if (primary := _by_alias(snapshot, word)) is not None:
        return primary
    return _in_part(d, snapshot, word)


def _by_alias(snapshot: Snapshot, word: str) -> str | None:
    names = {word, f"{word}.service"}
    for unit in snapshot.units.values():
        if unit.name in names or (unit.properties and names & set(unit.properties.names)):
            return unit.name
    return None


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
        _identity(d, unit, snapshot)
        if unit.usage is None:
            d.console.say("It is not running: it uses no memory.")
        else:
            _usage(d, unit.usage)
        try:
            _settings(d, d.backend.situation([name], hidden=True).units[name])
        except LowmemError as error:
            d.console.message(error.message)
        _after_a_kill(d, unit)
        if unit.usage is not None:
            _processes(d, unit.usage.processes)
        d.console.say("edit {unit} sets its settings.", unit=name)


def _identity(d: Dialogue, unit: Unit, snapshot: Snapshot) -> None:
    p = unit.properties
    if p is None or not p.description:
        d.console.say("{unit}.", unit=unit.name)
    else:
        d.console.say("{unit}: {description}.", unit=unit.name, description=p.description)
    if p is not None:
        d.console.say(
            "State: {active} ({sub}), {load}, result {result}.",
            active=p.active_state,
            sub=p.sub_state,
            load=p.load_state,
            result=p.result,
        )
    if unit.name in snapshot.units:
        verdict = d.rules.classify(unit, snapshot.host.mem_total)
        d.console.say("{tier}. {reason}", tier=TIER_NAMES[verdict.tier], reason=verdict.reason)
    if p is not None and p.need_daemon_reload:
        d.console.say("Its files have changed on disk, and systemd has not reloaded them.")


def _usage(d: Dialogue, usage: UnitUsage) -> None:
    memory = usage.memory
    d.console.say(
        "It uses {rss} RSS and {swap} swap. cgroup total (memory.current): {total}; anonymous "
        "memory {anon}, page cache {file}, shmem {shmem}, kernel {kernel}, peak {peak}.",
        rss=size(usage.rss),
        swap=size(usage.swap),
        total=size(memory.current),
        anon=size(memory.anon),
        file=size(memory.file),
        shmem=size(memory.shmem),
        kernel=size(memory.kernel),
        peak=size(memory.peak),
    )
    d.console.say(
        "Its limits and its protection in the kernel: {values}.",
        values=of_list(
            f"{file} {limit(memory.settings.get(key))}" for key, file in CGROUP_FILES.items()
        ),
    )
    if memory.pressure is not None:
        d.console.say(
            "Its tasks waited for memory {ten} percent of the last 10 seconds and {sixty} percent "
            "of the last 60.",
            ten=memory.pressure.some.avg10,
            sixty=memory.pressure.some.avg60,
        )
    if memory.oom_kills:
        d.console.say_count(
            "The OOM killer has killed in it once since it started.",
            "The OOM killer has killed in it {n} times since it started.",
            memory.oom_kills,
        )


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


def _after_a_kill(d: Dialogue, unit: Unit) -> None:
    from lowmem_tui.policy.forecast.restart_text import at_every_start, killed_now, outlook

    found = outlook(unit.properties) if unit.properties else None
    if found is not None:
        d.console.say("If it is killed for memory now: {outcome}.", outcome=killed_now(found))
        d.console.say("If it fails at every start: {outcome}.", outcome=at_every_start(found))


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
