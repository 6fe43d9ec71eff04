"""The application: it looks at the server once a tick, and holds what the screens share."""

from __future__ import annotations

import asyncio
import gc
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar, cast

from textual import constants
from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.worker import WorkerFailed

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.staged import Staged
from lowmem_tui.policy.unseen_kills import Kills
from lowmem_tui.tui import css_path
from lowmem_tui.tui.screens.main import MainScreen
from lowmem_tui.tui.session.first_look import see
from lowmem_tui.tui.session.memory_history import history_of
from lowmem_tui.tui.session.messages import NoticeChanged, SnapshotArrived, StagedChanged
from lowmem_tui.tui.session.peaks import Needs
from lowmem_tui.tui.session.trials import Trials
from lowmem_tui.tui.session.under_way import UnderWay
from lowmem_tui.tui.terminal import glyphs
from lowmem_tui.tui.terminal.paint import Painter, forget_regions
from lowmem_tui.tui.terminal.palette import COLOUR, PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import RenderableType
    from textual.driver import Driver
    from textual.events import Event
    from textual.screen import Screen

    from lowmem_tui.model.plan import Edit, Outcome
    from lowmem_tui.model.ports import Backend
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.policy.classify import Rules, Verdict
    from lowmem_tui.tui.session.first_look import Early
    from lowmem_tui.tui.session.setup_session import Guide

P = ParamSpec("P")
R = TypeVar("R")

