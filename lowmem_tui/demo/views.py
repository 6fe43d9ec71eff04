"""What the demo server's state looks like from outside: to systemd's clients, to the sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.demo import roster, texts
from lowmem_tui.demo.memory import PAGE, Sizes
from lowmem_tui.model.settings import CGROUP_FILES, PROTECTIONS
from lowmem_tui.model.unit import INFINITY, UnitProperties, UnitType, unit_type
from lowmem_tui.model.unitfile import assignments
from lowmem_tui.model.usage import Memory, UnitUsage

if TYPE_CHECKING:
    from lowmem_tui.demo import memory as kernel
    from lowmem_tui.demo.init import Init
    from lowmem_tui.model.usage import Process


def describe(init: Init, name: str) -> UnitProperties:
    """Return what systemd would answer to GetAll for a unit."""
    if name in init.armed:
        return UnitProperties(
            name, names=(name,), active_state="active", sub_state="waiting", transient=True
        )
    config = init.config(name)
    if config.load_state == "not-found":
        return UnitProperties(
            config.name, names=config.names, description=config.name, load_state="not-found"
        )
    kind = unit_type(config.name)
    service = init.services.get(config.name)
    active, sub, path = _state(init, config.name)
    file_state = init.disk.state(config.fragment)
    is_service = kind is UnitType.SERVICE and config.load_state != "masked"
    return UnitProperties(
        config.name,
        names=config.names,
        description=config.description,
        load_state=config.load_state,
        active_state=active,
        sub_state=sub,
        unit_file_state=file_state,
        fragment_path=config.fragment,
        drop_in_paths=config.drop_ins,
        need_daemon_reload=config.stamps != init.disk.find(config.name).stamps,
        transient=config.fragment.startswith(texts.TRANSIENT),
        triggered_by=_triggers(config.name),
        required_by=_required_by(init, config.fragment) if file_state == "enabled" else (),
        control_group=path,
        slice=config.slice if kind in {UnitType.SERVICE, UnitType.SCOPE} else "",
        type=config.type,
        main_pid=service.main_pid if service else 0,
        exec_start=config.exec_start,
        user=config.user,
        delegate=config.delegate,
        result=service.result if service else "success",
        n_restarts=(service.n_restarts if service else 0) if is_service else None,
        restart_steps=0 if is_service else None,
        restart_max_delay_usec=INFINITY if is_service else None,
        start_limit_interval_usec=config.interval,
        start_limit_burst=config.burst,
        settings=config.settings,
    )


def _state(init: Init, name: str) -> tuple[str, str, str]:
    """Return the active state, the sub state, and the control group of a unit."""
    service = init.services.get(name)
    if service is not None:
        return service.active, service.sub, service.path
    if name in roster.TIMERS:
        return "active", "waiting", ""
    if name in roster.OTHERS:
        return "active", roster.OTHERS[name], ""
    if name in roster.SLICES:
        return "active", "active", roster.slice_path(name)
    return "inactive", "dead", ""


_SOCKETS = {
    "dbus.socket": "dbus.service",
    "systemd-journald.socket": "systemd-journald.service",
    "systemd-udevd-control.socket": "systemd-udevd.service",
}


def _triggers(name: str) -> tuple[str, ...]:
    timers = tuple(timer for timer, (unit, *_) in roster.TIMERS.items() if unit == name)
    return timers or tuple(socket for socket, unit in _SOCKETS.items() if unit == name)


def _required_by(init: Init, fragment: str) -> tuple[str, ...]:
    found: list[str] = []
    for a in assignments(init.disk.read(fragment) or ""):
        if a.section == "Install" and a.key in {"WantedBy", "RequiredBy"}:
            found += a.value.split()
    return tuple(found)


def usages(memory: kernel.Memory) -> dict[str, UnitUsage]:
    """Return what the files of every control group say, by the units' names; the root first."""
    sums: dict[str, list[int]] = {}
    processes: dict[str, tuple[Process, ...]] = {}
    total = (roster.RAM + memory.swap_total) // PAGE
    for path, group in memory.groups.items():
        # Slices come before what is in them.
        sums[path] = [0] * (len(Sizes._fields) + 1)
        processes[path] = tuple(t.process(total) for t in sorted(group.tasks, key=lambda t: t.pid))
        if not group.inner:
            row = (*group.sizes(), sum(p.rss for p in processes[path]))
            for above in group.line:
                into = sums[above.path]
                into[:] = [a + b for a, b in zip(into, row, strict=True)]
    return {
        group.name: _usage(group, processes[path], Sizes(*sums[path][:-1]), sums[path][-1])
        for path, group in memory.groups.items()
    }


def _usage(
    group: kernel.Cgroup, processes: tuple[Process, ...], sizes: Sizes, rss: int
) -> UnitUsage:
    stat = Memory(
        anon=sizes.anon,
        file=sizes.file,
        shmem=sizes.shmem,
        kernel=sizes.kernel,
        pressure=group.gauge.pressure(),
    )
    if group.path == "/":
        # The root has no limits and is not counted: it is the machine.
        stat = stat._replace(settings=dict.fromkeys(CGROUP_FILES.keys() - PROTECTIONS, INFINITY))
        return UnitUsage(group.name, group.path, stat, processes, rss, None)
    stat = stat._replace(
        current=sizes.current,
        swap=sizes.swap,
        peak=max(group.peak, sizes.current),
        settings={key: group.limits[file] for key, file in CGROUP_FILES.items()},
        oom_kills=group.oom_kills,
        oom_group=group.oom_group,
    )
    return UnitUsage(group.name, group.path, stat, processes, rss, sizes.swap)
