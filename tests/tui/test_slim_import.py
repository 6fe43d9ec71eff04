"""Textual without its palette: lighter, and nothing of it is lost for who asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAYS = {
    "the palette is not imported": (
        "print(any(m.startswith('textual.widgets._input') for m in sys.modules))",
        "False",
    ),
    "whoever imports the palette gets the real one": (
        "from textual.command import CommandPalette; print(CommandPalette.__mro__[1].__name__)",
        "SystemModalScreen",
    ),
    "an application that makes one gets the real one": (
        "import textual.app; print(type(textual.app.CommandPalette()).__module__)",
        "textual.command",
    ),
    "no palette is open": (
        "import textual.app; print(textual.app.CommandPalette.is_open(None))",
        "False",
    ),
}


@pytest.mark.parametrize(("code", "answer"), SAYS.values(), ids=list(SAYS))
def test_light(code: str, answer: str) -> None:
    start = (
        "import sys; "
        "from lowmem_tui.tui.terminal.slim_import import import_textual; import_textual(); "
    )
    ended = subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False
    )
    assert (ended.stdout.strip(), ended.stderr) == (answer, "")
