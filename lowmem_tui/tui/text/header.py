"""The three lines at the top: the server, its memory, the next OOM victim (or what is wrong)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.cells import cells
from lowmem_tui.model.language import say, spaced, tr
from lowmem_tui.model.message import of_bytes
from lowmem_tui.model.text import plain
from lowmem_tui.policy.budget import Verdict, budget
from lowmem_tui.policy.forecast.oom import instead, next_victim
from lowmem_tui.tui.text.meter import Meter, draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.model.ports import Backend
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.usage import HostUsage
    from lowmem_tui.policy.budget import Budget
    from lowmem_tui.policy.forecast.oom import Candidate
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.looks import Palette

S = TypeVar("S")

NARROW = 60
"""Cells below which words are shorter."""

WIDE = 100
"""Cells from which on the reserve is shown apart from the limits."""

LEAST_NAME = 14
"""Cells of a unit's name that are worth more than what could stand beside it."""


def badges(backend: Backend, *, read_only: bool) -> tuple[str, ...]:
    """Return what is shown beside the server's name."""
    return (*(tr("DEMO"),) * backend.demo, *(tr("READ-ONLY"),) * read_only)


class Header(Generic[S]):
    """What is always visible, for one width."""

    def __init__(
        self, width: int, glyphs: Glyphs, palette: Palette[S], badges: Sequence[str]
    ) -> None:
        self._width, self._glyphs, self._palette, self._badges = width, glyphs, palette, badges

    def lines(self, snapshot: Snapshot | None, notice: str) -> list[list[tuple[str, S]]]:
        """Return the figures of a snapshot; the notice, if any, in place of the last line."""
        width, plain_ = self._width, self._palette.plain
        if snapshot is None:
            text = notice or tr("Reading the control groups ...")
            badged = self._line_of(self._badged("lowmem-tui"), [])
            return [badged, [], [(plain(f" {text}", width), plain_)]]
        third = [(plain(f" {notice}", width), self._palette.warn)]
        host = snapshot.host
        meters = draw(
            (
                Meter(tr("Mem"), host.mem_total - host.mem_available, host.mem_total, 2),
                Meter(tr("Swap"), host.swap_used, host.swap_total, 1),
            ),
            width,
            self._glyphs,
            self._palette,
        )
        return [
            self._title(host),
            self._line_of(meters, []),
            self._line_of(third, []) if notice else self._fate(snapshot),
        ]

    def _badged(self, name: str) -> list[tuple[str, S]]:
        parts: list[tuple[str, S]] = [(f" {name}", self._palette.strong)]
        for badge in self._badges:
            parts += [(" ", self._palette.plain), (f" {badge} ", self._palette.badge)]
        return parts

    def _title(self, host: HostUsage) -> list[tuple[str, S]]:
        """Put the most useful facts first: what does not fit is left out."""
        parts = self._badged(plain(host.hostname, 24))
        facts = _facts(host)
        dot = self._glyphs.dot
        room = self._width - _cells(parts)
        pressure = self._pressure(host, room - cells(f" {dot} {facts[0]}") - 1)
        for fact in facts:
            more = f" {dot} {fact}"
            room -= cells(more)
            if room <= _cells(pressure):
                break
            parts.append((more, self._palette.plain))
        return self._line_of(parts, pressure)

    def _pressure(self, host: HostUsage, room: int) -> list[tuple[str, S]]:
        if host.pressure is None:
            return []
        some, full = host.pressure.some, host.pressure.full
        text = f"PSI some {some.avg10:.1f}%" + (f" full {full.avg10:.1f}% " if full else " ")
        if cells(text) > room:
            text = f"PSI {some.avg10:.1f}% "
        # A twentieth of the time lost to waiting is felt, a tenth is bad.
        lost = some.avg10 / 10
        return [(text, self._palette.level(lost) if lost >= 0.5 else self._palette.plain)]

    def _fate(self, snapshot: Snapshot) -> list[tuple[str, S]]:
        limits = self._limits(budget(snapshot))
        narrow = self._width < NARROW
        if other := instead(snapshot.host):
            text = spaced(tr("Out of memory:")) if narrow else spaced(tr("When memory is used up:"))
            return self._line_of(
                [(f" {text}", self._palette.plain), (say(other), self._palette.bad)], limits
            )
        unseen = any(u.usage and u.usage.rss is None for u in snapshot.units.values())  # hidepid
        label = f" {_next_victim(narrow=narrow, unseen=unseen)}"
        doomed = next_victim(snapshot)
        if doomed is None:
            nobody = tr("no process can be killed")
            return self._line_of([(label + nobody, self._palette.plain)], limits)
        room = self._width - cells(label)
        unit, process = _named(doomed, room, room - _cells(limits) - 1, narrow=narrow)
        plain_, strong = self._palette.plain, self._palette.strong
        return self._line_of([(label, plain_), (unit, strong), (process, plain_)], limits)

    def _limits(self, found: Budget) -> list[tuple[str, S]]:
        """Return the sum of all limits and the reserve, and whether it fits."""
        ram, reserve = of_bytes(found.ram), of_bytes(found.reserve)
        if self._width >= WIDE:
            limits = of_bytes(found.promised - found.reserve)
            text = tr(
                "Limits {limits} + reserve {reserve} of {ram}",
                limits=limits,
                reserve=reserve,
                ram=ram,
            )
        else:
            text = tr("Limits+reserve {sum} of {ram}", sum=of_bytes(found.promised), ram=ram)
        return [(f"{text} ", self._palette.plain), self._verdict(found)]

    def _verdict(self, found: Budget) -> tuple[str, S]:
        if found.verdict is Verdict.FITS:
            return tr("ok") + " ", self._palette.good
        if found.verdict is Verdict.SWAPS:
            return tr("overcommitted") + " ", self._palette.warn
        more = tr("over RAM+swap") if found.usable else tr("over RAM")
        return f"{more} ", self._palette.bad

    def _line_of(
        self, left: list[tuple[str, S]], right: list[tuple[str, S]]
    ) -> list[tuple[str, S]]:
        """Return a line; what stands at the right goes where there is no room for it."""
        line = [part for part in left if part[0]]
        end = list(right)
        gap = self._width - _cells(line) - _cells(end)
        if gap < 1:
            end, gap = [], self._width - _cells(line)
        return [*line, (" " * max(0, gap), self._palette.plain), *end]


