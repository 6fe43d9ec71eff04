"""The operator's language: in it, and here alone, messages become words.

cli chooses it once, at the start (`cli.language`); screens and commands render with `say` and `tr`.
Nothing below them may: what they return is data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.message import Message, msg

if TYPE_CHECKING:
    from lowmem_tui.model.message import Catalog, Given

ENGLISH = "en"


class _Chosen:
    name: str = ENGLISH
    catalog: Catalog | None = None
    """None: English, for which nothing is loaded."""


def use(name: str, catalog: Catalog | None) -> None:
    """Render in this language from now on, ``zh_CN`` or ENGLISH with None."""
    _Chosen.name, _Chosen.catalog = name, catalog


def name() -> str:
    """Return the language in use: ``en``, ``zh_CN``."""
    return _Chosen.name


def say(words: Message | str) -> str:
    """Return a message in the operator's language, safe to show; plain words as they are."""
    return words.render(_Chosen.catalog) if isinstance(words, Message) else words


def tr(template: str, /, **values: Given) -> str:
    """Return a text of the screen's or the command's own in the operator's language."""
    if not values:
        # gettext has the catalog's own heading for "".
        return _Chosen.catalog.gettext(template) if _Chosen.catalog and template else template
    return say(msg(template, **values))
