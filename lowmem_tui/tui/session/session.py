"""What one run of the screen knows, and what its operator has asked for: all screens share it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from lowmem_tui.model.message import msg
from lowmem_tui.model.staged import Staged
from lowmem_tui.policy.unseen_kills import UnseenKills
from lowmem_tui.tui.session.memory_history import MemoryHistory
from lowmem_tui.tui.session.messages import NoticeChanged, StagedChanged
from lowmem_tui.tui.session.peaks import Peaks
from lowmem_tui.tui.session.trials import Trials
from lowmem_tui.tui.session.under_way import UnderWay
from lowmem_tui.tui.session.verdicts import Verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Edit, Outcome
    from lowmem_tui.model.ports import Backend
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.policy.classify import Rules, Verdict
    from lowmem_tui.tui.session.ports import Screens
    from lowmem_tui.tui.session.setup_session import SetupSession
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.palette import Palette

P = ParamSpec("P")
R = TypeVar("R")


class Session:
    """The backend, what was seen of the server, what is staged and on trial, and how it looks."""

    def __init__(
        self,
        backend: Backend,
        executor: ThreadPoolExecutor,
        screens: Screens,
        *,
        verdicts: Verdicts,
        glyphs: Glyphs,
        palette: Palette,
        interval: float = 1.0,
        read_only: bool = False,
        sudo: str = "sudo lowmem-tui",
        news: Iterable[str] = (),
    ) -> None:
        """``executor`` has one thread, ``interval`` are the seconds between two looks.

        ``sudo`` is what an ordinary user types to run this program as root, ``news`` what is to be
        shown at the start.
        """
        self.backend = backend
        self._executor = executor
        self._closed = False
        self.screens = screens
        self._verdicts = verdicts
        self.glyphs = glyphs
        self.palette = palette
        self.interval = interval
        self.read_only = read_only
        self.sudo = sudo
        self.news = tuple(news)
        """What was found at the start and done about it, until the operator has read it."""
        self.notice = ""
        """A sentence about the source of the figures; empty when all is well."""
        self.snapshot: Snapshot | None = None
        self.memory = MemoryHistory()
        self.kills = UnseenKills()
        self.peaks = Peaks()
        self.staged = Staged()
        self.trials = Trials()
        self.under_way = UnderWay(backend)
        self.interrupt: Callable[[], None] | None = None
        """What the keys that quit do as long as a change is made that can be stopped."""
        self.before_leaving: Callable[[Callable[[], object]], None] | None = None
        """The form in front: stages its fields, and then calls what it is given."""
        self._setup: SetupSession | None = None

    @property
    def setup(self) -> SetupSession:
        """The guided set-up; the first time it begins to look."""
        if self._setup is None:
            from lowmem_tui.tui.session.setup_session import SetupSession

            self._setup = SetupSession(self.backend, self.run_blocking, self.trials, self.screens)
            self.screens.start(self._setup.begin(self.snapshot), name="setup")
        return self._setup

    @property
    def cannot_change(self) -> Message | str:
        """Why nothing can be changed from here, in one sentence; or ""."""
        if self.backend.cannot_change:
            return self.backend.cannot_change
        return msg("This was started with --read-only.") if self.read_only else ""

    # Calling the backend

    def run_blocking(
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[R]:
        """Run a call of the backend in its thread: one at a time, never on the event loop.

        After ``close`` nothing is run: whoever waits is cancelled.
        """
        future: Future[R]
        if self._closed:
            future = Future()
            future.cancel()
        else:
            future = self._executor.submit(fn, *args, **kwargs)
        return asyncio.wrap_future(future)

    def run_aside(self, fn: Callable[[], R]) -> asyncio.Future[R]:
        """Run what only reads and may take seconds in a thread of its own; nobody waits for it."""
        from lowmem_tui.tui.session.background import run_aside

        return run_aside(fn)

    async def change(self, do: Callable[[], Outcome], edits: tuple[Edit, ...] = ()) -> Outcome:
        """Change the server in the backend's thread; no key cancels it.

        ``edits`` are the staged ones that it applies. Raises what ``do`` raises.
        """
        future = self._executor.submit(do)
        self.under_way.begin(future, edits)
        try:
            return await asyncio.wrap_future(future)
        finally:
            # After the screen has gone, whoever opened it shows the result.
            if future.done() and not self.screens.leaving:
                self.under_way.settled()

    def close(self, *, wait: bool) -> None:
        """Let the backend's thread end with its present call; the other calls are cancelled."""
        self._closed = True
        self._executor.shutdown(wait=wait, cancel_futures=True)

    # What was seen

    def take(self, snapshot: Snapshot) -> None:
        """Take one look."""
        self.snapshot = snapshot
        self.kills.update(snapshot)
        self.peaks.update(snapshot)
        self.memory.add(snapshot)
        self._verdicts.keep(snapshot.units, len(snapshot.units))

    def verdict(self, unit_name: str) -> Verdict:
        """Return the tier and group of a unit of the newest snapshot.

        Raises KeyError.
        """
        if self.snapshot is None:
            raise KeyError(unit_name)
        return self._verdicts.of(self.snapshot.units[unit_name], self.snapshot.host.mem_total)

    @property
    def rules(self) -> Rules:
        """The tiers, the administrator's included."""
        return self._verdicts.rules

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return the kills and the restarts of each unit of the newest snapshot."""
        if self.snapshot is None:
            return {}
        from lowmem_tui.policy.trial_text import counts

        return dict(counts(self.snapshot, self.kills.totals))

    def follow_files(self, files: Iterable[tuple[str, str | None]]) -> None:
        """Take the tiers again from these files (path, text now), if theirs is among them."""
        rules = self.rules.following(files)
        if rules is not self.rules:
            self._verdicts = Verdicts(rules)

    # What the operator is shown, and asks for

    def notify(self, notice: str) -> None:
        """Show this sentence about the source of the figures; or none."""
        if notice != self.notice:
            self.notice = notice
            self.screens.announce(NoticeChanged())

    def tell(self, news: Sequence[str]) -> None:
        """Show these sentences until they are read; none takes them away."""
        if tuple(news) != self.news:
            self.news = tuple(news)
            self.screens.announce(NoticeChanged())

    def stage(self, staged: Staged) -> None:
        """Replace the staged edits."""
        self.staged = staged
        self.screens.announce(StagedChanged())
