"""`lowmem-tui triage`: one plain page, for a machine that is thrashing.

It reads each file once, keeps none open, and imports next to nothing: every page that it would
load from disk is one that the machine has not got.
"""

from __future__ import annotations

import os
import sys
import time

from lowmem_tui.cli.charset import utf8
from lowmem_tui.host import cgroupfs, procfs
from lowmem_tui.host.reading import BRIEF, LONG, SMALL, TYPE_CHECKING, each, read, read_whole
from lowmem_tui.host.trusted import public
from lowmem_tui.model import trial
from lowmem_tui.model.errors import UnsupportedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 80
FATTEST = 10


def N_(text: str, /) -> str:  # noqa: N802 - as model.message.N_, which is not light
    """Mark a text for translation; return it as it is."""
    return text


# Exit statuses as in cli/exit.py, whose enum costs a megabyte.
DONE, USAGE, NOT_PERMITTED, UNSUPPORTED, FAILED, INTERRUPTED = 0, 2, 4, 5, 6, 130

HISTORY = 8 << 20
"""Bytes of the history at most: those that root itself reads (change.store)."""

DEMO = "--demo"

_FIRST = N_("Next OOM victim: {process} ({pid}), {size}, score {score}")
_FIRST_SEEN = N_("Next OOM victim of those seen: {process} ({pid}), {size}, score {score}")

KILLERS = ("earlyoom.service", "systemd-oomd.service")

_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


class _Words:
    gettext: Callable[[str], str] | None = None
    """None: English, for which nothing is loaded."""


def tr(template: str, /, **values: object) -> str:
    """Return a text in the operator's language, as ``model.language.tr``, which is not light."""
    text = _Words.gettext(template) if _Words.gettext else template
    return text.format_map(values) if values else text


def _prepare() -> None:
    """Load the operator's language, if it may be another than English."""
    if "lowmem_tui.cli.language" not in sys.modules:  # else it is chosen already
        if not utf8() or not any("zh" in os.environ.get(name, "") for name in _VARIABLES):
            return
        from lowmem_tui.cli import language

        language.prepare(())
    from lowmem_tui.model.language import tr as translated

    _Words.gettext = translated


def _left(text: str, width: int) -> str:
    if text.isascii():
        return f"{text:<{width}}"
    from lowmem_tui.model.cells import left

    return left(text, width)


def _right(text: str, width: int) -> str:
    if text.isascii():
        return f"{text:>{width}}"
    from lowmem_tui.model.cells import right

    return right(text, width)


def _help() -> str:
    text = tr(
        "One plain page: memory, swap, pressure, the ten largest units, the next OOM victim, and "
        "the OOM kills since boot. Needs no root, no D-Bus and no screen."
    )
    demo = tr("the built-in demo server: nothing of this machine is read or written")
    from lowmem_tui.model.cells import wrap

    text = "\n".join(wrap(text, WIDTH))
    usage = tr("usage:")
    return f"{usage} lowmem-tui triage [--demo]\n\n{text}\n\n  --demo  {demo}\n"


