"""systemd's own syntax of words, specifiers, variables and environment files.

As extract_first_word() (src/basic/extract-word.c), specifier_printf() (src/shared/specifier.c),
replace_env_argv() (src/basic/env-util.c) and load_env_file() (src/basic/env-file.c) of systemd 252
to 258 have it; tests/setup/test_unit_words.py compares with the library of the machine.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BLANK = " \t\n\r"
LONGEST = 1 << 16
"""An environment file of more characters is not read."""


class Mode(enum.Enum):
    """What is made of a backslash, and of a quote that is not closed."""

    STRICT = enum.auto()
    """EXTRACT_CUNESCAPE: an unknown escape is an error."""
    KEEP = enum.auto()
    """EXTRACT_CUNESCAPE_RELAX: an unknown escape stays as it is."""
    LOOSE = enum.auto()
    """EXTRACT_RELAX, of what a variable holds: the next character is meant; nothing fails."""


_RUN = {
    "": re.compile(r"""[^ \t\n\r'"\\]+"""),
    "'": re.compile(r"[^'\\]+"),
    '"': re.compile(r'[^"\\]+'),
}
"""What stands for itself: outside of quotes, and within them."""
_SIMPLE = dict(zip("abfnrtvs", "\a\b\f\n\r\t\v ", strict=True)) | {c: c for c in "\\\"'"}
_HEX = "[0-9A-Fa-f]"
_CODED = re.compile(rf"x({_HEX}{{2}})|u({_HEX}{{4}})|U({_HEX}{{8}})|([0-7]{{3}})")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape" if _escapable(text) else "surrogatepass")


def _escapable(text: str) -> bool:
    return not any("\ud800" <= c < "\udc80" or "\udcff" < c <= "\udfff" for c in text)


def _unescaped(text: str, at: int) -> tuple[bytes, int] | None:
    """Return what the escape after a backslash means, and where it ends; None if it is none."""
    if (simple := _SIMPLE.get(text[at : at + 1])) is not None:
        return simple.encode(), at + 1
    match = _CODED.match(text, at)
    if not match:
        return None
    code = int(match[match.lastindex or 0], 8 if match[4] else 16)
    byte = bool(match[1] or match[4])
    if not code or code > (0xFF if byte else 0x10FFFF) or (match[3] and not _is_valid(code)):
        return None
    return (bytes([code]) if byte else chr(code).encode("utf-8", "surrogatepass")), match.end()


def _is_valid(code: int) -> bool:
    """``unichar_is_valid``."""
    return not (0xD800 <= code < 0xE000 or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE)


def first(text: str, at: int, mode: Mode) -> tuple[str, int]:
    """Return the word that begins at a place, and where the next one does.

    Raises ValueError for a quote that is not closed, and in STRICT mode for an unknown escape.
    """
    out = bytearray()
    quote = ""
    while at < len(text):
        char = text[at]
        if char == "\\":
            piece, at = _backslash(text, at + 1, quote, mode)
            out += piece
        elif match := _RUN[quote].match(text, at):
            out += _encoded(match[0])
            at = match.end()
        elif char in BLANK:
            break
        else:
            quote, at = "" if quote else char, at + 1
    else:
        if quote and mode is not Mode.LOOSE:
            raise InvalidValueError(msg("a quote that is not closed"))
    return out.decode("utf-8", "surrogateescape"), skip_blanks(text, at)


def _backslash(text: str, at: int, quote: str, mode: Mode) -> tuple[bytes, int]:
    if at == len(text):
        if mode is Mode.STRICT or (mode is Mode.KEEP and quote):
            raise InvalidValueError(msg("a backslash at the end"))
        return b"\\" if mode is Mode.KEEP else b"", at
    if mode is Mode.LOOSE:
        return _encoded(text[at]), at + 1
    if found := _unescaped(text, at):
        return found
    if mode is Mode.STRICT:
        raise InvalidValueError(msg("an unknown escape"))
    return _encoded("\\" + text[at]), at + 1


