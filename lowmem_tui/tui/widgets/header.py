"""The three lines at the top: the server, its memory, who dies next (or what is wrong)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.text import plain
from lowmem_tui.policy.budget import Verdict, budget
from lowmem_tui.policy.forecast.oom import instead, next_to_die
from lowmem_tui.tui.widgets.lines import Line, Lines
from lowmem_tui.tui.widgets.meter import Meter, draw

if TYPE_CHECKING:
    from rich.style import Style

    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.usage import HostUsage
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.palette import Palette


NARROW = 60
"""Cells below which words are saved."""

WIDE = 100
"""Cells from which on what is kept for the system is told apart from the limits."""

LEAST_NAME = 14
"""Cells of a unit's name that are worth more than what could stand beside it."""

Part: TypeAlias = "tuple[str, Style]"


class Header(Lines):
    """What is always in sight."""

    DEFAULT_CSS = "Header { height: 3; }"

    def __init__(self, glyphs: Glyphs, palette: Palette, badges: tuple[str, ...]) -> None:
        super().__init__(("", "", ""), id="header")
        self._glyphs, self._palette, self._badges = glyphs, palette, badges
        self._snapshot: Snapshot | None = None
        self._notice = ""

    def update(self, snapshot: Snapshot | None, notice: str) -> None:
        """Show the figures of a snapshot, and the notice in the place of the last line if any."""
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
            text = notice or "Reading the control groups ..."
            badged = self._line_of(self._badged("lowmem-tui"), [])
            self.show([badged, "", plain(f" {text}", width)])
            return
        host = snapshot.host
        meters = draw(
            (
                Meter("Mem", host.mem_total - host.mem_available, host.mem_total, 2),
                Meter("Swap", host.swap_used, host.swap_total, 1),
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
        facts = [f"{format_size(host.mem_total)} RAM"]
        facts.append(f"{format_size(host.swap_total)} swap" if host.swap_total else "no swap")
        if host.uptime is not None:
            facts.append(f"up {uptime(host.uptime)}")
        if host.zram is not None and host.zram.stored:
            facts.append(f"zram {format_size(host.zram.stored)} in {format_size(host.zram.used)}")
        dot = self._glyphs.dot
        room = self.size.width - _cells(parts)
        pressure = self._pressure(host, room - len(f" {dot} {facts[0]}") - 1)
        for fact in facts:
            more = f" {dot} {fact}"
            room -= len(more)
            if room <= _cells(pressure):
                break
            parts.append((more, self._palette.plain))
        return self._line_of(parts, pressure)

    def _pressure(self, host: HostUsage, room: int) -> list[Part]:
        if host.pressure is None:
            return []
        some, full = host.pressure.some, host.pressure.full
        text = f"PSI some {some.avg10:.1f}%" + (f" full {full.avg10:.1f}% " if full else " ")
        if len(text) > room:
            text = f"PSI {some.avg10:.1f}% "
        # A twentieth of the time lost to waiting is felt, a tenth is bad.
        lost = some.avg10 / 10
        return [(text, self._palette.level(lost) if lost >= 0.5 else self._palette.plain)]

    def _fate(self, snapshot: Snapshot) -> Line:
        narrow = self.size.width < NARROW
        text = " Next: " if narrow else " Next to die: "
        if any(u.usage and u.usage.rss is None for u in snapshot.units.values()):
            text = " Next seen: " if narrow else " Next, of those seen: "  # hidepid
        parts: list[Part] = [(text, self._palette.plain)]
        found = budget(snapshot)
        limits = f"Limits+kept {format_size(found.promised)}"
        if self.size.width >= WIDE:
            alone = format_size(found.promised - found.reserve)
            limits = f"Limits {alone} + {format_size(found.reserve)} kept"
        word, style = {
            Verdict.FITS: ("ok ", self._palette.good),
            Verdict.SWAPS: ("swaps ", self._palette.warn),
            Verdict.KILLS: ("too much ", self._palette.bad),
        }[found.verdict]
        right = [(f"{limits} of {format_size(found.ram)}, ", self._palette.plain), (word, style)]
        if other := instead(snapshot.host):
            text = " Out of memory " if narrow else " When memory is used up "
            return self._line_of([(text, self._palette.plain), (other, self._palette.bad)], right)
        doomed = next_to_die(snapshot)
        if doomed is None:
            return self._line_of([*parts, ("nobody can be killed", self._palette.plain)], right)
        process = f" ({plain(doomed.name, 16)} {doomed.pid}"
        who = f"{process})" if narrow else f"{process}, {format_size(doomed.rss)})"
        room = self.size.width - len(text)
        beside = room - _cells(right) - 1
        unit = plain(doomed.unit, max(room - len(who), 8))
        # What it holds makes room for the limits, then the name as long as enough of it is left.
        if len(unit) + len(who) > beside >= LEAST_NAME + len(process) + 1:
            who = f"{process})"
            unit = plain(doomed.unit, beside - len(who))
        return self._line_of(
            [*parts, (unit, self._palette.strong), (who, self._palette.plain)], right
        )

    def _line_of(self, left: list[Part], right: list[Part]) -> Line:
        """Return a line; what stands at the right goes where there is no room for it."""
        line = tuple(Segment(text, style) for text, style in left if text)
        end = tuple(Segment(text, style) for text, style in right)
        gap = self.size.width - _length(line) - _length(end)
        if gap < 1:
            end, gap = (), self.size.width - _length(line)
        return (*line, Segment(" " * max(0, gap), self._palette.plain), *end)


def _cells(parts: list[Part]) -> int:
    return sum(cell_len(text) for text, _ in parts)


def _length(line: Line) -> int:
    return sum(segment.cell_length for segment in line)


def uptime(seconds: float) -> str:
    """Return a time span, coarse: ``12d``, ``5h``, ``3min``."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:.0f}s"
