"""Waiting for a Textual program, by what it has left to do and never by the clock.

Textual's own pause goes by the processor's time, and errs where the machine is busy.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

if TYPE_CHECKING:
    from textual.pilot import Pilot

ROUNDS = 6
"""A message leads to a message: a key to an action, that to a change, that to a layout."""

LIMIT = 400
"""A test may have taken the painting away: then there is no end to wait for."""


def _waits(widget: Widget) -> bool:
    return widget._layout_required or widget._repaint_required or widget._scroll_required


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until each message, and those that it led to, has been dealt with and painted."""
    quiet = 0
    for _ in range(LIMIT):
        if quiet == ROUNDS or not pilot.app.is_running:
            return
        if pilot.app._exit:
            await asyncio.sleep(0.005)
            continue
        await pilot._wait_for_screen(timeout=30)
        quiet += 1
        screen = pilot.app.screen
        # A screen lays out and paints on a timer of its own, 60 times a second.
        if screen._dirty_widgets or any(map(_waits, screen.walk_children(Widget, with_self=True))):
            quiet = 0
            await asyncio.sleep(0.005)
