"""What holds for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from lowmem_tui.host.watcher import Watcher
from lowmem_tui.model.language import use_demo

if TYPE_CHECKING:
    from collections.abc import Iterator


# Time is measured where it is the point, and there with patience: a busy machine fails no test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def commands_are_named_for_this_machine() -> Iterator[None]:
    """A test that was given the demo server must not name the commands of the next one."""
    yield
    use_demo(demo=False)


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
