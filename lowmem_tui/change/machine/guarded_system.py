"""Actions behind the checks of a real machine: what may not be changed there is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.change.machine.swap_file import check_fits, in_the_way
from lowmem_tui.change.machine.system import check
from lowmem_tui.model.integer import natural
from lowmem_tui.model.plan import ActionKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from lowmem_tui.change.machine.allowed import Allowed
    from lowmem_tui.model.ports import Inspector, System
    from lowmem_tui.model.setup import Progress


class GuardedSystem:
    """``System`` that changes what ``LocalSystem`` would change, and nothing else."""

    def __init__(self, system: System, allowed: Allowed, inspector: Inspector) -> None:
        self._system, self._allowed, self._inspector = system, allowed, inspector

    @property
    def progress(self) -> Progress | None:
        """See ``System``."""
        return self._system.progress

    def get(self, kind: ActionKind, what: str) -> str:
        """See ``System``."""
        check(kind, what, self._allowed)
        return self._system.get(kind, what)

    def put(self, kind: ActionKind, what: str, value: str, stop: Callable[[], None]) -> None:
        """See ``System``."""
        check(kind, what, self._allowed)
        if kind is ActionKind.SWAP_FILE:
            self._check_swap_file(what, value)
        self._system.put(kind, what, value, stop)

    def _check_swap_file(self, what: str, value: str) -> None:
        """Raise RefusedError where a swap file is there already, or none of this size fits."""
        now = self._system.get(ActionKind.SWAP_FILE, what)
        if not value or now == value:
            return
        if now:
            raise in_the_way(what)
        check_fits(natural(value) or 0, self._inspector.facts().root_free)
