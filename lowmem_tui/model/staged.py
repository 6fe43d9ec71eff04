"""What the operator has asked for and not yet applied: one small immutable value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.plan import Edit
    from lowmem_tui.model.unit import Key


@dataclass(frozen=True, slots=True)
class Staged:
    """Edits in the order in which they were made; one at most for a unit's setting."""

    edits: tuple[Edit, ...] = ()

    def __len__(self) -> int:
        return len(self.edits)

    def with_edit(self, edit: Edit) -> Staged:
        """Return it with this edit, which replaces an earlier one of the same setting in place."""
        if any((e.unit, e.key) == (edit.unit, edit.key) for e in self.edits):
            return Staged(
                tuple(edit if (e.unit, e.key) == (edit.unit, edit.key) else e for e in self.edits)
            )
        return Staged((*self.edits, edit))

    def asking(self, units: Iterable[str], key: Key, edits: Iterable[Edit]) -> Staged:
        """Return it with these edits of a setting, and with none of it for the other units."""
        asked = {edit.unit: edit for edit in edits}
        staged = self
        for unit in units:
            edit = asked.get(unit)
            staged = staged.with_edit(edit) if edit else staged.without(unit, key)
        return staged

    def without(self, unit: str, key: Key | None = None) -> Staged:
        """Return it without the edit of a setting, or without any of the unit."""
        return Staged(
            tuple(e for e in self.edits if e.unit != unit or (key is not None and e.key != key))
        )

    def less(self, edits: Iterable[Edit]) -> Staged:
        """Return it without exactly these edits."""
        gone = set(edits)
        return Staged(tuple(edit for edit in self.edits if edit not in gone))

    def of(self, unit: str) -> dict[Key, str | None]:
        """Return what is asked for a unit; None is "drop our setting"."""
        return {e.key: e.value for e in self.edits if e.unit == unit}

    @property
    def units(self) -> tuple[str, ...]:
        """The units with edits, in the order of their first one."""
        return tuple(dict.fromkeys(e.unit for e in self.edits))
