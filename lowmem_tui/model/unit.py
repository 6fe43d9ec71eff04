"""systemd units: settings as systemd has loaded them, tiers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from lowmem_tui.model.amount import INFINITY, Limit, Unlimited
from lowmem_tui.model.settings import CGROUP_FILES, MEMORY_KEYS, Key, Value
from lowmem_tui.model.unit_name import (
    MAX_NAME,
    UNIT_NAME,
    UnitType,
    is_template,
    is_unit_name,
    unit_type,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CGROUP_FILES",
    "INFINITY",
    "MAX_NAME",
    "MEMORY_KEYS",
    "UNIT_NAME",
    "Key",
    "Limit",
    "Tier",
    "UnitProperties",
    "UnitType",
    "Unlimited",
    "Value",
    "is_template",
    "is_unit_name",
    "unit_type",
]


class Tier(IntEnum):
    """The three tiers of the policy; a unit with none (a session, a slice) has ``None``."""

    GATEKEEPER = 0
    BUSINESS = 1
    SHORT_LIVED = 2


TIERS = (*Tier, None)
"""The order of lists: by tier, and what has none last."""

TIERS_FILE = "/etc/lowmem-tui/config.toml"
"""The administrator's own tiers, which override the package's."""


@dataclass(frozen=True, slots=True)
class UnitProperties:
    """What systemd has loaded of a unit (org.freedesktop.systemd1(5)); ``None`` is "not known"."""

    name: str
    """The primary ``Id``: an alias asked for is resolved to it."""
    names: tuple[str, ...] = ()
    description: str = ""
    load_state: str = "loaded"
    """``loaded``, ``not-found``, ``bad-setting``, ``error``, ``masked``."""
    active_state: str = "inactive"
    sub_state: str = "dead"
    unit_file_state: str = ""
    fragment_path: str = ""
    drop_in_paths: tuple[str, ...] = ()
    """In the order in which systemd reads them."""
    need_daemon_reload: bool = False
    transient: bool = False
    triggered_by: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    """What it starts, being a socket, a timer or a path."""
    required_by: tuple[str, ...] = ()
    """``RequiredBy``, ``RequisiteOf``, ``BoundBy`` and ``WantedBy`` together."""
    control_group: str = ""
    slice: str = ""
    type: str = ""
    """``Type=``: ``simple``, ``oneshot``, ``notify``…; empty for a unit that is no service."""
    main_pid: int = 0
    exec_start: tuple[str, ...] = ()
    """The arguments of the first ``ExecStart=``."""
    user: str = ""
    delegate: bool = False
    result: str = "success"
    n_restarts: int | None = None
    restart_steps: int | None = None
    restart_max_delay_usec: int | Unlimited | None = None
    start_limit_interval_usec: int | Unlimited | None = None
    start_limit_burst: int | None = None
    unmet: bool = False
    """One of its conditions (``ConditionPathExists=`` …) did not hold when it was last to start."""
    settings: Mapping[Key, Value] = field(default_factory=dict)
    """What systemd has loaded of each setting; what is not in it is not known."""

    def loaded(self, key: Key) -> Value | None:
        """Return what systemd has loaded for a setting."""
        return self.settings.get(key)

    @property
    def oom_score_adjust(self) -> int | None:
        """``OOMScoreAdjust=``."""
        return self._number(Key.OOM_SCORE_ADJUST)

    @property
    def oom_policy(self) -> str | None:
        """``OOMPolicy=``."""
        return self._word(Key.OOM_POLICY)

    @property
    def memory_max(self) -> Limit | None:
        """``MemoryMax=``, bytes."""
        return self._limit(Key.MEMORY_MAX)

    @property
    def memory_high(self) -> Limit | None:
        """``MemoryHigh=``, bytes."""
        return self._limit(Key.MEMORY_HIGH)

    @property
    def memory_swap_max(self) -> Limit | None:
        """``MemorySwapMax=``, bytes."""
        return self._limit(Key.MEMORY_SWAP_MAX)

    @property
    def restart(self) -> str | None:
        """``Restart=``."""
        return self._word(Key.RESTART)

    @property
    def restart_usec(self) -> int | Unlimited | None:
        """``RestartSec=``, microseconds."""
        return self._limit(Key.RESTART_SEC)

    def _number(self, key: Key) -> int | None:
        value = self.settings.get(key)
        return value if isinstance(value, int) else None

    def _limit(self, key: Key) -> int | Unlimited | None:
        value = self.settings.get(key)
        return None if isinstance(value, str) else value

    def _word(self, key: Key) -> str | None:
        value = self.settings.get(key)
        return value if isinstance(value, str) else None

    @property
    def exists(self) -> bool:
        """Whether there is such a unit at all."""
        return self.load_state != "not-found"
