"""The screens: they show snapshots, stage edits and send plans; no file is read, no bus known."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parents[1] / "css"
_ROOT = Path(__file__).parents[2] / "css"


def css_path(name: str) -> Path:
    """Return the path of a style sheet: beside the package in a wheel, at the root in a clone."""
    return (_HERE if _HERE.is_dir() else _ROOT) / name
