"""Unit files and drop-ins on a real machine, written so that no crash leaves half a file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final

from lowmem_tui.change.machine import attributes, exchange
from lowmem_tui.change.machine.allowed import RUN_PLACE, Paths, is_unit_place
from lowmem_tui.host.reading import read_regular
from lowmem_tui.model.errors import ChangedError, NotPermittedError, RefusedError
from lowmem_tui.model.message import msg, of_path, of_text
from lowmem_tui.model.text import plain
from lowmem_tui.policy import dropin

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from lowmem_tui.model.message import Message

LOCK: Final = "/run/lowmem-tui.lock"
"""Held (flock(2)) by whoever changes the server."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def temporary(name: str) -> str:
    """Return the name under which a file is written: hidden, and no ``.conf``, so that systemd
    does not read it should it be left behind.

    It is always the same, so that the next writer finds and removes what a crash has left.
    """  # noqa: D205
    return f".{name}.new"


class EtcFiles:
    """``Files`` (model.ports) of this machine.

    It writes and removes nothing but what ``Paths`` allows. No symbolic link at a file or at its
    folder is followed for that.
    """

    def __init__(self, root: str = "/", *, owner: int = 0, paths: Paths | None = None) -> None:
        """Take the tree below `root`; `owner` is the uid that folders and files must have.

        Without `paths` only the drop-ins of units can be written.
        """
        self._root = root.rstrip("/")
        self._owner = owner
        self._paths = paths or Paths()

    @contextlib.contextmanager
    def exclusive(self) -> Generator[None, None, None]:
        """Hold the lock: nobody else of us changes this tree meanwhile.

        Raises RefusedError when another does, NotPermittedError for an ordinary user, OSError.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(self._root + LOCK, flags, 0o600)
        except PermissionError as error:
            raise NotPermittedError(
                msg("Only root may change units: run the same with sudo.")
            ) from error
        try:
            if sentence := self._oddity(LOCK, os.fstat(fd), folder=False):
                raise RefusedError(sentence)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.read(fd, 20).decode("ascii", "replace").strip()
                # The script of a trial takes the lock, too, and writes nothing into it.
                if not os.path.exists(f"/proc/{holder}/stat"):
                    holder = ""
                raise RefusedError(_is_locked(holder)) from error
            # For the sentence above alone.
            with contextlib.suppress(OSError):
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            # Linux has closed it, whatever it says.
            with contextlib.suppress(OSError):
                os.close(fd)

    def read(self, path: str) -> str | None:
        """See ``Files``: bounded, and no pipe or device is waited for (host.reading)."""
        data = read_regular(self._root + path)
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def obstacle(self, path: str) -> Message | None:
        """See ``Files``."""
        place, folder, name = self._paths.parts(path)
        shown = f"{place}/{folder}"
        try:
            with self._open(place) as above:
                try:
                    found = os.stat(folder, dir_fd=above, follow_symlinks=False)
                except FileNotFoundError:
                    return None
                if sentence := self._oddity(shown, found, folder=True):
                    return sentence
                if is_unit_place(place) and found.st_mode & stat.S_IWGRP and found.st_gid:
                    return msg(
                        "{path} can be written by group {gid}: `chmod g-w` it.",
                        path=of_path(shown),
                        gid=found.st_gid,
                    )
                inside = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
                try:
                    found = os.stat(name, dir_fd=inside, follow_symlinks=False)
                    if sentence := self._oddity(path, found, folder=False):
                        return sentence
                    others = self._paths.is_others(path)
                    return attributes.obstacle(path, inside) if others else None
                except FileNotFoundError:
                    return None
                finally:
                    os.close(inside)
        except FileNotFoundError:
            return None

    def _oddity(self, path: str, found: os.stat_result, *, folder: bool) -> Message | None:
        name = of_path(path)
        if stat.S_ISLNK(found.st_mode):
            return msg(
                "{path} is a symbolic link, which is not followed: put a real one in its place.",
                path=name,
            )
        if folder and not stat.S_ISDIR(found.st_mode):
            return msg("{path} is no ordinary folder: move it away.", path=name)
        if not folder and not stat.S_ISREG(found.st_mode):
            return msg("{path} is no ordinary file: move it away.", path=name)
        if found.st_uid != self._owner:
            return msg(
                "{path} belongs to user {uid}, not to root: `chown root` it.",
                path=name,
                uid=found.st_uid,
            )
        if found.st_mode & stat.S_IWOTH:
            return msg("{path} can be written by everybody: `chmod o-w` it.", path=name)
        return None

    def is_others(self, path: str) -> bool:
        """See ``Files``."""
        return self._paths.is_others(path)

    def write(self, path: str, text: str) -> None:
        """See ``Files``. PermissionError for a path that is none of ours, whoever asks.

        ChangedError, with nothing changed, if the file is edited while the new one is synced.
        """
        place, folder, name = self._paths.parts(path)
        was = self.read(path)
        if self._paths.is_others(path):
            self.edit(path, text, was)
            return

        def check() -> None:
            if self.read(path) != was:
                raise _changed(path)

        with self._open(place) as above:
            made = _make(folder, above)
            try:
                with self._inside(folder, above) as inside:
                    if made:
                        os.fchmod(inside, 0o755)
                        os.fsync(above)
                    replace(name, _bytes(text), inside, check=check)
            except BaseException:
                if made:
                    with contextlib.suppress(OSError):
                        os.rmdir(folder, dir_fd=above)
                raise

    def edit(self, path: str, text: str, known: str | None) -> None:
        """See ``Files``."""
        place, folder, _ = self._paths.parts(path)
        with self._open(place) as above, self._inside(folder, above) as inside:
            _edit(path, _bytes(text), inside, known)

    def remove(self, path: str) -> None:
        """See ``Files``. A file that is gone already is no error."""
        place, folder, name = self._paths.parts(path)
        if self._paths.is_others(path):
            raise PermissionError(errno.EPERM, "it is no file of lowmem-tui", path)
        with self._open(place) as above:
            try:
                with self._inside(folder, above) as inside:
                    for each in (temporary(name), name):
                        with contextlib.suppress(FileNotFoundError):
                            os.unlink(each, dir_fd=inside)
                    os.fsync(inside)
            except FileNotFoundError:
                return
            if not self._paths.goes_with_its_files(place, folder):
                return
            try:
                os.rmdir(folder, dir_fd=above)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY}:
                    raise
                return
            os.fsync(above)

    def tidy(self, path: str) -> None:
        """See ``Files``."""
        place, folder, name = self._paths.parts(path)
        try:
            with self._open(place) as above:
                with (
                    self._inside(folder, above) as inside,
                    contextlib.suppress(FileNotFoundError),
                ):
                    if self._paths.is_others(path):
                        exchange.resume(_place(name, inside))
                    os.unlink(temporary(name), dir_fd=inside)
                if self._paths.goes_with_its_files(place, folder):
                    with contextlib.suppress(OSError):
                        os.rmdir(folder, dir_fd=above)
        except (FileNotFoundError, NotADirectoryError):
            return

    @contextlib.contextmanager
    def _open(self, place: str) -> Generator[int, None, None]:
        fd = os.open(self._root + place, _FOLDER)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _inside(self, folder: str, above: int) -> Generator[int, None, None]:
        """Open a ``UNIT.d``: a real folder that belongs to root, or OSError."""
        fd = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
        try:
            if os.fstat(fd).st_uid != self._owner:
                raise PermissionError(errno.EPERM, "it does not belong to root", folder)
            yield fd
        finally:
            os.close(fd)


def _is_locked(holder: str) -> Message:
    if not holder:
        return msg("Another lowmem-tui is changing this server: wait until it has ended.")
    return msg(
        "Another lowmem-tui is changing this server (process {pid}): wait until it has ended.",
        pid=of_text(holder, 20),
    )


def is_unit_file(path: str) -> bool:
    """Tell whether systemd must reload to take notice of this file."""
    return path.startswith((f"{dropin.FOLDER}/", f"{RUN_PLACE}/"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _make(folder: str, above: int) -> bool:
    try:
        os.mkdir(folder, 0o755, dir_fd=above)
    except FileExistsError:
        return False
    return True


def replace(
    name: str,
    data: bytes,
    inside: int,
    mode: int = 0o644,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Put a whole file in the place of another in a folder (open as ``inside``), durably.

    Or leave everything as it was. OSError as the kernel gives it, and what ``check`` raises: it is
    called when all that takes time is done.
    """
    new = temporary(name)
    fd = _create(new, inside)
    try:
        try:
            _write_all(fd, data)
            # Whatever the umask is.
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        check()
        os.rename(new, name, src_dir_fd=inside, dst_dir_fd=inside)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=inside)
        raise
    os.fsync(inside)


