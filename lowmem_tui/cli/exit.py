"""The exit codes, a contract."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the program's exit status means."""

    DONE = 0
    FINDINGS = 1
    """Done, with findings or a mismatch after verifying."""
    USAGE = 2
    REFUSED = 3
    """Refused by a check; nothing was written."""
    NOT_PERMITTED = 4
    UNSUPPORTED = 5
    """Not a machine with systemd and cgroup v2."""
    ROLLED_BACK = 6
    """Failed and rolled back, or nothing was touched yet."""
    HALF_DONE = 7
    """Failed, and the rollback is incomplete; the message names what remains."""
    FAULT = 70
    """A fault of the program itself (EX_SOFTWARE of sysexits.h)."""
    HUNG_UP = 129
    """SIGHUP: the connection is lost. These three are as shells count them."""
    INTERRUPTED = 130
    """SIGINT: Ctrl-C."""
    TERMINATED = 143
    """SIGTERM."""

    @classmethod
    def by(cls, number: int) -> Exit:
        """Return the status of a program that a signal has ended: 1 (SIGHUP), 2 or 15."""
        return cls(128 + number)
