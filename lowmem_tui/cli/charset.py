"""Whether the terminal's locale can show more than ASCII. Imports nothing, for `triage`."""

from __future__ import annotations

import os
import sys


def utf8() -> bool:
    """Return whether the user's locale is one of UTF-8; none at all is ASCII, as in C."""
    name = os.environ.get("LC_ALL")
    if not name and not sys.flags.utf8_mode:
        name = os.environ.get("LC_CTYPE")
    # In the C locale Python sets LC_CTYPE itself (PEP 538): what the user has set is in LANG.
    return "utf" in (name or os.environ.get("LANG") or "").lower()
