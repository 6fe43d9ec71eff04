"""Textual without its command palette, which this program does not open.

The palette is imported with ``textual.app``, and brings a button, an input, a list and more with
it: 1.3 MB and 40 ms (docs/performance.md). In its place stands a module of the same name for as
long as Textual is being imported; whoever asks for the palette afterwards gets the real one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

_NAME = "textual.command"


class _Provider:
    """What ``textual.theme`` derives a class from; only the palette ever calls that class."""


class _Later:
    """A class of ``textual.command`` that is imported when somebody makes one of it."""

    def __new__(cls, *arguments: object, **options: object) -> object:  # type: ignore[misc]
        """Return an instance of the real class."""
        return getattr(import_module(_NAME), cls.__name__)(*arguments, **options)

    @staticmethod
    def is_open(_app: object) -> bool:
        """Tell whether the palette is on the screen (``CommandPalette.is_open``)."""
        return False


def import_textual() -> None:
    """Import ``textual.app`` without the palette; it must not have been imported yet."""
    if "textual.app" in sys.modules or _NAME in sys.modules:
        return
    placeholder = ModuleType(_NAME)
    vars(placeholder).update(
        Provider=_Provider,
        CommandPalette=type("CommandPalette", (_Later,), {}),
        SimpleProvider=type("SimpleProvider", (_Later,), {}),
        Hit=type("Hit", (_Later,), {}),
        DiscoveryHit=type("DiscoveryHit", (_Later,), {}),
        CommandListItem=tuple,
        Hits=object,
    )
    sys.modules[_NAME] = placeholder
    try:
        import_module("textual.app")
    finally:
        del sys.modules[_NAME]
