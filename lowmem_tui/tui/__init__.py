"""The screens: they show snapshots, stage edits and send plans; no file is read, no bus known."""

from __future__ import annotations

import os

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def css_path(name: str) -> str:
    """Return the path of a style sheet: beside the package in a wheel, at the root in a clone."""
    here = os.path.join(_PACKAGE, "css")
    root = os.path.join(os.path.dirname(_PACKAGE), "css")
    return os.path.join(here if os.path.isdir(here) else root, name)
