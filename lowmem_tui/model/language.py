"""The operator's language: in it, and here alone, messages become words.

cli chooses it once, at the start (`cli.language`); screens and commands render with `say` and `tr`.
Nothing below them may: what they return is data. The commands in it are those of this machine; the
demo server's are named here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.message import FULL_WIDTH, Message, msg

if TYPE_CHECKING:
    from lowmem_tui.model.message import Catalog, Given

ENGLISH = "en"


class _Chosen:
    name: str = ENGLISH
    catalog: Catalog | None = None
    """None: English, for which nothing is loaded."""
    demo: bool = False
    """Whether the commands are for the demo server."""


def use(name: str, catalog: Catalog | None) -> None:
    """Render in this language from now on, ``zh_CN`` or ENGLISH with None."""
    _Chosen.name, _Chosen.catalog = name, catalog


def use_demo(*, demo: bool) -> None:
    """Name commands of ours for the demo server from now on, or for this machine."""
    _Chosen.demo = demo


def name() -> str:
    """Return the language in use: ``en``, ``zh_CN``."""
    return _Chosen.name


def say(words: Message | str) -> str:
    """Return a message in the operator's language, safe to show; plain words as they are."""
    return _here(words.render(_Chosen.catalog) if isinstance(words, Message) else words)


def english(words: Message | str) -> str:
    """Return a message in English, as --json shows it in every language."""
    return _here(str(words))


def tr(template: str, /, **values: Given) -> str:
    """Return a text of the screen's or the command's own in the operator's language."""
    if not values:
        # gettext has the catalog's own heading for "".
        catalog = _Chosen.catalog if template else None
        return _here(catalog.gettext(template) if catalog else template)
    return say(msg(template, **values))


_COMMANDS = "apply|check|confirm|history|incidents|list|plan|setup|show|triage|undo|whatif"
_OURS = re.compile(rf"(?:sudo )?\blowmem-tui (?=(?:{_COMMANDS}|--plain)\b)")


def _here(text: str) -> str:
    """Return a text with the commands of ours as they are typed for this server."""
    return _OURS.sub("lowmem-tui --demo ", text) if _Chosen.demo else text


def spaced(text: str) -> str:
    """Return a text and the blank after it: a full-width mark at its end has one of its own."""
    return text if text[-1:] in FULL_WIDTH else f"{text} "