class Folder:
    """/proc, or the control groups: where the page has its figures from."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self, name: str, size: int = BRIEF) -> bytes | None:
        """Return the beginning of a file, None if it is absent or unreadable. Raises OSError."""
        return read(f"{self.path}/{name}", size=size)

    def whole(self, name: str) -> bytes | None:
        """Return a whole file."""
        return read_whole(f"{self.path}/{name}")

    def has(self, name: str) -> bool:
        """Tell whether there is such a file or folder."""
        return os.path.exists(f"{self.path}/{name}")

    def names(self) -> list[str]:
        """Return what is in it. Raises OSError."""
        return os.listdir(self.path)


class Row:
    """A unit and what it holds, bytes."""

    __slots__ = ("cgroup", "limit", "name", "rss", "score", "swap")

    def __init__(self, cgroup: str, name: str) -> None:
        self.cgroup, self.name = cgroup, name
        self.rss = 0
        self.swap: int | None = None
        self.score: int | None = None
        self.limit: int | None = None

    @property
    def size(self) -> int:
        """RSS and swap together."""
        return self.rss + (self.swap or 0)


def run(
    argv: list[str],
    proc_root: str = procfs.PROC,
    cgroup_root: str = cgroupfs.CGROUP,
    make: Callable[[], str] | None = None,
) -> int:
    """Print the page of this machine, or the one that ``make`` returns; return the exit status."""
    _prepare()
    if argv in (["-h"], ["--help"]):
        return _print(_help())
    if any(word != DEMO for word in argv):
        return _fail(
            tr(
                "triage takes only the option --demo: run `lowmem-tui triage` or "
                "`lowmem-tui triage --demo`."
            ),
            USAGE,
        )
    try:
        return _print(make() if make is not None else page(proc_root, cgroup_root))
    except UnsupportedError as error:
        return _fail(str(error), UNSUPPORTED)
    except PermissionError as error:
        return _fail(
            tr("{path} may not be read: run this as root.", path=error.filename or "/proc"),
            NOT_PERMITTED,
        )
    except KeyboardInterrupt:
        return _fail(tr("Interrupted; nothing was changed."), INTERRUPTED)
    except OSError as error:
        return _fail(
            tr("The kernel's files cannot be read ({why}): try once more.", why=error), FAILED
        )


def page(
    proc: str | Folder,
    cgroup: str | Folder,
    block: str = procfs.BLOCK,
    notice: str = trial.PATH,
    history: str = trial.HISTORY,
) -> str:
    """Return the page. Raises UnsupportedError, OSError."""
    proc = Folder(proc) if isinstance(proc, str) else proc
    cgroup = Folder(cgroup) if isinstance(cgroup, str) else cgroup
    if not cgroup.has("cgroup.controllers"):
        raise UnsupportedError(
            tr(
                "There is no cgroup v2 at {path}: boot with systemd.unified_cgroup_hierarchy=1, or "
                "use `ps` and `free` here.",
                path=cgroup.path,
            )
        )
    units, victim, unseen = _units(proc, cgroup, os.sysconf("SC_PAGE_SIZE"))
    # PID 1 is always there: without it /proc hides the processes of others (hidepid).
    hidden = not proc.has("1")
    lines = _machine(proc, block)
    heads = _right(tr("RSS"), 8), _right(tr("SWAP"), 8), _right(tr("SCORE"), 6)
    limit, unit = _right(tr("LIMIT"), 8), tr("UNIT")
    lines += ["", f"{' '.join(heads)} {limit}  {unit}"]
    lines += [
        f"{_size(u.rss):>8} {_size(u.swap):>8} {_known(u.score):>6} {_size(u.limit, '-'):>8}  "
        f"{_text(u.name, WIDTH - 36)}"
        for u in units[:FATTEST]
    ]
    if hidden:
        lines.append(tr("Processes of other users are hidden from this user: run this as root."))
    elif unseen:
        lines.append(tr("Processes that this user may not see: {count}.", count=unseen))
    fate = _next(victim, proc, cgroup, partly=bool(hidden or unseen))
    lines += ["", *(_instead(proc) or fate), *_others(units), *_kills(proc, units, cgroup)]
    lines += [*_trial(notice), *_unended(history)]
    return "\n".join(lines) + "\n"


def _trial(notice: str) -> list[str]:
    """Return what is on trial, and how that ends."""
    raw = public(notice, LONG)
    found = trial.parse(procfs.text(raw)) if raw else None
    left = found.left(time.monotonic()) if found else 0.0
    if found is None or left <= 0:
        return []
    text = tr(
        "On trial until {time} ({seconds} s left), started by {by}: {units}",
        time=time.strftime("%H:%M:%S", time.localtime(found.deadline)),
        seconds=f"{left:.0f}",
        by=found.by.message,
        units=", ".join(found.units),
    )
    how = tr("`lowmem-tui confirm` keeps it, `lowmem-tui undo` undoes it.")
    return ["", _text(text, WIDTH), how]


def _unended(history: str) -> list[str]:
    """Return which changes are not complete."""
    text = public(history, HISTORY) or b""
    found = []
    if any(b'"state": "%s"' % state in text for state in (b"applying", b"confirming")):
        found.append(
            tr("A change is being made, or was interrupted: `lowmem-tui history` shows it.")
        )
    if b'"state": "incomplete"' in text:
        found.append(tr("A change is incomplete: `lowmem-tui history` shows what remains."))
    if b'"notices": [' in text and b'"notices": []' not in text:
        found.append(tr("A record could not be read and was set aside: see `lowmem-tui history`."))
    return ["", *found] if found else []


def _machine(proc: Folder, block: str) -> list[str]:
    raw = proc.read("meminfo", 16384)
    memory = procfs.parse_meminfo(raw) if raw else None
    if memory is None:
        raise UnsupportedError(
            tr("{path} cannot be read: is /proc mounted?", path=f"{proc.path}/meminfo")
        )
    total, free, available, swap, swap_free = memory
    name = procfs.text((proc.read("sys/kernel/hostname") or b"").strip())
    raw = proc.read("uptime")
    uptime = procfs.parse_uptime(raw) if raw else None
    lines = [_text(name, 50), ""]
    if uptime is not None:
        lines[0] = tr("{host}, up {time}", host=_text(name, 50), time=_span(uptime))
    figures = tr(
        "{total} total, {available} available, {free} free",
        total=_size(total),
        available=_size(available),
        free=_size(free),
    )
    lines += [_left(tr("Memory"), 10) + figures, _left(tr("Swap"), 10) + _swap(swap, swap_free)]
    zram = procfs.read_zram(procfs.zram_devices(block))
    if zram is not None:
        figures = tr("{size} stored in {used} of RAM", size=_size(zram[0]), used=_size(zram[1]))
        lines.append(f"zram      {figures}")
    return [*lines, *_pressure(proc.read("pressure/memory"))]


def _swap(swap: int, swap_free: int) -> str:
    if not swap:
        return tr("none")
    used = swap - swap_free
    return tr(
        "{total} total, {used} used ({percent}%)",
        total=_size(swap),
        used=_size(used),
        percent=round(100 * used / swap),
    )


def _pressure(raw: bytes | None) -> list[str]:
    title = tr("Pressure")
    lines: list[str] = []
    for kind in (b"some", b"full"):
        stall = procfs.parse_stall(raw, kind) if raw else None
        if stall is None:
            continue
        figures = tr(
            "{kind} {ten}% of 10 s, {sixty}% of 60 s, {five}% of 300 s",
            kind=kind.decode(),
            ten=f"{stall[0]:6.2f}",
            sixty=f"{stall[1]:6.2f}",
            five=f"{stall[2]:6.2f}",
        )
        lines.append(_left("" if lines else title, 10) + figures)
    return lines or [_left(title, 10) + tr("unknown (this kernel does not measure it)")]


def _units(
    proc: Folder, cgroup: Folder, page_size: int
) -> tuple[list[Row], tuple[int, int, int, Row] | None, int]:
    """Return the units, the largest first; the next victim; how many processes are unreadable.

    The victim is the process of the highest score: (score, pages, pid, unit); of those with the
    same, the one that the kernel's finer count says.
    """
    rows: dict[str, Row] = {}
    owners: dict[bytes, Row] = {}
    best: list[tuple[int, int, int, Row]] = []
    unseen = 0
    swapped: dict[str, list[str]] = {}
    for pid in proc.names():
        number = natural(pid)
        if number is None:
            continue
        raw = proc.read(f"{pid}/cgroup", SMALL)
        statm = proc.read(f"{pid}/statm")
        pages = None if statm is None else procfs.parse_statm(statm)
        if raw is None or pages is None or len(raw) >= SMALL:  # its group is nested too deeply
            unseen += proc.has(pid)
            continue
        if not pages:
            continue  # a kernel thread or a zombie
        row = owners.get(raw)
        if row is None:
            path, name = cgroupfs.owner(procfs.parse_cgroup(raw) or "")
            row = owners[raw] = rows.setdefault(path, Row(path, name or "(no unit)"))
        row.rss += pages * page_size
        swapped.setdefault(row.cgroup, []).append(pid)
        score = each(procfs.parse_int, proc.read(f"{pid}/oom_score"))
        if score is not None:
            row.score = max(score, row.score or 0)
            if score and (not best or score >= best[0][0]):
                if best and score > best[0][0]:
                    best.clear()
                best.append((score, pages, number, row))
    for row in rows.values():
        row.swap = each(cgroupfs.parse_size, cgroup.read(f"{row.cgroup}/memory.swap.current"))
        if row.swap is None:
            row.swap = _process_swap(proc, swapped[row.cgroup])
    units = sorted(rows.values(), key=lambda u: (-u.size, u.name))
    for row in units[:FATTEST]:
        row.limit = each(procfs.parse_int, cgroup.read(f"{row.cgroup}/memory.max"))
    return units, _first(best, proc, page_size), unseen


def _first(
    best: list[tuple[int, int, int, Row]], proc: Folder, page_size: int
) -> tuple[int, int, int, Row] | None:
    """Return whom the kernel chooses of those with the highest score (as policy/oom has it)."""
    if len(best) < 2:
        return best[0] if best else None
    raw = proc.read("meminfo", 16384)
    memory = procfs.parse_meminfo(raw) if raw else None
    step = (memory[0] // page_size + memory[3] // page_size) // 1000 if memory else 0

    def badness(one: tuple[int, int, int, Row]) -> tuple[int, int, int]:
        _, pages, pid, _ = one
        status, stat = (
            proc.read(f"{pid}/status", SMALL),
            proc.read(f"{pid}/stat", SMALL),
        )
        adj = each(procfs.parse_int, proc.read(f"{pid}/oom_score_adj")) or 0
        _, swap, tables = procfs.parse_status(status) if status else (None, None, None)
        found = procfs.parse_stat(stat) if stat else None
        counted = procfs.parse_counted(stat) if stat else None
        pages = pages if counted is None else counted
        points = pages + (swap or 0) // page_size + (tables or 0) // page_size + adj * step
        return points, found[3] if found else 0, pid

    return max(best, key=badness)


def _process_swap(proc: Folder, pids: list[str]) -> int | None:
    """Return the swap of processes, where the group does not tell."""
    found = [procfs.parse_status(raw)[1] for p in pids if (raw := proc.read(f"{p}/status", SMALL))]
    known = [swap for swap in found if swap is not None]
    return sum(known) if known else None


def _next(
    victim: tuple[int, int, int, Row] | None, proc: Folder, cgroup: Folder, *, partly: bool
) -> list[str]:
    if victim is None:
        return [tr("Next OOM victim: none, no process can be killed.")]
    score, pages, pid, unit = victim
    raw = proc.read(f"{pid}/stat", SMALL)
    stat = procfs.parse_stat(raw) if raw else None
    values: dict[str, object] = {
        "process": _text(stat[0], 16) if stat else "?",
        "pid": pid,
        "size": _size(pages * os.sysconf("SC_PAGE_SIZE")),
        "score": score,
    }
    line = _FIRST_SEEN if partly else _FIRST
    lines = [tr(line).format_map(values)]
    group = _killed_as_one(unit.cgroup, cgroup)
    if group == "":
        lines.append(_text(unit.name, WIDTH - 13))
    elif group == unit.cgroup:
        lines.append(_text(tr("{unit}, the whole unit is killed", unit=unit.name), WIDTH - 13))
    else:
        text = tr(
            "{unit}, all of {group} is killed", unit=unit.name, group=group.rpartition("/")[2]
        )
        lines.append(_text(text, WIDTH - 13))
    return [lines[0], f"{'':13}{lines[1]}"]


def _instead(proc: Folder) -> list[str]:
    """Return what happens where the kernel chooses nobody by score; nothing where it does."""
    if each(procfs.parse_int, proc.read("sys/vm/panic_on_oom")):
        return [tr("Next OOM victim: none, the machine panics instead (vm.panic_on_oom).")]
    if each(procfs.parse_int, proc.read("sys/vm/oom_kill_allocating_task")):
        return [
            tr(
                "Next OOM victim: the process that asks for memory then "
                "(vm.oom_kill_allocating_task)."
            )
        ]
    return []


def _killed_as_one(path: str, cgroup: Folder) -> str:
    """Return the highest group of a victim that is killed as one; "" where it is killed alone."""
    found = ""
    while path.strip("/"):
        together = cgroup.read(f"{path}/memory.oom.group")
        if together and cgroupfs.parse_flag(together):
            found = path
        path = path.rpartition("/")[0]
    return found


def _others(units: list[Row]) -> list[str]:
    """Name the killers that run beside the kernel, and may kill earlier."""
    names = [unit.name for unit in units if unit.name in KILLERS]
    return [tr("{unit} runs too, and may kill earlier.", unit=name) for name in sorted(names)]


def _kills(proc: Folder, units: list[Row], cgroup: Folder) -> list[str]:
    total = each(procfs.parse_oom_kills, proc.whole("vmstat"))
    if total is None:
        return [tr("OOM kills since boot: unknown (the kernel does not count them).")]
    if not total:
        return [tr("OOM kills since boot: none.")]
    lines = [tr("OOM kills since boot: {count}", count=total)]
    left = total
    for unit in units:
        killed = each(cgroupfs.parse_oom_kills, cgroup.read(f"{unit.cgroup}/memory.events"))
        if killed:
            left -= killed
            lines.append(f"{killed:8}  {_text(unit.name, WIDTH - 10)}")
    if left > 0:
        since = tr("in units that have ended or restarted since")
        lines.append(f"{left:8}  {since}")
    return lines


def _size(size: int | None, unknown: str = "?") -> str:
    if size is None:
        return unknown
    value, suffix = float(size), "B"
    for suffix in "BKMGT":
        if value < 1000 or suffix == "T":
            break
        value /= 1024
    if suffix == "B":
        return f"{size}" if size else "0"
    return f"{value:.1f}{suffix}" if value < 100 else f"{value:.0f}{suffix}"


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)


def _span(seconds: float) -> str:
    minutes = int(seconds) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days}d {hours}h" if days else f"{hours}h {minutes % 60}min"


def _text(text: str, width: int) -> str:
    """Return what others wrote, harmless, at most that many cells, in the locale's characters."""
    text = plain(text, width)
    return text if utf8() else text.encode("ascii", "replace").decode("ascii")


def _print(text: str) -> int:
    """Write to standard output, whose reader may have gone."""
    data = text.encode("utf-8", "replace")
    try:
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        pass
    except OSError as error:
        return _fail(tr("Standard output cannot be written: {why}.", why=error.strerror), FAILED)
    return DONE


def _fail(sentence: str, status: int) -> int:
    print(f"lowmem-tui: {plain(sentence)}", file=sys.stderr)
    return status
