"""Shortages that killed nothing: as incidents, and as findings about a server. Pure.

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

    atomic: int
    """Requests with ``GFP_ATOMIC``: vm.min_free_kbytes is for them."""
    network: int
    """Failed allocations of any kind for sending or receiving."""


def failures(shortages: Iterable[Shortage]) -> Failures:
    """Return the sums of failed allocations."""
    failed = [s for s in shortages if s.lack is Lack.ALLOCATION]
    return Failures(
        sum(s.count for s in failed if s.atomic),
        sum(s.count for s in failed if s.path == "network"),
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
