"""/dev/kmsg: the kernel's own buffer, where there is no journal to ask. Of this boot alone."""

from __future__ import annotations

import errno
import os
import re
import time
from typing import TYPE_CHECKING

from lowmem_tui.host.kernel_log import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/dev/kmsg"

LONGEST = 8192
"""One read(2) is one record, at most this long (PRINTKRB_RECORD_MAX)."""

MOST = 20_000
"""Records that are looked at: more do not fit into any usual buffer."""

_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def parse_record(raw: bytes, boot: str, began: float) -> Line | None:
    """Return a record (Documentation/ABI/testing/dev-kmsg); None if it is odd or not the kernel's.

    ``began`` is the moment, seconds since 1970, that the kernel's clock counts from.
    """
    head, found, text = raw.partition(b";")
    fields = head.split(b",")
    if not found or len(fields) < 3 or not all(f.isdigit() and len(f) < 19 for f in fields[:3]):
        return None
    if int(fields[0]) >> 3:
        return None  # written by a program
    message = text.partition(b"\n")[0].decode("utf-8", "backslashreplace")
    message = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), message)
    return Line(began + int(fields[2]) / 1_000_000, boot, message, f"kmsg:{int(fields[1])}")


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
