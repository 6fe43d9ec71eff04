"""`lowmem-tui --plain`: the dialogue from its first line to its end."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from lowmem_tui.cli import output, sudo
from lowmem_tui.cli.charset import utf8
from lowmem_tui.cli.dialogue import jobs, look, news
from lowmem_tui.cli.dialogue.console import Console, EndOfInput, HungUp
from lowmem_tui.cli.dialogue.state import HELP, QUIT, YES_OR_NO, Dialogue, Quit
from lowmem_tui.cli.ended import Ended
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.open import open_backend
from lowmem_tui.cli.rules import load_rules, unread
from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.message import N_

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from lowmem_tui.cli.backend import ServerBackend


def run(options: argparse.Namespace, *, start: str = "") -> Exit:
    """Hold the dialogue until the operator quits, or the input ends.

    ``start`` is the job to begin with, and what is typed behind it. Raises UnsupportedError where
    there is no systemd with cgroup v2, LowmemError.
    """
    output.prepare(ascii_only=options.ascii or not utf8())
    backend = open_backend(options)
    try:
        return hold(backend, Console(sys.stdin.buffer, sys.stdout), start)
    finally:
        with contextlib.suppress(OSError, LowmemError):
            _farewell(backend)
        backend.close()


def hold(backend: ServerBackend, console: Console, start: str = "") -> Exit:
    """Hold the dialogue with this server on this console."""
    d = Dialogue(
        console=console,
        backend=backend,
        rules=load_rules(config=None) if backend.demo else load_rules(),
        program=sudo.command(demo=backend.demo),
        news=news.now,
    )
    try:
        _greet(d)
        _hold(d, start)
    except EndOfInput:
        return Exit.DONE
    except HungUp:
        # Nobody reads what is printed from here on.
        output.discard()
        output.discard(sys.stderr)
        return Exit.HUNG_UP
    return Exit.DONE


def _hold(d: Dialogue, start: str) -> None:
    """Do one job after the other until the operator quits."""
    warned = False
    while True:
        try:
            answer = start or _prompt(d)
            start, warned = "", False
            _answer(d, answer)
        except Quit:
            if _leaves(d):
                return
        except KeyboardInterrupt as error:
            # Ctrl-C ends a job; the program, too, where nothing is lost by it, or the second time.
            if isinstance(error, Ended) or warned or not d.untried:
                raise
            warned = True
            _interrupted(d)


def _greet(d: Dialogue) -> None:
    d.console.say("lowmem-tui, plain lines. Type ? for the list of commands, q to quit.")
    if d.backend.demo:
        d.console.say(
            "DEMO: this is the built-in server; nothing of this machine is read or changed."
        )
    elif words := unread():
        d.console.message(words)
    if d.backend.cannot_change:
        d.console.say("You can view the server and stage edits. {why}", why=d.backend.cannot_change)
    d.backend.wait_ready()
    _guarded(d, lambda: look.summary(d))
    _guarded(d, lambda: _settle(d))


def _settle(d: Dialogue) -> None:
    """Have what was interrupted finished or rolled back, as the commands do, and say so."""
    for sentence in d.backend.settle():
        d.console.message(sentence)


def _prompt(d: Dialogue) -> str:
    news.since(d)
    return d.console.read()


def _answer(d: Dialogue, answer: str) -> None:
    """Do the job that was typed; a job that fails loses nothing but itself."""
    word, _, rest = answer.partition(" ")
    if not answer:
        news.now(d)
    elif word.lower() in HELP:
        jobs.explain(d)
    elif word.lower() in QUIT:
        raise Quit
    elif (job := jobs.find(word)) is not None:
        _guarded(d, lambda: job.function(d, rest.strip()))
    else:
        d.console.say("There is no command {word}: ? lists the commands, q quits.", word=word)


def _guarded(d: Dialogue, do: Callable[[], object]) -> None:
    """Do it; say what fails, unless a signal or the end of the output ends the program.

    Raises LowmemError that a signal has caused, OSError where nothing can be printed.
    """
    try:
        do()
    except LowmemError as error:
        if getattr(error.__cause__, "number", 0) not in {0, 2}:
            raise
        d.console.message(error.message)
    except BrokenPipeError:
        raise
    except OSError as error:
        if output.fails():
            raise
        d.console.say("{why}: see dmesg.", why=error.strerror or str(error))


def _interrupted(d: Dialogue) -> None:
    """Say that Ctrl-C has ended the job, and not the program: edits are staged."""
    d.console.gap()
    d.console.say_count(
        "Interrupted. 1 edit is still staged: q quits, or Ctrl-C again.",
        "Interrupted. {n} edits are still staged: q quits, or Ctrl-C again.",
        len(d.untried),
    )


def _leaves(d: Dialogue) -> bool:
    """Return whether the operator leaves, asking where edits are staged or a trial of ours runs."""
    count = len(d.untried)
    running = d.trial.running
    ours = running is not None and running.id == d.trial.number
    question = ""
    if count and ours:
        question = N_(
            "Quit and discard the staged edits that are not on trial ({count})? The trial "
            "goes on, and reverts automatically. Type the word yes."
        )
    elif count:
        question = N_("Quit and discard the staged edits ({count})? Type the word yes.")
    elif ours:
        question = N_("Quit? The trial goes on, and reverts automatically. Type the word yes.")
    while question:
        try:
            return d.agreed(question, count=count)
        except Quit:
            d.console.say(YES_OR_NO)
    return True


def _farewell(backend: ServerBackend) -> None:
    """Say what goes on without us; the demo server ends here, and its trial with it."""
    trial = None if backend.demo else backend.trial()
    if trial is not None:
        Console(sys.stdin.buffer, sys.stderr).say(
            "A trial runs for {seconds} more seconds: `{program} confirm` keeps it, else it "
            "reverts automatically.",
            seconds=round(trial.left),
            program=sudo.command(),
        )
