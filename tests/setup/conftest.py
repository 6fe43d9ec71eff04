"""What holds for every finding that any test of a step comes upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.setup import Finding

from .option_names import missing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def findings_name_their_options(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have each test fail whose findings do not say which option they are about."""
    made: list[Finding] = []
    init = Finding.__init__

    def note(self: Finding, *args: object, **named: object) -> None:
        init(self, *args, **named)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(Finding, "__init__", note)
    yield
    assert [words for each in made if (words := missing(each.code, str(each.text)))] == []
