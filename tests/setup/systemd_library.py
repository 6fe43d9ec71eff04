"""systemd's own functions, out of the library of this machine (libsystemd-shared)."""

from __future__ import annotations

import ctypes
import glob
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RELAX, CUNESCAPE, CUNESCAPE_RELAX, UNQUOTE = 1 << 0, 1 << 1, 1 << 2, 1 << 5


class Library:
    """Some functions of it, by systemd's own names. Texts go in and come out as bytes."""

    def __init__(self, path: str) -> None:
        self.version = int(path.rpartition("-")[2].partition(".")[0])
        self._lib = ctypes.CDLL(path)

    def extract(self, text: bytes, flags: int) -> list[bytes] | None:
        """All words; None if one is refused."""
        out = ctypes.c_char_p()
        buffer = ctypes.create_string_buffer(text)
        at = ctypes.c_void_p(ctypes.addressof(buffer))
        words: list[bytes] = []
        while True:
            got = self._lib.extract_first_word(
                ctypes.byref(at), ctypes.byref(out), None, ctypes.c_int(flags)
            )
            if got < 0:
                return None
            if got == 0:
                return words
            assert out.value is not None
            words.append(out.value)

    def load_env_file(self, path: str) -> list[bytes] | None:
        """``NAME=value``; None if the file is refused."""
        found = ctypes.POINTER(ctypes.c_char_p)()
        if self._lib.load_env_file(None, path.encode(), ctypes.byref(found)) < 0:
            return None
        return [*_vector(found)] if ctypes.cast(found, ctypes.c_void_p).value else []

    def replace_env_argv(self, words: Sequence[bytes], values: Mapping[str, str]) -> list[bytes]:
        environment = [f"{name}={value}".encode() for name, value in values.items()]
        replace = self._lib.replace_env_argv
        replace.restype = ctypes.POINTER(ctypes.c_char_p)
        argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
        envp = (ctypes.c_char_p * (len(environment) + 1))(*environment, None)
        return [*_vector(replace(argv, envp))]


def _vector(found: ctypes._Pointer[ctypes.c_char_p]) -> Iterator[bytes]:
    index = 0
    while (each := cast("bytes | None", found[index])) is not None:
        yield each
        index += 1


def library() -> Library | None:
    """The library, if this machine has one; from 254 on replace_env_argv is called differently."""
    for pattern in ("/usr/lib/*/systemd/libsystemd-shared-*.so", "/usr/lib*/systemd/libsystemd-s*"):
        for path in sorted(glob.glob(pattern)):
            try:
                found = Library(path)
            except (OSError, ValueError):
                continue
            if found.version in {252, 253}:
                return found
    return None
