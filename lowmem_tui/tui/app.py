"""The application: it looks at the server once a tick, and opens the screens."""

from __future__ import annotations

import asyncio
import gc
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import constants
from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Key, Resize
from textual.worker import WorkerFailed

from lowmem_tui.model.errors import LowmemError, message_of
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, msg, plural, sentences
from lowmem_tui.tui import css_path
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.session import trial_watch
from lowmem_tui.tui.session.first_look import see
from lowmem_tui.tui.session.messages import Reach, SnapshotArrived
from lowmem_tui.tui.session.session import Session
from lowmem_tui.tui.session.verdicts import Verdicts
from lowmem_tui.tui.terminal import glyphs
from lowmem_tui.tui.terminal.canvas import Canvas
from lowmem_tui.tui.terminal.paint import Painter, forget_regions
from lowmem_tui.tui.terminal.palette import COLOUR, PLAIN
from lowmem_tui.tui.text.main_keys import QUIT

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from rich.console import RenderableType
    from textual.driver import Driver
    from textual.events import Event
    from textual.screen import Screen

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Backend
    from lowmem_tui.policy.classify import Rules
    from lowmem_tui.tui.first_frame import FirstFrame
    from lowmem_tui.tui.session.first_look import Early
    from lowmem_tui.tui.session.messages import Announcement
    from lowmem_tui.tui.terminal.driver import PatientDriver

FORGET = 20
"""Looks after which what Textual remembers of each is let go."""

PATIENCE = 3.0
"""Seconds without an answer after which the screen says so."""


