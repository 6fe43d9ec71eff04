"""What the service manager gives to every unit: DefaultEnvironment= of systemd-system.conf(5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lowmem_tui.model.message import msg, of_text
from lowmem_tui.model.unitfile import assignments
from lowmem_tui.setup import unit_words
from lowmem_tui.setup.conf import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lowmem_tui.model.message import Message

    Read = Callable[[str], tuple[str | None, Message | None]]
    Names = Callable[[str], Sequence[str]]

_MAIN: Final = "systemd/system.conf"
_MOST_FILES: Final = 64


def defaults(
    read: Read, names: Names | None
) -> tuple[dict[str, str], dict[str, Message], Message | None]:
    """Return the variables that are known, why others are not, and why any other may be set.

    ``read`` and ``names`` as for ``unit_command.variables``.
    """
    values: dict[str, str] = {}
    hidden: dict[str, Message] = {}
    for path in _paths(read, names):
        text, trouble = read(path)
        if trouble:
            return {}, {}, trouble
        for line in assignments(text or ""):
            if (line.section, line.key) != ("Manager", "DefaultEnvironment"):
                continue
            if not line.value:
                values, hidden = {}, {}
            for word in unit_words.until_broken(line.value):
                _assign(word, values, hidden)
    return values, hidden, None


def _paths(read: Read, names: Names | None) -> Iterator[str]:
    """Yield the first system.conf there is, then the drop-ins in the order of their names."""
    mains = (f"{folder}/{_MAIN}" for folder in FOLDERS)
    main = next((path for path in mains if read(path) != (None, None)), "")
    if main:
        yield main
    found: dict[str, str] = {}
    for folder in FOLDERS if names is not None else ():
        for name in names(f"{folder}/{_MAIN}.d") if names is not None else ():
            if name.endswith(".conf") and not name.startswith("."):
                found.setdefault(name, f"{folder}/{_MAIN}.d/{name}")
    yield from (found[name] for name in sorted(found)[:_MOST_FILES])


def _assign(word: str, values: dict[str, str], hidden: dict[str, Message]) -> None:
    name, equals, value = word.partition("=")
    if not equals or not unit_words.is_assignment(name, value):
        return
    values.pop(name, None)
    hidden.pop(name, None)
    if "%" in value.replace("%%", ""):
        hidden[name] = msg("{what} has a specifier of this host", what=of_text(name, 60))
    else:
        values[name] = value.replace("%%", "%")
