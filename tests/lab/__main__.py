"""``python -m tests.lab``: machines that stay up, to try a change by hand."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from . import recipe
from .image import REPOSITORY, Image, LabError, cache_dir, image, prepared
from .machine import Machine, State, end, load_state, refresh, save_state
from .ssh import Connection

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.do(chosen))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str, do: object) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.set_defaults(do=do)
        return made

    def for_machine(name: str, text: str, do: object) -> argparse.ArgumentParser:
        made = command(name, text, do)
        made.add_argument("name", help="a suite, or the name given to `up`")
        return made

    build = command("build", "build the images of these suites, or of all", _build)
    build.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(recipe.SUITES))

    up = command("up", "boot a machine that stays up", _up)
    up.add_argument("suite", choices=list(recipe.SUITES))
    up.add_argument("--name", help="a name of your own, for more than one machine of a suite")
    up.add_argument("--wheel", type=Path, help="install this wheel, not the current source")
    up.add_argument("--memory", type=int, default=1024, help="MiB (default 1024)")
    up.add_argument("--no-swap", action="store_true", help="without the disk for swap")

    sh = for_machine("sh", "run a command in the machine", _sh)
    sh.add_argument("--user", default="root", choices=["root", "op"])
    sh.add_argument("--timeout", type=float, default=600.0)
    sh.add_argument("command", help="a script for the shell")

    login = for_machine("login", "a shell with a terminal in the machine", _login)
    login.add_argument("--user", default="root", choices=["root", "op"])
    login.add_argument("command", nargs="?", help="a program instead of the shell")

    put = for_machine("put", "copy a file or a folder into the machine", _put)
    put.add_argument("local", type=Path)
    put.add_argument("remote")

    again = for_machine("refresh", "put the current source over the installed one", _refresh)
    again.add_argument("--package", type=Path, default=REPOSITORY / "lowmem_tui")

    for_machine("down", "switch a machine off and throw it away", _down)
    command("status", "which machines are up", _status)
    command("clean", "remove images that no machine uses", _clean)

    test = command("test", "run the tests, each suite in a process of its own, side by side", _test)
    test.add_argument("options", nargs="*", help="for pytest, after --")
    return parser


def _build(chosen: argparse.Namespace) -> int:
    for suite in chosen.suites or recipe.SUITES:
        print(image(suite).disk)
    return 0


def _up(chosen: argparse.Namespace) -> int:
    name = str(chosen.name or chosen.suite)
    if load_state(_state_file(name)) is not None:
        print(f"{name} is already up", file=sys.stderr)
        return 0
    began = time.monotonic()
    wheel: Path | None = chosen.wheel
    base: Image = prepared(chosen.suite, wheel) if wheel else image(chosen.suite)
    built = time.monotonic()
    machine = Machine(base, memory=chosen.memory, swap=not chosen.no_swap, stays=True)
    try:
        machine.start()
        if wheel is None and (REPOSITORY / "lowmem_tui").is_dir():
            machine.refresh()
        state = machine.leave()
        save_state(machine.folder / "state.json", state)
        save_state(_state_file(name), state)
    except BaseException:
        machine.close()
        raise
    print(
        f"{name} is up: image after {built - began:.0f} s, "
        f"machine after {time.monotonic() - built:.0f} s",
        file=sys.stderr,
    )
    return 0


def _sh(chosen: argparse.Namespace) -> int:
    connection = _connection(_found(chosen.name))
    given = None if sys.stdin is None or sys.stdin.isatty() else _stdin()
    done = connection.run(
        chosen.command, user=chosen.user, check=False, timeout=chosen.timeout, stdin=given
    )
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def _stdin() -> bytes | None:
    """What is piped in, if anything: a file or a pipe with data, never a wait for a silent one."""
    import select

    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return sys.stdin.buffer.read() if ready else None


def _login(chosen: argparse.Namespace) -> int:
    connection = _connection(_found(chosen.name))
    command = [*connection.words(chosen.user), "-t"]
    if chosen.command:
        command += ["--", chosen.command]
    return subprocess.run(command, check=False).returncode


def _put(chosen: argparse.Namespace) -> int:
    _connection(_found(chosen.name)).put(chosen.local, chosen.remote)
    return 0


def _refresh(chosen: argparse.Namespace) -> int:
    refresh(_connection(_found(chosen.name)), chosen.package)
    return 0


def _down(chosen: argparse.Namespace) -> int:
    path = _state_file(chosen.name)
    state = load_state(path)
    path.unlink(missing_ok=True)
    if state is not None:
        end(state)
    return 0


def _status(_: argparse.Namespace) -> int:
    for name, state in _states():
        print(f"{name}: {state.suite}, process {state.pid}, ssh port {state.port}")
    return 0


def _clean(_: argparse.Namespace) -> int:
    used = {Path(state.image) for _, state in _states()}
    current = {image(suite).kernel.parent.parent for suite in recipe.SUITES}
    for disk in (cache_dir() / "images").glob("*.qcow2"):
        if disk not in used:
            disk.unlink()
    for tree in (cache_dir() / "trees").iterdir():
        if tree not in current:
            shutil.rmtree(tree)
    return 0


def _test(chosen: argparse.Namespace) -> int:
    """A machine keeps one processor busy at a time: two suites use two, in half the time."""
    suites = os.environ.get("LOWMEM_LAB_SUITES", "").split() or list(recipe.SUITES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    worst = 0
    with ExitStack() as stack:
        running = []
        for suite in suites:
            log = stack.enter_context(
                tempfile.NamedTemporaryFile("w+", prefix=f"lab-{suite}-", suffix=".log")
            )
            print(f"{suite}: tail -f {log.name}", flush=True)
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "tests/lab", *chosen.options],
                cwd=REPOSITORY,
                env={**os.environ, "LOWMEM_LAB_SUITES": suite},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            # Whatever ends us ends it, and it ends its machines.
            stack.callback(process.terminate)
            running.append((suite, process, log))
        for suite, process, log in running:
            status = process.wait()
            log.seek(0)
            print(f"{suite}:\n{log.read()}", flush=True)
            worst = worst or status
    return worst


def _found(name: str) -> State:
    state = load_state(_state_file(name))
    if state is None:
        raise LabError(f"{name} is not up: python -m tests.lab up {name}")
    return state


def _connection(state: State) -> Connection:
    return Connection(state.port, Path(state.key), Path(state.control))


def _state_file(name: str) -> Path:
    states = cache_dir() / "up"
    states.mkdir(exist_ok=True)
    return states / f"{name}.json"


def _states() -> list[tuple[str, State]]:
    found = ((path.stem, load_state(path)) for path in sorted((cache_dir() / "up").glob("*.json")))
    return [(name, state) for name, state in found if state is not None]


if __name__ == "__main__":
    sys.exit(main())
