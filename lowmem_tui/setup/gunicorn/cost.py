"""gunicorn's processes: their memory, their number, and the options of their command line.

A command line of a process is whatever its user likes: options are taken from it, paths are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, verbatim
from lowmem_tui.setup import common
from lowmem_tui.setup.gunicorn.start import of_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Inspector
    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.model.usage import Process
    from lowmem_tui.setup.context import Ground

SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"
_TITLE = "gunicorn: "
"""How a process of it is called where Python has setproctitle."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The memory of processes."""

    workers: tuple[int, ...]
    """Bytes of each worker, the largest first."""
    master: int
    pss: bool
    """Whether that is PSS, so that what is shared counts once; else RSS."""

    @property
    def measure(self) -> Message:
        """What the sizes are."""
        if self.pss:
            return verbatim("PSS")
        return msg("RSS, shared memory counted in each process")


def processes(unit: Unit) -> Iterator[Process]:
    """Yield the processes of a unit that are gunicorn's."""
    for process in unit.usage.processes if unit.usage else ():
        command = process.command or ""
        if command.startswith(_TITLE) or of_process(command.split()) is not None:
            yield process


def _masters(unit: Unit) -> list[Process]:
    found = [*processes(unit)]
    pids = {process.pid for process in found}
    return [process for process in found if process.ppid not in pids]


def arguments(unit: Unit) -> list[str] | None:
    """Return what follows gunicorn on the command line of its one master; None if not known."""
    masters = _masters(unit)
    return of_process((masters[0].command or "").split()) if len(masters) == 1 else None


def running(unit: Unit, words: Sequence[str | None]) -> int | None:
    """Return how many workers its one master has; None if it has another command line than this."""
    masters = _masters(unit)
    if len(masters) != 1:
        return None
    seen = arguments(unit)
    if seen is not None and None not in words and seen != " ".join(map(str, words)).split():
        return None
    return sum(process.ppid == masters[0].pid for process in processes(unit)) or None


def cost(inspector: Inspector, unit: Unit) -> Cost | None:
    """Return the memory of the workers now; None where none runs."""
    found = [*processes(unit)]
    pids = {process.pid for process in found}
    workers = [process for process in found if process.ppid in pids]
    if not workers:
        return None
    measured = {process.pid: inspector.pss(process.pid) for process in found}
    pss = all(size is not None for size in measured.values())
    sizes = {p.pid: (measured[p.pid] or 0) if pss else p.rss for p in found}
    return Cost(
        tuple(sorted((sizes[p.pid] for p in workers), reverse=True)),
        sum(sizes[p.pid] for p in found if p.ppid not in pids),
        pss,
    )


def has_gevent(ground: Ground, program: str) -> bool | None:
    """Return whether gevent is installed beside the gunicorn; None if that cannot be seen."""
    root, _, folder = program.rpartition("/")[0].rpartition("/")
    if folder != "bin" or not root:
        return None
    names = ground.inspector.names
    places = [f"{root}/lib/{each}/site-packages" for each in names(f"{root}/lib")]
    venv, _ = common.read(ground.files, f"{root}/pyvenv.cfg")
    system = any(
        line.replace(" ", "") == "include-system-site-packages=true"
        for line in (venv or "").splitlines()
    )
    if system or root in {"/usr", "/usr/local"}:
        places += [SYSTEM_PACKAGES]
        places += [f"/usr/local/lib/{p}/dist-packages" for p in names("/usr/local/lib")]
    found = {name for place in places for name in names(place)}
    return "gevent" in found if "gunicorn" in found else None