def skip_blanks(text: str, at: int) -> int:
    """Return the place of the next character that is no blank."""
    while at < len(text) and text[at] in BLANK:
        at += 1
    return at


def first_or_kept(text: str, at: int) -> tuple[str, int]:
    """Return the word as ``first``, an unknown escape kept (extract_first_word_and_warn).

    Raises ValueError for a quote that is not closed.
    """
    try:
        return first(text, at, Mode.STRICT)
    except ValueError:
        return first(text, at, Mode.KEEP)


def split(text: str, mode: Mode | None = None) -> list[str]:
    """Return the words of a text; without a mode as those of a command line.

    Raises ValueError as ``first``.
    """
    words: list[str] = []
    at = skip_blanks(text, 0)
    while at < len(text):
        word, at = first(text, at, mode) if mode else first_or_kept(text, at)
        words.append(word)
    return words


def until_broken(text: str) -> list[str]:
    """Return the words up to the first that systemd refuses (``Environment=``)."""
    words: list[str] = []
    at = skip_blanks(text, 0)
    while at < len(text):
        try:
            word, at = first(text, at, Mode.STRICT)
        except ValueError:
            break
        words.append(word)
    return words


def is_name(text: str) -> bool:
    """Tell whether this can be a variable's name."""
    return _NAME.match(text) is not None


def is_assignment(name: str, value: str) -> bool:
    """``env_assignment_is_valid``."""
    return is_name(name) and _is_text(value)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in value)


# Specifiers

_FIXED = {
    "%": "%",
    "t": "/run",
    "S": "/var/lib",
    "C": "/var/cache",
    "L": "/var/log",
    "E": "/etc",
    "T": "/tmp",  # noqa: S108 - systemd's word for it
    "V": "/var/tmp",  # noqa: S108
    "h": "/root",
    "u": "root",
    "U": "0",
    "g": "root",
    "G": "0",
}
"""Of the system's service manager, whatever ``User=`` a unit has."""

_SPECIFIER = re.compile(r"%(.)", re.DOTALL)
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")


def specified(text: str, unit: str) -> str | None:
    """Fill in the specifiers that a unit's name and a common system decide (systemd.unit(5)).

    None if there is another one: the host's name, its kernel, an unknown letter.
    """
    if "%" not in text:
        return text
    stem = unit.rpartition(".")[0]
    prefix, _, instance = stem.partition("@")
    known = _FIXED | {
        "n": unit,
        "N": stem,
        "p": prefix,
        "P": _unit_unescaped(prefix),
        "i": instance,
        "I": _unit_unescaped(instance),
        "j": prefix.rpartition("-")[2],
        "J": _unit_unescaped(prefix.rpartition("-")[2]),
        "f": "/" + _unit_unescaped(instance or prefix),
    }
    for letter in _SPECIFIER.findall(text):
        if letter not in known and letter.isascii() and letter.isalnum():
            return None
    return _SPECIFIER.sub(lambda match: known.get(match[1], match[0]), text)


def _unit_unescaped(text: str) -> str:
    """``unit_name_unescape``: a dash is a slash."""
    pieces = _ESCAPED.split(text)
    out = bytearray()
    for index, piece in enumerate(pieces):
        out += bytes([int(piece, 16)]) if index % 2 else _encoded(piece.replace("-", "/"))
    return out.decode("utf-8", "surrogateescape")


# Environment files

_COMMENT = re.compile(r"(?:[^\\\n\r]|\\[^\n\r])*(\\?)[\n\r]?")
_KEY = re.compile(r"[^\n\r][^=\n\r]*")
_SINGLE = re.compile(r"'([^']*)'?")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)\\?"?', re.DOTALL)
_BARE = re.compile(r"(?:[^\\\n\r]|\\.)*\\?", re.DOTALL)
_BACKSLASH = re.compile(r"\\(.)?", re.DOTALL)


