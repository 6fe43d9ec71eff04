"""What a process that really dies leaves is what the simulated deaths of test_faults.py leave.

There a death is an exception that lets no further call through; here a forked process is killed
(-9) at the same call: no ``finally``, no ``except`` and no buffer of Python's is seen to.
"""

from __future__ import annotations

import os
import shutil
import signal
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from .faults import FaultyOs, Killed, tree
from .test_faults import OPERATIONS, Case, Plain, folder, plain_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["folder", "plain_run"]

STEP = 1 if os.environ.get("LOWMEM_FAULTS") else 23
"""As in test_faults.py."""

_NOT_KILLED = 3


class Dying(FaultyOs):
    """Its n-th call ends the process before it is made."""

    def _wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: Any, **options: Any) -> object:  # noqa: ANN401
            if len(self.calls) == self._fail_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.calls.append(name)
            return real(*arguments, **options)

        return call


def die(case: Case, n: int) -> None:
    """Run the operation in a process of its own, which is killed at its n-th call."""
    with warnings.catch_warnings():
        # The demo server's threads do not come along, and are not needed.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            case.run(Dying(n))
        finally:
            os._exit(_NOT_KILLED)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), status
    assert os.WTERMSIG(status) == signal.SIGKILL


def left(case: Case) -> dict[str, tuple[str, bytes]]:
    """All files; the lock's text is the number of who held it, and mkswap draws a UUID."""
    found = tree(str(case.box.root))
    assert found.pop("run/lowmem-tui.lock")
    return {
        name: (mode, b"%d" % len(text)) if "swapfile" in name else (mode, text)
        for name, (mode, text) in found.items()
    }


@pytest.mark.parametrize(
    ("name", "plain_run"), [(name, name) for name in OPERATIONS], indirect=["plain_run"]
)
def test_a_killed_process_leaves_the_same(folder: Path, name: str, plain_run: Plain) -> None:
    points = range(0, len(plain_run.calls), STEP)
    for n in points:
        found = []
        for kind in ("real", "simulated"):
            case = Case(folder / f"{n}-{kind}", OPERATIONS[name], plain_run)
            try:
                if kind == "real":
                    die(case, n)
                else:
                    with pytest.raises(Killed):
                        case.run(FaultyOs(n, kill=True))
                found.append(left(case))
                # The kernel has dropped the lock of the dead.
                with case.box.site().exclusive():
                    pass
            finally:
                case.box.close()
                shutil.rmtree(case.box.root)
        assert found[0] == found[1], (name, n, plain_run.calls[n])
    print(f"{name}, killed -9: {len(points)}")
