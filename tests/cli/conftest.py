"""What the tests of the commands share."""

from __future__ import annotations

import pytest

from lowmem_tui.cli import language
from tests import catalogs


@pytest.fixture(scope="session")
def compiled() -> None:
    """Compile the catalogs as an installation does."""
    for name in language.LANGUAGES:
        made = catalogs.po(name).with_suffix(".mo")
        made.with_suffix(".new").write_bytes(catalogs.compiled(name))
        made.with_suffix(".new").replace(made)
