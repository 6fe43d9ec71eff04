"""`lowmem-tui replay`: a command on a recording instead of on a server."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from importlib import import_module
from typing import TYPE_CHECKING

from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.output import talk
from lowmem_tui.cli.recorded import Recorded
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_list, of_text
from lowmem_tui.model.when import parse_when
from lowmem_tui.recording.recording import FOLDER, Recording
from lowmem_tui.recording.replay import Player

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

COMMANDS = ("list", "show", "triage", "whatif", "incidents")
"""Commands that can look at the past."""


def run(options: argparse.Namespace) -> Exit:
    """Run the command on the recording.

    Raises InvalidValueError (no recording, no such moment), NotPermittedError, StreamError.
    """
    path, words = _split(options.words)
    recording = Recording(path)
    try:
        player = Player(recording)
        zone = timezone(timedelta(seconds=recording.head.offset))
        if options.at is not None:
            player.go(parse_when(options.at, player.look().time, zone))
        for note in recording.notes:
            talk(note.message)
        for gap in recording.gaps:
            talk(
                msg(
                    "From {begin} to {end} the recording is damaged: that time is left out.",
                    begin=_moment(gap.begin, zone),
                    end=_moment(gap.end, zone),
                )
            )
        talk(
            msg(
                "RECORDING of {host} at {moment}.",
                host=of_text(recording.head.host, 64),
                moment=_moment(player.look().time, zone),
            )
        )
        return _run(words, Recorded(player))
    finally:
        recording.close()


def _split(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return the recording and the command: a first word that names a command is one."""
    path = FOLDER
    if words and words[0] not in COMMANDS:
        path, words = words[0], words[1:]
    if not words:
        words = ("triage",)
    if words[0] not in COMMANDS:
        raise InvalidValueError(
            msg(
                "'{word}' is not a command that looks at a recording: use one of {commands}.",
                word=of_text(words[0], 40),
                commands=of_list(COMMANDS),
            )
        )
    return path, words


def _run(words: Sequence[str], recorded: Recorded) -> Exit:
    from lowmem_tui.cli.main import parse

    if words[0] == "triage":
        from lowmem_tui.cli import triage, triage_of

        def page() -> str:
            snapshot = recorded.look()
            units = [unit.usage for unit in snapshot.units.values() if unit.usage]
            return triage_of.page_of(snapshot.host, units)

        return Exit(triage.run(list(words[1:]), make=page))
    options = parse(words)
    options.recorded = recorded
    status: Exit = import_module(f"lowmem_tui.cli.{words[0]}").run(options)
    return status


def _moment(seconds: float, zone: timezone) -> str:
    """Return a moment in the time zone of the server that was recorded."""
    return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M:%S %z")
