"""What can go wrong, each as one sentence that says what to do."""

from __future__ import annotations

TYPE_CHECKING = False  # `triage` has no room for the typing module

if TYPE_CHECKING:
    from lowmem_tui.model.message import Message


class LowmemError(Exception):
    """The root of all errors shown to a user; ``str`` of it is one English sentence for them."""

    @property
    def message(self) -> Message:
        """What to say, to be rendered in the operator's language."""
        # Not at the start: `triage` knows errors, and has no room for what messages need.
        from lowmem_tui.model.message import Message, verbatim

        words = self.args[0] if self.args else ""
        return words if isinstance(words, Message) else verbatim(str(words))


def message_of(error: Exception) -> Message:
    """Return what to say of an error that may be the kernel's own (OSError)."""
    if isinstance(error, LowmemError):
        return error.message
    from lowmem_tui.model.message import msg

    why = getattr(error, "strerror", None) or str(error)
    return msg("{why}: see `dmesg`.", why=why)


class InvalidValueError(LowmemError, ValueError):
    """A value or a file that cannot be understood."""

    @property
    def instead(self) -> Message | None:
        """What to write: the value ``instead`` of its message, a phrase; None where it has none."""
        from lowmem_tui.model.message import Message

        found = dict(self.message.values).get("instead")
        return found.value if found and isinstance(found.value, Message) else None

    @property
    def meant(self) -> str:
        """What was probably meant, as systemd writes it: the value ``meant`` of its message."""
        found = dict(self.message.values).get("meant")
        return found.value if found and isinstance(found.value, str) else ""


class NotPermittedError(LowmemError):
    """The kernel or systemd says that this user may not."""


class UnsupportedError(LowmemError):
    """This is not a machine with systemd and cgroup v2."""


class ManagerError(LowmemError):
    """systemd refused, or gave no answer."""


class NotReadyError(ManagerError):
    """What was asked is still starting: it has no values yet."""


class ManagerGoneError(ManagerError):
    """There is no connection to systemd (any more)."""


class RefusedError(LowmemError):
    """A check refused; nothing was written.

    ``way`` is the argument with which the same call goes on: "force", "with_later"; or "".
    """

    def __init__(self, *words: object, way: str = "") -> None:
        super().__init__(*words)
        self.way = way


class ChangedError(RefusedError):
    """A file is no longer what the plan saw; nothing was written."""


class RolledBackError(LowmemError):
    """The change failed, and everything is as it was."""


class StoppedError(RolledBackError):
    """The operator has stopped the change (``Backend.cancel``), and everything is as it was."""


class UnreloadedError(RolledBackError):
    """Every file is as it was, but systemd could not be asked to read them again."""


class HalfDoneError(LowmemError):
    """The change failed, and rolling it back is incomplete: the text says what remains.

    So does ``remaining``, one thing to do by hand each; ``outcome`` is the text without them.
    """

    def __init__(
        self,
        *words: object,
        remaining: tuple[Message | str, ...] = (),
        outcome: Message | None = None,
    ) -> None:
        super().__init__(*words)
        self.remaining = remaining
        self.outcome = outcome or self.message
