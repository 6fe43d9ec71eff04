"""The watcher: the kernel's sample and what systemd has loaded, together a snapshot.

systemd is asked once, and again only for what it says has changed. A background thread alone
talks to it; ``look`` takes what the thread has left there last, and never waits. No locks: the
thread replaces one immutable value.

Units that systemd has loaded are known, the inactive ones with them: whatever is enabled, or
started by a timer, is loaded. Unit files that nothing wants are not read from disk for a list.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.message import msg, of_text
from lowmem_tui.model.snapshot import Snapshot, Unit
from lowmem_tui.model.unit import is_template, is_unit_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Manager, Sampler
    from lowmem_tui.model.unit import UnitProperties
    from lowmem_tui.model.usage import Sample

POLL = 0.25
"""Seconds for which the thread waits for signals in one go, and thus for which it outlives us."""

SETTLE = 0.2
"""Seconds between the first signal and the question: a restart brings 14 of them."""

GAP = 1.0
"""Seconds, at least, between two rounds of questions of a kind (everything, or what changed)…"""

RATIO = 5.0
"""… and so many times what the last of that kind took…"""

MOST = 10.0
"""… but, for that reason, at most so many seconds."""

BACK_OFF = (1.0, 60.0)
"""Seconds to the first and, doubled each time, at most to the next attempt to connect."""

BATCH = 32
"""Units asked for at once: what is known is shown while more is to come."""

ALWAYS = (".service", ".scope", ".slice")
"""The types that have memory settings of their own; others are asked for if they have a group."""


@runtime_checkable
class Refreshable(Protocol):
    """A sampler that can be made to put nothing off."""

    def refresh(self) -> None:
        """Read everything at the next sample."""


class _Known(NamedTuple):
    """What the thread knows; replaced whole."""

    properties: dict[str, UnitProperties]
    complete: bool = False
    """Whether every unit has been asked for at least once."""
    notice: Message | str = ""
    reloads: int = 0
    """How many times systemd has read its files again."""


class _Turn:
    """When to ask next; ``due`` is infinity while nobody has called for it."""

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._earliest = 0.0
        self.due = float("inf")

    def call(self, moment: float) -> None:
        """Be due at that moment, or as soon as the gap is over; a second call changes nothing."""
        if self.due == float("inf"):
            self.due = max(moment, self._earliest)

    def done(self, began: float, ended: float) -> None:
        """Have been asked, in so long a time."""
        self.due = float("inf")
        self._earliest = ended + max(self._gap, min(RATIO * (ended - began), MOST))


class Watcher:
    """Makes snapshots. ``look``, ``watch`` and ``close`` are for one thread."""

    def __init__(
        self,
        sampler: Sampler,
        connect: Callable[[], Manager] | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        settle: float = SETTLE,
        gap: float = GAP,
        back_off: tuple[float, float] = BACK_OFF,
    ) -> None:
        """Start asking. ``connect`` opens a connection to systemd; None does without."""
        self._sampler = sampler
        self._connect = connect
        self._monotonic = monotonic
        self._settle, self._gap, self._back_off = settle, gap, back_off
        self._known = _Known({})
        self._seen: frozenset[str] = frozenset()  # units of the newest sample
        self._last: Snapshot | None = None
        self._reloads = 0
        self._refreshes = 0
        self._asked = set[str]()  # the thread's own
        self._stop = threading.Event()
        self._answered = threading.Event()
        self._thread: threading.Thread | None = None
        if connect is not None:
            self._thread = threading.Thread(target=self._run, name="systemd", daemon=True)
            self._thread.start()

    def look(self) -> Snapshot:
        """Take a sample and return it with what is known of systemd; never waits for D-Bus.

        When the kernel's files cannot be read just now, the last snapshot says so in its notice.
        Raises LowmemError when there is none yet.
        """
        known = self._known
        self._refresh(known.reloads)
        try:
            sample = self._sampler.sample()
        except OSError as error:
            sentence = msg(
                "The kernel's files cannot be read just now ({error}): trying again.",
                error=of_text(str(error), 200),
            )
            if self._last is None:
                raise LowmemError(sentence) from error
            return Snapshot(
                self._last.time, self._last.monotonic, self._last.host, self._last.units,
                notice=sentence,
            )  # fmt: skip
        self._seen = frozenset(sample.units)
        self._last = Snapshot(
            time=sample.time,
            monotonic=sample.monotonic,
            host=sample.host,
            units=self._merge(sample, known.properties),
            loading=self._connect is not None and not known.complete and not known.notice,
            notice=known.notice or sample.notice,
        )
        return self._last

    def watch(self, unit: str | None) -> None:
        """Read this unit whole at each look."""
        self._sampler.watch(unit)

    def wait_ready(self, timeout: float) -> bool:
        """Wait until systemd has reported everything; return False if it has not, or cannot."""
        if self._connect is None:
            return True
        self._answered.wait(timeout)
        return self._known.complete

    def close(self) -> None:
        """End the thread and let go of the sampler."""
        self._stop.set()
        if self._thread is not None:
            # Not for long: it may be waiting for a systemd that does not answer.
            self._thread.join(2 * POLL)
        self._sampler.close()

    def _refresh(self, reloads: int) -> None:
        """After a reload limits may be others; whoever asked for it may still be writing them."""
        if reloads != self._reloads:
            self._reloads = reloads
            self._refreshes = 3
        if self._refreshes and isinstance(self._sampler, Refreshable):
            self._refreshes -= 1
            self._sampler.refresh()

    def _merge(self, sample: Sample, properties: dict[str, UnitProperties]) -> dict[str, Unit]:
        """Return the running units, then the services that do not run; unchanged ones as before."""
        before = {} if self._last is None else self._last.units
        units = {}
        for name, usage in sample.units.items():
            about = properties.get(name)
            unit = before.get(name)
            if unit is None or unit.usage is not usage or unit.properties is not about:
                unit = Unit(name, usage, about)
            units[name] = unit
        for name, about in properties.items():
            if name not in units and name.endswith(".service"):
                unit = before.get(name)
                if unit is None or unit.usage is not None or unit.properties is not about:
                    unit = Unit(name, None, about)
                units[name] = unit
        return units

    # The thread

    def _run(self) -> None:
        first, most = self._back_off
        wait = first
        while not self._stop.is_set():
            manager = None
            try:
                manager = self._open()
                wait = first
                self._follow(manager)
            except LowmemError as error:
                self._tell(error.message)
            except Exception as error:  # noqa: BLE001 - a thread has nobody to raise it to
                self._tell(
                    msg(
                        "systemd's answers cannot be read ({error}).",
                        error=of_text(f"{type(error).__name__}: {error}", 200),
                    )
                )
            finally:
                if manager is not None:
                    manager.close()
            self._stop.wait(wait)
            wait = min(most, wait * 2)

    def _tell(self, notice: Message) -> None:
        self._known = self._known._replace(notice=notice)
        self._answered.set()

    def _open(self) -> Manager:
        assert self._connect is not None  # noqa: S101 - or there would be no thread
        manager = self._connect()
        try:
            manager.subscribe()
            manager.changes(0.0)  # whatever it was: everything is asked for now
        except BaseException:
            manager.close()
            raise
        return manager

    def _follow(self, manager: Manager) -> None:
        """Ask for everything, then for whatever changes, until it is stopped."""
        whole, some = _Turn(self._gap), _Turn(self._gap)
        whole.call(self._monotonic())
        names = set[str]()
        while not self._stop.is_set():
            now = self._monotonic()
            if whole.due <= now:
                self._ask_everything(manager)
                names.clear()
                whole.done(now, self._monotonic())
                some.done(now, now)
            elif some.due <= now:
                self._ask(manager, names)
                names.clear()
                some.done(now, self._monotonic())
            now = self._monotonic()
            changes = manager.changes(max(0.0, min(POLL, whole.due - now, some.due - now)))
            later = self._monotonic() + self._settle
            if changes.reloaded:
                self._known = self._known._replace(reloads=self._known.reloads + 1)
                whole.call(later)
            names |= self._wanted(changes.units) | self._wanted(self._seen - self._asked)
            if names:
                some.call(later)

    def _wanted(self, names: Iterable[str]) -> set[str]:
        return {
            name
            for name in names
            if (name.endswith(ALWAYS) or name in self._seen)
            and is_unit_name(name)
            and not is_template(name)
        }

    def _ask_everything(self, manager: Manager) -> None:
        listed = [u.name for u in manager.list_units() if u.load_state != "not-found"]
        names = self._wanted(listed) | self._wanted(self._seen)
        self._asked.clear()
        self._ask(manager, names)
        if not self._stop.is_set():
            left = {n: p for n, p in self._known.properties.items() if n in names}
            self._known = self._known._replace(properties=left, complete=True, notice="")
            self._answered.set()

    def _ask(self, manager: Manager, names: set[str]) -> None:
        """Ask for these units, and show what is known after each batch."""
        # What runs comes first.
        waiting = sorted(names, key=lambda name: (name not in self._seen, name))
        while waiting and not self._stop.is_set():
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            self._asked.update(batch)
            properties = dict(self._known.properties)
            for name, about in manager.properties(batch).items():
                if not about.exists:
                    properties.pop(name, None)
                elif properties.get(name) != about:
                    properties[name] = about
            self._known = self._known._replace(properties=properties)
