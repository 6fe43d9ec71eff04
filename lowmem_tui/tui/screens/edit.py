"""The base of pages with the form: it asks systemd, stages edits, and shows what they would do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Container

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, spaced, tr
from lowmem_tui.model.message import N_, Message, msg
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.text import plain
from lowmem_tui.policy import dropin
from lowmem_tui.policy.budget import need
from lowmem_tui.policy.setting_advice import advice, common_keys, has_swap
from lowmem_tui.tui import css_path
from lowmem_tui.tui.screens.full import FullScreen
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text import forecast, plan_report, unit_page
from lowmem_tui.tui.widgets.field import Entry
from lowmem_tui.tui.widgets.form import Beside, Form, one_of
from lowmem_tui.tui.widgets.keybar import HELP, Key, KeyBar
from lowmem_tui.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from lowmem_tui.model.plan import Edit, Plan
    from lowmem_tui.model.snapshot import Situation, Snapshot, UnitSituation
    from lowmem_tui.model.staged import Staged
    from lowmem_tui.model.unit import Key as Setting
    from lowmem_tui.policy.classify import Verdict
    from lowmem_tui.tui.session.messages import SnapshotArrived
    from lowmem_tui.tui.session.session import Session

CALM = 0.3
"""Seconds without a key before the plan is made again."""

SHORT = 18
"""Below this height the first lines are the two that matter most."""

PATIENCE = 5.0
"""Seconds after a failed question to systemd before it is asked again."""

WIDE = 140
"""From this width on, the form and the facts stand side by side."""

NOTHING = msg("Nothing is staged, so there is nothing to review.")
WRONG = msg("Fields marked ! are not staged: correct them, or press the key again to skip them.")

DIFFERENT = msg("differs between these units")
"""In the place of advice that does."""

KEYS = (
    Key("escape", "Esc", N_("Back")),
    Key("f8", "F8", N_("Review")),
    Key("tab", "Tab", N_("Next")),
    Key("enter", "Enter", N_("Stage")),
    Key("ctrl+u", "^U", N_("Discard")),
    Key("pagedown", "PgDn", N_("More")),
    Key("f10", "F10", N_("Quit")),
    HELP,
)


class EditScreen(FullScreen):
    """The form for one unit or for several: what is set is staged for each of them."""

    CSS_PATH: ClassVar[Any] = css_path("unit.tcss")
    AUTO_FOCUS: ClassVar[str | None] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (50, "-middle"), (70, "-normal"), (WIDE, "-wide")]  # noqa: RUF012
    NO_SETTINGS: ClassVar[Message]
    """What is shown where there is nothing to set."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Before the field's own: the keys typed after them must find the next field already there,
        # also where a slow line brings all of them at once.
        Binding("tab,down", "field(1)", "Next", priority=True),
        Binding("shift+tab,up", "field(-1)", "Before", show=False, priority=True),
        Binding("f8", "review", "Review", priority=True),
        Binding("pageup", "page(-1)", "Up"),
        Binding("pagedown", "page(1)", "More"),
        Binding("escape", "back", "Back", priority=True),
    ]

    def __init__(self, session: Session, units: tuple[str, ...]) -> None:
        super().__init__(session)
        self.units = units
        self._settings = common_keys(units)
        self._known: dict[str, UnitSituation] = {}
        """What systemd has reported of the units."""
        self._limits: dict[str, int | None] = {}
        """A MemoryMax by the budget, in bytes, for those without, at the last answer."""
        self._plan: Plan | None = None
        self._tried: tuple[Edit, ...] = ()
        """What is on trial of what is staged."""
        self._order = ""
        """What the plan does to the kill order, in one sentence."""
        self._trouble = ""
        self._asking = self._ask_again = False
        self._warned = False
        self._nothing = False
        """Whether a review was asked for and there was none."""
        self._left: Entry | None = None
        """The field that the cursor was in when the page was left."""
        self._going: Callable[[], object] | None = None
        """What the last key that leaves asked for, until the form is settled."""
        self._calm: asyncio.TimerHandle | None = None
        self._loaded: tuple[object, ...] = ()
        self._asked_at = 0.0

    def compose(self) -> ComposeResult:
        """Lay the page out."""
        session = self.session
        ram = session.snapshot.host.mem_total if session.snapshot else 0
        self._head = Prose(self.session.glyphs, self._paint_head, classes="head")
        self._form = Form(session, self.units, self._settings, self._staged(), ram, self._decided)
        self._notices = Prose(self.session.glyphs, self._paint_notices)
        self._facts = Prose(self.session.glyphs, self._paint_facts)
        self._keys = KeyBar(
            session.palette, KEYS, drop=("f1", "f10", "pagedown", "enter", "ctrl+u", "tab")
        )
        yield self._head
        with Container(id="body"):
            with Container(id="left"):
                yield self._form
                yield self._notices
            with Container(id="right"):
                yield self._facts
        yield self._keys

    def on_mount(self) -> None:
        """Ask systemd about the units."""
        self._describe()
        self._label()
        self.set_focus(self._form.first, scroll_visible=False)
        self._ask()

    def on_unmount(self) -> None:
        """Ask nothing any more."""
        self._stop_waiting()
        self._let_leave()

    def on_screen_suspend(self) -> None:
        """Leave it to the screen in front what is done before the program is left."""
        self._let_leave()

    def _let_leave(self) -> None:
        if self.session.before_leaving == self._leave:
            self.session.before_leaving = None

    def on_screen_resume(self) -> None:
        """Ask again: a change may have been applied meanwhile."""
        self.session.before_leaving = self._leave
        if self.focused is None:
            self.set_focus(self._left or self._form.first)
        if self._known:
            self._ask()

    # What each page shows

    def _paint_head(self, width: int) -> list[Text]:
        """Return the first lines."""
        raise NotImplementedError

    def _paint_facts(self, width: int) -> list[Text]:
        """Return what is shown below the form."""
        raise NotImplementedError

    # The units

    def unit_of(self, name: str) -> Unit:
        """Return a unit as it was last seen."""
        snapshot = self.session.snapshot
        seen = snapshot.units.get(name) if snapshot else None
        if seen is not None:
            return seen
        known = self._known.get(name)
        return Unit(name, None, known.unit.properties if known else None)

    def verdict_of(self, name: str) -> Verdict | None:
        """Return its tier, if it is known."""
        snapshot = self.session.snapshot
        return self.session.verdict(name) if snapshot and name in snapshot.units else None

    def _staged(self) -> dict[str, dict[Setting, str | None]]:
        return {name: self.session.staged.of(name) for name in self.units}

    def on_snapshot_arrived(self, message: SnapshotArrived) -> None:
        """Show the new figures; what is being typed stays."""
        self._follow(message.snapshot)
        self._describe()
        self._head.repaint()
        self._facts.repaint()

    def _follow(self, snapshot: Snapshot) -> None:
        """Ask for the settings again when systemd has something new about a unit."""
        units = (snapshot.units.get(name) for name in self.units)
        loaded = tuple(unit.properties if unit else None for unit in units)
        stale = self._trouble and snapshot.monotonic - self._asked_at > PATIENCE
        # What was not known before is no news: it has been asked for.
        news = any(a is not None and a != b for a, b in zip(self._loaded, loaded, strict=False))
        if stale or news:
            self._ask()
        self._loaded = loaded

    def on_notice_changed(self) -> None:
        """Show the sentence about the source of the figures."""
        self._head.repaint()

    def _describe(self) -> None:
        snapshot = self.session.snapshot
        beside = {}
        for key in self._settings:
            each = [self._beside(name, key) for name in self.units]
            words = {b.advice for b in each}
            beside[key] = Beside(
                one_of(b.now for b in each), words.pop() if len(words) == 1 else say(DIFFERENT)
            )
        self._form.describe(beside, snapshot.host.mem_total if snapshot else 0)

    def _beside(self, name: str, key: Setting) -> Beside:
        unit, verdict = self.unit_of(name), self.verdict_of(name)
        setting = self._known[name].settings.get(key) if name in self._known else None
        # What one has needed is no advice for several.
        needed = None
        if len(self.units) == 1:
            needed = max(need(unit), self.session.peaks.of(name))
        tier = verdict.tier if verdict else None
        kernel = setting.kernel if setting else None
        swap = has_swap(unit, self.session.snapshot)
        words = advice(key, tier, needed, kernel, self._limits.get(name), swap, name)
        return Beside(unit_page.now(key, setting, unit.properties), say(words or ""))

    # Asking, in the worker

    def _ask(self) -> None:
        """Ask for the situation and make the plan; one question at a time, the newest counts."""
        if not self._settings:
            return
        self._asked_at = self.session.snapshot.monotonic if self.session.snapshot else 0.0
        self._ask_again = True
        if not self._asking:
            self._asking = True
            self.work(self._answer)

    async def _answer(self) -> None:
        from lowmem_tui.policy.plan import plan

        session = self.session

        def ask(staged: Staged, names: list[str]) -> tuple[Situation, Plan | None, str]:
            situation = session.backend.situation(names, hidden=len(self.units) == 1)
            tiers = session.rules.tiers(situation)
            made = plan(staged.edits, situation, tiers) if staged.edits else None
            return situation, made, forecast.in_short(situation, made)

        try:
            while self._ask_again:
                self._ask_again = False
                wanted = self._wanted()
                names = list(dict.fromkeys((*self.units, *wanted.units)))
                try:
                    situation, self._plan, self._order = await session.run_blocking(
                        ask, wanted, names
                    )
                except LowmemError as error:
                    self._plan, self._order, self._trouble = None, "", say(error.message)
                else:
                    self._trouble = ""
                    self._take(situation)
                self._notices.repaint()
                self._facts.repaint()
        finally:
            self._asking = False

    def _wanted(self) -> Staged:
        """Return what is staged, and what is valid in the form, but what is on trial."""
        staged = self.session.staged
        for key, wish in self._form.wishes():
            if wish.decides:
                staged = staged.asking(self.units, key, wish.edits)
        return staged.less(self.session.trials.tried)

    def _take(self, situation: Situation) -> None:
        self._known = {n: situation.units[n] for n in self.units if n in situation.units}
        if (snapshot := self.session.snapshot) is not None:
            self._limits = {a.unit: a.limit for a in forecast.limits(self.session, snapshot)}
        files = {name: known.drop_in for name, known in self._known.items()}
        self._form.learn(
            {name: dropin.ours((file.text if file else None) or "") for name, file in files.items()}
        )
        self._describe()
        self._head.repaint()

    # The form

    def on_form_changed(self, event: Form.Changed) -> None:
        """Make the plan again once the fingers rest."""
        event.stop()
        if self._warned or self._nothing:
            self._warned = self._nothing = False
            self._notices.repaint()
        self._stop_waiting()
        # Not Textual's timer, which never goes off when the server is so busy that it starts late.
        self._calm = asyncio.get_running_loop().call_later(CALM, self._ask)

    def _stop_waiting(self) -> None:
        if self._calm is not None:
            self._calm.cancel()

    def _decided(self, key: Setting, edits: tuple[Edit, ...]) -> None:
        self.session.stage(self.session.staged.asking(self.units, key, edits))

    def on_staged_changed(self) -> None:
        """Follow what was staged."""
        self._form.sync(self._staged())
        self._label()
        self._ask()

    def follow_trial(self) -> None:
        """Make the plan again when other edits are on trial; on a low screen the head gives way."""
        super().follow_trial()
        tried = self.session.trials.tried
        if tried != self._tried:
            self._tried = tried
            self._notices.repaint()
            self._ask()
        self._form.repaint()
        self._head.repaint()

    def _label(self) -> None:
        count = len(self.session.staged)
        self._keys.label("f8", msg("Review {count}", count=count) if count else N_("Review"))

    # Keys

    def _leave(self, go: Callable[[], object]) -> None:
        """Stage the form and go; stay once where a value is not valid.

        What was typed before this key may be on its way into its field, so that is waited for; what
        is typed after it must no longer go there.
        """
        before, self._going = self._going, go
        if before is not None:
            return  # a held key: leaving once is enough
        field = self.focused

        def settled() -> None:
            going, self._going = self._going, None
            self._form.settle()
            if self._form.errors and not self._warned:
                self._warned = True
                self._notices.repaint()
                self.set_focus(field)
            elif going is not None and self.is_active:
                going()

        if isinstance(field, Entry):
            self._left = field
            self.set_focus(None)
        (field or self).call_later(self.call_later, settled)

    def action_back(self) -> None:
        """Go back; staged edits stay staged."""
        self._leave(self._back)

    def _back(self) -> None:
        self.dismiss()

    def action_review(self) -> None:
        """Review all staged edits."""
        self._leave(self._review)

    def _review(self) -> None:
        session = self.session
        if len(session.staged) or session.trials.running is not None:
            session.screens.open_review()
        else:
            self._nothing = True
            self._notices.repaint()
            self.set_focus(self._left or self._form.first)

    def action_field(self, step: int) -> None:
        """Go to the next field, or the one before; this one is staged."""
        if step > 0:
            self.focus_next(Entry)
        else:
            self.focus_previous(Entry)

    def action_page(self, step: int) -> None:
        """Scroll the facts; the cursor stays in its field."""
        self._warned = False
        area = self.query_one("#right" if self.has_class("-wide") else "#body", Container)
        (area.scroll_page_down if step > 0 else area.scroll_page_up)(animate=False)

    # What is shown

    def _paint_notices(self, _: int) -> list[Text]:
        lines: list[Text] = []
        if self._warned and self._form.errors:
            lines.append(Text(f" {say(WRONG)}", style="bold"))
        if self._nothing:
            lines.append(Text(f" {say(NOTHING)}", style="bold"))
        if not self._settings:
            return [*lines, Text(f" {say(self.NO_SETTINGS)}")]
        if self._trouble:
            lines.append(Text(f" {plain(self._trouble)}", style=BAD))
        elif not self._known:
            lines.append(Text(" " + tr("Asking systemd for the settings…")))
        removed = tr("removed")
        tried = (e for e in self.session.trials.tried if e.unit in self.units)
        if words := spaced(tr(",")).join(
            {f"{e.key} {plain(e.value or removed)}": None for e in tried}
        ):
            lines.append(Text.assemble((" " + spaced(tr("On trial:")), "bold"), words))
        if self._plan is not None and self._known:
            mine = {*self.units, *(known.unit.name for known in self._known.values())}
            lines += plan_report.of_notices(self._plan, mine, named=len(self.units) > 1)
            if self._order:
                lines.append(Text.assemble((" " + spaced(tr("Kill order:")), "bold"), self._order))
        return lines
