"""Commands in the guest, over one kept ssh connection per user."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .image import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

Result = subprocess.CompletedProcess[str]

CONNECTION_LOST = 255
"""What ssh exits with when it, and not the command, has failed."""


class CommandError(LabError):
    """A command in the guest ended with another status than 0."""

    def __init__(self, result: Result) -> None:
        super().__init__(
            f"{result.args!r} ended with {result.returncode} in the lab's machine\n"
            f"stdout: {result.stdout}\nstderr: {result.stderr}"
        )
        self.result = result


class Connection:
    """The way into one guest."""

    def __init__(self, port: int, key: Path, control: Path | None = None) -> None:
        self.port = port
        self.key = key
        # A socket's path may have 108 characters at most, so it does not go into the cache.
        self.control = control or Path(tempfile.mkdtemp(prefix="lab-"))
        self._opening = threading.Lock()

    def answers(self, timeout: float = 15.0) -> bool:
        """Whether an ssh server greets at the port."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout) as there:
                there.settimeout(timeout)
                return there.recv(4) == b"SSH-"
        except OSError:
            return False

    def run(
        self,
        command: str | Sequence[str],
        *,
        user: str = "root",
        check: bool = True,
        timeout: float = 400.0,
        stdin: str | bytes | None = None,
    ) -> Result:
        """Run an argument list, or a script for the user's shell."""
        script = command if isinstance(command, str) else shlex.join(command)
        self._open(user, timeout)
        given = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            done = subprocess.run(
                [*self._ssh(user), "--", script],
                input=b"" if given is None else given,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            said = b"\n".join(part for part in (late.stdout, late.stderr) if part)
            raise LabError(
                f"{script!r} has not ended after {timeout:.0f} s in the lab's machine; "
                f"so far it said: {said.decode(errors='replace')}"
            ) from None
        result = Result(
            command,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )
        if check and result.returncode != 0:
            raise CommandError(result)
        return result

    def put(self, local: Path, remote: str, *, user: str = "root") -> None:
        """Copy a file or a folder of the host to the path `remote` of the guest."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(local, PurePosixPath(remote).name)
        parent = shlex.quote(str(PurePosixPath(remote).parent))
        self.run(
            f"mkdir -p {parent} && tar -C {parent} --no-same-owner -xf -",
            user=user,
            stdin=buffer.getvalue(),
        )

    def words(self, user: str) -> list[str]:
        """The ssh command line for a program with a terminal of its own."""
        return self._ssh(user)

    def close(self) -> None:
        """End the kept connections; the next command opens new ones."""
        with self._opening:
            for path in self.control.glob("*.ssh"):
                user = path.stem
                subprocess.run(
                    [*self._ssh(user), "-O", "exit"],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                )
                path.unlink(missing_ok=True)

    def dispose(self) -> None:
        """Close, and remove the folder of the sockets."""
        self.close()
        shutil.rmtree(self.control, ignore_errors=True)

    def _open(self, user: str, timeout: float) -> None:
        with self._opening:
            if self._is_open(user):
                return
            # The master goes on in the background with no descriptor of ours, and ends
            # with the guest's end of the connection.
            deadline = time.monotonic() + timeout
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    done = subprocess.run(
                        [*self._ssh(user), "-M", "-N", "-f"],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,
                        timeout=60,
                        check=False,
                    )
                    if done.returncode == 0 and self._is_open(user):
                        return
                if time.monotonic() > deadline:
                    raise LabError(f"{user} cannot log in to the lab's machine with ssh.")
                time.sleep(0.2)

    def _is_open(self, user: str) -> bool:
        if not (self.control / f"{user}.ssh").exists():
            return False
        check = subprocess.run(
            [*self._ssh(user), "-O", "check"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return check.returncode == 0

    def _ssh(self, user: str) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "30",
            "ControlPath": str(self.control / f"{user}.ssh"),
            "ControlPersist": "no",
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "KexAlgorithms": "curve25519-sha256",
            "LogLevel": "ERROR",
            "ServerAliveInterval": "30",
            "ServerAliveCountMax": "10",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
        }
        return [
            *("ssh", "-F", "none", "-i", str(self.key), "-p", str(self.port)),
            *(f"-o{name}={value}" for name, value in options.items()),
            f"{user}@127.0.0.1",
        ]
