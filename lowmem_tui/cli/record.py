"""`lowmem-tui record`: this server into a file, for a while."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from lowmem_tui import __version__
from lowmem_tui.cli.ended import number_of
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.model.errors import InvalidValueError, LowmemError, NotPermittedError, RefusedError
from lowmem_tui.model.language import say
from lowmem_tui.model.message import msg, of_bytes, of_path
from lowmem_tui.recording.recorder import Recorder
from lowmem_tui.recording.segment import Head, Writer

if TYPE_CHECKING:
    import argparse

    from lowmem_tui.cli.backend import ServerBackend

MODE = 0o640
"""Of the file: the names of processes are nobody else's business."""


def run(options: argparse.Namespace) -> Exit:
    """Record until the time is over, or Ctrl-C.

    Raises RefusedError where the file is there already, NotPermittedError, LowmemError.
    """
    backend = open_backend(options, read_only=True)
    try:
        backend.wait_ready()
        fd = _new(options.file)
        try:
            taken = _record(options, backend, fd)
            size = os.fstat(fd).st_size
        except OSError as error:
            raise LowmemError(
                msg(
                    "{path} cannot be written any more ({error}): what was recorded before that "
                    "is in it.",
                    path=of_path(options.file),
                    error=str(error.strerror),
                )
            ) from error
        finally:
            os.close(fd)
    finally:
        backend.close()
    print(
        say(
            msg(
                "{n} samples in {path} ({size}): `lowmem-tui replay {path}` shows them.",
                n=taken,
                path=of_path(options.file),
                size=of_bytes(size),
            )
        )
    )
    return Exit.DONE


def _new(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, MODE)
    except FileExistsError as error:
        raise RefusedError(
            msg("{path} is there already: name a new file.", path=of_path(path))
        ) from error
    except PermissionError as error:
        raise NotPermittedError(
            msg("{path} may not be written: name a file in a folder of yours.", path=of_path(path))
        ) from error
    except OSError as error:
        raise InvalidValueError(
            msg("{path} cannot be written: {error}.", path=of_path(path), error=str(error.strerror))
        ) from error


def _record(options: argparse.Namespace, backend: ServerBackend, fd: int) -> int:
    """Return how many samples were recorded until the time is over, or Ctrl-C.

    Raises OSError, LowmemError.
    """
    first = backend.look()
    head = Head(
        boot=backend.boot_id(),
        host=first.host.hostname,
        began=first.time,
        offset=time.localtime(first.time).tm_gmtoff,
        by=__version__,
    )
    recorder = Recorder(Writer(fd, head), arguments=options.arguments)
    kills, since, taken = first.host.oom_kills, first.time, 0
    now = due = time.monotonic()
    end = now + options.seconds
    try:
        while now < end or not taken:
            snapshot = backend.look() if taken else first
            recorder.take(snapshot)
            taken += 1
            if snapshot.host.oom_kills != kills:
                kills = snapshot.host.oom_kills
                recorder.log(_lines(backend, since))
                since = snapshot.time
            due = max(due + options.every, time.monotonic())
            time.sleep(max(0.0, min(due, end) - time.monotonic()))
            now = time.monotonic()
    except KeyboardInterrupt as error:
        if number_of(error) != signal.SIGINT or not taken:
            raise
    finally:
        recorder.flush()
    return taken


def _lines(backend: ServerBackend, since: float) -> str:
    """Return what the log says of kills since a moment; nothing where it may not be read."""
    try:
        return backend.witness.lines(since)
    except LowmemError:
        return ""