class LowmemApp(App[int]):
    """The live screen."""

    CSS_PATH: ClassVar[Any] = css_path("app.tcss")
    TITLE = "lowmem-tui"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(QUIT.keys, QUIT.action, QUIT.label, key_display=QUIT.shown),
        Binding("f1", "help", N_("Help"), show=False),
        Binding("ctrl+l", "redraw", N_("Redraw"), show=False),
        Binding("ctrl+z", "suspend_process", N_("To the shell"), show=False),
        # Before every widget: an operator in a hurry must get out of anything.
        Binding("ctrl+c,ctrl+q", "quit", N_("Quit"), show=False, priority=True),
    ]

    def __init__(
        self,
        backend: Backend,
        *,
        rules: Rules,
        interval: float = 1.0,
        read_only: bool = False,
        ascii: bool = False,  # noqa: A002 - the option's own name
        start: str = "",
        sudo: str = "sudo lowmem-tui",
        news: Iterable[str] = (),
        early: Early | None = None,
        first: FirstFrame | None = None,
    ) -> None:
        """``start`` is where to begin: "setup", or "setup/STEP"; "" for the main screen.

        ``early`` is the backend's thread, in which the first look is under way or done; ``first``
        is the frame that is on the terminal already. The others are the session's.
        """
        self._first = first  # the driver is chosen at once
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self.session = Session(
            backend,
            early.executor if early else ThreadPoolExecutor(1, "backend"),
            self,
            verdicts=first.verdicts if first else Verdicts(rules),
            glyphs=glyphs.choose(ascii_only=ascii, term=os.environ.get("TERM", "")),
            palette=PLAIN if self.no_color else COLOUR,
            interval=interval,
            read_only=read_only,
            sudo=sudo,
            # What was not on the first frame is not to push its lines down.
            news=() if first else news,
        )
        self._start, self._news = start, tuple(news)
        translate = glyphs.translation(self.session.glyphs)
        self._painter = Painter(first.terminal.canvas if first else Canvas(translate))
        self._early = early.look if early else None

    # What the session asks of it

    @property
    def leaving(self) -> bool:
        """Whether the program is about to end: no screen shows anything any more."""
        return self._exit

    def announce(self, news: Announcement) -> None:
        """Hand a message to the screens that it is for."""
        for screen in reversed(self.screen_stack):
            screen.post_message(news)
            if news.REACH is Reach.FRONT or (news.REACH is Reach.VISIBLE and not screen.is_modal):
                return

    def start(self, work: Coroutine[object, object, None], name: str = "") -> None:
        """Do this beside everything else; an error in it ends the program."""
        self.run_worker(work, name=name)

    def open_review(self, *, instead: bool = False) -> None:
        """Show the trial, if one runs, else what the staged edits would do.

        ``instead``: in the place of the screen in front.
        """
        screen: Screen[None]
        if (running := self.session.trials.running) is not None:
            from lowmem_tui.tui.screens.trial import TrialScreen

            screen = TrialScreen(self.session, running)
        else:
            from lowmem_tui.tui.screens.review import ReviewScreen

            screen = ReviewScreen(self.session)
        if instead:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    def open_setup(self, step: str = "") -> None:
        """Show the guided set-up, one step of it at once."""
        from lowmem_tui.tui.screens.setup import SetupScreen

        self.push_screen(SetupScreen(self.session, step))

    # The tick

    def get_driver_class(self) -> type[Driver]:
        """Return the driver that sleeps while there are no keys, unless another is asked for."""
        if constants.DRIVER:
            return super().get_driver_class()
        from lowmem_tui.tui.terminal.driver import PatientDriver

        if self._first is None:
            return PatientDriver
        return type("PatientDriver", (PatientDriver,), {"first": self._first.terminal})

    def get_default_screen(self) -> Screen[None]:
        """Return the main screen: no other below it."""
        return MainScreen(self.session)

    async def on_mount(self) -> None:
        """Start looking; what has been seen by now is on the very first frame."""
        if self._early is not None and self._early.done():
            await self.look()
        self.run_worker(self._watch(), name="watch", exit_on_error=True)
        if self._start:
            self.open_setup(self._start.partition("/")[2])
        # The shell has had the terminal in between.
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())
        if self.session.under_way.came is not None:
            self.exit(self.session.under_way.status)
        if self._first is not None:
            self.screen.call_after_refresh(self._take_keys)

    def _take_keys(self) -> None:
        """Do what was typed since the first frame: the screen is there."""
        self._first = None
        self.screen.refresh()
        if self._driver is not None:
            cast("PatientDriver", self._driver).take_keys()
        if self._news:
            self.session.tell((*self.session.news, *self._news))

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        for number in count(1):
            started = clock()
            if number % FORGET == 0:
                forget_regions()
            if number > 1 or self.session.snapshot is None:
                await self.look()
            if number == 1:
                # Behind the first figures, which must not wait for it.
                self.screen.call_after_refresh(_settle_memory)
                self.screen.call_after_refresh(self.run_worker, self._settle_changes, name="settle")
            else:
                # What a look leaves behind makes room for the next: else the program grows.
                gc.collect()
            # The next look begins after this one has ended: a slow server gets fewer, not a queue.
            interval = self.session.interval
            await asyncio.sleep(max(interval - (clock() - started), interval / 4))

    async def look(self) -> None:
        """Look at the server once, and hand the snapshot to the screen in front."""
        session = self.session
        if (early := self._early) is not None:
            self._early, future = None, asyncio.wrap_future(early)
        else:
            future = session.run_blocking(see, session.backend)
        waited = 0.0
        while not (await asyncio.wait((future,), timeout=PATIENCE))[0]:
            waited += PATIENCE
            session.notify(
                tr(
                    "These figures are {age} s old: the server has not answered.",
                    age=round(waited),
                )
            )
        try:
            snapshot, trial = future.result()
        except (LowmemError, OSError) as error:
            session.notify(tr("No new figures: {error}", error=message_of(error)))
            return
        trial_watch.see(session, trial)
        session.take(snapshot)
        session.notify(say(snapshot.notice))
        self.announce(SnapshotArrived(snapshot))

    async def _settle_changes(self) -> None:
        """Have what was interrupted finished or rolled back, as the commands do, and report it."""
        session = self.session
        try:
            news = tuple(map(say, await session.run_blocking(session.backend.settle)))
        except LowmemError as error:
            news = (say(error.message),)
        if news:
            session.tell((*session.news, *news))

    # Leaving

    async def action_quit(self) -> None:
        """Leave; ask first if there are staged edits, and stop a change that can be stopped."""
        if self.session.interrupt is not None:
            self.session.interrupt()
        elif self.session.before_leaving is not None:
            self.session.before_leaving(self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        trials, under_way = self.session.trials, self.session.under_way
        waits = under_way.unsettled
        waiting = set(trials.waiting(self.session.staged)) - set(under_way.edits)
        if not waiting and not trials.ours and not waits:
            self.exit(0)
            return
        from lowmem_tui.tui.screens.ask import AskScreen

        if isinstance(self.screen, AskScreen):
            self.exit(0)  # asked once is enough: a second Ctrl-C means it
            return

        def answered(leave: bool | None) -> None:
            if leave and waits and not under_way.unsettled:
                self._leave()  # it has ended meanwhile: the question is another
            elif leave:
                self.exit(0)

        question = _quit_question(len(waiting), waits=waits, trial=trials.running is not None)
        self.push_screen(AskScreen(self.session, say(question)), answered)

    def action_suspend_process(self) -> None:
        """Go to the shell; not in the middle of a change, which holds everybody else up."""
        if self.session.under_way.busy:
            self.bell()
        else:
            super().action_suspend_process()

    def run(self, *args: Any, **kwargs: Any) -> int | None:  # noqa: ANN401 - handed on
        """Run until the operator leaves; raise what made the app end, if anything did.

        A change that is under way is carried to its end; a signal rolls it back.
        """
        session, under_way = self.session, self.session.under_way
        with under_way.signals(self._cut_off):
            try:
                result = super().run(*args, **kwargs)
            finally:
                session.close(wait=False)
                under_way.wait()
                session.close(wait=True)
        if self._exception is not None:
            raise self._exception
        return result

    def _cut_off(self) -> None:
        """Leave because of a signal (`systemctl stop`, a lost line); called at any instant."""
        if (loop := self._loop) is not None:

            def leave() -> None:
                self.session.backend.cancel()
                self.exit(self.session.under_way.status)

            loop.call_soon_threadsafe(leave)

    def action_help(self) -> None:
        """Explain the keys and columns, those of the screen in front first."""
        from lowmem_tui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.session, getattr(self.screen, "HELP", "")))

    def action_redraw(self) -> None:
        """Redraw everything: something else has written to the terminal."""
        self._painter.forget()
        self.screen.refresh()

    async def on_event(self, event: Event) -> None:
        """Let a key take away how a trial ended, whichever widget it is for."""
        if isinstance(event, Key):
            trial_watch.read(self.session)
        await super().on_event(event)

    def on_resize(self, event: Resize) -> None:
        """Take nothing for granted that was on the terminal: it may have moved the lines."""
        if self._first is None or self._painter.canvas.size != event.size:
            self._painter.forget()

    def on_unmount(self) -> None:
        """Let the thread end with its present call."""
        self.session.close(wait=False)

    # Textual's own

    def _handle_exception(self, error: Exception) -> None:
        # In place of a traceback with every local in it: `run` raises, the command line explains.
        if isinstance(error, WorkerFailed):
            error = cast("Exception", error.error)
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:  # noqa: ARG002 - a traceback
        """End because the terminal's input has failed: the one use Textual has for this."""
        self._handle_exception(LowmemError(msg("The terminal could not be read any more.")))

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if self._first is not None:
            return  # Textual begins with a blank screen: the first frame stays until ours is there
        super()._display(screen, self._painter.trim(renderable))


def _quit_question(edits: int, *, waits: bool, trial: bool) -> Message:
    """Return what is asked before leaving: ``edits`` get lost, a change or a trial goes on."""
    if waits:
        if not edits:
            return msg("A change is being made. Quit when it has ended?")
        return plural(
            "A change is being made. Quit when it has ended and discard {n} staged edit?",
            "A change is being made. Quit when it has ended and discard {n} staged edits?",
            edits,
        )
    question = msg("Quit?")
    if edits:
        question = plural(
            "Quit and discard {n} staged edit?", "Quit and discard {n} staged edits?", edits
        )
    goes_on = msg("The trial reverts automatically when its time is up.") if trial else None
    return sentences(question, goes_on)


def _settle_memory() -> None:
    """Take what the start has made out of the collector's sight: it stays to the end.

    What is left is so little that a round over all of it after each look costs nothing.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
