"""Unneeded services: what distributions start and a small server seldom needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.message import N_, msg, of_bytes, of_unit, sentences
from lowmem_tui.model.plan import Action, ActionKind, Notice, Phase
from lowmem_tui.model.setup import Finding, Item, Look, Severity
from lowmem_tui.policy.dropin import FOLDER
from lowmem_tui.setup import common
from lowmem_tui.setup.idle.seen import MASK, Seen, see
from lowmem_tui.setup.idle.table import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.setup.context import Ground

OFF = "off"


class IdleStep:
    """See ``Step``."""

    name = "idle"
    title = N_("Unneeded services")
    about = N_(
        "A distribution's image starts services that a small server seldom needs, and each uses "
        "memory. A selected service is stopped and not started at boot any more. Its package stays "
        "installed, and undo restores everything."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        found = see(self._ground)
        if not found:
            return Look(
                absent=msg(
                    "None of the {known} services that are commonly unneeded is enabled here.",
                    known=len(table()),
                )
            )
        able = [each for each in found if not hindrance(each)]
        return Look(
            facts=tuple(_facts(found, able)),
            items=tuple(_item(each) for each in able),
            findings=tuple(_finding(each) for each in able if not each.idle.keep),
            by_hand=tuple(
                msg("{unit}: {why}", unit=of_unit(each.idle.unit), why=each.obstacle)
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
                raise common.wrong("idle", key, value, msg('"off", or leave the line out'))
        actions: list[Action] = []
        notices: list[Notice] = []
        for each in see(self._ground) if wishes else ():
            if each.idle.unit not in wishes:
                continue
            if sentence := hindrance(each):
                raise RefusedError(sentence)
            actions += _off(each)
            if keep := each.idle.keep:
                unit = of_unit(each.idle.unit)
                text = sentences(msg("{unit}: {why}", unit=unit, why=keep), each.idle.lost)
                notices.append(Notice("idle-kept", each.idle.unit, text))
        return common.plan_of((), actions, notices)


def make(ground: Ground) -> IdleStep:
    """Return the step."""
    return IdleStep(ground)


def hindrance(seen: Seen) -> Message | None:
    """Return why a service is not disabled, as a sentence; None if it can be."""
    unit = of_unit(seen.idle.unit, 60)
    if seen.needed:
        return msg(
            "{unit} is kept: {other} is running and needs it.",
            unit=unit,
            other=of_unit(seen.needed, 60),
        )
    if seen.used:
        return msg("{unit} is kept because it is in use. {why}", unit=unit, why=seen.used)
    if seen.obstacle:
        return msg("{unit} cannot be disabled from here. {why}", unit=unit, why=seen.obstacle)
    return None


def _in_use(seen: Seen) -> Message:
    """Say how much memory it uses now."""
    ram, swap = of_bytes(seen.ram), of_bytes(seen.swap)
    if not seen.running:
        return msg("It is not running now and uses no memory.")
    if not seen.ram + seen.swap:
        return msg("It uses no memory between its runs.")
    if seen.swap:
        return msg("It uses {ram} of RAM and {swap} of swap.", ram=ram, swap=swap)
    return msg("It uses {ram} of RAM.", ram=ram)


def _now(seen: Seen) -> Message:
    """Say in a few words how it is now."""
    ram, swap = of_bytes(seen.ram), of_bytes(seen.swap)
    if not seen.running:
        return msg("enabled, not running")
    if not seen.ram + seen.swap:
        return msg("on, no memory between runs")
    if seen.swap:
        return msg("on, {ram} RAM + {swap} swap", ram=ram, swap=swap)
    return msg("on, {ram} RAM", ram=ram)


def _facts(found: list[Seen], able: list[Seen]) -> Iterator[Message]:
    yield msg(
        "{n} of the {known} services that are commonly unneeded are enabled here: {names}.",
        n=len(found),
        known=len(table()),
        names=common.several([each.idle.unit for each in found], 6),
    )
    yield msg(
        "Together they use {ram} of RAM and {swap} of swap now.",
        ram=of_bytes(sum(e.ram for e in found)),
        swap=of_bytes(sum(e.swap for e in found)),
    )
    for each in found:
        if (each.used or each.needed) and (why := hindrance(each)):
            yield why
    for each in able:
        if keep := each.idle.keep:
            yield msg("{unit} is not preselected. {why}", unit=of_unit(each.idle.unit), why=keep)


def _item(seen: Seen) -> Item:
    idle = seen.idle
    mask = msg("Other programs start it, so it is masked.") if seen.mask else None
    kept = msg("Not preselected: {why}", why=idle.keep) if idle.keep else None
    return Item(
        key=idle.unit,
        title=msg("disable {unit}", unit=of_unit(idle.unit)),
        now=_now(seen),
        value=OFF,
        why=sentences(idle.reason, msg("Without it: {lost}", lost=idle.lost), mask, kept),
        taken=not idle.keep,
    )


def _finding(seen: Seen) -> Finding:
    return Finding(
        "idle-service",
        Severity.ADVICE,
        seen.idle.unit,
        sentences(_in_use(seen), seen.idle.reason),
        common.remedy("idle"),
    )


def _off(seen: Seen) -> Iterator[Action]:
    """Yield what stops and disables it.

    It is stopped before the links are removed, so that undo starts it after them; and the service
    before its sockets, so that undo begins with the sockets: one of a running service does not
    start.
    """
    for name in seen.running:
        gives = seen.ram + seen.swap if name == seen.idle.unit else None
        yield Action(
            ActionKind.RUN,
            name,
            "active",
            "inactive",
            Phase.EARLY,
            frees=gives,
        )
    for path, target in seen.links:
        yield Action(
            ActionKind.LINK,
            path,
            target,
            "",
            Phase.FILES,
            words=f"rm {path}  # systemctl disable {path.rpartition('/')[2]}",
        )
    for name in seen.mask:
        path = f"{FOLDER}/{name}"
        yield Action(ActionKind.LINK, path, "", MASK, Phase.FILES, words=f"systemctl mask {name}")
