"""What is found where an action makes its link: a whole file, as text that goes into the record.

A value of a link is its target, or "" for none. For everything else it begins with a byte that no
target can hold: a file has its bytes, owner, mode and extended attributes in it, so that the undo
of the action is to make that value again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg

_FOREIGN: Final = "\0"
_FILE: Final = f"{_FOREIGN}file "
_OTHER: Final = f"{_FOREIGN}other "


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A regular file, whole."""

    text: str
    """Undecodable bytes as surrogates."""
    uid: int
    gid: int
    mode: int
    flags: int = 0
    """Those of chattr(1), as ``FS_IOC_GETFLAGS`` has them."""
    xattrs: tuple[tuple[str, str], ...] = ()
    """(name, value in hexadecimal digits); ACLs are among them."""

    @property
    def value(self) -> str:
        """It as the value of an action."""
        return _FILE + json.dumps(asdict(self))


def other(reason: str) -> str:
    """Return the value of what cannot be kept; ``reason`` is a clause after its path."""
    return _OTHER + reason


def reason_of(value: str) -> str:
    """Return why what a value stands for cannot be kept; "" if it can."""
    return value.removeprefix(_OTHER) if value.startswith(_OTHER) else ""


def is_foreign(value: str) -> bool:
    """Tell whether a value is neither a link's target nor none."""
    return value.startswith(_FOREIGN)


def file_of(value: str) -> KeptFile | None:
    """Return the file that a value is; None for a link. Raises InvalidValueError for neither."""
    if not is_foreign(value):
        return None
    try:
        made = json.loads(value.removeprefix(_FILE))
        xattrs = tuple((str(name), bytes.fromhex(data).hex()) for name, data in made["xattrs"])
        numbers = [made[key] for key in ("uid", "gid", "mode", "flags")]
        if not all(type(number) is int and 0 <= number < 1 << 32 for number in numbers):
            raise InvalidValueError("a number in it is none.")
        uid, gid, mode, flags = numbers
        return KeptFile(str(made["text"]), uid, gid, mode, flags, xattrs)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(
            msg("What was replaced cannot be read from the record of the change.")
        ) from error


def shown(value: str) -> str:
    """Return a value without what a file holds: for everybody."""
    if reason := reason_of(value):
        return f"something that {reason}"
    try:
        file = file_of(value)
        size = len(file.text.encode("utf-8", "surrogateescape")) if file else 0
    except ValueError:
        return "a file that cannot be read out of the record"
    return f"a file of {size} bytes (mode {file.mode:04o})" if file else value
