"""Who makes a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg, of_text, verbatim

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message

_LONGEST = 100
"""Characters of a name or an address: both may come from somebody's environment."""


class By(NamedTuple):
    """Who makes a change; "" is "not known"."""

    uid: int
    user: str
    sudo_user: str
    ssh_client: str
    """The address that the ssh login came from."""

    @property
    def message(self) -> Message:
        """Who, in words: ``alice with sudo, from 192.0.2.7``."""
        name = self.sudo_user or self.user or f"uid {self.uid}"
        user, address = of_text(name, _LONGEST), of_text(self.ssh_client, _LONGEST)
        if self.sudo_user and self.ssh_client:
            return msg("{user} with sudo, from {address}", user=user, address=address)
        if self.sudo_user:
            return msg("{user} with sudo", user=user)
        if self.ssh_client:
            return msg("{user}, from {address}", user=user, address=address)
        return verbatim(name)
