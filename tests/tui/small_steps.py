"""Small steps of a guided set-up, on the demo server: their changes are real ones there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

from lowmem_tui.cli.demo import serve
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.demo.system import DemoSystem
from lowmem_tui.model.errors import InvalidValueError, ManagerError
from lowmem_tui.model.plan import Action, ActionKind, Edit, FileChange, Phase, Plan
from lowmem_tui.model.setup import Finding, Item, Look, Progress, Severity
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.plan import plan
from tests.tui.conftest import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.ports import Step

SIZE = str(2 << 30)
FILE = "/etc/sysctl.d/zz-lowmem-tui.conf"
WANTED = {"vm.swappiness": ("10", ("1", "10", "30", "60")), "vm.vfs_cache_pressure": ("50", ())}
REDIS, CHAT = "redis-server.service", "cloudchat.service"


class SmallStep:
    """What a test says it is."""

    def __init__(self, name: str, title: str, about: str, look: Look | Exception) -> None:
        self.name, self.title, self.about = name, title, about
        self.given = look
        self.looks = 0

    def look(self) -> Look:
        self.looks += 1
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        raise InvalidValueError(f"'{next(iter(wishes), '')}' is nothing that can be wished for.")


class KernelStep:
    """Two vm.* settings, and the file that sets them."""

    name, title = "kernel", "Kernel settings"
    about = "How eagerly the kernel swaps. On a small server every page that is kept counts."

    def __init__(self, backend: ServerBackend, system: DemoSystem) -> None:
        self.backend, self.system = backend, system

    def _now(self, key: str) -> str:
        return self.system.get(ActionKind.SYSCTL, key)

    def look(self) -> Look:
        items = tuple(
            Item(
                key,
                f"{key}, as the guide has it",
                self._now(key),
                value,
                f"{key} is {self._now(key)}: with {value} less is pushed out too early.",
                choices,
                done=self._now(key) == value,
            )
            for key, (value, choices) in WANTED.items()
        )
        findings = tuple(
            Finding(f"{i.key}-high", Severity.ADVICE, i.key, f"{i.key} is {i.now}.", "setup")
            for i in items
            if not i.done
        )
        return Look((f"vm.swappiness is {self._now('vm.swappiness')}.",), items, findings)

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        actions = tuple(
            Action(ActionKind.SYSCTL, key, now, value, words=f"sysctl -w {key}={value}")
            for key, value in wishes.items()
            if (now := self._now(key)) != value
        )
        text = "".join(f"{key} = {value}\n" for key, value in wishes.items())
        before = self.backend._tools()[0].read(FILE)
        files = (FileChange(FILE, before, text),) if before != text and actions else ()
        return Plan((), files, (), (), (), actions)


class TiersStep:
    """The tier of two units; tier 0 comes with an OOMScoreAdjust, so a trial can be made of it."""

    name, title = "tiers", "Tiers"
    about = "Tier 0 must live, tier 1 may be killed and comes back, tier 2 is left alone."
    SCORES: ClassVar = {"0": "-300", "1": "-100", "2": "0"}

    def __init__(self, backend: ServerBackend) -> None:
        self.backend = backend

    def look(self) -> Look:
        situation = self.backend.situation((REDIS, CHAT))
        items = []
        for unit, tier in ((REDIS, "1"), (CHAT, "1")):
            adj = str(situation.units[unit].settings[Key.OOM_SCORE_ADJUST].loaded)
            now = next((t for t, score in self.SCORES.items() if score == adj), "2")
            why = f"{unit} is the business, and holds most of the memory."
            choices = ("0", "1", "2")
            items.append(Item(unit, unit, f"tier {now}", tier, why, choices, done=now == tier))
        return Look(("2 services are enabled.",), tuple(items))

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        edits = [
            Edit(unit, Key.OOM_SCORE_ADJUST, self.SCORES[tier]) for unit, tier in wishes.items()
        ]
        situation = self.backend.situation(wishes)
        now = {u: s.settings[Key.OOM_SCORE_ADJUST].loaded for u, s in situation.units.items()}
        edits = [e for e in edits if str(now[e.unit]) != e.value]
        return plan(edits, situation)


class SwapStep:
    """A swap file that is long in being written."""

    name, title = "swap", "Swap"
    about = "Without swap the first peak kills something."

    def __init__(self, system: SlowSystem) -> None:
        self.system = system

    def look(self) -> Look:
        now = self.system.get(ActionKind.SWAP_FILE, "/swapfile")
        item = Item("size", "Swap file", now or "none", SIZE, "RAM is 967M.", done=now == SIZE)
        return Look(("There is no swap." if not now else f"{now} of swap.",), (item,))

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        now = self.system.get(ActionKind.SWAP_FILE, "/swapfile")
        if not wishes or wishes["size"] == now:
            return Plan((), (), (), (), ())
        words = "dd if=/dev/zero of=/swapfile bs=1M count=2048"
        action = Action(ActionKind.SWAP_FILE, "/swapfile", now, wishes["size"], Phase.EARLY, words)
        return Plan((), (), (), (), (), (action,))


class SlowSystem(DemoSystem):
    """Writes a swap file until a test lets it go on."""

    def __init__(self, server: DemoServer) -> None:
        super().__init__(server)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        if kind is ActionKind.SWAP_FILE and value:
            self.progress = Progress("writing the swap file", 512 << 20, 2048 << 20)
            self.begun.set()
            try:
                while not self.go_on.wait(0.01):
                    check()
            finally:
                self.progress = None
        super().put(kind, what, value, check)


BOX = SmallStep(
    "box",
    "The box",
    "What machine this is, and what it cannot do.",
    Look(("967M of RAM, Debian 13, systemd 257.", "No container."), by_hand=()),
)
NGINX = SmallStep("nginx", "nginx", "The door.", Look(absent="There is no nginx here."))


def wizard(
    *more: Step, read_only: bool = False, only: Sequence[str] = ()
) -> tuple[ServerBackend, SlowSystem]:
    """Return a demo server whose set-up has these steps, and what its long step waits for."""
    server = DemoServer(0, Clock())
    system = server.system = SlowSystem(server)
    backend = serve(server, read_only=read_only)
    backend.wait_ready()
    all_: tuple[Step, ...] = (
        BOX,
        TiersStep(backend),
        SwapStep(system),
        KernelStep(backend, system),
        NGINX,
        SmallStep("redis", "Redis", "The cache.", ManagerError("Redis does not answer.")),
        *more,
    )
    steps = [step for step in all_ if not only or step.name in only]
    backend.steps = lambda: steps  # type: ignore[method-assign]
    return backend, system
