"""A server of two units, held in memory, that does as a test tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import UnsupportedError
from lowmem_tui.model.plan import Outcome
from lowmem_tui.model.snapshot import Setting, Situation, Snapshot, Unit, UnitFile, UnitSituation
from lowmem_tui.model.unit import CGROUP_FILES, INFINITY, Key, UnitProperties, Value
from lowmem_tui.model.unitfile import decisive
from lowmem_tui.model.usage import HostUsage, Pressure, Process, Stall, UnitUsage
from tests.built import memory_of, properties_of, with_properties

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence

    from lowmem_tui.model.change import Change, Trial
    from lowmem_tui.model.plan import FileChange, Plan
    from lowmem_tui.model.ports import Step, Witness
    from lowmem_tui.model.setup import Progress
    from lowmem_tui.model.snapshot import Source

M = 1 << 20
REDIS = "redis-server.service"
SSH = "ssh.service"
OURS = f"/etc/systemd/system/{REDIS}.d/zz-lowmem-tui.conf"
EVIL = "evil \x1b]0;x\x07\x1b[2J[bold red]name[/]\n\u202egpj.exe"


def process(pid: int, name: str, rss: int, adj: int = 0, command: str | None = None) -> Process:
    return Process(pid, 1000 + pid, 1, name, 104, rss, M, 40960, 700, adj, command or name)


def usage(name: str, rss: int, limit: int | None, processes: tuple[Process, ...]) -> UnitUsage:
    stall = Stall(0.1, 0.2, 0.3, 5)
    memory = memory_of(
        current=rss + 4 * M,
        anon=rss,
        file=3 * M,
        shmem=0,
        kernel=M,
        swap=20 * M,
        peak=90 * M,
        max=INFINITY if limit is None else limit,
        high=INFINITY,
        swap_max=INFINITY,
        oom_kills=1,
        oom_group=False,
        pressure=Pressure(stall, stall),
    )
    return UnitUsage(name, f"/system.slice/{name}", memory, processes, rss, 20 * M)


def properties(name: str, **more: object) -> UnitProperties:
    known = properties_of(
        name,
        names=(name,),
        description="A key-value store",
        active_state="active",
        sub_state="running",
        fragment_path=f"/usr/lib/systemd/system/{name}",
        control_group=f"/system.slice/{name}",
        type="notify",
        main_pid=845,
        n_restarts=2,
        restart="always",
        restart_usec=100_000,
        oom_score_adjust=0,
        oom_policy="stop",
        memory_max=INFINITY,
        memory_high=INFINITY,
        memory_swap_max=INFINITY,
    )
    return with_properties(known, **more)


class SmallServer:
    """A Backend."""

    def __init__(self) -> None:
        self.demo = False
        self.cannot_change = ""
        self.tick = 0.0
        self.watched: list[str | None] = []
        self.applied: list[tuple[Plan, bool]] = []
        self.asked: list[tuple[str, ...]] = []
        self.situation_error: Exception | None = None
        self.apply_error: Exception | None = None
        self.outcome = Outcome((OURS,), (), (), ())
        self.tried: Trial | None = None
        self.hold: threading.Event | None = None
        """While this is not set, ``apply`` does not return."""
        self.ours: str | None = None
        self.rss = 64 * M
        self.limit: int | None = None
        self.properties = {
            REDIS: properties(REDIS),
            SSH: properties(SSH, description="OpenBSD Secure Shell server", main_pid=640),
        }
        self.command = "/usr/bin/redis-server 127.0.0.1:6379"
        self.swap = 2048 * M
        self.sources: dict[Key, tuple[Source, ...]] = {}

    def units(self) -> dict[str, Unit]:
        redis = process(845, "redis-server", self.rss, command=self.command)
        return {
            REDIS: Unit(
                REDIS, usage(REDIS, self.rss, self.limit, (redis,)), self.properties[REDIS]
            ),
            SSH: Unit(
                SSH,
                usage(SSH, 8 * M, None, (process(640, "sshd", 8 * M, -1000),)),
                self.properties[SSH],
            ),
        }

    def snapshot(self) -> Snapshot:
        host = HostUsage(
            "web-1", 4096, 1e6, 967 * M, 100 * M, 300 * M, self.swap, self.swap, None, None, 0
        )
        return Snapshot(1e9 + self.tick, self.tick, host, self.units())

    def look(self) -> Snapshot:
        self.tick += 1
        return self.snapshot()

    def watch(self, unit: str | None) -> None:
        self.watched.append(unit)

    def situation(self, names: Iterable[str], *, hidden: bool = False) -> Situation:
        names = tuple(names)
        self.asked.append(names)
        if self.situation_error is not None:
            raise self.situation_error
        seen = self.snapshot()
        return Situation(seen, {n: self._situation(n, seen.units[n]) for n in names}, self.swap > 0)

    def _situation(self, name: str, unit: Unit) -> UnitSituation:
        assert unit.properties and unit.usage
        ours = UnitFile(OURS, self.ours) if name == REDIS and self.ours is not None else None
        vendor = UnitFile(unit.properties.fragment_path, "[Service]\nRestart=always\n")
        settings = {}
        for key in Key:
            loaded = unit.properties.loaded(key)
            kernel: Value | None = None
            if key in CGROUP_FILES:
                kernel = INFINITY
            elif key is Key.OOM_SCORE_ADJUST:
                kernel = unit.usage.processes[0].oom_score_adj
            declared = "always" if key is Key.RESTART else None
            source = vendor.path if declared else None
            places = self.sources.get(key, ()) if name == REDIS else ()
            if (decides := decisive(places)) is not None:
                declared, source = decides.value, decides.path
            settings[key] = Setting(key, declared, source, loaded, kernel, sources=places)
        files = (vendor, ours) if ours else (vendor,)
        return UnitSituation(name, unit, files, settings, ours)

    def apply(
        self, plan: Plan, *, force: bool = False, trial: int | None = None, note: str = ""
    ) -> Outcome:
        if self.hold is not None:
            assert self.hold.wait(20)
        if self.apply_error is not None:
            raise self.apply_error
        self.applied.append((plan, force))
        return self.outcome

    def trial(self) -> Trial | None:
        return self.tried

    def confirm(self) -> Outcome:
        return self.outcome

    def undo(
        self, change: str | None = None, *, force: bool = False, with_later: bool = False
    ) -> Outcome:
        return self.outcome

    def history(self) -> Sequence[Change]:
        return ()

    def files_of(self, change: str) -> Sequence[FileChange]:
        return ()

    @property
    def witness(self) -> Witness:
        raise UnsupportedError("Nothing is remembered here.")

    def steps(self) -> Sequence[Step]:
        return ()

    def progress(self) -> Progress | None:
        return None

    def cancel(self) -> None:
        pass

    def settle(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        pass
