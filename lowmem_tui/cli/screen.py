"""`lowmem-tui` alone: the live screen."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from lowmem_tui.cli.charset import utf8
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.output import discard, talk, tell
from lowmem_tui.model.errors import InvalidValueError, RolledBackError
from lowmem_tui.model.language import say
from lowmem_tui.model.message import msg
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    import argparse

    from lowmem_tui.model.ports import Backend
    from lowmem_tui.tui.app import LowmemApp
    from lowmem_tui.tui.first_frame import FirstFrame
    from lowmem_tui.tui.session.first_look import Early
    from lowmem_tui.tui.session.verdicts import Verdicts

M_ARENA_MAX = -8
"""malloc.h."""

DUMB = "dumb"
"""The type of a terminal that can do nothing but print lines (term(7))."""


def run(options: argparse.Namespace, *, start: str = "") -> Exit:
    """Open the screen, or with ``--plain`` the dialogue, and stay until the operator leaves.

    ``start`` is where: "setup" is the wizard, "setup/swap" one step of it.

    Raises UnsupportedError where there is no systemd with cgroup v2, InvalidValueError without a
    terminal that can show the screen.
    """
    if options.plain:
        from lowmem_tui.cli.dialogue import run as dialogue

        return dialogue.run(options, start=start.replace("/", " "))
    _check_terminal(start)
    # 2.8 MB for connections that we never make; asyncio does without.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    # Of what is imported nothing is ever garbage: a tenth of the start went into looking for it.
    gc.disable()
    _share_one_arena()
    from lowmem_tui.cli.open import open_backend
    from lowmem_tui.tui.session.first_look import Early

    backend = open_backend(options)
    early, first = None, None
    try:
        verdicts = _verdicts(backend)
        if not start:
            first = _first_frame(options, backend, verdicts)
        # The look has the processor to itself: nothing is loaded meanwhile.
        early = Early(backend)
        early.wait()
        if first is not None and not first.show(early):
            first = None
        app = _app(options, backend, early, verdicts, first, start)
        gc.freeze()
        gc.enable()
        return _ended(app, backend, Exit(app.run() or Exit.DONE))
    finally:
        gc.enable()
        if first is not None:
            first.terminal.release()
        if early is not None:
            early.end()
        backend.close()


def _check_terminal(start: str) -> None:
    """Raise InvalidValueError without a terminal that can show the screen."""
    if os.environ.get("TERM") == DUMB:
        command = "lowmem-tui setup --plain" if start else "lowmem-tui --plain"
        raise InvalidValueError(
            msg(
                "This terminal cannot show the screen ({term}): use `{command}`, a dialogue of "
                "plain lines.",
                term=f"TERM={DUMB}",
                command=command,
            )
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        instead = ("lowmem-tui list", "lowmem-tui triage")
        if start:
            instead = ("lowmem-tui setup --print", "lowmem-tui check")
        raise InvalidValueError(
            msg(
                "The screen needs a terminal: use `{first}` or `{second}` here.",
                first=instead[0],
                second=instead[1],
            )
        )


def _verdicts(backend: Backend) -> Verdicts:
    from lowmem_tui.cli.rules import load_rules
    from lowmem_tui.tui.session.verdicts import Verdicts

    return Verdicts(load_rules(config=None) if backend.demo else load_rules())


def _first_frame(
    options: argparse.Namespace, backend: Backend, verdicts: Verdicts
) -> FirstFrame | None:
    """Take the terminal for the first frame; None where Textual has to paint it."""
    from lowmem_tui.tui import first_frame
    from lowmem_tui.tui.text.header import badges

    if not first_frame.possible():
        return None

    def leave(status: int) -> None:
        # In the thread that reads the keys: the other one may be waiting for the disk. Nothing has
        # been changed, and nothing is to be closed that does not close itself.
        try:
            _report_trial(backend)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)

    try:
        return first_frame.FirstFrame(
            verdicts,
            badges=badges(backend, read_only=options.read_only),
            ascii_only=options.ascii or not utf8(),
            leave=leave,
        )
    except OSError:
        return None


def _ended(app: LowmemApp, backend: Backend, status: Exit) -> Exit:
    """Report what the screen could not any more, and return the exit status.

    Raises what a change that was under way failed with.
    """
    if not sys.stdout.isatty():  # it was one: the connection is lost
        discard()
        discard(sys.stderr)
    session = app.session
    _report_trial(backend)
    came = session.under_way.came
    if came is not None:
        status = Exit.by(came)
    try:
        outcome = session.under_way.outcome()
    except RolledBackError as error:
        if came is None:
            raise
        talk(f"lowmem-tui: {plain(say(error.message))}")
        return status
    if outcome is not None:
        from lowmem_tui.cli.apply import report

        tell(report(outcome))
        if not outcome.well and status is Exit.DONE:
            return Exit.FINDINGS
    return status


def _report_trial(backend: Backend) -> None:
    from lowmem_tui.cli import sudo

    # The demo server ends here, and its trial with it.
    trial = None if backend.demo else backend.trial()
    if trial is not None:
        talk(
            msg(
                "A trial runs for {seconds} more seconds: `{program} confirm` keeps it, else it "
                "reverts automatically.",
                seconds=round(trial.left),
                program=sudo.command(),
            )
        )


def _share_one_arena() -> None:
    """Have all threads allocate from one heap (mallopt(3)); before there is a second thread.

    glibc gives each thread a heap of its own, and what the first sample leaves unused in one is of
    no use to the screen in the other: 0.4 MB, and the program grows (docs/performance.md).
    """
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl has none, and needs none
        libc.mallopt(M_ARENA_MAX, 1)


def _app(
    options: argparse.Namespace,
    backend: Backend,
    early: Early,
    verdicts: Verdicts,
    first: FirstFrame | None,
    start: str,
) -> LowmemApp:
    from lowmem_tui.cli import sudo
    from lowmem_tui.cli.rules import unread
    from lowmem_tui.tui.terminal.slim_import import import_textual

    import_textual()
    from lowmem_tui.tui.app import LowmemApp

    return LowmemApp(
        backend,
        rules=verdicts.rules,
        interval=options.interval,
        read_only=options.read_only,
        ascii=options.ascii or not utf8(),
        sudo=sudo.command(demo=backend.demo),
        news=() if backend.demo else map(say, filter(None, (unread(),))),
        start=start,
        early=early,
        first=first,
    )
