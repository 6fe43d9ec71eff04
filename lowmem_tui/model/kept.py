"""What is found where an action makes its link: a whole file, as text that goes into the record.

A value of a link is its target, or "" for none. For everything else it begins with a byte that no
target can hold: a file has its bytes, owner, mode and extended attributes in it, so that the undo
of the action is to make that value again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import msg, verbatim
from lowmem_tui.model.message_data import as_data, from_data

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message

_FOREIGN: Final = "\0"
_FILE: Final = f"{_FOREIGN}file "
_OTHER: Final = f"{_FOREIGN}other "
_SIZED: Final = f"{_FOREIGN}sized "


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


def other(reason: Message) -> str:
    """Return the value of what cannot be kept; ``reason`` is a sentence on it."""
    return _OTHER + json.dumps(as_data(reason))


def reason_of(value: str) -> Message | None:
    """Return why what a value stands for cannot be kept; None if it can."""
    if not value.startswith(_OTHER):
        return None
    try:
        return from_data(json.loads(value.removeprefix(_OTHER)))
    except (ValueError, RecursionError):
        return _UNREADABLE


_UNREADABLE = msg("It cannot be read from the record of the change.")


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
            raise InvalidValueError(_UNREADABLE)
        uid, gid, mode, flags = numbers
        return KeptFile(str(made["text"]), uid, gid, mode, flags, xattrs)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(
            msg("What was replaced cannot be read from the record of the change.")
        ) from error


def public(value: str) -> str:
    """Return a value without what a file holds: for everybody."""
    try:
        file = file_of(value)
    except ValueError:
        return value if _sized(value) or value.startswith(_OTHER) else other(_UNREADABLE)
    if file is None:
        return value
    return f"{_SIZED}{len(file.text.encode('utf-8', 'surrogateescape'))} {file.mode}"


def _sized(value: str) -> tuple[int, int] | None:
    """Return size and mode of a file whose bytes are left out; None for every other value."""
    if not value.startswith(_SIZED):
        return None
    size, _, mode = value.removeprefix(_SIZED).partition(" ")
    found = natural(size), natural(mode)
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def check(value: str) -> None:
    """Raise InvalidValueError for a value that is none."""
    if not value.startswith(_OTHER) and not _sized(value):
        file_of(value)


def shown(value: str) -> Message:
    """Return a value in words, without what a file holds."""
    if not is_foreign(value):
        return verbatim(value)
    if sized := _sized(public(value)):
        size, mode = sized
        return msg("a file of {size} bytes (mode {mode})", size=size, mode=f"{mode:04o}")
    return msg("something that cannot be kept")
