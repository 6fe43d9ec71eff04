"""The end of the set-up: what was changed, memory and OOM kill order before and now."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.change import KEPT
from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, Message, msg, of_bytes, of_unit
from lowmem_tui.model.setup import lines
from lowmem_tui.model.text import plain
from lowmem_tui.policy.budget import budget, in_words
from lowmem_tui.policy.change_text import STATES, did, noted
from lowmem_tui.policy.checks.overcommit import overcommitted
from lowmem_tui.policy.forecast import prediction_text
from lowmem_tui.policy.forecast.gains import gained, in_force
from lowmem_tui.policy.forecast.kills import BOX, predict
from lowmem_tui.policy.setup_part import Stand
from lowmem_tui.tui.screens.sheet import MORE, Sheet
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text import forecast
from lowmem_tui.tui.text.unit_page import heading
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.change import Change
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.usage import HostUsage
    from lowmem_tui.tui.session.session import Session

KILLS = 6
"""Kills that are compared."""

STEADY = 1 << 20
"""Bytes below which memory is the same as before."""

KEYS = (Key("escape", "Esc", N_("Back")), Key("H", "H", N_("History, undo")), MORE)


class SetupReportScreen(Sheet):
    """The result of this session of the set-up, with each new snapshot."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Back"),
        Binding("H", "history", "History"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._changes: Sequence[Change] | None = None
        self._trouble = ""

    def on_screen_resume(self) -> None:
        """Read what was changed: something may have been undone meanwhile."""
        self.repaint()
        self.work(self._read, exclusive=True)

    def on_snapshot_arrived(self) -> None:
        """Show the newest figures."""
        self.repaint()

    def on_step_looked(self) -> None:
        """Show what is not done."""
        self.repaint()

    async def _read(self) -> None:
        session = self.session
        try:
            self._changes = await session.run_blocking(session.backend.history)
            self._trouble = ""
        except LowmemError as error:
            self._trouble = say(error.message)
        self.repaint()

    def action_history(self) -> None:
        """Show all changes, where each can be undone."""
        from lowmem_tui.tui.screens.history import HistoryScreen

        self.app.push_screen(HistoryScreen(self.session))

    # What is shown

    def heading(self) -> str:
        """Return the title."""
        return tr("Set-up report: what was changed, and the result")

    def offers(self) -> Sequence[Key]:
        """Return the keys."""
        return KEYS

    def lines(self, width: int) -> list[Text]:
        """Return the page."""
        return list(self._lines(width))

    def _lines(self, width: int) -> Iterator[Text]:
        palette = self.session.palette
        before, now = self.session.setup.before, self.session.snapshot
        yield heading(tr("CHANGED SINCE THE SET-UP WAS OPENED"), width, palette)
        yield from self._changed()
        if before is None or now is None:
            return
        yield heading(tr("MEMORY, BEFORE AND NOW"), width, palette)
        ours = self.session.setup.ours(in_force(self._changes or ()))
        back = gained(action for change in ours for action in change.actions)
        yield from _memory(before, now, back, self._needs())
        yield heading(tr("OOM KILL ORDER, BEFORE AND NOW"), width, palette)
        yield from _kills(before, now, width)
        yield heading(tr("NOT DONE"), width, palette)
        yield from self._left()

    def _needs(self) -> dict[str, int]:
        """Return the bytes that units may use by their own configuration."""
        looks = (part.look for part in self.session.setup.parts)
        return {name: size for look in looks if look for name, size in look.needs.items()}

    def _changed(self) -> Iterator[Text]:
        if self._trouble:
            yield Text(f" {plain(self._trouble, 2000)}", style=BAD)
        elif self._changes is None:
            yield Text(" " + tr("Reading the history…"))
        else:
            ours = self.session.setup.ours(self._changes)
            if not ours:
                yield Text(" " + tr("Nothing yet."))
            for change in ours:
                style = "bold" if change.state in KEPT else ""
                words = STATES[change.state]
                if change.why:
                    words = msg("{subject}: {text}", subject=noted(change.why), text=words)
                yield Text(f" {change.id:>3}  {say(words)}", style=style)
                yield Text(f"      {plain(say(did(change)), 2000)}")

    def _left(self) -> Iterator[Text]:
        parts = self.session.setup.parts
        over = {Stand.LOOKING, Stand.ABSENT, Stand.DONE}
        left = [part for part in parts if part.stand not in over]
        if not left:
            yield Text(" " + tr("Nothing."))
        for part in left:
            title = Message(part.step.title)
            yield Text(" - " + tr("{subject}: {text}", subject=title, text=part.words))
            for words in part.look.by_hand if part.look else ():
                for line in lines(words):
                    yield Text(f"     {plain(say(line), 2000)}")


def _memory(
    before: Snapshot, now: Snapshot, freed: int, needs: Mapping[str, int]
) -> Iterator[Text]:
    one, other = before.host, now.host
    yield Text(f" {say(_available(one, other))}")
    if freed:
        words = tr("Freed by services that are switched off now: {size}.", size=of_bytes(freed))
        yield Text(f" {words}")
    swap = tr("Swap: {size}, unchanged.", size=of_bytes(other.swap_total))
    if one.swap_total != other.swap_total:
        swap = tr(
            "Swap: {old} before, {new} now.",
            old=of_bytes(one.swap_total),
            new=of_bytes(other.swap_total),
        )
    yield Text(f" {swap}")
    limits = tr(
        "Units with MemoryMax: {old} before, {new} now.", old=_limited(before), new=_limited(now)
    )
    yield Text(f" {limits}")
    found = overcommitted(now, needs=needs)
    if found is None:
        yield Text(f" {say(in_words(budget(now)))}")
    else:
        yield Text(f" {say(found.sentences)}", style="bold")


def _available(one: HostUsage, other: HostUsage) -> Message:
    gained = other.mem_available - one.mem_available
    old, new = of_bytes(one.mem_available), of_bytes(other.mem_available)
    if abs(gained) < STEADY:
        return msg(
            "Available memory: {old} before, {new} now. It also varies without any change.",
            old=old,
            new=new,
        )
    more = of_bytes(abs(gained))
    if gained > 0:
        return msg(
            "Available memory: {old} before, {new} now, {size} more. It also varies "
            "without any change.",
            old=old,
            new=new,
            size=more,
        )
    return msg(
        "Available memory: {old} before, {new} now, {size} less. It also varies without "
        "any change.",
        old=old,
        new=new,
        size=more,
    )


def _limited(snapshot: Snapshot) -> int:
    return sum(
        unit.usage is not None and isinstance(unit.usage.memory.max, int)
        for unit in snapshot.units.values()
    )


def _kills(before: Snapshot, now: Snapshot, width: int) -> Iterator[Text]:
    was, found = predict(before, BOX, KILLS), predict(now, BOX, KILLS)
    first, then = was.first if was else None, found.first if found else None
    if first is None or then is None or was is None or found is None:
        yield Text(" " + tr("Unknown."))
        return
    old, new = plain(first.victim.unit, 60), plain(then.victim.unit, 60)
    words = tr("Next OOM victim: {unit}, unchanged.", unit=of_unit(new))
    if old != new:
        words = tr("Next OOM victim: {unit}, before: {old}.", unit=of_unit(new), old=of_unit(old))
    yield Text(f" {words}", style="bold")
    heads = (tr("BEFORE"), tr("NOW"))
    rows = prediction_text.side_by_side(was, found, frozenset(), width, KILLS, heads, say)
    yield from map(forecast.row, rows)
