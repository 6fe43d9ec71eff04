"""Idle weight: services that nobody asked for, with what each holds right now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.plan import Action, ActionKind, Notice, Phase
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.policy.dropin import FOLDER
from lowmem_tui.policy.forecast.gains import stopped
from lowmem_tui.setup import common
from lowmem_tui.setup.idle.seen import MASK, Seen, see
from lowmem_tui.setup.idle.table import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.setup.context import Ground

OFF = "off"


class IdleStep:
    """See ``Step``."""

    name = "idle"
    title = "Idle weight: services nobody asked for"
    about = (
        "A distribution's image starts services that a small server seldom needs, and each holds "
        "memory for nothing. Taken off, they are stopped and not started at boot any more; their "
        "packages stay, and undo brings them back as they were."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        found = see(self._ground)
        if not found:
            return Look(
                absent=f"None of the {len(table())} services that commonly idle is on here."
            )
        able = [each for each in found if not hindrance(each)]
        return Look(
            facts=tuple(_facts(found, able)),
            items=tuple(_item(each) for each in able),
            findings=tuple(_finding(each) for each in able if not each.idle.keep),
            by_hand=tuple(
                f"{plain(each.idle.unit)}: {plain(each.obstacle, 200)}"
                for each in found
                if each.obstacle and not each.used and not each.needed
            ),
        )

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        known = {idle.unit: idle for idle in table()}
        for key, value in wishes.items():
            if key not in known:
                here = (each.idle.unit for each in see(self._ground))
                raise common.unknown("idle", key, here)
            if value != OFF:
                raise common.wrong("idle", key, value, f'"{OFF}", or leave it out')
        actions: list[Action] = []
        notices: list[Notice] = []
        for each in see(self._ground) if wishes else ():
            if each.idle.unit not in wishes:
                continue
            if sentence := hindrance(each):
                raise RefusedError(f"{plain(each.idle.unit)} {sentence}")
            actions += _off(each)
            if each.idle.keep:
                text = f"{plain(each.idle.unit)}: {each.idle.keep} {each.idle.lost}"
                notices.append(Notice("idle-kept", each.idle.unit, text))
        return common.plan_of((), actions, notices)


def make(ground: Ground) -> IdleStep:
    """Return the step."""
    return IdleStep(ground)


def hindrance(seen: Seen) -> str:
    """Return why a service is not switched off, as a clause after its name; or ""."""
    if seen.needed:
        return f"is left alone: {plain(seen.needed, 60)} runs, and needs it."
    if seen.used:
        return f"is left alone: {plain(seen.used, 200)}."
    if seen.obstacle:
        return f"cannot be switched off from here: {plain(seen.obstacle, 200)}"
    return ""


def held(seen: Seen) -> str:
    """Return what it holds now."""
    if not seen.running:
        return "nothing now: it does not run"
    if not seen.ram + seen.swap:
        return "nothing between its runs"
    swap = f" and {format_size(seen.swap)} of swap" if seen.swap else ""
    return f"{format_size(seen.ram)} of RAM{swap}"


def _facts(found: list[Seen], able: list[Seen]) -> Iterator[str]:
    ram, swap = sum(e.ram for e in found), sum(e.swap for e in found)
    names = common.listed([each.idle.unit for each in found], 6)
    yield (
        f"{len(found)} of the {len(table())} services that commonly idle are on here: {names}. "
        f"They hold {format_size(ram)} of RAM and {format_size(swap)} of swap right now."
    )
    for each in found:
        if each.used or each.needed:
            yield f"{plain(each.idle.unit)} {hindrance(each)}"
    for each in able:
        if each.idle.keep:
            yield f"{plain(each.idle.unit)} is not proposed: {each.idle.keep}"


def _item(seen: Seen) -> Item:
    idle = seen.idle
    kept = f" Not unless you say so: {idle.keep}" if idle.keep else ""
    mask = " Other programs start it, so it is masked." if seen.mask else ""
    return Item(
        key=idle.unit,
        title=f"switch {idle.unit} off",
        now=f"on, holds {held(seen)}" if seen.running else "on at each boot, not running",
        value=OFF,
        why=f"{idle.reason} Without it: {idle.lost}{mask}{kept}",
        taken=not idle.keep,
    )


def _finding(seen: Seen) -> Finding:
    return Finding(
        "idle-service",
        Severity.ADVICE,
        seen.idle.unit,
        f"It holds {held(seen)}. {seen.idle.reason}",
        common.remedy("idle"),
    )


def _off(seen: Seen) -> Iterator[Action]:
    """Yield what switches it off.

    It is stopped ahead of the links, so that undo starts it behind them; and the service ahead of
    its sockets, so that undo begins with the sockets: one of a service that runs does not start.
    """
    for name in seen.running:
        gives = seen.ram + seen.swap if name == seen.idle.unit else None
        yield Action(
            ActionKind.RUN,
            name,
            "active",
            "inactive",
            Phase.EARLY,
            words=stopped(name, gives),
        )
    for path, target in seen.links:
        yield Action(
            ActionKind.LINK,
            path,
            target,
            "",
            Phase.FILES,
            words=f"rm {path}  (as systemctl disable {path.rpartition('/')[2]} does)",
        )
    for name in seen.mask:
        path = f"{FOLDER}/{name}"
        yield Action(ActionKind.LINK, path, "", MASK, Phase.FILES, words=f"systemctl mask {name}")
