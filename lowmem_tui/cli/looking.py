"""What `check` and `setup --print` share: what every step of the set-up finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.cli.output import talk
from lowmem_tui.cli.rules import unread
from lowmem_tui.model.errors import LowmemError, message_of
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import as_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.ports import Backend, Step
    from lowmem_tui.model.setup import Look


class Looked(NamedTuple):
    """A step, and what it sees."""

    step: Step
    look: Look | None
    trouble: Message | str
    """Why it could not look; "" if it could."""


def look(backend: Backend) -> list[Looked]:
    """Return what every step sees; what cannot be examined is reported on standard error.

    Raises LowmemError where not even the steps can be made.
    """
    if not backend.demo and (words := unread()):
        talk(words)
    found = list(_look(backend.steps()))
    for each in found:
        if each.trouble:
            talk(
                tr(
                    "The step {step} could not examine the server: {why}",
                    step=each.step.name,
                    why=as_message(each.trouble),
                )
            )
    return found


def _look(steps: Sequence[Step]) -> Iterator[Looked]:
    for step in steps:
        try:
            yield Looked(step, step.look(), "")
        except (LowmemError, OSError) as error:
            yield Looked(step, None, message_of(error))
