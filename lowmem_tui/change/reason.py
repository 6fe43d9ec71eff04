"""Why something failed and what to do about it, as whole sentences."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from lowmem_tui.change.signals import Interruption
from lowmem_tui.model.errors import LowmemError, RolledBackError
from lowmem_tui.model.message import msg, of_path, sentences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.message import Message

_REMEDIES: Final[Mapping[int, Message]] = {
    errno.ENOSPC: msg("The disk is full: free some space and try again."),
    errno.EDQUOT: msg("The disk quota is used up: free some space and try again."),
    errno.EROFS: msg("The file system is read-only: remount it writable and try again."),
    errno.EACCES: msg("The kernel does not permit it: run as root, outside of a container."),
    errno.EPERM: msg("The kernel does not permit it: see `lsattr`, and run as root."),
    errno.EIO: msg("The disk reports an error: see `dmesg` before anything else."),
    errno.ELOOP: msg("A symbolic link is in the way: replace it by a real folder."),
    errno.ENOTDIR: msg("Something that is not a folder is in the way: move it away."),
    errno.EMFILE: msg("Too many files are open: raise `ulimit -n`."),
    errno.ENOMEM: msg("The server is out of memory: free some and try again."),
}


def reason(error: BaseException, failure: Message | None = None) -> Message:
    """Return why something failed; ``failure`` says what the kernel's own error does not."""
    if isinstance(error, Interruption):
        return msg("It was interrupted ({how}): run it again.", how=error.how)
    if isinstance(error, LowmemError):
        return error.message
    if isinstance(error, OSError) and error.errno is not None:
        return _of_kernel(error, error.errno, failure)
    why = msg("{error}: {words}", error=type(error).__name__, words=str(error))
    return sentences(failure, why)


def _of_kernel(error: OSError, number: int, failure: Message | None) -> Message:
    why = _REMEDIES.get(number) or msg(
        "The kernel reports: {error}.", error=error.strerror or os.strerror(number)
    )
    if failure is None and isinstance(error.filename, str):
        return msg("{path}: {reason}", path=of_path(error.filename), reason=why)
    return sentences(failure, why)


def nothing_changed(error: BaseException) -> RolledBackError:
    """Return the error for what failed before anything was changed."""
    return RolledBackError(sentences(msg("Nothing was changed."), reason(error)))


def history_unreadable(error: OSError) -> RolledBackError:
    """Return the error for records that the disk does not give."""
    return RolledBackError(sentences(msg("The history cannot be read."), reason(error)))
