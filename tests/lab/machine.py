"""One virtual machine: booted from a throw-away overlay, driven over ssh."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from . import keeper, recipe
from .image import REPOSITORY, Image, LabError, cache_dir, lock
from .ssh import Connection, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PANIC = "Kernel panic - not syncing"
BOOT_TIMEOUT = 600.0
"""Seconds after which a boot has failed; it takes 30 to 60, and longer beside others."""

NO_SWAP = r"systemd.mask=dev-disk-by\x2dlabel-swap.swap"
"""For the kernel's command line: do not wait for the disk that /etc/fstab names."""


@dataclass(frozen=True, slots=True)
class State:
    """What another process needs to take over a machine that stays up."""

    suite: str
    pid: int
    port: int
    folder: str
    control: str
    key: str
    image: str


class Machine:
    """A server that can be broken: nothing done to it outlives ``close()``."""

    def __init__(
        self,
        image: Image,
        *,
        memory: int = 1024,
        swap: bool = True,
        psi: bool = True,
        stays: bool = False,
        console_dir: Path | None = None,
    ) -> None:
        """Prepare a machine with `memory` MiB; ``start()`` or ``boot()`` switches it on.

        With `stays` it goes on when this process ends; otherwise it ends with it.
        """
        self.image = image
        self.memory = memory
        self.swap = swap
        self.psi = psi
        self.stays = stays
        self.boots = 0
        machines = cache_dir() / "machines"
        machines.mkdir(exist_ok=True)
        with lock("machines"):
            _sweep(machines)
            self.folder = Path(tempfile.mkdtemp(prefix=f"{image.suite}-", dir=machines))
            self._held = (self.folder / "lock").open("w")
            fcntl.flock(self._held, fcntl.LOCK_SH)
        self.console_dir = console_dir or self.folder
        self.connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: int | None = None
        self._disks = [_overlay(image.disk, self.folder / "disk.qcow2")]
        if swap:
            self._disks.append(_overlay(image.swap, self.folder / "swap.qcow2"))

    @classmethod
    def boot(cls, image: Image, *, memory: int = 1024, swap: bool = True, psi: bool = True) -> Self:
        """A machine that has finished booting; without ``psi`` its kernel has no pressure files."""
        machine = cls(image, memory=memory, swap=swap, psi=psi)
        try:
            machine.start()
        except BaseException:
            machine.close()
            raise
        return machine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def suite(self) -> str:
        """The Debian suite it runs."""
        return self.image.suite

    @property
    def console(self) -> Path:
        """What the guest has written to its serial console since it was last switched on."""
        return self.console_dir / f"console-{self.image.suite}-{self.boots}.log"

    @property
    def running(self) -> bool:
        """Whether the machine is switched on."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Switch on and wait until systemd has nothing more to start."""
        if self.running:
            raise LabError("The lab's machine is already running.")
        deadline = time.monotonic() + timeout
        self.boots += 1
        self.power_on()
        while not (self._greeted(deadline) and self._settled(deadline)):
            self.power_on()

    boot_again = start

    def power_on(self) -> None:
        """Switch on, and wait for nothing."""
        self.connection = Connection(_free_port(), self.image.key)
        self._launch(self.connection.port)

    def run(
        self,
        command: str | Sequence[str],
        *,
        user: str = "root",
        check: bool = True,
        timeout: float = 400.0,
        stdin: str | bytes | None = None,
    ) -> Result:
        """Run an argument list, or a script for the shell, in the guest."""
        return self._connected().run(command, user=user, check=check, timeout=timeout, stdin=stdin)

    def put(self, local: Path, remote: str, *, user: str = "root") -> None:
        """Copy a file or a folder of the host to the path `remote` of the guest."""
        self._connected().put(local, remote, user=user)

    def write(self, remote: str, text: str, *, user: str = "root") -> None:
        """Make a file of the guest hold this text."""
        path = shlex.quote(remote)
        self.run(f'mkdir -p "$(dirname {path})" && cat > {path}', user=user, stdin=text)

    def get(self, remote: str, *, user: str = "root") -> str:
        """The text of a file of the guest."""
        return self.run(["cat", "--", remote], user=user).stdout

    def wait_for(
        self,
        condition: str | Callable[[], object],
        timeout: float = 400.0,
        *,
        user: str = "root",
    ) -> object:
        """Wait until a command succeeds, or a function returns something true; returns that."""
        deadline = time.monotonic() + timeout
        while True:
            if isinstance(condition, str):
                last = self.run(condition, user=user, check=False, timeout=timeout)
                if last.returncode == 0:
                    return last.stdout or True
                seen = f"{last.stdout}{last.stderr}".strip()
            else:
                value = condition()
                if value:
                    return value
                seen = repr(value)
            if time.monotonic() > deadline:
                raise LabError(
                    f"After {timeout:.0f} s still waiting in the lab for {condition!r}; "
                    f"last seen: {seen}"
                )
            time.sleep(0.2)

    def reboot(self, timeout: float = BOOT_TIMEOUT) -> None:
        """An orderly reboot: every unit is stopped, then the same disk boots again."""
        self.run("systemctl reboot", check=False, timeout=timeout)
        try:
            self._wait_off(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"The lab's machine did not shut down: {self.console_tail()}") from None
        self._off()
        self.start(timeout)

    def power_cut(self) -> None:
        """What an unplugged cable does: nothing more reaches the disk."""
        self._off()

    def disk_now(self, to: Path) -> Path:
        """Copy the first disk as it is at this instant: what a power cut now would leave."""
        assert self._process is not None
        pid = self._process.pid
        if self._leash is not None:  # this is its keeper
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            # A thread stops when its system call is done.
            while {_state(task) for task in Path(f"/proc/{pid}/task").iterdir()} != {"T"}:
                time.sleep(0.005)
            shutil.copyfile(self._disks[0], to)
        finally:
            os.kill(pid, signal.SIGCONT)
        return to

    def close(self) -> None:
        """Switch off and throw everything away."""
        self._off()
        self._held.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def refresh(self, package_dir: Path = REPOSITORY / "lowmem_tui") -> None:
        """Put the current source over what is installed, in both virtual environments."""
        refresh(self._connected(), package_dir)

    def leave(self) -> State:
        """Let go of a machine that stays up; the state finds it again."""
        if self.connection is None or self._process is None:
            raise LabError("The lab's machine is switched off.")
        return State(
            suite=self.image.suite,
            pid=self._process.pid,
            port=self.connection.port,
            folder=str(self.folder),
            control=str(self.connection.control),
            key=str(self.image.key),
            image=str(self.image.disk),
        )

    def _connected(self) -> Connection:
        if self.connection is None:
            raise LabError("The lab's machine is switched off.")
        return self.connection

    def _command(self, port: int) -> list[str]:
        words = f"console=ttyS0 root=LABEL=root rw psi={int(self.psi)} mitigations=off"
        if not self.swap:
            words += f" {NO_SWAP}"
        drives = [
            f"file={str(disk).replace(',', ',,')},format=qcow2,if=virtio" for disk in self._disks
        ]
        return [
            "qemu-system-x86_64",
            *("-accel", "tcg,thread=multi,tb-size=512", "-smp", "2", "-m", str(self.memory)),
            *("-nodefaults", "-display", "none", "-vga", "none", "-no-reboot"),
            *("-serial", f"file:{self.console}"),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd)),
            *("-append", words),
            *(word for drive in drives for word in ("-drive", drive)),
            *("-netdev", f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
            *("-device", "virtio-net-pci,netdev=n,romfile="),
            *("-device", "virtio-rng-pci"),
        ]

    def _launch(self, port: int) -> None:
        # A panic of the launch before must not be taken for one of this: qemu empties it late.
        self.console.unlink(missing_ok=True)
        command = self._command(port)
        log = (self.folder / "qemu.log").open("wb")
        with log:
            if self.stays:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                return
            reading, writing = os.pipe()
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", keeper.__file__, str(reading), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[reading],
                    start_new_session=True,
                )
            except BaseException:
                os.close(writing)
                raise
            finally:
                os.close(reading)
            self._leash = writing

    def _greeted(self, deadline: float) -> bool:
        """Wait for ssh; False when it is to be switched on again.

        That is so when somebody else has taken the port in between, and when the kernel has
        panicked: under tcg with several threads it does once in a hundred boots, where it
        patches its own code (an int3 that nobody has asked for).
        """
        assert self.connection is not None
        while not (self.running and self.connection.answers()):
            if not self.running:
                said = (self.folder / "qemu.log").read_text(errors="replace")
                self._off()
                if "host forwarding" in said:
                    return False
                raise LabError(f"The lab's machine ended while booting: {said}")
            if PANIC in self.console_tail():
                self._off()
                if time.monotonic() < deadline:
                    return False
                raise LabError(f"The lab's kernel panics:\n{self.console_tail()}")
            if time.monotonic() > deadline:
                tail = self.console_tail()
                self._off()
                raise LabError(f"The lab's machine did not boot in time; its console:\n{tail}")
            time.sleep(0.2)
        return True

    def _settled(self, deadline: float) -> bool:
        """Wait until there is nothing more to start; False when it has panicked meanwhile."""
        while True:
            try:
                self.run(
                    "systemctl is-system-running --wait; udevadm settle", check=False, timeout=90
                )
            except LabError:
                if time.monotonic() > deadline:
                    raise
                if PANIC in self.console_tail():
                    self._off()
                    return False
            else:
                return True

    def _wait_off(self, timeout: float) -> None:
        if self._process is not None:
            self._process.wait(timeout)

    def _off(self) -> None:
        if self._process is not None:
            if self._leash is not None:
                os.close(self._leash)
                self._leash = None
            elif self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            self._process = None
        if self.connection is not None:
            self.connection.dispose()
            self.connection = None

    def console_tail(self) -> str:
        try:
            return "\n".join(self.console.read_text(errors="replace").splitlines()[-40:])
        except FileNotFoundError:
            return "(nothing)"