def environment_file(text: str) -> Iterator[tuple[str, str, bool]]:
    r"""Yield what an ``EnvironmentFile=`` assigns: name, value, and whether that is sure.

    It is not where the line before is a comment that ends in a backslash: until systemd 253 the
    line belongs to the comment. Names that are none are left out. Raises ValueError for a file
    that systemd refuses: with a NUL in it, or an assignment that is not UTF-8.
    """
    if "\0" in text:
        raise InvalidValueError(msg("a NUL character"))
    at, sure = skip_blanks(text, 0), True
    while at < len(text):
        if text[at] in "#;":
            at, sure = _comment(text, at)
        else:
            name, at = _key(text, at)
            if name:
                value, at = _value(text, at)
                if not _is_text(name + value):
                    raise InvalidValueError(msg("text that is not UTF-8"))
                if is_name(name):
                    yield name, value, sure
            sure = True
        at = skip_blanks(text, at)


def _comment(text: str, at: int) -> tuple[int, bool]:
    match = _COMMENT.match(text, at)
    return (match.end(), not match[1]) if match else (len(text), True)


def _key(text: str, at: int) -> tuple[str, int]:
    """Return the name before an equals sign, and the place behind that; "" if there is none."""
    match = _KEY.match(text, at)
    ends = match.end() if match else at
    if match and text[ends : ends + 1] == "=":
        return match[0].rstrip(BLANK), ends + 1
    return "", ends + 1


def _value(text: str, at: int) -> tuple[str, int]:
    """Return the value that begins here, and where the next line does.

    Quoted pieces stand at its beginning alone; behind them a quote is a character like others.
    """
    pieces: list[str] = []
    while True:
        while text[at : at + 1] in {" ", "\t"}:
            at += 1
        if match := _SINGLE.match(text, at):
            pieces.append(match[1])
        elif match := _DOUBLE.match(text, at):
            pieces.append(_BACKSLASH.sub(_in_double, match[1]))
        else:
            break
        at = match.end()
    bare = _BARE.match(text, at)
    raw = bare[0] if bare else ""
    kept = raw.rstrip(" \t")
    if (len(kept) - len(kept.rstrip("\\"))) % 2:
        kept = raw[: len(kept) + 1]
    pieces.append(_BACKSLASH.sub(lambda m: (m[1] or "").strip("\n\r"), kept))
    return "".join(pieces), at + len(raw) + 1


def _in_double(match: re.Match[str]) -> str:
    char = match[1] or ""
    if char in '"\\`$':
        return char
    return "" if char == "\n" else "\\" + char


# Variables

_PIECE = re.compile(r"\$(\$)|\$\{([^}:]*)\}|\$\{[^}:]*|[^$]+|\$")


def _pieces(word: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a word: whether it is to be taken as it is, and its text or its name."""
    for match in _PIECE.finditer(word):
        if match[2] is not None:
            yield False, match[2]
        else:
            yield True, match[1] or match[0]


def variables_of(word: str) -> Iterator[str]:
    """Yield the names of the variables that a word of a command line needs."""
    if whole := whole_variable(word):
        yield whole
    elif not word.startswith("$") or word[1:2] in {"{", "$"}:
        for literal, name in _pieces(word):
            if not literal:
                yield name


def whole_variable(word: str) -> str | None:
    """Return the name of a ``$NAME`` that is a whole word; "" if it is no name; None for others."""
    if word[:1] != "$" or word[1:2] in {"{", "$"}:
        return None
    return word[1:] if is_name(word[1:]) else ""


def expanded(word: str, values: Mapping[str, str]) -> list[str]:
    """Return the words that a word becomes (``replace_env_argv``); what is not set is empty."""
    whole = whole_variable(word)
    if whole is not None:
        return split(values.get(whole, ""), Mode.LOOSE)
    return ["".join(text if literal else values.get(text, "") for literal, text in _pieces(word))]
