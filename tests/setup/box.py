"""The demo server with other files, to look at with the steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lowmem_tui.cli.demo import serve
from lowmem_tui.demo.server import DemoServer
from tests.english import EnglishStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.setup import Look
    from tests import english


class Box:
    """A server of its own for one test; its clock stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.server = DemoServer(0, lambda: self.now)
        self.backend = serve(self.server)

    def write(self, path: str, text: str) -> None:
        """Lay a file there, and have systemd read it if it is one of its own."""
        self.server.disk.write(path, text)
        self._reload(path)

    def remove(self, path: str) -> None:
        self.server.disk.remove(path)
        self._reload(path)

    def _reload(self, path: str) -> None:
        """Reload systemd for a file of its own, and wait until the snapshot knows."""
        _, ours, below = path.partition("/systemd/system/")
        if not ours:
            return
        manager = self.server.connect()
        manager.reload()
        wanted = manager.properties([below.partition("/")[0].removesuffix(".d")])
        (unit,) = wanted.values()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            known = self.backend.look().units.get(unit.name)
            seen = known.properties if known else None
            if seen is None or (seen.exec_start, seen.drop_in_paths) == (
                unit.exec_start,
                unit.drop_in_paths,
            ):
                return
            time.sleep(0.01)
        raise AssertionError(f"The snapshot does not know {path} after 10 s.")

    def read(self, path: str) -> str | None:
        return self.server.disk.read(path)

    def step(self, name: str) -> EnglishStep:
        return next(EnglishStep(step) for step in self.backend.steps() if step.name == name)

    def files(self) -> dict[str, str]:
        """Every file, to compare."""
        return {path: entry.text for path, entry in self.server.disk.entries.items()}


def defaults(look: Look) -> dict[str, str]:
    """What is wished for when nothing is changed."""
    return {item.key: item.value for item in look.items if item.taken and item.value}


def codes(look: Look) -> list[str]:
    return [finding.code for finding in look.findings]


def items(look: english.Look) -> dict[str, str]:
    """Each item, with what it is now."""
    return {item.key: item.now for item in look.items}


def offered(look: Look) -> dict[str, str]:
    """What is wished for when all is taken."""
    return {item.key: item.value for item in look.items if item.value}


TOLD_ONLY = frozenset({"limits-over-ram"})
"""Findings on what an administrator has set: a step tells of it, and changes it only if asked."""


def goes_through(box: Box, name: str, wishes: Mapping[str, str] | None = None) -> Plan:
    """Apply a step's defaults, see that it is content then, undo, and see that all is as before."""
    before = box.files()
    step = box.step(name)
    wishes = defaults(step.look()) if wishes is None else wishes
    plan = step.plan(wishes)
    assert not plan.empty
    assert not box.backend.apply(plan).mismatches
    after = box.step(name).look()
    assert [item.key for item in after.items if item.key in wishes and not item.done] == []
    assert [code for code in codes(after) if code not in TOLD_ONLY] == []
    assert box.step(name).plan(wishes).empty
    assert box.step(name).plan(defaults(after)).empty
    box.backend.undo()
    assert box.files() == before
    return plan
