"""The three lines at the top: the server, its memory, the next OOM victim (or what is wrong)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rich.segment import Segment

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.cells import cells
from lowmem_tui.model.language import say, spaced, tr
from lowmem_tui.model.message import of_bytes
from lowmem_tui.model.text import plain
from lowmem_tui.policy.budget import Verdict, budget
from lowmem_tui.policy.forecast.oom import instead, next_victim
from lowmem_tui.tui.widgets.lines import Line, Lines
from lowmem_tui.tui.widgets.meter import Meter, draw

if TYPE_CHECKING:
    from rich.style import Style

    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.usage import HostUsage
    from lowmem_tui.policy.budget import Budget
    from lowmem_tui.policy.forecast.oom import Candidate
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.palette import Palette


NARROW = 60
"""Cells below which words are shorter."""

WIDE = 100
"""Cells from which on the reserve is shown apart from the limits."""

LEAST_NAME = 14
"""Cells of a unit's name that are worth more than what could stand beside it."""

Part: TypeAlias = "tuple[str, Style]"


class Header(Lines):
    """What is always visible."""

    DEFAULT_CSS = "Header { height: 3; }"

    def __init__(self, glyphs: Glyphs, palette: Palette, badges: tuple[str, ...]) -> None:
        super().__init__(("", "", ""), id="header")
        self._glyphs, self._palette, self._badges = glyphs, palette, badges
        self._snapshot: Snapshot | None = None
        self._notice = ""

    def update(self, snapshot: Snapshot | None, notice: str) -> None:
        """Show the figures of a snapshot; the notice, if any, in place of the last line."""
        self._snapshot, self._notice = snapshot, notice
        self.paint()

    def on_resize(self) -> None:
        """Fit the new width."""
        self.paint()

    def paint(self) -> None:
        """Make the lines; before there is a width there is nothing to make."""
        snapshot, notice, width = self._snapshot, self._notice, self.size.width
        if not width:
            return
        third = self._line_of([(plain(f" {notice}", width), self._palette.warn)], [])
        if snapshot is None:
            text = notice or tr("Reading the control groups ...")
            badged = self._line_of(self._badged("lowmem-tui"), [])
            self.show([badged, "", plain(f" {text}", width)])
            return
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
        self.show(
            [
                self._title(host),
                self._line_of(meters, []),
                third if notice else self._fate(snapshot),
            ]
        )

    def _badged(self, name: str) -> list[Part]:
        parts: list[Part] = [(f" {name}", self._palette.strong)]
        for badge in self._badges:
            parts += [(" ", self._palette.plain), (f" {badge} ", self._palette.badge)]
        return parts

    def _title(self, host: HostUsage) -> Line:
        """Put the most useful facts first: what does not fit is left out."""
        parts = self._badged(plain(host.hostname, 24))
        facts = _facts(host)
        dot = self._glyphs.dot
        room = self.size.width - _cells(parts)
        pressure = self._pressure(host, room - cells(f" {dot} {facts[0]}") - 1)
        for fact in facts:
            more = f" {dot} {fact}"
            room -= cells(more)
            if room <= _cells(pressure):
                break
            parts.append((more, self._palette.plain))
        return self._line_of(parts, pressure)

    def _pressure(self, host: HostUsage, room: int) -> list[Part]:
        if host.pressure is None:
            return []
        some, full = host.pressure.some, host.pressure.full
        text = f"PSI some {some.avg10:.1f}%" + (f" full {full.avg10:.1f}% " if full else " ")
        if cells(text) > room:
            text = f"PSI {some.avg10:.1f}% "
        # A twentieth of the time lost to waiting is felt, a tenth is bad.
        lost = some.avg10 / 10
        return [(text, self._palette.level(lost) if lost >= 0.5 else self._palette.plain)]

    def _fate(self, snapshot: Snapshot) -> Line:
        limits = self._limits(budget(snapshot))
        narrow = self.size.width < NARROW
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
        room = self.size.width - cells(label)
        unit, process = _named(doomed, room, room - _cells(limits) - 1, narrow=narrow)
        plain_, strong = self._palette.plain, self._palette.strong
        return self._line_of([(label, plain_), (unit, strong), (process, plain_)], limits)

    def _limits(self, found: Budget) -> list[Part]:
        """Return the sum of all limits and the reserve, and whether it fits."""
        ram, reserve = of_bytes(found.ram), of_bytes(found.reserve)
        if self.size.width >= WIDE:
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

    def _verdict(self, found: Budget) -> Part:
        if found.verdict is Verdict.FITS:
            return tr("ok") + " ", self._palette.good
        if found.verdict is Verdict.SWAPS:
            return tr("overcommitted") + " ", self._palette.warn
        more = tr("over RAM+swap") if found.usable else tr("over RAM")
        return f"{more} ", self._palette.bad

    def _line_of(self, left: list[Part], right: list[Part]) -> Line:
        """Return a line; what stands at the right goes where there is no room for it."""
        line = tuple(Segment(text, style) for text, style in left if text)
        end = tuple(Segment(text, style) for text, style in right)
        gap = self.size.width - _length(line) - _length(end)
        if gap < 1:
            end, gap = (), self.size.width - _length(line)
        return (*line, Segment(" " * max(0, gap), self._palette.plain), *end)


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


def _cells(parts: list[Part]) -> int:
    return sum(cells(text) for text, _ in parts)


def _length(line: Line) -> int:
    return sum(segment.cell_length for segment in line)


def uptime(seconds: float) -> str:
    """Return a time span, coarse: ``12d``, ``5h``, ``3min``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:.0f}s"
