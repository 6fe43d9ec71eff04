"""One change of the history: what it did to each file, and undoing it."""

from __future__ import annotations

import time
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from lowmem_tui.model.change import State
from lowmem_tui.model.errors import LowmemError, RefusedError
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, as_message, of_command
from lowmem_tui.model.plan import FileChange
from lowmem_tui.model.text import plain
from lowmem_tui.policy.change_text import STATES, noted, why_not
from lowmem_tui.tui.screens.sheet import MORE, Sheet, working
from lowmem_tui.tui.session import trial_watch
from lowmem_tui.tui.text import plan_report
from lowmem_tui.tui.text.diff import difference
from lowmem_tui.tui.text.unit_page import heading
from lowmem_tui.tui.widgets.keybar import Key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lowmem_tui.model.change import Change
    from lowmem_tui.model.plan import Outcome
    from lowmem_tui.tui.session.session import Session


class Stage(Enum):
    """Where it is."""

    SHOWN = "shown"
    ASKING = "asking"
    """What undoing it would do is shown, and y undoes it."""
    WORKING = "working"
    DONE = "done"


BACK = Key("escape", "Esc", N_("Back"))
KEYS = {
    Stage.SHOWN: (Key("u", "u", N_("Undo")), BACK, MORE),
    Stage.ASKING: (Key("y", "y", N_("Undo")), Key("n", "n", N_("No")), MORE),
    Stage.WORKING: (),
    Stage.DONE: (Key("enter", "Enter", N_("Back")), MORE),
}


