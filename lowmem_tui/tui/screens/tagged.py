"""The page of the tagged units: one form, and what is set in it is staged for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.amount import UNKNOWN, format_size
from lowmem_tui.model.cells import fit, fit_right
from lowmem_tui.model.language import say, spaced, tr
from lowmem_tui.model.message import N_, Message, msg
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.setting_advice import keys_of
from lowmem_tui.tui.screens.edit import SHORT, EditScreen
from lowmem_tui.tui.text import unit_page

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME_WIDTH = 27

COLUMNS = (
    (Key.OOM_SCORE_ADJUST, N_("ADJ"), 6),
    (Key.MEMORY_MAX, N_("MAX"), 9),
    (Key.MEMORY_HIGH, N_("HIGH"), 9),
    (Key.MEMORY_SWAP_MAX, N_("SWAPMAX"), 9),
    (Key.RESTART, N_("RESTART"), 12),
)
"""What is shown of each unit: the values that count now."""


class TaggedScreen(EditScreen):
    """Several units."""

    NO_SETTINGS = msg("These units have no setting in common.")

    def _paint_head(self, _: int) -> list[Text]:
        session = self.session
        names = spaced(tr(",")).join(plain(name) for name in self.units)
        title = spaced(tr("{count} tagged units:", count=len(self.units)))
        first = Text(f" {title}", style="bold", no_wrap=True)
        first.append(names, style="not bold")
        lines = [first]
        if session.backend.demo:
            lines[0] = (
                Text(no_wrap=True).append(f" {tr('DEMO')} ", "bold reverse").append_text(first)
            )
        if self.app.size.height >= SHORT:
            lines.append(Text(" " + tr("Edits on this page are staged for each of these units.")))
            if any(set(keys_of(name)) != set(self._settings) for name in self.units):
                lines.append(Text(" " + tr("Only the settings that all of them have are shown.")))
        if session.notice:
            lines.append(Text(f" {plain(say(session.notice))}", style="bold"))
        return lines

    def _paint_facts(self, width: int) -> list[Text]:
        return [
            unit_page.heading(tr("TAGGED UNITS, VALUES NOW"), width, self.session.palette),
            *self._table(),
        ]

    def _table(self) -> Iterator[Text]:
        heads = "".join(
            f" {fit_right(say(Message(title)), width - 1)}" for _, title, width in COLUMNS
        )
        yield Text(
            f" {'':{NAME_WIDTH}}{fit_right(tr('RSS'), 6)}{heads}", style="bold", no_wrap=True
        )
        for name in self.units:
            unit = self.unit_of(name)
            known = self._known[name].settings if name in self._known else {}
            rss = unit.usage.rss if unit.usage else None
            text = Text(no_wrap=True)
            text.append(f" {fit(plain(name, NAME_WIDTH - 1), NAME_WIDTH)}")
            text.append(f"{UNKNOWN if rss is None else format_size(rss):>6}")
            for key, _, width in COLUMNS:
                now = unit_page.now(key, known.get(key), unit.properties)
                text.append(f" {fit_right(say(now), width - 1)}")
            yield text
