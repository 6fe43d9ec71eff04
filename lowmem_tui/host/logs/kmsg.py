"""/dev/kmsg: the kernel's own buffer, where there is no journal to ask. Of this boot alone."""

from __future__ import annotations

import errno
import os
import re
import time
from typing import TYPE_CHECKING

from lowmem_tui.host.logs import pid1_text
from lowmem_tui.host.logs.kernel_log import Line
from lowmem_tui.model.integer import natural

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/dev/kmsg"

LONGEST = 8192
"""One read(2) is one record, at most this long (PRINTKRB_RECORD_MAX)."""

MOST = 20_000
"""Records that are looked at: more do not fit into any usual buffer."""

DAEMON = 3
"""syslog(3): LOG_DAEMON."""

_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
_CALLER = b"caller="


def parse_record(raw: bytes, boot: str, began: float) -> Line | None:
    """Return a record (Documentation/ABI/testing/dev-kmsg); None if it is odd or not the kernel's.

    ``began`` is the moment, seconds since 1970, that the kernel's clock counts from.
    """
    head, found, text = raw.partition(b";")
    fields = head.split(b",")
    numbers = [natural(field, 18) for field in fields[:3]]
    if not found or len(numbers) < 3 or None in numbers:
        return None
    priority, sequence, usec = (number or 0 for number in numbers)
    facility = priority >> 3
    # The kernel writes each byte that is not printable ASCII as \xNN, a backslash, too.
    message = unescaped(text.partition(b"\n")[0])
    # PID 1 writes here while journald is down; of other programs it is not the kernel's word.
    if facility and not (facility == DAEMON and message.startswith(pid1_text.PREFIX)):
        return None
    caller = next((f[len(_CALLER) :] for f in fields[3:] if f.startswith(_CALLER)), b"")
    return Line(
        began + usec / 1_000_000,
        boot,
        message,
        f"kmsg:{sequence}",
        caller.decode("ascii", "replace"),
    )


def unescaped(text: bytes) -> str:
    """Return the text of a record as it was before the kernel made it ASCII."""
    raw = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), text)
    return raw.decode("utf-8", "backslashreplace")


def lines(boot: str, path: str = PATH) -> Iterator[Line]:
    """Yield what the kernel's buffer holds, the oldest first. Raises OSError."""
    began = time.time() - time.monotonic()
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for _ in range(MOST):
            try:
                raw = os.read(fd, LONGEST)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return
                if error.errno == errno.EPIPE:
                    continue  # overwritten meanwhile: the next is the oldest there is
                raise
            if not raw:
                return
            if (line := parse_record(raw, boot, began)) is not None:
                yield line
    finally:
        os.close(fd)