def save_state(path: Path, state: State) -> None:
    """Write a machine's state, whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    new.replace(path)


def load_state(path: Path) -> State | None:
    """A saved state, if its machine still runs."""
    try:
        state = State(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    return state if state_is_live(state) else None


def state_is_live(state: State) -> bool:
    """Whether the process of a state is still that machine."""
    try:
        words = Path(f"/proc/{state.pid}/cmdline").read_bytes()
    except OSError:
        return False
    return state.folder.encode() in words


def refresh(connection: Connection, package_dir: Path = REPOSITORY / "lowmem_tui") -> None:
    """As ``Machine.refresh``, for a machine that another process has booted."""
    connection.run(_REFRESH, stdin=_source_archive(package_dir), timeout=300)


def end(state: State) -> None:
    """Switch off a machine that another process has booted, and throw it away."""
    Connection(state.port, Path(state.key), Path(state.control)).dispose()
    if state_is_live(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGKILL)
        while state_is_live(state):
            time.sleep(0.05)
    shutil.rmtree(state.folder, ignore_errors=True)


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def _overlay(base: Path, overlay: Path) -> Path:
    subprocess.run(
        [
            *("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2"),
            *("-b", str(base), str(overlay)),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return overlay


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _sweep(machines: Path) -> None:
    """Remove what machines have left behind whose process was killed."""
    for folder in machines.iterdir():
        try:
            handle = (folder / "lock").open("r+")
        except OSError:
            continue
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            state = load_state(folder / "state.json")
            if state is None:
                shutil.rmtree(folder, ignore_errors=True)


_REFRESH = f"""
set -eu
site=$(echo {recipe.VENV}/lib/python3.*/site-packages)
other=$(echo {recipe.VENV_PYDBUS}/lib/python3.*/site-packages)
rm -rf {recipe.VENV}/incoming
mkdir {recipe.VENV}/incoming
cd {recipe.VENV}/incoming
tar --no-same-owner -xf -
mkdir -p $site/lowmem_tui
[ -e $site/lowmem_tui-*.dist-info ] || cp -a lowmem_tui-0.dist-info $site
[ -e $other/lowmem_tui-*.dist-info ] || cp -a lowmem_tui-0.dist-info $other
find lowmem_tui -type f | sort > new
(cd $site && find lowmem_tui -type f ! -path '*/__pycache__/*') | sort > old
comm -13 new old | (cd $site && xargs -r -d '\\n' rm -f)
cp -a lowmem_tui $site
{recipe.VENV}/bin/python -m compileall -q $site/lowmem_tui
if [ ! -L $other/lowmem_tui ]; then
    rm -rf $other/lowmem_tui
    ln -s $site/lowmem_tui $other/lowmem_tui
