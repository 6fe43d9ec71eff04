"""Programs of this machine: the one place that starts them (tests/unit/test_house.py).

As root nothing of whoever called us reaches them: neither PATH nor LD_*, PYTHON* or a locale; no
shell, no terminal, no standard input. What they print is bounded, and so is the time they take.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.errors import ManagerError
from lowmem_tui.model.message import msg, of_seconds, of_text
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for, as by sudo (``secure_path``) and systemd."""

PATIENCE: Final = 90.0
"""Seconds that a program is waited for: systemd's own time to start a unit."""

MOST: Final = 64 << 10
"""Bytes that are kept of what a program prints; the rest is read and dropped."""

_POLL = 0.1
"""Seconds after which we look whether a program has ended whose pipe somebody else holds open."""

_DEATH = 5.0
"""Seconds that a program which was killed may take to end."""


class Ended(NamedTuple):
    """The result of a program."""

    returncode: int
    """Its exit status; a negative number is the signal that ended it."""
    stdout: str
    stderr: str


def find(name: str) -> str | None:
    """Return the path of a program; None if there is none. A path is returned as it is."""
    import shutil

    return name if name.startswith("/") else shutil.which(name, path=PATH)


def start(
    words: Sequence[str], more: Mapping[str, str] | None = None, *, bufsize: int = -1
) -> subprocess.Popen[bytes]:
    """Start a program with pipes for what it prints; ``more`` is added to its environment.

    It has a session of its own: Ctrl-C and a lost connection end us, in order, and never what
    rolls a change back. Raises OSError: FileNotFoundError where there is no such program.
    """
    import subprocess

    program = find(words[0])
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
    return subprocess.Popen(
        [program, *words[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            "PATH": PATH,
            "LC_ALL": "C.UTF-8",
            "SYSTEMD_PAGER": "",
            "SYSTEMD_COLORS": "0",
            **(more or {}),
        },
        bufsize=bufsize,
        start_new_session=True,
    )


def run(
    words: Sequence[str], patience: float = PATIENCE, more: Mapping[str, str] | None = None
) -> Ended:
    """Run a program to its end, of at most ``patience`` seconds.

    Raises ManagerError where there is none, or where it does not end.
    """
    shown = plain(" ".join(words), 80)
    try:
        process = start(words, more)
    except FileNotFoundError as error:
        raise ManagerError(
            msg(
                "There is no {program} here: install it, or do this by hand.",
                program=of_text(words[0], 80),
            )
        ) from error
    except OSError as error:
        raise ManagerError(
            msg(
                "`{command}` cannot be started ({error}).",
                command=shown,
                error=str(error.strerror),
            )
        ) from error
    try:
        out, err = _read(process, patience)
    except TimeoutError as error:
        raise ManagerError(
            msg(
                "`{command}` has not ended after {patience}.",
                command=shown,
                patience=of_seconds(patience),
            )
        ) from error
    finally:
        _end(process)
    return Ended(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def _read(process: subprocess.Popen[bytes], patience: float) -> tuple[bytes, bytes]:
    """Return what it prints until it ends. Raises TimeoutError."""
    import selectors
    import subprocess

    until = time.monotonic() + patience
    kept = {pipe.fileno(): bytearray() for pipe in (process.stdout, process.stderr) if pipe}
    with selectors.DefaultSelector() as waiting:
        for pipe in kept:
            waiting.register(pipe, selectors.EVENT_READ)
        ended = False
        while waiting.get_map():
            if time.monotonic() >= until:
                raise TimeoutError
            ready = waiting.select(0 if ended else _POLL)
            for key, _ in ready:
                piece = os.read(key.fd, MOST)
                if not piece:
                    waiting.unregister(key.fd)
                kept[key.fd] += piece[: MOST - len(kept[key.fd])]
            if not ready:
                if ended:
                    break
                # What it prints between this look at its pipes and its end is still to be read.
                ended = process.poll() is not None
    try:
        process.wait(max(_POLL, until - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    out, err = kept.values()
    return bytes(out), bytes(err)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let go of a program, and kill it, with all of its session, if it still runs."""
    import signal
    import subprocess

    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_DEATH)
