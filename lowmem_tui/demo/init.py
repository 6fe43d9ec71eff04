"""The demo server's systemd: units, jobs, and what it does when a process is killed."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from lowmem_tui.demo import roster
from lowmem_tui.demo.log import Log, report_of
from lowmem_tui.demo.memory import STEP, Cgroup, Memory, Task
from lowmem_tui.demo.roster import MIB, Crew, Program
from lowmem_tui.demo.unit_loading import Loaded, load
from lowmem_tui.model.errors import ManagerError
from lowmem_tui.model.incident import EventKind
from lowmem_tui.model.unit import CGROUP_FILES, Key, Unlimited, unit_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lowmem_tui.demo.disk import Disk
    from lowmem_tui.demo.memory import Decision

STOPPING = 2
"""Steps between SIGTERM and the end of a unit."""

_ACTIVE = {
    "running": "active",
    "exited": "active",
    "start": "activating",
    "auto-restart": "activating",
    "stop-sigterm": "deactivating",
    "failed": "failed",
    "dead": "inactive",
}


class Service:
    """A unit with processes, as systemd follows it."""

    def __init__(self, name: str, crew: Crew) -> None:
        self.name, self.crew = name, crew
        self.sub = "dead"
        self.result = "success"
        self.n_restarts = 0
        self.main_pid = 0
        self.until = 0
        """The step at which the present state ends, if it ends by itself."""
        self.wanted = False
        """A start job waits for the stop."""
        self.stopped = False
        """Somebody has asked for the stop: Restart= does not count."""
        self.starts: deque[int] = deque()
        self.path = ""
        """Its control group while it has one."""

    @property
    def active(self) -> str:
        """ActiveState."""
        return _ACTIVE[self.sub]


class Init:
    """PID 1. Time is counted in steps."""

    def __init__(self, disk: Disk, execute: Callable[[Sequence[str]], None]) -> None:
        """``execute`` runs the command of a timer that ``arm`` has made."""
        self.disk = disk
        self._execute = execute
        self.armed: dict[str, tuple[int, tuple[str, ...]]] = {}
        """Transient timers: the step at which each ends, and its command."""
        self.log = Log()
        self.memory = Memory(self._killed, self._report)
        self.loaded: dict[str, Loaded] = {}
        self.services: dict[str, Service] = {}
        self.step = 0
        self.changed: set[str] = set()
        self.reloaded = False
        self._pid = 22_410
        for name in (
            *roster.SLICES,
            *roster.CREWS,
            *roster.TIMERS,
            *roster.OTHERS,
            *roster.KNOWN,
            *disk.wanted(),
        ):
            self.loaded[name] = load(disk, name, roster.RAM)
        for name in roster.SLICES:
            self._group(name, roster.slice_path(name), inner=True)
        for name, crew in roster.CREWS.items():
            service = self.services[name] = Service(name, crew)
            if crew.running:
                self._begin(service, booting=True)
        self.changed.clear()

    # Time

    @property
    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return self.step * STEP

    def wall_usec(self) -> int:
        """Microseconds since 1970."""
        return int((roster.BOOTED + roster.UPTIME + self.elapsed) * 1_000_000)

    def tick(self) -> None:
        """Let pass what is due: timers, stops, restarts."""
        for service in list(self.services.values()):
            if service.until and self.step >= service.until:
                self._due(service)
        for timer, (due, command) in list(self.armed.items()):
            if self.step >= due:
                del self.armed[timer]
                self.changed.add(timer)
                self._execute(command)
        for timer, (name, first, every) in roster.TIMERS.items():
            if every and (since := self.elapsed - first) >= 0 and since % every == 0:
                self.changed.add(timer)
                if self.service(name).sub in {"dead", "failed"}:
                    self.start(name)

    def _due(self, service: Service) -> None:
        service.until = 0
        if service.sub == "start":
            self._stop(service, "success")
            service.until = self.step + 1
        elif service.sub == "stop-sigterm":
            self._end(service)
        elif service.sub == "auto-restart":
            # Not a new start job of somebody's: the count goes on.
            self._start(service, count=service.n_restarts + 1)

    # Units

    def config(self, name: str) -> Loaded:
        """Return what is loaded of a unit; one that is not is loaded for the question."""
        name = self.disk.primary(name)
        return self.loaded.get(name) or load(self.disk, name, roster.RAM)

    def service(self, name: str) -> Service:
        """Return the state of a service or scope; one that was never started has one, too."""
        if name not in self.services:
            crew = roster.DEFAULT_CREW
            words = self.config(name).exec_start
            if words:
                program = words[0].rpartition("/")[2][:15]
                first = crew.programs[0]._replace(name=program, command=" ".join(words))
                lasts = crew.lasts if self.config(name).type == "oneshot" else 0.0
                crew = crew._replace(programs=(first,), lasts=lasts)
            self.services[name] = Service(name, crew)
        return self.services[name]

    def reload(self) -> None:
        """Read all files again; what runs goes on as it is, its control groups untouched."""
        for name in self.loaded:
            self.loaded[name] = load(self.disk, name, roster.RAM)
        self.reloaded = True

    def start(self, name: str) -> None:
        """Start a unit that does not run."""
        self._start(self.service(name), count=0)

    def restart(self, name: str) -> None:
        """Stop a unit, if it runs, and start it. Raises ManagerError."""
        config = self.config(name)
        if config.load_state == "not-found":
            raise ManagerError(f"Unit {name} not found.")
        if config.load_state == "masked":
            raise ManagerError(f"Unit {name} is masked.")
        if config.load_state == "bad-setting":
            raise ManagerError(f"Unit {name} has a bad unit file setting.")
        kind = unit_type(config.name)
        if kind in {"scope", "slice"}:
            raise ManagerError(
                f"Operation refused, unit {config.name} may be requested by dependency only."
            )
        if kind != "service":
            return
        service = self.service(config.name)
        if service.path:
            self._stop(service, "success")
            service.wanted = True
        else:
            self._start(service, count=0)

    def stop(self, name: str) -> None:
        """Stop a unit; whoever waits for its restart waits in vain."""
        if self.armed.pop(name, None):
            self.changed.add(name)
        service = self.services.get(self.disk.primary(name))
        if service is None or service.sub == "dead":
            return
        service.stopped, service.wanted = True, False
        if service.path:
            self._stop(service, "success")
        else:
            service.sub, service.until = "dead", 0
            self.changed.add(service.name)

    def arm(self, name: str, seconds: float, command: Sequence[str]) -> None:
        """Make a transient timer. Raises ManagerError if there is one of that name."""
        timer = f"{name}.timer"
        if timer in self.armed:
            raise ManagerError(f"Unit {timer} was already loaded or has a fragment file.")
        self.armed[timer] = self.step + math.ceil(seconds / STEP), tuple(command)
        self.changed.add(timer)

    def reset_failed(self, name: str) -> None:
        """Forget a failure and the starts that count against the limit."""
        service = self.service(self.config(name).name)
        service.starts.clear()
        service.n_restarts = 0
        service.result = "success"
        if service.sub == "failed":
            service.sub = "dead"
        self.changed.add(service.name)

    # Starts and stops

    def _start(self, service: Service, *, count: int) -> None:
        config = self.config(service.name)
        if config.load_state != "loaded":
            service.sub = "failed"
            service.result = "resources"
        elif self._too_often(service, config):
            service.sub = "failed"
            service.result = "start-limit-hit"
            self._say(service, EventKind.TOO_OFTEN)
            self._say(service, EventKind.RESULT, service.result)
        else:
            service.n_restarts = count
            self._begin(service)
            self._say(service, EventKind.STARTED)
        self.changed.add(service.name)

    def _too_often(self, service: Service, config: Loaded) -> bool:
        if isinstance(config.interval, Unlimited):
            span = math.inf
        else:
            span = config.interval / 1_000_000 / STEP
        if not span or not config.burst:
            return False
        while service.starts and self.step - service.starts[0] >= span:
            service.starts.popleft()
        if len(service.starts) >= config.burst:
            return True
        service.starts.append(self.step)
        return False

    def _begin(self, service: Service, *, booting: bool = False) -> None:
        """Make the control group, with the loaded limits, and the processes."""
        config = self.config(service.name)
        # The login session and PID 1's own group are not services, and not in system.slice.
        path = "" if service.name == "init.scope" else roster.slice_path(config.slice)
        service.path = f"{path.rstrip('/')}/{service.name}"
        group = self._group(service.name, service.path)
        group.oom_group = config.settings.get(Key.OOM_POLICY) == "kill"
        group.cache = int((service.crew.cache if booting else 0.4) * MIB)
        group.peak = int(service.crew.peak * MIB) if booting else 0
        service.result = "success"
        service.sub = "exited" if not service.crew.programs else "running"
        service.main_pid = 0
        for program in service.crew.programs:
            task = self.spawn(group, program, config.adjust, booting=booting)
            service.main_pid = service.main_pid or task.pid
            task.ppid = service.main_pid if task.pid != service.main_pid else 1
        if unit_type(service.name) != "service":
            service.main_pid = 0
        if not service.crew.programs:
            self._drop(service)
        elif config.type == "oneshot":
            service.sub = "start"
            service.until = self.step + max(1, int(service.crew.lasts / STEP))

    def spawn(self, group: Cgroup, program: Program, adj: int, *, booting: bool = False) -> Task:
        """Make a process in a group."""
        pid = program.pid if booting else 0
        if not pid:
            self._pid += 3 + self._pid % 5
            pid = self._pid
        age = roster.UPTIME - 4 - pid / 200 if booting else 0.0
        start = int((roster.UPTIME + self.elapsed - age) * 100)
        own = program.adj if program.adj is not None else adj
        task = Task(pid, start, 1, program.name, program.command, program.uid, own)
        task.file = int(program.file * MIB)
        held = program.grown if booting and program.grown is not None else program.anon
        task.anon = int(held * MIB)
        task.hot = int((program.hot or program.anon / 2) * MIB)
        task.swap = int(program.swap * MIB) if booting else 0
        task.below = program.below
        if pid == 1:
            task.ppid = 0
        group.tasks.append(task)
        group.touch()
        return task

    def _stop(self, service: Service, result: str) -> None:
        """Send SIGTERM; the end comes in a moment."""
        service.sub = "stop-sigterm"
        if service.result == "success":
            service.result = result
        service.until = self.step + STOPPING
        self.changed.add(service.name)

    def _end(self, service: Service) -> None:
        """All processes are gone: decide what comes next, as service_enter_dead()."""
        self._drop(service)
        service.main_pid = 0
        config = self.config(service.name)
        failed = service.result != "success"
        stopped, service.stopped = service.stopped, False
        self._say(service, EventKind.RESULT if failed else EventKind.ENDED, service.result)
        if service.wanted:
            service.wanted = False
            self._start(service, count=0)
            return
        delay = config.settings.get(Key.RESTART_SEC, 0)
        if not stopped and self._shall_restart(service, config) and isinstance(delay, int):
            service.sub = "auto-restart"
            self._say(service, EventKind.RESTART, str(service.n_restarts + 1))
            service.until = self.step + max(1, math.ceil(delay / 1_000_000 / STEP))
        elif not failed and config.remain:
            service.sub = "exited"
        else:
            service.sub = "failed" if failed else "dead"
        self.changed.add(service.name)

    def _shall_restart(self, service: Service, config: Loaded) -> bool:
        """``service_shall_restart``, for the results that there are here."""
        word = config.settings.get(Key.RESTART, "no")
        if service.result == "success":
            # What stops here by itself is a oneshot that is done, for which this cannot be set.
            return False
        if service.result == "signal":
            return word in {"always", "on-failure", "on-abnormal", "on-abort"}
        return word in {"always", "on-failure", "on-abnormal"}

    def _killed(self, group: Cgroup, task: Task) -> None:
        """Follow what the OOM killer has done."""
        service = self.services[group.name]
        self._say(service, EventKind.OOM)
        if service.sub in {"running", "start"}:
            policy = self.config(service.name).settings.get(Key.OOM_POLICY, "continue")
            if policy != "continue":
                self._stop(service, "oom-kill")
            elif task.pid == service.main_pid:
                self._stop(service, "signal")
            elif not group.tasks:
                self._stop(service, "success")
        self.changed.add(service.name)

    def _report(self, decision: Decision) -> None:
        self.log.kernel(self.wall_usec() / 1_000_000, report_of(self.memory, decision))

    def _say(self, service: Service, kind: EventKind, detail: str = "") -> None:
        self.log.event(self.wall_usec() / 1_000_000, service.name, kind, detail)

    # Control groups

    def _group(self, name: str, path: str, *, inner: bool = False) -> Cgroup:
        above: tuple[Cgroup, ...] = ()
        if path != "/":
            above = self.memory.groups[path.rpartition("/")[0] or "/"].line
        group = Cgroup(name, path, above, inner=inner)
        config = self.config(name)
        for key, file in CGROUP_FILES.items():
            group.limits[file] = config.limit(key)
        self.memory.groups[path] = group
        return group

    def _drop(self, service: Service) -> None:
        self.memory.groups.pop(service.path, None)
        service.path = ""
