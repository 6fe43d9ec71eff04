from __future__ import annotations

import os
import subprocess
import sys

import pytest

CASES = {
    "nothing is set": ({}, False),
    "C": ({"LANG": "C"}, False),
    "POSIX": ({"LANG": "POSIX"}, False),
    "UTF-8": ({"LANG": "C.UTF-8"}, True),
    "a locale that is not installed": ({"LANG": "xx_YY.utf8"}, True),
    "LC_ALL before all": ({"LANG": "C.UTF-8", "LC_ALL": "C"}, False),
    "an empty LC_ALL is none": ({"LANG": "C.UTF-8", "LC_ALL": ""}, True),
    "LC_CTYPE before LANG": ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
    "Latin": ({"LANG": "de_DE.ISO-8859-1"}, False),
}


@pytest.mark.parametrize(("locale", "can"), CASES.values(), ids=CASES)
def test_what_the_user_s_locale_can_show(locale: dict[str, str], can: bool) -> None:
    """In a process of its own: Python sets LC_CTYPE as it starts."""
    code = "from lowmem_tui.cli.charset import utf8; print(utf8())"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], **locale},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == f"{can}\n"
