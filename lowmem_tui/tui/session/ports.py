"""What a session asks of whoever shows its screens (the app is that), and is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from lowmem_tui.tui.session.messages import Announcement


P = ParamSpec("P")
R = TypeVar("R")


class Run(Protocol):
    """Runs a call of the backend in its thread, as ``Session.run_blocking``."""

    def __call__(
        self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[R]:
        """Put a call into the queue, to be awaited."""


class Screens(Protocol):
    """The screens, and the event loop that they live in."""

    @property
    def leaving(self) -> bool:
        """Whether the program is about to end: no screen shows anything any more."""

    def announce(self, news: Announcement) -> None:
        """Hand a message to the screens that it is for."""

    def start(self, work: Coroutine[object, object, None], name: str = "") -> None:
        """Do this beside everything else; an error in it ends the program."""

    def open_review(self, *, instead: bool = False) -> None:
        """Show the trial, if one runs, else what the staged edits would do.

        ``instead``: in the place of the screen in front.
        """

    def open_setup(self, step: str = "") -> None:
        """Show the guided set-up, one step of it at once."""
