"""The table: every visible line is made again each tick, and only those that differ are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.message import Message

from lowmem_tui.model.message import N_
from lowmem_tui.tui.table.columns import lay_out
from lowmem_tui.tui.table.drawing import Drawing, Extent
from lowmem_tui.tui.table.marks import NO_MARKS, Marks
from lowmem_tui.tui.table.rows import Kind, Row, View
from lowmem_tui.tui.widgets.lines import Line, Lines, line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from textual import events

    from lowmem_tui.tui.table.columns import Place
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.palette import Palette


class UnitTable(Lines):
    """Rows under a heading line, with a cursor that stays on its unit."""

    DEFAULT_CSS = "UnitTable { height: 1fr; }"
    EXACT = True
    can_focus = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", N_("One up"), key_display="↑ k", show=False),
        Binding("down,j", "move(1)", N_("One down"), key_display="↓ j", show=False),
        Binding("pageup,ctrl+b", "page(-1)", N_("A page up"), key_display="PgUp", show=False),
        Binding("pagedown,ctrl+f", "page(1)", N_("A page down"), key_display="PgDn", show=False),
        Binding("home,g", "jump(0)", N_("First"), key_display="Home g", show=False),
        Binding("end,G", "jump(-1)", N_("Last"), key_display="End G", show=False),
    ]

    class Chosen(Message):
        """A row was opened: Enter's meaning, by a double click or a click on a group."""

    class HeadingClicked(Message):
        """A column's heading was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, glyphs: Glyphs, palette: Palette) -> None:
        super().__init__(id="units")
        self._glyphs, self._palette = glyphs, palette
        self._rows: Sequence[Row] = ()
        self._view = View()
        self._marks: Callable[[Row], Marks] = lambda _row: NO_MARKS
        self._tagged = 0
        self._index = self._top = 0
        self._width = 0
        """The width that the columns were laid out for."""
        self._places: tuple[Place, ...] = ()
        self._drawing = Drawing(self._places, glyphs, palette)
        self._drawn: dict[str, Drawn] = {}

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._index] if self._rows else None

    @property
    def rows(self) -> Sequence[Row]:
        """All rows, those scrolled away included."""
        return self._rows

    @property
    def columns(self) -> tuple[Place, ...]:
        """The columns that there is room for."""
        return self._places

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def update(
        self, rows: Sequence[Row], view: View, marks: Callable[[Row], Marks], tagged: int = 0
    ) -> int:
        """Show these rows; the cursor stays on its unit, and its unit on its line of the screen.

        ``tagged`` units there are, visible or not.
        """
        before, at = self.row, self._index - self._top
        self._rows, self._view, self._marks, self._tagged = rows, view, marks, tagged
        if before is not None and self._index < len(rows) and rows[self._index].key == before.key:
            pass
        elif before is not None:
            found = next((i for i, row in enumerate(rows) if row.key == before.key), None)
            if found is not None:
                self._index, self._top = found, found - at
        return self.paint()

    def select(self, key: str) -> bool:
        """Put the cursor on a row."""
        for index, row in enumerate(self._rows):
            if row.key == key:
                self._index = index
                self.paint()
                return True
        return False

    def pass_unit(self) -> None:
        """Move the cursor down, past the processes of its unit."""
        unit = self._rows[self._index].unit
        for index in range(self._index + 1, len(self._rows)):
            if self._rows[index].kind is not Kind.PROCESS or self._rows[index].unit != unit:
                self._index = index
                break
        self.paint()

    def paint(self) -> int:
        """Make the visible lines; return how many had to be drawn again."""
        width, height = self.size
        if not height:
            return 0
        if width != self._width:
            self._fit(width)
        last = max(0, len(self._rows) - 1)
        self._index = max(0, min(self._index, last))
        self._top = max(0, min(self._top, len(self._rows) - self._page))
        self._top = max(self._index - self._page + 1, min(self._top, self._index))
        visible = range(self._top, min(self._top + self._page, len(self._rows)))
        drawn = [self._line_of(index) for index in visible]
        self._drawn = {d.row.key: d for d in drawn}
        return self.show([self._heading(), *(d.line for d in drawn), *self._rest()])

    def _rest(self) -> Iterable[Line]:
        why = "" if self._rows else self._view.empty
        below = self._page - len(self._rows) + self._top
        return (line(*parts) for parts in self._drawing.rest(below, why))

    def _heading(self) -> Line:
        below = len(self._rows) - self._top - self._page
        return line(*self._drawing.heading(self._view, Extent(self._top, below, self._tagged)))

    def _line_of(self, index: int) -> Drawn:
        """Return the line of a row: that of the last tick, if the row is as it was."""
        row, marks = self._rows[index], NO_MARKS
        if row.kind is Kind.UNIT:
            marks = self._marks(row)
        cursor = index == self._index
        last = self._drawn.get(row.key)
        if last is not None and last[:3] == (row, marks, cursor):
            return last
        parts = self._drawing.row(row, marks, cursor=cursor)
        return Drawn(row, marks, cursor, line(*parts))

    # Keys and mouse

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._index += by
        self.paint()

    def action_page(self, by: int) -> None:
        """Move the cursor and what is seen by a page."""
        self._index += by * self._page
        self._top += by * self._page
        self.paint()

    def action_jump(self, to: int) -> None:
        """Move the cursor to the first row, or to the last."""
        self._index = to if to >= 0 else len(self._rows) + to
        self.paint()

    def _wheel(self, by: int) -> None:
        at = self._index - self._top
        top = max(0, min(self._top + by, len(self._rows) - self._page))
        self._index, self._top = top + at, top
        self.paint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll; the cursor stays on its line of the screen."""
        event.stop()
        self._wheel(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll; the cursor stays on its line of the screen."""
        event.stop()
        self._wheel(-3)

    def on_click(self, event: events.Click) -> None:
        """Select a row, fold a group, or sort by a column."""
        event.stop()
        if event.y == 0:
            at = next((p.column.key for p in self._places if p.x <= event.x < p.x + p.width), None)
            if at is not None:
                self.post_message(self.HeadingClicked(at))
            return
        index = self._top + event.y - 1
        if index >= len(self._rows):
            return
        self._index = index
        self.paint()
        if self._rows[index].kind is Kind.GROUP or event.chain == 2:
            self.post_message(self.Chosen())

    def on_resize(self) -> None:
        """Fit the new size."""
        self.paint()

    def _fit(self, width: int) -> None:
        self._width, self._places = width, lay_out(width)
        self._drawn = {}
        self._drawing = Drawing(self._places, self._glyphs, self._palette)


class Drawn(NamedTuple):
    """A row's line, and all that it was made of."""

    row: Row
    marks: Marks
    cursor: bool
    line: Line