def _edit(path: str, data: bytes, inside: int, known: str | None) -> None:
    """Put other bytes into a file that belongs to somebody else: all else of it stays.

    ChangedError, RefusedError, OSError; nothing is changed then.
    """
    name = path.rpartition("/")[2]
    place = _place(name, inside)
    exchange.resume(place)
    try:
        has, was = attributes.carried(path, inside)
    except FileNotFoundError as error:
        raise error if known is None else _changed(path) from error
    if was.decode("utf-8", "surrogateescape") != known:
        raise _changed(path)
    new = temporary(name)
    fd = _create(new, inside)
    try:
        try:
            attributes.begin(fd, has, plain(path))
            _write_all(fd, data)
            attributes.finish(fd, has, plain(path))
            os.fsync(fd)
        finally:
            os.close(fd)
        # The administrator may have saved it meanwhile: then that is what stays.
        if not exchange.put(place, new, attributes.in_words(has, was)):
            raise _changed(path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=inside)
        raise


def _place(name: str, inside: int) -> exchange.Place:
    return exchange.Place(name, inside, lambda each: attributes.look(each, inside))


def _changed(path: str) -> ChangedError:
    return ChangedError(
        msg("{path} was edited meanwhile and is not changed: check it.", path=of_path(path))
    )


def _create(new: str, inside: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(new, flags, 0o600, dir_fd=inside)
    except FileExistsError:
        # One writer at a time holds the lock, so this is what a crash has left.
        os.unlink(new, dir_fd=inside)
        return os.open(new, flags, 0o600, dir_fd=inside)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