class ChangeScreen(Sheet):
    """Shows a change; asks before it is undone."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "undo", N_("Undo")),
        Binding("y", "yes", N_("Yes")),
        Binding("n", "no", N_("No")),
        Binding("escape,q", "back", N_("Back")),
        Binding("enter", "leave", N_("Back"), show=False),
    ]
    ALLOWED: ClassVar[Mapping[str, Collection[Enum]]] = {
        "undo": {Stage.SHOWN},
        "yes": {Stage.ASKING},
        "no": {Stage.ASKING},
        "back": {Stage.SHOWN, Stage.ASKING, Stage.DONE},
        "leave": {Stage.SHOWN, Stage.DONE},
    }

    def __init__(
        self, session: Session, change: Change, changes: Sequence[Change], *, undo: bool
    ) -> None:
        super().__init__(session)
        self.change = change
        self.stage: Stage = Stage.SHOWN
        self._changes = changes
        self._undo = undo
        self._files: Sequence[FileChange] | None = None
        self._no_files = ""
        """Why the files cannot be shown."""
        self._outcome: Outcome | None = None

    def on_mount(self) -> None:
        """Ask for the files."""
        self.repaint()
        if self._undo:
            self.action_undo()
        self.work(self._find_files)

    async def _find_files(self) -> None:
        session = self.session
        try:
            self._files = await session.run_blocking(session.backend.files_of, self.change.id)
        except LowmemError as error:
            self._no_files = say(error.message)
        self._page.repaint()

    # Keys

    def action_undo(self) -> None:
        """Show what undoing it would do, or why it cannot be undone."""
        number = plain(self.change.id, 20)
        if reason := why_not(self.change, self._changes):
            self.say(say(reason))
        elif why := self.session.cannot_change:
            command = of_command(f"{self.session.sudo} undo {number}")
            self.say(tr("{why} To undo it: {command}", why=why, command=command))
        else:
            question = tr("Undo change {id}? y undoes it, n goes back.", id=number)
            self._enter(Stage.ASKING, question)

    def action_yes(self) -> None:
        """Undo it."""
        self._work({})

    def action_no(self) -> None:
        """Do not."""
        self._enter(Stage.SHOWN, tr("Nothing was undone."))

    def _work(self, overruled: dict[str, bool]) -> None:
        if self.stage is Stage.ASKING:
            self._enter(Stage.WORKING)
            # Never cancelled by a key: the thread carries it to its end anyway.
            self.work(partial(self._carry_out, overruled))

    async def _carry_out(self, overruled: dict[str, bool]) -> None:
        session, number = self.session, self.change.id
        try:
            self._outcome = await session.change(partial(session.backend.undo, number, **overruled))
        except RefusedError as error:
            if error.way and error.way not in overruled:
                self._ask_to_overrule(error, {**overruled, error.way: True})
            else:
                self._enter(Stage.SHOWN, say(error.message))
            return
        except LowmemError as error:
            self._enter(Stage.SHOWN, say(error.message))
            return
        session.follow_files((file.path, file.before) for file in self._files or ())
        if self.change.state is State.TRIAL:
            session.trials.reported = number
            await trial_watch.ask(session)
        self._enter(Stage.DONE)

    def _ask_to_overrule(self, error: RefusedError, overruled: dict[str, bool]) -> None:
        from lowmem_tui.tui.screens.confirm import ConfirmScreen

        self._enter(Stage.ASKING)

        def answered(yes: bool | None) -> None:
            if yes:
                self._work(overruled)
            else:
                self.action_no()

        title = tr("A check refuses to undo this change:")
        self.app.push_screen(ConfirmScreen(self.session, title, [say(error.message)]), answered)

    def action_back(self) -> None:
        """Go back to the list."""
        self.dismiss()

    def action_leave(self) -> None:
        """Go back to the list."""
        self.dismiss()

    # What is shown

    def heading(self) -> str:
        """Return the title."""
        number = self.change.id
        if self.stage is Stage.DONE:
            if self._outcome is not None and self._outcome.mismatches:
                return tr("Change {id} is undone, but verification failed", id=number)
            return tr("Change {id} is undone", id=number)
        if self.stage is Stage.SHOWN:
            state = STATES[self.change.state]
            return tr("Change {id}: {state}", id=number, state=state)
        if self.stage is Stage.ASKING:
            return tr("Undo of change {id}: nothing is written yet", id=number)
        return tr("Working… systemd is reloading. This may take some seconds.")

    def lines(self, width: int) -> list[Text]:
        """Return what it did, what undoing would do, or what that has done."""
        change, palette = self.change, self.session.palette
        if self.stage is Stage.DONE and self._outcome is not None:
            return plan_report.of_outcome(self._outcome, restored=True)
        back = self.stage in {Stage.ASKING, Stage.WORKING}
        lines: list[Text] = []
        effects, actions = change.effects, change.actions
        if back:
            # As change.undo does it: what is repeated comes last, in its own order.
            back_first = [a.inverse for a in reversed(actions) if not a.kind.repeats]
            actions = (*back_first, *(a for a in actions if a.kind.repeats))
            effects = tuple(replace(e, from_=e.to, to=e.from_) for e in effects)
        else:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change.time))
            who = tr("{when} by {who}", when=when, who=change.by.message)
            lines.append(Text(f" {who}"))
            if change.note:
                lines.append(Text(" " + tr("Note: {note}", note=noted(change.note))))
            if change.trial is not None:
                trial = tr("Applied as a trial of {seconds} s", seconds=change.trial)
                lines.append(Text(f" {trial}"))
            if change.outcome:
                lines.append(Text(f" {plain(say(change.outcome))}"))
            for left in change.remaining:
                words = tr("Remaining: {left}", left=as_message(left))
                lines.append(Text(f" {plain(words, 2000)}"))
        if effects:
            title = tr("SETTINGS AFTER UNDO") if back else tr("CHANGED SETTINGS")
            lines.append(heading(title, width, palette))
            lines += plan_report.effects(effects, width)
        if actions:
            title = tr("UNDO, IN THIS ORDER") if back else tr("ACTIONS, IN THIS ORDER")
            lines.append(heading(title, width, palette))
            lines += plan_report.actions(actions, len(change.files))
        if self._files is None:
            lines.append(heading(tr("FILES"), width, palette))
            lines += [Text(f" {plain(path)}") for path in change.files]
            if self._no_files:
                lines.append(Text(f" {plain(self._no_files)}"))
        for file in self._files or ():
            lines.append(heading(tr("FILE"), width, palette))
            seen = FileChange(file.path, file.after, file.before) if back else file
            lines += difference(seen)
        return lines

    def waiting(self) -> str:
        """Return what is shown while it works."""
        if self.stage is not Stage.WORKING:
            return ""
        return working()

    def offers(self) -> Sequence[Key]:
        """Return the keys of this stage."""
        return KEYS[self.stage]
