"""A recording behind a backend, for the commands and screens that look at a server."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from lowmem_tui.cli.backend import Machine, Records, ServerBackend
from lowmem_tui.recording.replay import (
    CANNOT_CHANGE,
    NoFiles,
    NoInspector,
    NoStore,
    NoSystem,
    RecordedKernel,
    RecordedManager,
)

if TYPE_CHECKING:
    from lowmem_tui.model.ports import Files, Kernel, Manager, Witness
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.model.who import By
    from lowmem_tui.policy.classify import Rules
    from lowmem_tui.recording.replay import Player


class Recorded:
    """A server as it was at the player's moment."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def look(self) -> Snapshot:
        """Return the snapshot of the moment. Raises StreamError."""
        return self._player.look()

    def now(self) -> float:
        """Return the moment, in seconds since 1970."""
        return self.look().time

    def witness(self) -> Witness:
        """Return what remembers the kills of the recording."""
        from lowmem_tui.host.logs.file_evidence import LinesWitness

        recording = self._player.recording
        return LinesWitness(recording.log(), recording.path, self.now())

    def backend(self) -> ServerBackend:
        """Return a backend that shows the moment and refuses every change."""
        look = self.look

        def manager() -> Manager:
            return RecordedManager(look)

        def tools() -> tuple[Files, Kernel]:
            return NoFiles(), RecordedKernel(look)

        records = Records(
            store=NoStore,
            whole=lambda: True,
            notice=lambda: None,
            lock=nullcontext,
            wall=self.now,
            monotonic=lambda: look().monotonic,
            boot_id=lambda: self._player.recording.head.boot,
            by=_nobody,
        )
        return ServerBackend(
            self._player,
            manager,
            tools,
            records,
            demo=False,
            cannot_change=CANNOT_CHANGE,
            witness=self.witness,
            machine=Machine(NoSystem, NoInspector, _rules),
        )


def _rules() -> Rules:
    from lowmem_tui.cli.rules import load_rules

    return load_rules()


def _nobody() -> By:
    from lowmem_tui.model.who import By

    return By(0, "", "", "")