CONFIG = "/etc/lowmem-tui/config.toml"
"""Where the administrator's own tiers stand."""

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
        Binding("f10,q", "quit", "Quit", key_display="F10"),
        Binding("f1", "help", "Help", show=False),
        Binding("ctrl+l", "redraw", "Redraw", show=False),
        Binding("ctrl+z", "suspend_process", "To the shell", show=False),
        # Before every widget: an operator in a hurry must get out of anything.
        Binding("ctrl+c,ctrl+q", "quit", "Quit", show=False, priority=True),
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
    ) -> None:
        """``start`` is where to begin: "setup", or "setup/STEP"; "" for the main screen.

        ``sudo`` is what an ordinary user types to run this program as root, ``news`` what is to be
        told at the start. ``early`` is the backend's thread, in which the first look is under way
        or done.
        """
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self.backend = backend
        self.interval = interval
        self.read_only = read_only
        self.sudo = sudo
        self.glyphs = glyphs.choose(ascii_only=ascii, term=os.environ.get("TERM", ""))
        self.palette = PLAIN if self.no_color else COLOUR
        self.staged = Staged()
        self.trials = Trials()
        self.under_way = UnderWay(backend)
        self.snapshot: Snapshot | None = None
        self.notice = ""
        """A sentence about the source of the figures; empty when all is well."""
        self.news = tuple(news)
        """What was found at the start and done about it, until the operator has read it."""
        self.kills = Kills()
        self.needs = Needs()
        self.rules = rules
        self._verdicts: dict[str, tuple[object, Verdict]] = {}
        self.guide: Guide | None = None
        """The guided set-up, once it was opened."""
        self.interrupt: Callable[[], None] | None = None
        """What a wish to leave does as long as a change is made that can be stopped."""
        self.before_leaving: Callable[[Callable[[], object]], None] | None = None
        """The form in front: stages what stands in it, and then goes on with what it is given."""
        self._start = start
        self._painter = Painter(glyphs.translation(self.glyphs))
        self._hands = early.hands if early else ThreadPoolExecutor(1, "backend")
        self._early = early.look if early else None

    # What the screens share

    def run_blocking(
        self, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[R]:
        """Run a call of the backend in its thread: one at a time, never on the event loop."""
        return asyncio.wrap_future(self._hands.submit(fn, *args, **kwargs))

    async def change(self, do: Callable[[], Outcome], edits: tuple[Edit, ...] = ()) -> Outcome:
        """Change the server in the backend's thread; no key cancels it.

        ``edits`` are the staged ones that it applies. Raises what ``do`` raises.
        """
        future = self._hands.submit(do)
        self.under_way.begin(future, edits)
        try:
            return await asyncio.wrap_future(future)
        finally:
            # Who has left by now is told by whoever opened the screen.
            if future.done() and not self._exit:
                self.under_way.told()

    def run_aside(self, fn: Callable[[], R]) -> asyncio.Future[R]:
        """Run what only reads and may take seconds in a thread of its own; nobody waits for it."""
        from lowmem_tui.tui.session.background import run_aside

        return run_aside(fn)

    def stage(self, staged: Staged) -> None:
        """Replace the staged edits."""
        self.staged = staged
        for screen in self.screen_stack:
            screen.post_message(StagedChanged())

    def open_review(self) -> None:
        """Show the trial, if one runs; else what the staged edits would do."""
        if (running := self.trials.running) is not None:
            from lowmem_tui.tui.screens.trial import TrialScreen

            self.push_screen(TrialScreen(running))
            return
        from lowmem_tui.tui.screens.review import ReviewScreen

        self.push_screen(ReviewScreen())

    def open_setup(self, step: str = "") -> None:
        """Show the guided set-up, one step of it at once."""
        from lowmem_tui.tui.screens.setup import SetupScreen

        self.push_screen(SetupScreen(step))

    def verdict(self, unit_name: str) -> Verdict:
        """Return the tier and group of a unit of the newest snapshot.

        It is kept until systemd's side of the unit changes, so that rows do not wander between
        groups with their size. Raises KeyError.
        """
        if self.snapshot is None:
            raise KeyError(unit_name)
        unit = self.snapshot.units[unit_name]
        known = self._verdicts.get(unit_name)
        if known is not None and known[0] is unit.properties:
            return known[1]
        verdict = self.rules.classify(unit, self.snapshot.host.mem_total)
        self._verdicts[unit_name] = unit.properties, verdict
        return verdict

    def follow_files(self, files: Iterable[tuple[str, str | None]]) -> None:
        """Take the tiers anew from these files (path, text now), if theirs is among them."""
        for path, text in files:
            if path == CONFIG:
                from lowmem_tui.policy.classify import parse_config

                self.rules = self.rules.with_config(parse_config(text or ""))
                self._verdicts.clear()

    # The tick

    def get_driver_class(self) -> type[Driver]:
        """Return the driver that sleeps while there are no keys, unless another is asked for."""
        if constants.DRIVER:
            return super().get_driver_class()
        from lowmem_tui.tui.terminal.driver import PatientDriver

        return PatientDriver

    def get_default_screen(self) -> Screen[None]:
        """Return the main screen: no other below it."""
        return MainScreen()

    async def on_mount(self) -> None:
        """Start looking; what has been seen by now is on the very first frame."""
        if self._early is not None and self._early.done():
            await self.look()
        self.run_worker(self._watch(), name="watch", exit_on_error=True)
        if self._start:
            self.open_setup(self._start.partition("/")[2])
        # The shell has had the terminal in between.
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())
        if self.under_way.came is not None:
            self.exit(self.under_way.status)

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        for number in count(1):
            started = clock()
            if number % FORGET == 0:
                forget_regions()
            if number > 1 or self.snapshot is None:
                await self.look()
            if number == 1:
                # Behind the first figures, which must not wait for it.
                self.screen.call_after_refresh(_settle_memory)
                self.screen.call_after_refresh(self.run_worker, self._settle_changes, name="settle")
            else:
                # What a look leaves behind makes room for the next: else the program grows.
                gc.collect()
            # The next look begins after this one has ended: a slow server gets fewer, not a queue.
            await asyncio.sleep(max(self.interval - (clock() - started), self.interval / 4))

    async def look(self) -> None:
        """Look at the server once, and hand the snapshot to the screen in front."""
        if (early := self._early) is not None:
            self._early, future = None, asyncio.wrap_future(early)
        else:
            future = self.run_blocking(see, self.backend)
        waited = 0.0
        while not (await asyncio.wait((future,), timeout=PATIENCE))[0]:
            waited += PATIENCE
            self._notify_of(f"These figures are {waited:.0f} s old: the server has not answered.")
        try:
            snapshot, trial = future.result()
        except (LowmemError, OSError) as error:
            self._notify_of(f"No new figures: {error}")
            return
        self.trials.see(self, trial)
        self.snapshot = snapshot
        self.kills.update(snapshot)
        self.needs.update(snapshot)
        history_of(self).add(snapshot)
        if len(self._verdicts) > 2 * len(snapshot.units):
            self._verdicts = {n: v for n, v in self._verdicts.items() if n in snapshot.units}
        self._notify_of(snapshot.notice)
        self.screen.post_message(SnapshotArrived(snapshot))

    async def _settle_changes(self) -> None:
        """Have what was interrupted finished or put back, as the commands do, and tell of it."""
        try:
            news = await self.run_blocking(self.backend.settle)
        except LowmemError as error:
            news = (str(error),)
        if news:
            self.tell((*self.news, *news))

    def tell(self, news: Sequence[str]) -> None:
        """Show these sentences until they are read; none takes them away."""
        if tuple(news) != self.news:
            self.news = tuple(news)
            self.screen.post_message(NoticeChanged())

    def _notify_of(self, notice: str) -> None:
        if notice != self.notice:
            self.notice = notice
            self.screen.post_message(NoticeChanged())

    # Leaving

    async def action_quit(self) -> None:
        """Leave; ask first if there are staged edits, and stop a change that can be stopped."""
        if self.interrupt is not None:
            self.interrupt()
        elif self.before_leaving is not None:
            self.before_leaving(self._leave)
        else:
            self._leave()

    def _leave(self) -> None:
        waits = self.under_way.untold
        waiting = set(self.trials.waiting(self.staged)) - set(self.under_way.edits)
        if not waiting and not self.trials.ours and not waits:
            self.exit(0)
            return
        from lowmem_tui.tui.screens.ask import AskScreen

        if isinstance(self.screen, AskScreen):
            self.exit(0)  # asked once is enough: a second Ctrl-C means it
            return

        def answered(leave: bool | None) -> None:
            if leave and waits and not self.under_way.untold:
                self._leave()  # it has ended meanwhile: the question is another
            elif leave:
                self.exit(0)

        edits = "1 staged edit" if len(waiting) == 1 else f"{len(waiting)} staged edits"
        forget = f" and forget {edits}" if waiting else ""
        question = f"Quit{forget}?"
        if waits:
            question = f"A change is being made. Quit when it has ended{forget}?"
        elif self.trials.running is not None:
            question += " The trial is taken back when its time is up."
        self.push_screen(AskScreen(question), answered)

    def action_suspend_process(self) -> None:
        """Go to the shell; not in the middle of a change, which holds everybody else up."""
        if self.under_way.busy:
            self.bell()
        else:
            super().action_suspend_process()

    def run(self, *args: Any, **kwargs: Any) -> int | None:  # noqa: ANN401 - handed on
        """Run until the operator leaves; raise what made the app end, if anything did.

        A change that is under way is carried to its end; a signal has it put back.
        """
        with self.under_way.signals(self._cut_off):
            try:
                result = super().run(*args, **kwargs)
            finally:
                self._hands.shutdown(wait=False, cancel_futures=True)
                self.under_way.wait()
                self._hands.shutdown(wait=True)
        if self._exception is not None:
            raise self._exception
        return result

    def _cut_off(self) -> None:
        """Leave because of a signal (`systemctl stop`, a lost line); called at any instant."""
        if (loop := self._loop) is not None:

            def leave() -> None:
                self.backend.cancel()
                self.exit(self.under_way.status)

            loop.call_soon_threadsafe(leave)

    def action_help(self) -> None:
        """Explain the keys and columns, those of the screen in front first."""
        from lowmem_tui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(getattr(self.screen, "HELP", "")))

    def action_redraw(self) -> None:
        """Paint everything anew: something else has written to the terminal."""
        self._painter.forget()
        self.screen.refresh()

    async def on_event(self, event: Event) -> None:
        """Let a key take away how a trial ended, whichever widget it is for."""
        if isinstance(event, Key):
            self.trials.read(self)
        await super().on_event(event)

    def on_resize(self) -> None:
        """Take nothing for granted that was on the terminal: it may have moved the lines."""
        self._painter.forget()

    def on_unmount(self) -> None:
        """Let the thread end with its present call."""
        self._hands.shutdown(wait=False, cancel_futures=True)

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
        self._handle_exception(LowmemError("The terminal could not be read any more."))

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, self._painter.trim(renderable))


def _settle_memory() -> None:
    """Take what the start has made out of the collector's sight: it stays to the end.

    What is left is so little that a round over all of it after each look costs nothing.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
