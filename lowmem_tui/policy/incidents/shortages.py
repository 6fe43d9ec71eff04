"""Shortages that killed nothing: as incidents, and what they say of a server. Pure.

An OOM killer without a victim leaves a unit waiting at its limit; an allocation that failed in the
kernel loses a packet or a request, and often nobody hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.incident import Cause, Clock, Ending, Incident, Lack, Shortage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.incident import Evidence


class Failures(NamedTuple):
    """The kernel's failed allocations, summed up."""

    total: int
    atomic: int
    """Of these, requests that could not wait (``GFP_ATOMIC``): vm.min_free_kbytes is for them."""
    network: int
    """Of these, for sending or receiving."""
    disk: int
    single: int
    """Requests for one page (order 0): memory was really out, not just in pieces."""
    large: int
    """The largest order asked for."""
    last: float | None
    """When the last one was, seconds since 1970; None if there was none, or that is not known."""


def failures(shortages: Iterable[Shortage]) -> Failures:
    """Return what failed allocations come to."""
    failed = [s for s in shortages if s.lack is Lack.ALLOCATION]

    def count(which: Iterable[Shortage]) -> int:
        return sum(shortage.count for shortage in which)

    return Failures(
        count(failed),
        count(s for s in failed if s.atomic),
        count(s for s in failed if s.path == "network"),
        count(s for s in failed if s.path == "disk"),
        count(s for s in failed if s.order == 0),
        max((s.order or 0 for s in failed), default=0),
        max((s.time for s in failed), default=None),
    )


def shortages(evidence: Evidence) -> list[Shortage]:
    """Return all that killed nothing."""
    return [shortage for report in evidence.reports for shortage in report.shortages]


def of_shortages(evidence: Evidence) -> list[Incident]:
    """Return an incident for each."""
    return [
        Incident(
            shortage.time,
            shortage.boot == evidence.boot,
            shortage.unit,
            _cause(shortage),
            ending=Ending.NOTHING,
            shortage=shortage,
            clock=evidence.clocks.get(shortage.boot, Clock.WALL),
            boot=shortage.boot,
        )
        for shortage in shortages(evidence)
    ]


def _cause(shortage: Shortage) -> Cause:
    if shortage.lack is Lack.ALLOCATION:
        return Cause.ALLOCATION
    return Cause.LIMIT if shortage.cgroup else Cause.RAM
