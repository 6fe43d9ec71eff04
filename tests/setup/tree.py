"""A server for the tests of steps: real files in a folder, the rest as the test says."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lowmem_tui.change.machine.files import EtcFiles
from lowmem_tui.cli.rules import load_rules
from lowmem_tui.host.facts import LocalInspector
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.setup import HostFacts
from lowmem_tui.setup.context import Ground
from lowmem_tui.setup.steps import allowed
from tests.unit.servers import M, situation, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.ports import Step
    from lowmem_tui.model.snapshot import Snapshot
    from lowmem_tui.policy.incidents.shortages import Failures
    from tests.english import Item, Look

FACTS = HostFacts(
    distribution="Debian GNU/Linux 13 (trixie)",
    kernel="6.12.48+deb13-amd64",
    systemd=257,
    container="",
    processors=1,
    root_filesystem="ext4",
    root_free=10 << 30,
    root_total=20 << 30,
    root_writable=True,
    zram=False,
    unified=True,
)

SWAPS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


class Values:
    """``System``: what is put is there."""

    progress = None

    def __init__(self) -> None:
        self.values: dict[tuple[ActionKind, str], str] = {}

    def get(self, kind: ActionKind, what: str) -> str:
        return self.values.get((kind, what), "")

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        check()
        self.values[kind, what] = value


class Inspector(LocalInspector):
    """The tree's names and sizes; the facts of the test."""

    made = FACTS

    def facts(self) -> HostFacts:
        return self.made


@dataclass
class Tree:
    """The server."""

    root: Path
    system: Values = field(default_factory=Values)
    unit_files: dict[str, str] = field(default_factory=dict)
    snapshot: Snapshot = field(default_factory=lambda: snapshot(swap_total=0, swap_free=0))
    failures: Failures | None = None

    def __post_init__(self) -> None:
        for folder in ("etc/systemd/system", "etc/sysctl.d", "proc"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.inspector = Inspector(str(self.root))
        self.files = EtcFiles(str(self.root), owner=os.getuid(), paths=allowed().paths)
        self.swaps()

    def facts(self, **changes: object) -> None:
        self.inspector.made = replace(FACTS, **changes)  # type: ignore[arg-type]

    def write(self, path: str, text: str) -> None:
        (self.root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path[1:]).write_text(text)

    def swaps(self, **spaces: int) -> None:
        """Have these on, of so many MiB: ``_dev_vda2=512``."""
        lines = [
            f"{path.replace('_', '/')}   {'file' if 'file' in path else 'partition'} "
            f"{size << 10} 0 -2\n"
            for path, size in spaces.items()
        ]
        self.write("/proc/swaps", SWAPS + "".join(lines))
        total = sum(spaces.values()) * M
        self.snapshot = replace(
            self.snapshot,
            host=self.snapshot.host._replace(swap_total=total, swap_free=total),
        )

    def sysctl(self, **values: int) -> None:
        for key, value in values.items():
            self.system.values[ActionKind.SYSCTL, f"vm.{key}"] = str(value)

    def ground(self) -> Ground:
        return Ground(
            snapshot=lambda: self.snapshot,
            situation=lambda names: situation(),
            unit_files=lambda: self.unit_files,
            files=self.files,
            system=self.system,
            inspector=self.inspector,
            rules=load_rules(config=None),
            now=lambda: 1.0,
            failures=lambda: self.failures,
        )

    def make(self, plan: Plan) -> None:
        """Do what a plan says, as change.apply would."""
        assert plan.refusals == ()
        for phase in ("early", "files", "late"):
            if phase == "files":
                for file in plan.files:
                    assert self.files.read(file.path) == file.before
                    assert self.files.obstacle(file.path) is None
                    if file.after is None:
                        self.files.remove(file.path)
                    else:
                        self.files.write(file.path, file.after)
            for action in plan.actions:
                if action.phase == phase:
                    if not action.kind.repeats:
                        assert self.system.get(action.kind, action.what) == action.before, action
                    self.system.put(action.kind, action.what, action.after, lambda: None)


def items(look: Look) -> dict[str, Item]:
    return {item.key: item for item in look.items}


def codes(look: Look) -> set[str]:
    return {finding.code for finding in look.findings}


def proposed(step: Step) -> Mapping[str, str]:
    """What an operator takes who presses Enter all along."""
    return {item.key: item.value for item in step.look().items if item.taken}
