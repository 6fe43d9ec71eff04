"""What /etc is, to the byte: for "as it was before"."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .machine import Machine


def etc(machine: Machine) -> str:
    """Return everything of /etc: kinds, modes, owners, targets of links, and the contents."""
    return machine.run(
        "cd /etc && find . -printf '%y %m %u %g %p %l\\n' | sort && "
        "find . -type f -print0 | sort -z | xargs -0 sha256sum",
        timeout=600,
    ).stdout
