"""`make bench`: the table of docs/performance.md, all programs side by side in one run."""

from __future__ import annotations

import argparse
import compileall
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from shutil import which
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import lowmem_tui
from tests.bench.programs import Program, Running, first_frame, instructions, pump_all
from tests.bench.tree import MIB, Box, Mutator, make_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
MB = 1_000_000
UNITS, PROCESSES = 200, 300
SLICE = f"lowmem-bench-{os.getpid()}.slice"
CHANGING = "lowmem-tui, a tenth of the units and processes changes"
PLACES = "lowmem-tui, the same, and rows change places"
REAL = "lowmem-tui, real /proc"
HELLO = "Textual hello world"
OURS = re.compile(rb"Quit")
"""The last of the key bar: with it the frame is whole."""
FIGURES = re.compile(rb"service-\d|unit-\d")
"""A unit in the table."""
KEYS = replace(Program("", (), re.compile(rb"ind: ")), typed=b"/")
"""The prompt that a key has opened: the screen is whole, and answers."""


def ours(name: str, proc: str | Path, cgroup: str | Path) -> Program:
    """Return our screen on a tree of files."""
    launch = (sys.executable, str(HERE / "launch.py"))
    return Program(name, (*launch, str(proc), str(cgroup)), OURS)


def programs(tree: Path, *, real: bool) -> list[Program]:
    """Return the field: ours on trees that change (and on the real /proc), and the others."""
    found = [
        ours(CHANGING, tree / "changing/proc", tree / "changing/cgroup"),
        ours(PLACES, tree / "places/proc", tree / "places/cgroup"),
    ]
    if real:
        found.append(ours(REAL, "/proc", tree / "real/cgroup"))
    else:
        print("No cgroup v2 may be made here: the row with the real /proc is left out.")
    hello = (sys.executable, str(HERE / "hello.py"))
    found.append(Program(HELLO, hello, re.compile(rb"Hello")))
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
    """Measure and print the tables; the exit status is 1 if an aim was missed."""
    options = argparse.ArgumentParser(prog="python -m tests.bench")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=60.0, help="of each round")
    options.add_argument(
        "--growth",
        type=int,
        nargs="?",
        const=10,
        metavar="MINUTES",
        help="instead: memory over 10 minutes or more, minute by minute",
    )
    options.add_argument(
        "--instructions", action="store_true", help="instead: instructions to the first frame"
    )
    chosen = options.parse_args()
    # As pip does when it installs: what is measured is not the compiler of Python.
    compileall.compile_dir(Path(lowmem_tui.__file__).parent, quiet=1)
    compileall.compile_dir(HERE, quiet=1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lowmem-bench-")))
        mutators = []
        for name in ("changing", "places"):
            box = make_tree(_folder(folder / name), units=UNITS, processes=PROCESSES, seed=0)
            mutators.append(Mutator(box, seed=1, leap=name == "places"))
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
        if chosen.instructions:
            aims = counted(field, folder / "valgrind.log")
        elif chosen.growth:
            aims = growth([p for p in field if p.name in {CHANGING, PLACES, HELLO}], chosen.growth)
        else:
            aims = [*measure(field, chosen.rounds, chosen.seconds), triage(folder / "changing")]
    print("\n| aim | measured | reached |\n|---|---|---|")
    for aim in aims:
        print(f"| {aim.text} | {aim.measured} | {'yes' if aim.reached else '**no**'} |")
    return int(not all(aim.reached for aim in aims))


class Aim(NamedTuple):
    """What was to be reached, and whether it was."""

    text: str
    measured: str
    reached: bool


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


def measure(field: list[Program], rounds: int, seconds: float) -> list[Aim]:
    """Print the main table: start-ups alone and interleaved, the rest side by side."""
    mine = [p for p in field if p.painted is OURS]
    starts = [
        *field,
        *(replace(p, painted=FIGURES) for p in mine),
        *(replace(p, painted=KEYS.painted, typed=KEYS.typed) for p in mine),
    ]
    walls: list[list[float]] = [[] for _ in starts]
    works: list[list[float]] = [[] for _ in starts]
    first_frame(field[0])  # warm the page cache
    for _ in range(max(rounds, 5)):
        for at, program in enumerate(starts):
            wall, work = first_frame(program)
            walls[at].append(wall * 1000)
            works[at].append(work * 1000)
    frames = {p.name: (median(walls[i]), median(works[i])) for i, p in enumerate(field)}
    both = [(median(walls[i]), median(works[i])) for i in range(len(field), len(starts))]
    figures = dict(zip((p.name for p in mine), both, strict=False))
    answers = dict(zip((p.name for p in mine), both[len(mine) :], strict=False))
    samples: dict[str, list[tuple[float, float, float]]] = {p.name: [] for p in field}
    for _ in range(rounds):
        running = [Running(p) for p in field]
        pump_all(running, 5)
        before = [(r.cpu(), r.written, time.monotonic()) for r in running]
        pump_all(running, seconds)
        for r, (cpu, written, since) in zip(running, before, strict=True):
            r.pump()
            lasted = time.monotonic() - since
            samples[r.program.name].append(
                (r.pss() / MB, (r.cpu() - cpu) * 60 / lasted, (r.written - written) / lasted)
            )
            r.stop()
    print(
        "\n| program | first frame, ms (CPU ms) | with figures, ms (CPU ms) | "
        "answers keys, ms (CPU ms) | PSS, MB | CPU s per 60 s | bytes/s |\n"
        "|---|---|---|---|---|---|---|"
    )
    table = {n: tuple(map(median, zip(*s, strict=True))) for n, s in samples.items()}
    for name, (pss, cpu, written) in table.items():
        wall, work = frames[name]
        more = (
            "{:.0f} ({:.0f})".format(*found[name]) if name in found else ""
            for found in (figures, answers)
        )
        print(
            f"| {name} | {wall:.0f} ({work:.0f}) | {' | '.join(more)} | {pss:.1f} | {cpu:.2f} "
            f"| {written:.0f} |",
            flush=True,
        )
    return _aims(frames, figures, answers, table)


def counted(field: list[Program], log: Path) -> list[Aim]:
    """Print the instructions to the first frame, for a machine that is too busy for times."""
    mine, hello = field[0], next(p for p in field if p.name == HELLO)
    starts = {
        HELLO: hello,
        "lowmem-tui, first frame": mine,
        "lowmem-tui, first frame, figures included": replace(mine, painted=FIGURES),
    }
    print("\n| program | million instructions | times hello world's |\n|---|---|---|")
    base, aims = 0, []
    for name, program in starts.items():
        number = instructions(program, log)
        base = base or number
        times = number / base
        print(f"| {name} | {number / 1e6:.0f} | {times:.2f} |", flush=True)
        if program is not hello:
            aims.append(Aim(f"{name} within 1.3 × hello world's", f"{times:.2f} ×", times <= 1.3))
    return aims


def _aims(
    frames: dict[str, tuple[float, float]],
    figures: dict[str, tuple[float, float]],
    answers: dict[str, tuple[float, float]],
    table: dict[str, tuple[float, ...]],
) -> list[Aim]:
    aims = []
    for what, of in (("first frame", frames), ("first frame, figures included,", figures)):
        for kind, at in (("", 0), (", in CPU time", 1)):
            times = of[CHANGING][at] / frames[HELLO][at]
            aims.append(
                Aim(f"{what} within 1.3 × hello world's{kind}", f"{times:.2f} ×", times <= 1.3)
            )
    if "htop" in frames:
        mine, theirs = figures[CHANGING][0], frames["htop"][0]
        text = f"{mine:.0f} and {theirs:.0f} ms"
        aims.append(Aim("first figures no later than htop's first frame", text, mine <= theirs))
    later = answers[CHANGING][0] - frames[HELLO][0]
    aims.append(Aim("answers keys within hello world's + 20 ms", f"{later:+.0f} ms", later <= 20))
    more = table[CHANGING][0] - table[HELLO][0]
    aims.append(Aim("PSS within hello world's + 2 MB", f"{more:+.1f} MB", more <= 2))
    if "htop" in table:
        mine, theirs = table[REAL if REAL in table else CHANGING][1], table["htop"][1]
        aims.append(Aim("CPU at most htop's", f"{mine:.2f} and {theirs:.2f} s", mine <= theirs))
    for name in (CHANGING, PLACES):
        written = table[name][2]
        text = f"at most 1,000 bytes/s: {name.partition(', ')[2]}"
        aims.append(Aim(text, f"{written:.0f}", written <= 1000))
    return aims


def triage(folder: Path) -> Aim:
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
    wall, peak = median(times) * 1000, median(peaks) / MB
    measured = f"{wall:.0f} ms, {peak:.1f} MB"
    return Aim("`triage` within 100 ms and 12 MB RSS", measured, wall <= 100 and peak <= 12)


def growth(field: list[Program], minutes: int) -> list[Aim]:
    """Print what programs hold over some minutes, from the first on.

    Private memory is what grows or does not: PSS also moves with how many others run Python.
    """
    running = [Running(p) for p in field]
    print("\n| minute |", " | ".join(f"{p.name}: PSS, private, MB" for p in field), "|")
    print("|---|" + "---|" * len(field))
    held: list[list[tuple[float, float]]] = []
    for minute in range(1, minutes + 2):
        pump_all(running, 60)
        held.append([(r.pss() / MB, r.anonymous() / MB) for r in running])
        cells = " | ".join(f"{pss:.2f}, {own:.2f}" for pss, own in held[-1])
        print(f"| {minute} | {cells} |", flush=True)
    for r in running:
        r.stop()
    aims = []
    names = [p.name for p in field]
    for at, name in enumerate(names):
        more = held[-1][at][1] - held[0][at][1]
        if name == HELLO:
            print(f"\n{name} itself: {more:+.2f} MB")
            continue
        share = more / held[0][at][1]
        text = f"no growth over {minutes} minutes (1 % of private memory at most): {name}"
        aims.append(Aim(text, f"{more:+.2f} MB, {share:+.1%}", share <= 0.01))
    more = held[0][0][0] - held[0][names.index(HELLO)][0]
    aims.append(Aim("PSS after 60 s within hello world's + 2 MB", f"{more:+.2f} MB", more <= 2))
    return aims


if __name__ == "__main__":
    sys.exit(main())
