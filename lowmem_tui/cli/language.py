"""Which language the operator reads, as gettext finds it; nothing is loaded for English."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lowmem_tui.cli.charset import utf8
from lowmem_tui.model.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LANGUAGES = ("zh_CN",)
"""Those with a catalog in lowmem_tui/locale."""

OPTION = "--lang"
DOMAIN = "lowmem-tui"

_ENGLISH = "en"
_PLAIN = ("C", "POSIX")
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def prepare(arguments: Sequence[str], *, ascii_only: bool = False) -> None:
    """Choose the language: what ``--lang`` names, else what the environment does.

    English where the terminal cannot show the characters of another language. Raises
    InvalidValueError for a language that there is not.
    """
    asked = _asked(arguments)
    chosen = wanted(os.environ) if asked is None else named(asked)
    if chosen != _ENGLISH and utf8() and not ascii_only:
        _load(chosen)


def _asked(arguments: Sequence[str]) -> str | None:
    """Return the language that the arguments name, before they are parsed: --help is in it."""
    found = None
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument.startswith(f"{OPTION}="):
            found = argument.partition("=")[2]
        elif argument == OPTION:
            found = arguments[index + 1] if index + 1 < len(arguments) else None
    return found


def named(asked: str) -> str:
    """Return the language that ``--lang`` names. Raises InvalidValueError."""
    found = _match(asked)
    if found is None:
        from lowmem_tui.model.message import msg, of_list, of_text

        raise InvalidValueError(
            msg(
                "There is no language '{asked}': use one of {languages}.",
                asked=of_text(asked, 20),
                languages=of_list((_ENGLISH, *LANGUAGES)),
            )
        )
    return found


def wanted(environ: Mapping[str, str]) -> str:
    """Return the language of the environment, as gettext(3) reads it.

    LANGUAGE is a list that counts before LC_ALL, LC_MESSAGES and LANG, unless these say C.
    """
    locale = next((value for name in _VARIABLES if (value := environ.get(name))), "")
    if _bare(locale) in _PLAIN or not locale:
        return _ENGLISH
    for each in (environ.get("LANGUAGE") or locale).split(":"):
        if found := _match(each):
            return found
    return _ENGLISH


def _match(name: str) -> str | None:
    """Return the language of ours that a locale's name means; None for none."""
    bare = _bare(name)
    if bare in _PLAIN or bare.partition("_")[0] == _ENGLISH:
        return _ENGLISH
    if bare in LANGUAGES:
        return bare
    # A language without a country: the one that we have of it.
    return next((each for each in LANGUAGES if each.partition("_")[0] == bare), None)


def _bare(name: str) -> str:
    """Return the name of a locale without its encoding and its modifier."""
    return name.partition(".")[0].partition("@")[0].replace("-", "_")


def _load(name: str) -> None:
    """Use a catalog of ours; without its file all stays English."""
    import io
    from gettext import GNUTranslations
    from pkgutil import get_data

    from lowmem_tui.model import language

    try:
        # Also out of an archive.
        data = get_data("lowmem_tui", f"locale/{name}/LC_MESSAGES/{DOMAIN}.mo")
        language.use(name, GNUTranslations(io.BytesIO(data or b"")))
    except (OSError, ValueError):
        return
