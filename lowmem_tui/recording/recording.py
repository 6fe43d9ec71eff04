"""A recording that is read: one file, or a folder of segments; any moment of it, soon."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError, LowmemError, NotPermittedError
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.recording.segment import FRAME, LOG, Segment
from lowmem_tui.stream.frames import Decoder, StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.recording.segment import Head, Place

FOLDER = "/var/log/lowmem-tui"
"""Where the resident helper records."""
SUFFIX = ".lmt"
MOST_SEGMENTS = 4096
MOST_LOG = 4 << 20
"""Bytes of the log of a recording that are read, the newest."""


class Gap(NamedTuple):
    """A time span of which nothing can be read."""

    begin: float
    end: float
    name: str
    """The file that is damaged."""


class Position(NamedTuple):
    """Where a snapshot is in a recording."""

    stretch: int
    number: int


class _Mark(NamedTuple):
    """What is known of a snapshot without reading it again."""

    time: float
    kills: int | None


class _Frames:
    """The frames of a stretch.

    They are stored as they were recorded, and one snapshot: as snapshots, all of them would take a
    hundred times as much memory.
    """

    def __init__(self, segment: Segment, places: Sequence[Place]) -> None:
        self._frames: list[bytes] = []
        self.marks: list[_Mark] = []
        self._decoder, self._number = Decoder(), -1
        self._snapshot: Snapshot | None = None
        self._begin(segment, places)

    def _begin(self, segment: Segment, places: Sequence[Place]) -> None:
        """Read it once, as far as it is not damaged. Raises StreamError: nothing can be read."""
        decoder = Decoder()
        try:
            for entry in segment.entries(places):
                if entry.kind == FRAME:
                    snapshot = decoder.snapshot(entry.data)
                    self._frames.append(entry.data)
                    self.marks.append(_Mark(snapshot.time, snapshot.host.oom_kills))
        except StreamError:
            if not self._frames:
                raise

    def snapshot(self, number: int) -> Snapshot:
        """Return one of its snapshots: going back means reading from the first frame again."""
        if self._snapshot is None or number < self._number:
            self._decoder, self._number = Decoder(), -1
        while self._snapshot is None or self._number != number:
            self._number += 1
            self._snapshot = self._decoder.snapshot(self._frames[self._number])
        return self._snapshot


class _Stretch(NamedTuple):
    """Chunks that are read from their first one: it is a key chunk."""

    time: float
    segment: Segment
    places: tuple[Place, ...]


class Recording:
    """The snapshots of one recording, by their time. Not for several threads at once."""

    def __init__(self, path: str) -> None:
        """Open a file or a folder.

        Raises InvalidValueError where there is no recording, NotPermittedError, LowmemError.
        """
        self.path = path
        self._fds: list[int] = []
        self.notes: list[LowmemError] = []
        """What could not be opened."""
        self.gaps: list[Gap] = []
        self._stretches: list[_Stretch] = []
        self._read: tuple[int, _Frames] | None = None
        try:
            segments = self._open()
            for segment in sorted(segments, key=lambda each: (each.head.number, each.head.began)):
                self._index(segment)
            if not self._stretches:
                raise InvalidValueError(
                    msg("There is nothing in the recording {path} yet.", path=of_path(path))
                )
        except BaseException:
            self.close()
            raise

    def _open(self) -> list[Segment]:
        try:
            if not os.path.isdir(self.path):
                return [self._segment(self.path)]
            names = sorted(name for name in os.listdir(self.path) if name.endswith(SUFFIX))
        except OSError as error:
            raise _cannot_read(self.path, error) from error
        found = []
        for name in names[:MOST_SEGMENTS]:
            try:
                found.append(self._segment(os.path.join(self.path, name)))
            except (OSError, LowmemError) as error:
                known = error if isinstance(error, LowmemError) else _cannot_read(name, error)
                self.notes.append(known)
        return found

    def _segment(self, path: str) -> Segment:
        # Not a FIFO or a device: opening one of them waits, or does something.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        self._fds.append(fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InvalidValueError(msg("{path} is not a file.", path=of_path(path)))
        return Segment(fd, path)

    def _index(self, segment: Segment) -> None:
        run: list[Place] = []
        before = segment.head.began
        for place in segment.places():
            if place.gap:
                self.gaps.append(Gap(before, place.time, segment.name))
            if place.key and run:
                self._stretches.append(_Stretch(run[0].time, segment, tuple(run)))
                run = []
            if place.key or run:
                run.append(place)
            before = place.time
        if run:
            self._stretches.append(_Stretch(run[0].time, segment, tuple(run)))

    def close(self) -> None:
        """Close every file."""
        while self._fds:
            os.close(self._fds.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def head(self) -> Head:
        """What the first segment says of itself."""
        return self._stretches[0].segment.head

    def find(self, time: float) -> Position:
        """Return the newest snapshot that is not after this moment; the first one before all.

        Where the clock was set back, the later one of that time. Raises StreamError.
        """
        for place in range(len(self._stretches) - 1, -1, -1):
            if self._stretches[place].time <= time or not place:
                marks = self._frames(place).marks
                earlier = [n for n, each in enumerate(marks) if each.time <= time]
                return Position(place, earlier[-1] if earlier else 0)
        raise AssertionError

    @property
    def first(self) -> Position:
        """Where the first snapshot is."""
        return Position(0, 0)

    @property
    def last(self) -> Position:
        """Where the newest snapshot is. Raises StreamError."""
        place = len(self._stretches) - 1
        return Position(place, len(self._frames(place).marks) - 1)

    def snapshot(self, position: Position) -> Snapshot:
        """Return a snapshot. Raises StreamError where nothing can be read there."""
        return self._frames(position.stretch).snapshot(position.number)

    def step(self, position: Position, forward: bool) -> Position | None:
        """Return where the next snapshot is, or the one before; None at the end."""
        place, number = position.stretch, position.number + (1 if forward else -1)
        while not 0 <= number < len(self._marks(place)):
            place += 1 if forward else -1
            if not 0 <= place < len(self._stretches):
                return None
            number = 0 if forward else len(self._marks(place)) - 1
        return Position(place, number)

    def _marks(self, place: int) -> list[_Mark]:
        """Return what is in a stretch, nothing if it is damaged after all."""
        try:
            return self._frames(place).marks
        except StreamError:
            return []

    def kills(self) -> Iterator[Position]:
        """Yield where something was killed since the snapshot before, from the first one."""
        before: tuple[str, int] | None = None
        for place, stretch in enumerate(self._stretches):
            for number, each in enumerate(self._marks(place)):
                now = stretch.segment.head.boot, each.kills or 0
                if before is not None and now[0] == before[0] and now[1] > before[1]:
                    yield Position(place, number)
                before = now

    def log(self) -> bytes:
        """Return the lines of the log that were recorded with kills, the newest."""
        lines = bytearray()
        for stretch in self._stretches:
            for entry in stretch.segment.entries(stretch.places):
                if entry.kind == LOG:
                    lines += entry.data + b"\n"
        return bytes(lines[-MOST_LOG:])

    def _frames(self, place: int) -> _Frames:
        """Return the frames of a stretch; those read last are kept. Raises StreamError."""
        if self._read is None or self._read[0] != place:
            stretch = self._stretches[place]
            self._read = (place, _Frames(stretch.segment, stretch.places))
        return self._read[1]


def _cannot_read(path: str, error: OSError) -> LowmemError:
    kind = NotPermittedError if isinstance(error, PermissionError) else InvalidValueError
    return kind(
        msg("{path} cannot be read: {error}.", path=of_path(path), error=str(error.strerror))
    )