fi
for venv in {recipe.VENV} {recipe.VENV_PYDBUS}; do
    {{ echo "#!$venv/bin/python"; cat entry; }} > $venv/bin/lowmem-tui
    chmod 0755 $venv/bin/lowmem-tui
done
ln -sfn {recipe.VENV}/bin/lowmem-tui /usr/local/bin/lowmem-tui
ln -sfn {recipe.VENV_PYDBUS}/bin/lowmem-tui /usr/local/bin/lowmem-tui-pydbus
rm -rf {recipe.VENV}/incoming
"""


def _source_archive(package_dir: Path) -> bytes:
    """The package as it is in the work tree, with its css, as a tar file."""
    if not package_dir.is_dir():
        raise LabError(f"There is no package to copy at {package_dir}.")

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if "__pycache__" in entry.name.split("/"):
            return None
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(package_dir, "lowmem_tui", filter=plain)
        css = package_dir.parent / "css"
        if css.is_dir():
            archive.add(css, "lowmem_tui/css", filter=plain)
        for name, text in (
            ("entry", _entry_script(package_dir.parent / "pyproject.toml")),
            (
                "lowmem_tui-0.dist-info/METADATA",
                "Metadata-Version: 2.1\nName: lowmem-tui\nVersion: 0\n",
            ),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _entry_script(pyproject: Path) -> str:
    """The console script that an installer would write, but for its first line."""
    target = "lowmem_tui.__main__:main"
    with contextlib.suppress(FileNotFoundError, KeyError):
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        target = str(project["scripts"]["lowmem-tui"])
    module, function = target.split(":")
    return f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