def _facts(host: HostUsage) -> list[str]:
    """Return facts on the machine, the most useful first."""
    facts = [tr("{size} RAM", size=of_bytes(host.mem_total))]
    if host.swap_total:
        facts.append(tr("{size} swap", size=of_bytes(host.swap_total)))
    else:
        facts.append(tr("no swap"))
    if host.uptime is not None:
        facts.append(tr("up {time}", time=uptime(host.uptime)))
    if host.zram is not None and host.zram.stored:
        stored, used = of_bytes(host.zram.stored), of_bytes(host.zram.used)
        facts.append(tr("zram {stored} in {used}", stored=stored, used=used))
    return facts


def _next_victim(*, narrow: bool, unseen: bool) -> str:
    """Return what is shown before the victim; ``unseen``: not all processes can be read."""
    if unseen:
        return spaced(tr("Next visible:")) if narrow else spaced(tr("Next visible OOM victim:"))
    return spaced(tr("Next:")) if narrow else spaced(tr("Next OOM victim:"))


def _named(doomed: Candidate, room: int, beside: int, *, narrow: bool) -> tuple[str, str]:
    """Return the victim's unit and process for so many cells; ``beside`` the limits for fewer."""
    process = f" ({plain(doomed.name, 16)} {doomed.pid})"
    whole = process if narrow else f"{process[:-1]}, {format_size(doomed.rss)})"
    unit = plain(doomed.unit, max(room - cells(whole), 8))
    if cells(unit) + cells(whole) <= beside:
        return unit, whole
    # What it uses makes room for the limits, then the name as long as enough of it is left, then
    # the process.
    if beside >= LEAST_NAME + cells(process):
        return plain(doomed.unit, beside - cells(process)), process
    if beside >= LEAST_NAME:
        return plain(doomed.unit, beside), ""
    return unit, whole


def _cells(parts: Iterable[tuple[str, S]]) -> int:
    return sum(cells(text) for text, _ in parts)


def uptime(seconds: float) -> str:
    """Return a time span, coarse: ``12d``, ``5h``, ``3min``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:.0f}s"
