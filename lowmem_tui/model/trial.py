"""The notice of a running trial that everybody may read: short lines, no JSON.

`triage` reads it, so this module imports next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
"""As of typing, which is half a megabyte."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.change import Trial
    from lowmem_tui.model.who import By

PATH = "/run/lowmem-tui/trial-public"
"""Mode 0644; a reboot forgets it, as it forgets the trial."""

HISTORY = "/var/log/lowmem-tui/history.json"
"""What was changed, as everybody may read it; mode 0644."""

SHORTEST, LONGEST = 10, 86_400
"""Seconds that a trial may take: a reload alone can take 11 on weak hardware."""

USUAL = 120
"""Seconds of a trial that is begun in a dialogue or on a screen."""

_HEAD = "lowmem-tui trial"


class TrialNotice:
    """What the notice says."""

    __slots__ = ("by", "deadline", "id", "monotonic", "note", "units")

    def __init__(
        self,
        *,
        number: str,
        by: By,
        note: str,
        units: Sequence[str],
        deadline: float,
        monotonic: float,
    ) -> None:
        """``deadline`` in seconds since 1970, ``monotonic`` the same on CLOCK_MONOTONIC."""
        self.id, self.by, self.note, self.units = number, by, note, tuple(units)
        self.deadline, self.monotonic = deadline, monotonic

    def left(self, now: float) -> float:
        """Return the seconds left, now being on CLOCK_MONOTONIC; below 0 when it is over."""
        return self.monotonic - now

    def render(self) -> str:
        """Return the text of the file."""
        return (
            f"{_HEAD}\nid {self.id}\nmonotonic {self.monotonic:.3f}\ndeadline {self.deadline:.3f}\n"
            f"uid {self.by.uid}\nuser {_line(self.by.user)}\nsudo {_line(self.by.sudo_user)}\n"
            f"from {_line(self.by.ssh_client)}\nunits {' '.join(self.units)}\n"
            f"note {_line(self.note)}\n"
        )


def running(text: str | None, now: float) -> Trial | None:
    """Return the trial that a notice tells of, unless it is over; now is on CLOCK_MONOTONIC."""
    found = parse(text or "")
    if found is None or found.left(now) <= 0:
        return None
    from lowmem_tui.model.change import Trial

    return Trial(found.id, found.by, found.note, found.units, found.deadline, found.left(now))


def _line(text: str) -> str:
    return " ".join(text.split())


def parse(text: str) -> TrialNotice | None:
    """Read the file; None for what is none."""
    head, *lines = text.split("\n")
    if head != _HEAD:
        return None
    found = {}
    for line in lines:
        key, _, value = line.partition(" ")
        found[key] = value
    from lowmem_tui.model.integer import natural
    from lowmem_tui.model.who import By

    try:
        return TrialNotice(
            number=found["id"],
            by=By(natural(found["uid"]) or 0, found["user"], found["sudo"], found["from"]),
            note=found["note"],
            units=found["units"].split(),
            deadline=float(found["deadline"]),
            monotonic=float(found["monotonic"]),
        )
    except (KeyError, ValueError):
        return None
