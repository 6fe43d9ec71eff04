"""What holds for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lowmem_tui.host.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_watcher_outlives_its_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop the threads of servers that a test leaves open: hundreds of them wake all the time."""
    made: list[Watcher] = []
    init = Watcher.__init__

    def note(self: Watcher, *args: object, **named: object) -> None:
        made.append(self)
        init(self, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Watcher, "__init__", note)
    yield
    for watcher in made:
        watcher._stop.set()
