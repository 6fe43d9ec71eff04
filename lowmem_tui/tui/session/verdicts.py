"""Which tier each unit belongs to, as it was found once: for the session, and the first frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from lowmem_tui.model.snapshot import Unit
    from lowmem_tui.policy.classify import Rules, Verdict


class Verdicts:
    """The tier and group of units.

    One is kept until systemd's side of the unit changes, so that rows do not wander between
    groups with their size.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._known: dict[str, tuple[object, Verdict]] = {}

    def of(self, unit: Unit, mem_total: int) -> Verdict:
        """Return the tier and group of a unit, on a machine of so many bytes."""
        known = self._known.get(unit.name)
        if known is not None and known[0] is unit.properties:
            return known[1]
        verdict = self.rules.classify(unit, mem_total)
        self._known[unit.name] = unit.properties, verdict
        return verdict

    def keep(self, names: Container[str], count: int) -> None:
        """Forget all but these, once twice as many are known; there are so many of them."""
        if len(self._known) > 2 * count:
            self._known = {n: v for n, v in self._known.items() if n in names}
