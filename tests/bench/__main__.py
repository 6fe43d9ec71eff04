"""`make bench`: the table of docs/performance.md, all programs side by side in one run."""

from __future__ import annotations

import argparse
import compileall
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import which
from statistics import median
from typing import TYPE_CHECKING

import lowmem_tui
from tests.bench.programs import Program, Running, first_frame, pump_all
from tests.bench.tree import MIB, Box, Mutator, make_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
MB = 1_000_000
UNITS, PROCESSES = 200, 300
SLICE = "lowmem-bench.slice"
CHANGING = "lowmem-tui, a tenth of the cells changes"


def programs(tree: Path, *, real: bool) -> list[Program]:
    """Return the field: ours on a tree that changes (and on the real /proc), and the others."""
    launch = (sys.executable, "-m", "tests.bench.launch")
    ours = re.compile(rb"Quit")  # the last of the key bar
    found = [Program(CHANGING, (*launch, f"{tree}/changing/proc", f"{tree}/changing/cgroup"), ours)]
    if real:
        found.append(
            Program("lowmem-tui, real /proc", (*launch, "/proc", f"{tree}/real/cgroup"), ours)
        )
    else:
        print("No cgroup v2 may be made here: the row with the real /proc is left out.")
    hello = (sys.executable, str(HERE / "hello.py"))
    found.append(Program("Textual hello world", hello, re.compile(rb"Hello")))
    for name, argv, painted in (
        ("htop", ("htop", "-d", "10"), rb"PID"),
        ("glances", ("glances", "-t", "1"), rb"CPU"),
    ):
        if which(name):
            found.append(Program(name, argv, re.compile(painted)))
        else:
            print(f"{name} is not installed: its row is left out.")
    return found


def main() -> int:
    """Measure and print the table."""
    options = argparse.ArgumentParser(prog="make bench")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--growth", type=float, default=0.0, help="also watch one for SECONDS")
    chosen = options.parse_args()
    # As pip does when it installs: what is measured is not the compiler of Python.
    compileall.compile_dir(Path(lowmem_tui.__file__).parent, quiet=1)
    compileall.compile_dir(HERE, quiet=1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lowmem-bench-")))
        box = make_tree(_folder(folder / "changing"), units=UNITS, processes=PROCESSES, seed=0)
        mutators = [Mutator(box, seed=1)]
        groups = stack.enter_context(sleeping())
        if groups:
            twin = Box(_folder(folder / "real"))
            for path in groups:
                twin.add_group(path, current=20 * MIB)
            mutators.append(Mutator(twin, seed=1))
        stop = threading.Event()

        def change() -> None:
            while not stop.wait(1.0):
                for mutator in mutators:
                    mutator.step()

        thread = threading.Thread(target=change)
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.set)
        field = programs(folder, real=bool(groups))
        measure(field, chosen.rounds, chosen.seconds)
        triage(folder / "changing")
        if chosen.growth:
            growth(field[0], chosen.growth)
    return 0


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@contextmanager
def sleeping() -> Iterator[list[str]]:
    """Start the processes that sleep, in control groups of their own; yield the groups' paths.

    Where no group can be made (no cgroup v2 is mounted, or not for us) they sleep all the same,
    for the other programs, and no path is yielded.
    """
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    root = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    top = root / SLICE if root else None
    paths: list[str] = []
    sleepers: list[subprocess.Popen[bytes]] = []
    try:
        if top is not None:
            with suppress(OSError):
                top.mkdir()
                for number in range(UNITS):
                    (top / f"unit-{number:03}.service").mkdir()
                    paths.append(f"/{SLICE}/unit-{number:03}.service")
        for number in range(PROCESSES):
            sleepers.append(subprocess.Popen(["sleep", "86400"]))
            if root and paths:
                group = root / paths[number % len(paths)].lstrip("/")
                (group / "cgroup.procs").write_text(f"{sleepers[-1].pid}\n")
        yield paths
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
        if top is not None and top.exists():
            for group in top.iterdir():
                if group.is_dir():
                    group.rmdir()
            top.rmdir()


def measure(field: list[Program], rounds: int, seconds: float) -> None:
    """Print the main table: start-ups alone and interleaved, the rest side by side."""
    frames: dict[str, list[float]] = {p.name: [] for p in field}
    first_frame(field[0])  # warm the page cache and the .pyc files
    for _ in range(max(rounds, 5)):
        for program in field:
            frames[program.name].append(first_frame(program))
    figures: dict[str, list[tuple[float, float, float]]] = {p.name: [] for p in field}
    for _ in range(rounds):
        running = [Running(p) for p in field]
        pump_all(running, 5)
        before = [(r.cpu(), r.written, time.monotonic()) for r in running]
        pump_all(running, seconds)
        for r, (cpu, written, since) in zip(running, before, strict=True):
            r.pump()
            lasted = time.monotonic() - since
            figures[r.program.name].append(
                (r.pss() / MB, (r.cpu() - cpu) * 60 / lasted, (r.written - written) / lasted)
            )
            r.stop()
    figures_there = Program(CHANGING, field[0].argv, re.compile(rb"service-\d"))
    full = median(first_frame(figures_there) for _ in range(max(rounds, 5)))
    print(f"lowmem-tui with its first figures on the screen: {full * 1000:.0f} ms\n")
    print("| program | first frame, ms | PSS, MB | CPU s per 60 s | bytes/s |")
    print("|---|---|---|---|---|")
    for program in field:
        pss, cpu, written = (median(column) for column in zip(*figures[program.name], strict=True))
        print(
            f"| {program.name} | {median(frames[program.name]) * 1000:.0f} | {pss:.1f} | "
            f"{cpu:.2f} | {written:.0f} |",
            flush=True,
        )


def triage(folder: Path) -> None:
    """Print what `triage` costs: wall time, and the peak of its resident set (VmHWM)."""
    # getrusage would tell the peak of whoever started it, from before the exec.
    code = (
        "import sys; from lowmem_tui.cli.triage import run\n"
        f"status = run([], proc_root={str(folder / 'proc')!r},"
        f" cgroup_root={str(folder / 'cgroup')!r})\n"
        "sys.stdout.flush()\n"
        "print([l for l in open('/proc/self/status') if l[:6] == 'VmHWM:'][0].split()[1],"
        " file=sys.stderr)\n"
        "sys.exit(status)"
    )
    times, peaks = [], []
    for _ in range(11):
        started = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        times.append(time.perf_counter() - started)
        peaks.append(int(ended.stderr) * 1024)
    print(f"\ntriage: {median(times) * 1000:.0f} ms, {median(peaks) / MB:.1f} MB RSS at its peak")


def growth(program: Program, seconds: float) -> None:
    """Print the memory of one run over time."""
    running = Running(program)
    print(f"\n{program.name} over time:")
    for _ in range(10):
        pump_all([running], seconds / 10)
        print(
            f"  PSS {running.pss() / MB:.2f} MB, its own {running.anonymous() / MB:.2f} MB",
            flush=True,
        )
    running.stop()


if __name__ == "__main__":
    sys.exit(main())
