"""What is shown of a unit beside its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, Message
from lowmem_tui.tui.table.unit_values import differs

if TYPE_CHECKING:
    from lowmem_tui.model.snapshot import Unit

STATES = {
    # WIDTH: 11
    "activating": N_("starting"),
    # WIDTH: 11
    "deactivating": N_("stopping"),
    # WIDTH: 11
    "failed": N_("failed"),
}
"""systemd's ActiveState, where it is shown."""

LOAD_STATES = {
    # WIDTH: 11
    "bad-setting": N_("bad file"),
    "error": N_("bad file"),
    # WIDTH: 11
    "masked": N_("masked"),
}


class Marks(NamedTuple):
    """What is shown of a unit beside its figures."""

    staged: bool = False
    differs: bool = False
    note: str = ""
    """In the place of Restart=: "killed 1×", "failed"."""
    tagged: bool = False


NO_MARKS = Marks()


def marks_of(
    unit: Unit,
    page_size: int,
    times: str,
    *,
    staged: bool = False,
    tagged: bool = False,
    killed: int = 0,
) -> Marks:
    """Return the marks; ``killed`` are the kills that the operator has not seen yet."""
    apart = differs(unit, page_size)
    marks = Marks(staged, apart, _note(unit, killed, times), tagged)
    return NO_MARKS if marks == NO_MARKS else marks


def _note(unit: Unit, killed: int, times: str) -> str:
    properties = unit.properties
    failed = properties is not None and properties.active_state == "failed"
    # That it is down matters more than why.
    if killed and not failed:
        return tr("killed {count}", count=f"{killed}{times}")
    if properties is None:
        return ""
    state = LOAD_STATES.get(properties.load_state, "")
    state = state or STATES.get(properties.active_state, "")
    return say(Message(state)) if state else ""
