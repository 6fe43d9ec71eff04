"""One step of the guided set-up: what was found, what is proposed, and what the operator wants."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, Message, msg
from lowmem_tui.model.text import plain
from lowmem_tui.policy.setup_part import ON_TRIAL, Stand, next_after
from lowmem_tui.tui.screens.full import FullScreen
from lowmem_tui.tui.screens.sheet import StageKeys
from lowmem_tui.tui.text import setup_rows
from lowmem_tui.tui.text.unit_page import heading
from lowmem_tui.tui.widgets.keybar import Key
from lowmem_tui.tui.widgets.picker import Picker
from lowmem_tui.tui.widgets.prose import Prose, hang

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.app import ComposeResult

    from lowmem_tui.model.change import Change
    from lowmem_tui.model.setup import Item
    from lowmem_tui.policy.setup_part import Part
    from lowmem_tui.tui.session.session import Session
    from lowmem_tui.tui.text.item_row import ItemRow

DIGITS = "0123456789"

READ_ON = msg("The proposals are further down: press Down.")


class StepScreen(FullScreen):
    """A step; nothing is changed from here, Enter shows what would be."""

    AUTO_FOCUS = "Picker"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,p", "forward", N_("Preview")),
        Binding("space", "take", "Select or deselect"),
        Binding("left,minus", "choose(-1)", "The choice before"),
        Binding("right,plus,equals_sign", "choose(1)", "The next choice"),
        *(Binding(digit, f"digit('{digit}')", "This choice") for digit in DIGITS),
        Binding("s", "skip", "Skip"),
        Binding("n", "next", "Next step"),
        Binding("u", "undo", "Undo"),
        Binding("r", "look", "Refresh"),
        Binding("f1,question_mark,h", "app.help", "Help"),
        Binding("escape,q", "dismiss", "Back"),
    ]

    def __init__(self, session: Session, part: Part) -> None:
        super().__init__(session)
        self.part = part
        self._words = ""
        self._shown = False
        self._changes: Sequence[Change] = ()

    def compose(self) -> ComposeResult:
        """Lay it out."""
        self._setup = self.session.setup
        self._head = Prose(self.session.glyphs, self._paint_head)
        self.page = Picker(self.session, self._rows)
        self._why = Prose(self.session.glyphs, self._paint_why)
        drop = ("n", "r", "left", "space", "s")
        self._keys = StageKeys(self.session.palette, self._offers(), drop=drop)
        yield self._head
        yield self.page
        yield self._why
        yield self._keys

    def on_mount(self) -> None:
        """Have it read before all others, if it was not yet."""
        self.part.seen = True
        self._setup.last = self.part
        if self.part.look is None:
            self._setup.want(self.part, first=True)

    def on_screen_resume(self) -> None:
        """Show what has come; or go on to the next step, as was asked for on the screen behind."""
        if self._setup.go_on:
            self._setup.go_on = False
            self.call_next(self.action_next)
            return
        if self._shown:
            # From the preview or a trial: the server may be another.
            self._setup.want(self.part, first=True)
        self._shown = True
        self._repaint()
        self.work(self._read_history, exclusive=True)

    async def _read_history(self) -> None:
        # Where the history cannot be read, nothing can be undone either.
        with contextlib.suppress(LowmemError):
            session = self.session
            self._changes = await session.run_blocking(session.backend.history)
            self._keys.offer(self._offers())

    def follow_trial(self) -> None:
        """Show whether this step is on trial."""
        super().follow_trial()
        if self._setup.follow_trial():
            self._repaint()

    def trial_over(self) -> None:
        """Refresh: what was reverted is to do again."""
        self._setup.want(self.part, first=True)

    def on_step_looked(self) -> None:
        """Show what was found."""
        self._repaint()

    def on_picker_moved(self) -> None:
        """Show why this item is proposed."""
        self._words = ""
        self._why.repaint()
        self._keys.offer(self._offers())

    def on_picker_chosen(self) -> None:
        """Select or deselect what was clicked twice."""
        self.action_take()

    def on_resize(self) -> None:
        """Fit the new size."""
        self.call_after_refresh(self._why.repaint)

    def on_key(self) -> None:
        """Hide the last answer."""
        if self._words:
            self._say("")

    def _repaint(self) -> None:
        for widget in (self._head, self.page, self._why):
            widget.repaint()
        self._keys.offer(self._offers())

    def _say(self, words: str) -> None:
        self._words = words
        self._why.repaint()

    @property
    def item(self) -> Item | None:
        """The item below the cursor."""
        items = self.part.items
        return items[self.page.index] if self.page.index < len(items) else None

    # What the operator wants

    def _reached(self) -> bool:
        """Tell whether the item can be seen; if not, go there: no key changes what is not seen."""
        if self.page.cursor_visible:
            return True
        self.page.follow()
        self._why.repaint()
        return False

    def action_take(self) -> None:
        """Select or deselect an item."""
        item = self.item
        if item is None:
            self._say(tr("There is nothing to select here."))
            return
        if not self._reached():
            return
        if self.part.is_so(item):
            self._say(tr("This is already set."))
            return
        if not self.part.taken(item) and self.part.value(item) == "":
            self._say(tr("No value is proposed here: Left and Right choose one."))
            return
        self.part.take(item, taken=not self.part.taken(item))
        self._repaint()

    def action_choose(self, by: int) -> None:
        """Go through an item's choices."""
        item = self.item
        if item is None:
            return
        if not self._reached():
            return
        if len(item.choices) < 2:
            self._say(tr("There is no other value: Space selects or deselects it."))
            return
        self.part.choose(item, self.part.next_value(item, by))
        self._repaint()

    def action_digit(self, digit: str) -> None:
        """Choose the value that this digit is."""
        item = self.item
        if item is None or digit not in item.choices:
            return
        if not self._reached():
            return
        self.part.choose(item, digit)
        self._repaint()

    # The other keys

    def action_forward(self) -> None:
        """Show what would be changed; or go on, if nothing would be."""
        part = self.part
        if self.app.screen is not self:
            return
        if part.look is None and not part.trouble:
            self._say(tr("This step is still being read: wait a moment."))
        elif part.to_do():
            from lowmem_tui.tui.screens.setup_review import SetupReviewScreen

            part.skipped = False
            self.app.push_screen(SetupReviewScreen(self.session, part))
        else:
            self.action_next()

    def action_next(self) -> None:
        """Go to the next step that has something to decide; behind the last, to the report."""
        if self.app.screen is not self:
            return
        following = next_after(self._setup.parts, self.part)
        if following is not None:
            self.app.switch_screen(StepScreen(self.session, following))
            return
        from lowmem_tui.tui.screens.setup_report import SetupReportScreen

        self.app.switch_screen(SetupReportScreen(self.session))

    def action_undo(self) -> None:
        """Show what undoing the newest change of this step would do, and ask."""
        change = self.part.newest(self._changes)
        if change is None and self.part.on_trial:
            self._say(say(ON_TRIAL))
        elif change is None:
            self._say(tr("No change of this step is in force: there is nothing to undo."))
        elif self.app.screen is self:
            from lowmem_tui.tui.screens.change import ChangeScreen

            self.app.push_screen(ChangeScreen(self.session, change, self._changes, undo=True))

    def action_skip(self) -> None:
        """Skip the step in this session, and go on."""
        self.part.skipped = True
        self.action_next()

    def action_look(self) -> None:
        """Refresh the step."""
        self._setup.want(self.part, first=True)
        self._say(tr("Reading again…"))

    # What is shown

    def _paint_head(self, width: int) -> list[Text]:
        parts = self._setup.parts
        number = parts.index(self.part) + 1
        title = tr(
            "{number}/{total} {title}: {state}",
            number=number,
            total=len(parts),
            title=say(Message(self.part.step.title)),
            state=say(self.part.words),
        )
        return [self.title_bar(title, width)]

    def _rows(self, width: int) -> Iterable[ItemRow]:
        return setup_rows.page(self.part, width, self.session.palette)

    def _paint_why(self, width: int) -> list[Text]:
        """Return the reason of the item below the cursor, as high as the longest of all."""
        session = self.session
        if not self.part.items:
            return [Text(f" {plain(self._words)}", style="bold")] if self._words else []
        most = max(2, (self.app.size.height - 2) // 2)
        heights = (len(self._reason(at, width)) for at in range(len(self.part.items)))
        height = min(most, max(heights))
        count = len(self.part.items)
        item = self.part.items[min(self.page.index, count - 1)]
        # The title whole, where the list had to cut it.
        title = tr("Why: {title}", title=say(item.title))
        lines = self._reason(self.page.index, width)
        words = self._words
        if not self.page.cursor_visible:
            title, words = tr("Proposals"), words or say(READ_ON)
        if words:
            lines = hang(Text(f" {plain(words)}", style="bold"), width)
        if len(lines) > height:
            lines = [*lines[: height - 1], Text(f" {session.glyphs.more}")]
        lines += [Text("")] * (height - len(lines))
        return [heading(plain(title, width - 1), width, session.palette), *lines]

    def _reason(self, index: int, width: int) -> list[Text]:
        session = self.session
        reasons = setup_rows.why(self.part, index, session.glyphs)
        return [line for text in reasons for line in hang(text, width)]

    def _offers(self) -> Sequence[Key]:
        part, item = self.part, self.item if self.is_mounted else None
        keys: list[Key] = []
        if part.to_do():
            keys.append(Key("enter", "Enter", N_("Preview")))
        elif part.look is not None or part.trouble:
            keys.append(Key("enter", "Enter", N_("Next step")))
        if item is not None:
            keys.append(Key("space", N_("Space"), N_("Select")))
            if len(item.choices) > 1:
                shown = "/".join(item.choices)
                digits = all(len(choice) == 1 and choice in DIGITS for choice in item.choices)
                keys.append(Key("right", f"+- {shown}" if digits else "+ -", N_("Choose")))
        if part.newest(self._changes) is not None:
            keys.append(Key("u", "u", N_("Undo")))
        if part.stand is Stand.TODO:
            keys.append(Key("s", "s", N_("Skip")))
        keys += [Key("r", "r", N_("Refresh")), Key("escape", "Esc", N_("Back"))]
        return keys
