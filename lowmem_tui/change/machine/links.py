"""The symbolic links of /etc/systemd/system: masks, and what enables a unit.

What a link replaces, and what replaces a link, is compared at the very moment (change.exchange). A
file that lies there is no link of a unit: its value is the whole file (model.kept).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
from typing import TYPE_CHECKING, Final

from lowmem_tui.change.machine import attributes, exchange
from lowmem_tui.change.machine.attributes import Attributes
from lowmem_tui.change.machine.exchange import Place
from lowmem_tui.model import kept
from lowmem_tui.model.errors import ChangedError
from lowmem_tui.model.kept import KeptFile
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import is_unit_name
from lowmem_tui.policy import dropin

if TYPE_CHECKING:
    from collections.abc import Generator

_FOLDERS: Final = (".wants", ".requires", ".upholds")

_LINK: Final = re.compile(
    rf"{re.escape(dropin.FOLDER)}/(?:([^/]+)\.(?:wants|requires|upholds)/)?([^/]+)\Z"
)

_TRIES: Final = 3

_STAYS: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY})
"""Why a folder is not removed that is none of ours alone."""

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR})


class Links:
    """The links of this machine."""

    def __init__(self, root: str = "") -> None:
        """Take the tree below `root`."""
        self._root = root
        self._shown = threading.local()

    def get(self, what: str) -> str:
        """Return the target, "" for none; else as model.kept has it. OSError."""
        folder, name = os.path.split(self._path(what))
        found = ""
        try:
            with _opened(folder, os.O_PATH) as inside:
                found = _look(name, inside)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
        # Other threads may look at the same time.
        self._shown.__dict__[what] = found
        return found

    def put(self, what: str, value: str) -> None:
        """Make it so; done already is no error.

        Raises ChangedError if there is something else than ``get`` has just shown to this thread;
        nothing is changed then. InvalidValueError, OSError.
        """
        known: str | None = self._shown.__dict__.pop(what, None)
        folder, name = os.path.split(self._path(what))
        if value and not os.path.isdir(folder):
            os.mkdir(folder, 0o755)
            os.chmod(folder, 0o755)  # noqa: S103 - as systemctl enable leaves it
        try:
            with _opened(folder, os.O_RDONLY) as inside:
                place = Place(name, inside, lambda each: _look(each, inside))
                _clean(place)
                now = place.look(name)
                if now != value and (known not in {None, now} or not _put(place, what, value, now)):
                    raise ChangedError(
                        msg(
                            "{path} was changed meanwhile and is not touched: check it.",
                            path=of_path(what),
                        )
                    )
        except (FileNotFoundError, NotADirectoryError):
            if value:
                raise
        except BaseException:
            with contextlib.suppress(OSError):
                _remove_if_empty(folder)
            raise
        _remove_if_empty(folder)

    def _path(self, what: str) -> str:
        check_link(what)
        return self._root + what


def check_link(what: str) -> None:
    """Raise PermissionError for a path that is no link of a unit."""
    found = _LINK.match(what)
    if not found or not all(is_unit_name(name) for name in found.groups() if name is not None):
        raise PermissionError(errno.EPERM, "it is no link of a unit", what)


@contextlib.contextmanager
def _opened(folder: str, access: int) -> Generator[int, None, None]:
    fd = os.open(folder, access | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _remove_if_empty(folder: str) -> None:
    """Do as systemctl disable does with what its links lie in. OSError."""
    if folder.endswith(_FOLDERS):
        try:
            os.rmdir(folder)
        except OSError as error:
            if error.errno not in _STAYS | _ABSENT:
                raise


def _temporary(name: str) -> str:
    return f".{name}.new"


def _clean(place: Place) -> None:
    """End what a crash has interrupted."""
    exchange.resume(place)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_temporary(place.name), dir_fd=place.inside)


def _put(place: Place, what: str, value: str, now: str) -> bool:
    if not value:
        return exchange.take(place, now)
    new = _temporary(place.name)
    try:
        if file := kept.file_of(value):
            _write(new, place.inside, file, plain(what))
        else:
            os.symlink(value, new, dir_fd=place.inside)
        return exchange.put(place, new, now)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=place.inside)


def _look(name: str, inside: int) -> str:
    """Return the value of what is at a name of a folder."""
    for _ in range(_TRIES):
        try:
            found = os.stat(name, dir_fd=inside, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                return os.readlink(name, dir_fd=inside)
            if stat.S_ISREG(found.st_mode):
                return _keep(name, inside)
        except FileNotFoundError:
            return ""
        except OSError as error:
            # A file has come in the place of a link, or a link in that of a file.
            if error.errno not in {errno.EINVAL, errno.ELOOP}:
                raise
        else:
            return kept.other(msg("It is neither a link nor a file: move it away."))
    return kept.other(msg("It is being changed by somebody: try again."))


def _keep(name: str, inside: int) -> str:
    """Return a whole file as a value."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=inside)
    except PermissionError:
        return kept.other(msg("This user cannot read the file: run the same with sudo."))
    try:
        if why := attributes.hindrance(fd):
            return kept.other(why)
        has = attributes.of(fd)
        text = attributes.content(fd).decode("utf-8", "surrogateescape")
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        return kept.other(msg("It is too large to be kept in a record: move it away."))
    finally:
        os.close(fd)
    xattrs = tuple((key, raw.hex()) for key, raw in has.xattrs)
    return KeptFile(text, has.uid, has.gid, has.mode, has.flags, xattrs).value


def _write(new: str, inside: int, file: KeptFile, path: str) -> None:
    """Write a file that was kept, whole; it is nobody else's until all of it is there."""
    xattrs = tuple((name, bytes.fromhex(data)) for name, data in file.xattrs)
    wanted = Attributes(file.uid, file.gid, file.mode, file.flags, xattrs)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(new, flags, 0o600, dir_fd=inside)
    try:
        attributes.begin(fd, wanted, path)
        rest = memoryview(file.text.encode("utf-8", "surrogateescape"))
        while rest:
            rest = rest[os.write(fd, rest) :]
        attributes.finish(fd, wanted, path)
        os.fsync(fd)
    finally:
        os.close(fd)
