"""The main screen: all units, by tier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType

from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, Message, msg, of_unit, plural
from lowmem_tui.tui.screens.full import FullScreen
from lowmem_tui.tui.table import rows
from lowmem_tui.tui.table.marks import NO_MARKS, Marks, marks_of
from lowmem_tui.tui.table.rows import Kind, View
from lowmem_tui.tui.table.unit_table import UnitTable
from lowmem_tui.tui.text.header import badges
from lowmem_tui.tui.text.main_keys import BOUND, DROP, KEYS, SHORT
from lowmem_tui.tui.widgets.header import Header
from lowmem_tui.tui.widgets.keybar import KeyBar
from lowmem_tui.tui.widgets.prompt import Prompt, Purpose

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.table.rows import Row
    from lowmem_tui.tui.widgets.news import News

NO_KILL = msg("This program does not kill: Enter opens the unit, where its limits can be set.")


class MainScreen(FullScreen):
    """All units."""

    AUTO_FOCUS = "UnitTable"

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(b.keys, b.action, b.label, key_display=b.shown, priority=b.first) for b in BOUND),
        Binding("enter", "open", "Open", show=False, key_display="Enter"),
        Binding("less_than_sign,comma", "sort_next(-1)", "Sort by the column before", show=False),
        Binding("greater_than_sign,full_stop", "sort_next(1)", "Sort by the next", show=False),
        Binding("I", "invert", "Reverse sort", show=False),
        Binding("M", "sort('rss')", "Sort by memory", show=False),
        Binding("O", "sort('score')", "Sort by OOM score", show=False),
        Binding("N", "sort('name')", "Sort by name", show=False),
        Binding("a", "running_only", "Running units only, or all", show=False),
        Binding("plus,equals_sign,right,l", "fold(False)", "Unfold the group", show=False),
        Binding("minus,left", "fold(True)", "Fold the group", show=False),
        Binding("U", "untag", "Untag all", show=False),
        Binding("f9", "kill", "Kill (not here)", show=False),
        Binding("escape", "clear", "Show all again", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._view = View()
        self._staged: frozenset[str] = frozenset()
        """The units with staged edits."""
        self._tags: dict[str, None] = {}
        """The tagged units, in the order of tagging."""
        self._answer = ""
        """A word to the operator, until the next key."""
        self._news: News | None = None

    @property
    def view(self) -> View:
        """How the operator wants to see it."""
        return self._view

    def compose(self) -> ComposeResult:
        """Lay it out."""
        session = self.session
        named = badges(session.backend, read_only=session.read_only)
        self._header = Header(session.glyphs, session.palette, named)
        self._table = UnitTable(session.glyphs, session.palette)
        self._prompt = Prompt(session.palette)
        self._keys = KeyBar(session.palette, KEYS, DROP, SHORT)
        yield self._header
        yield self._table
        yield self._prompt
        yield self._keys

    # What there is to show

    def on_snapshot_arrived(self) -> None:
        """Show the newest snapshot."""
        self._update()

    def on_screen_resume(self) -> None:
        """Show what has come while another screen was in front."""
        self._update()

    def on_notice_changed(self) -> None:
        """Show or hide the notice, and the news."""
        self._update_header()
        self._update_news()

    def on_staged_changed(self) -> None:
        """Mark the units with staged edits, and count them beside F8."""
        count = len(self.session.staged)
        self._keys.label("f8", msg("Review {count}", count=count) if count else N_("Review"))
        self._staged = frozenset(self.session.staged.units)
        self._update()

    def _update(self) -> None:
        self._update_header()
        self._update_news()
        snapshot = self.session.snapshot
        if snapshot is not None:
            groups = rows.members(snapshot, self.session.verdict, self._view)
            found = (snapshot.units.get(name) for name in self._tags)
            self._tags = {unit.name: None for unit in found if unit and rows.listed(unit)}
            built = rows.build(groups, self._view)
            self._table.update(built, self._view, self._marks, len(self._tags))

    def _update_header(self) -> None:
        self._header.update(self.session.snapshot, self._answer or say(self.session.notice))

    def _update_news(self) -> None:
        if self._news is None:
            if not self.session.news:
                return
            from lowmem_tui.tui.widgets.news import News

            self._news = News(self.session)
            self.mount(self._news, after=self._header)
        self._news.follow()

    def _marks(self, row: Row) -> Marks:
        session = self.session
        if row.kind is not Kind.UNIT or session.snapshot is None:
            return NO_MARKS
        return marks_of(
            cast("Unit", row.of),
            session.snapshot.host.page_size,
            session.glyphs.times,
            staged=row.unit in self._staged,
            tagged=row.unit in self._tags,
            killed=session.kills.unseen(row.unit),
        )

    def _see(self, view: View) -> None:
        self._view = view
        self._update()

    def _say(self, text: str) -> None:
        self._answer = text
        self._update_header()

    def on_key(self) -> None:
        """Hide the last answer."""
        if self._answer:
            self._say("")

    # Keys

    def action_open(self) -> None:
        """Open the tagged units, or the unit under the cursor; or fold the group."""
        row = self._table.row
        units = tuple(self._tags)
        # Tagging the last unit of a group leaves the cursor on the next heading.
        if not units:
            if row is None:
                return
            if row.kind is Kind.GROUP:
                self._see(self._view.fold(row.key))
                return
            units = (row.unit,)
        if len(units) > 1:
            from lowmem_tui.tui.screens.tagged import TaggedScreen

            self.app.push_screen(TaggedScreen(self.session, units))
            return
        from lowmem_tui.tui.screens.unit import UnitScreen

        self.session.kills.looked_at(units[0])
        self.app.push_screen(UnitScreen(self.session, units[0]))

    def action_tag(self) -> None:
        """Tag the unit under the cursor, or untag it, and go on to the next."""
        from lowmem_tui.policy.setting_advice import keys_of

        row = self._table.row
        if row is None:
            return
        if row.kind is Kind.GROUP:
            self._say(tr("Space tags a unit; this is a group."))
        elif not keys_of(row.unit):
            unit = of_unit(row.unit)
            self._say(tr("{unit} has no memory settings, so it is not tagged.", unit=unit))
        else:
            if row.unit in self._tags:
                del self._tags[row.unit]
            else:
                self._tags[row.unit] = None
            count = len(self._tags)
            words = plural(
                "1 tagged: Enter opens it, U untags all.",
                "{n} tagged: Enter edits them together, U untags all.",
                count,
            )
            self._say(say(words) if count else "")
            self._update()
        self._table.pass_unit()

    def action_untag(self) -> None:
        """Untag all units."""
        none = tr("No unit is tagged: Space tags one.")
        self._say(tr("All tags are removed.") if self._tags else none)
        self._tags = {}
        self._update()

    def action_fold(self, folded: bool) -> None:
        """Fold or unfold the group under the cursor, or the one that the row is in."""
        row = self._table.row
        if row is None:
            return
        key = row.key
        if row.kind is not Kind.GROUP:
            key = self._heading_of(row.unit)
        self._see(self._view.fold(key, folded))
        if folded:
            self._table.select(key)

    def _heading_of(self, name: str) -> str:
        snapshot, group = self.session.snapshot, self.session.verdict(name).group
        unit = snapshot.units.get(name) if snapshot else None
        return rows.heading_of(unit, group) if unit else group

    def action_tree(self) -> None:
        """Show the processes below their units, or hide them."""
        self._see(replace(self._view, tree=not self._view.tree))

    def action_running_only(self) -> None:
        """Hide what does not run, or show it."""
        only = not self._view.running_only
        self._see(replace(self._view, running_only=only))
        self._say(tr("Only running units are shown; a shows all.") if only else "")

    def action_setup(self) -> None:
        """Open the guided set-up, at the first step or where it was quit."""
        self.session.screens.open_setup()

    def action_forecast(self) -> None:
        """Show the OOM kill order, and the memory budget."""
        from lowmem_tui.tui.screens.forecast import ForecastScreen

        self.app.push_screen(ForecastScreen(self.session))

    def action_review(self) -> None:
        """Review what is staged, or keep or undo the running trial."""
        if not len(self.session.staged) and self.session.trials.running is None:
            self._say(tr("Nothing is staged: Enter on a unit opens its form."))
            return
        self.session.screens.open_review()

    def action_history(self) -> None:
        """Show what was changed, and by whom."""
        from lowmem_tui.tui.screens.history import HistoryScreen

        self.app.push_screen(HistoryScreen(self.session))

    def action_incidents(self) -> None:
        """Show what was killed, and the outcome."""
        from lowmem_tui.tui.screens.incidents import IncidentsScreen

        self.app.push_screen(IncidentsScreen(self.session))

    def action_kill(self) -> None:
        """Explain why F9 does not do what it does in htop."""
        self._say(say(NO_KILL))

    def action_clear(self) -> None:
        """Hide the news; then clear the filter."""
        if self.session.news:
            self.session.tell(())
        elif self._view.filter or self._view.running_only:
            self._see(replace(self._view, filter="", running_only=False))

    # Sorting

    def action_sort(self, column: str) -> None:
        """Sort by a column, what matters most on top; I reverses it."""
        self._see(replace(self._view, sort=column, inverted=False))

    def action_invert(self) -> None:
        """Reverse the sort."""
        self._see(replace(self._view, inverted=not self._view.inverted))

    def action_sort_next(self, by: int) -> None:
        """Sort by the visible column beside the present one."""
        keys = [place.column.key for place in self._table.columns]
        at = keys.index(self._view.sort) if self._view.sort in keys else 0
        self._see(replace(self._view, sort=keys[(at + by) % len(keys)], inverted=False))

    def action_sort_menu(self) -> None:
        """Choose the column to sort by from a list."""
        from lowmem_tui.tui.screens.choose import ChooseScreen
        from lowmem_tui.tui.table.columns import COLUMNS

        def chosen(key: str | None) -> None:
            if key is not None:
                self._see(replace(self._view, sort=key, inverted=False))

        options = [(column.key, say(Message(column.title))) for column in COLUMNS]
        self.app.push_screen(
            ChooseScreen(self.session, tr("Sort by"), options, self._view.sort), chosen
        )

    def on_unit_table_heading_clicked(self, message: UnitTable.HeadingClicked) -> None:
        """Sort by the column that was clicked; by the same one again reverses it."""
        self._see(self._view.sorted_by(message.column))

    def on_unit_table_chosen(self) -> None:
        """Open the unit that was clicked, or the tagged ones; fold the group."""
        row = self._table.row
        if row is not None and row.kind is Kind.GROUP:
            self._see(self._view.fold(row.key))
        else:
            self.action_open()

    # Finding and filtering

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave a prompt's keys to it."""
        if action in {"find", "filter"} and self._prompt.display:
            return False
        return super().check_action(action, parameters)

    def action_find(self) -> None:
        """Ask for a text, and go to the first unit with it while it is typed."""
        self._keys.display = False
        self._prompt.open(Purpose.FIND, tr("F3 next, Enter done"))

    def action_filter(self) -> None:
        """Ask for a text, and show only units with it while it is typed."""
        self._keys.display = False
        self._prompt.open(Purpose.FILTER, tr("Enter keep, Esc show all"), self._view.filter)

    def on_prompt_changed(self, message: Prompt.Changed) -> None:
        """Find or filter at once."""
        if message.purpose is Purpose.FILTER:
            self._see(replace(self._view, filter=message.text))
            self._say("")  # that nothing has it is shown in place of the units
        elif message.text and not self._find(message.text, again=message.again):
            self._say(rows.nothing_with(message.text, self._view))
        else:
            self._say("")

    def on_prompt_closed(self, message: Prompt.Closed) -> None:
        """Show the keys again."""
        self._keys.display = True
        self._table.focus()
        self._say("")
        if message.purpose is Purpose.FILTER and not message.kept:
            self._see(replace(self._view, filter=""))

    def _find(self, text: str, *, again: bool) -> bool:
        """Go to the next unit with a text (in its name, else elsewhere); unfold its group."""
        snapshot, row = self.session.snapshot, self._table.row
        if snapshot is None:
            return False
        groups = rows.members(snapshot, self.session.verdict, self._view, all_sorted=True)
        order = [(group, unit) for group, units in groups.items() for unit in units]
        here = next((i for i, (_, u) in enumerate(order) if row and u.name == row.unit), 0)
        start = here + 1 if again else here
        wanted = text.casefold()
        found = [each for each in order[start:] + order[:start] if rows.matches(each[1], wanted)]
        named = [each for each in found if wanted in each[1].name.casefold()]
        for group, unit in (named or found)[:1]:
            view = self._view.fold(group, folded=False)
            view = view.fold(rows.heading_of(unit, group), folded=False)
            if view != self._view:
                self._see(view)
            return self._table.select(unit.name)
        return False
