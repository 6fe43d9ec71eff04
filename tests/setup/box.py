"""The demo server with other files, to look at with the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.cli.demo import serve
from lowmem_tui.host.demo import DemoServer

if TYPE_CHECKING:
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.ports import Step
    from lowmem_tui.model.setup import Look


class Box:
    """A server of its own for one test; its clock stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.server = DemoServer(0, lambda: self.now)
        self.backend = serve(self.server)

    def write(self, path: str, text: str) -> None:
        """Lay a file there, and have systemd read it if it is one of its own."""
        self.server.disk.write(path, text)
        if "/systemd/system/" in path:
            self.server.connect().reload()

    def remove(self, path: str) -> None:
        self.server.disk.remove(path)
        if "/systemd/system/" in path:
            self.server.connect().reload()

    def read(self, path: str) -> str | None:
        return self.server.disk.read(path)

    def step(self, name: str) -> Step:
        return next(step for step in self.backend.steps() if step.name == name)

    def files(self) -> dict[str, str]:
        """Every file, to compare."""
        return {path: entry.text for path, entry in self.server.disk.entries.items()}


def defaults(look: Look) -> dict[str, str]:
    """What is wished for when nothing is changed."""
    return {item.key: item.value for item in look.items if item.taken and item.value}


def codes(look: Look) -> list[str]:
    return [finding.code for finding in look.findings]


def items(look: Look) -> dict[str, str]:
    """Each item, with what it is now."""
    return {item.key: item.now for item in look.items}


def goes_through(box: Box, name: str) -> Plan:
    """Apply a step's defaults, see that it is content then, undo, and see that all is as before."""
    before = box.files()
    step = box.step(name)
    look = step.look()
    wishes = defaults(look)
    plan = step.plan(wishes)
    assert not plan.empty
    assert not box.backend.apply(plan).mismatches
    after = box.step(name).look()
    assert [item.key for item in after.items if item.key in wishes and not item.done] == []
    assert codes(after) == []
    assert box.step(name).plan(wishes).empty
    assert box.step(name).plan(defaults(after)).empty
    box.backend.undo()
    assert box.files() == before
    return plan
