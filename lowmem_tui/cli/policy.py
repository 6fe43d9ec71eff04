"""`--policy FILE`: read, and matched against the units that there are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import as_message, msg
from lowmem_tui.model.text import plain
from lowmem_tui.policy import toml
from lowmem_tui.policy.files.policy_file import parse_policy
from lowmem_tui.setup.steps import STEPS

if TYPE_CHECKING:
    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.ports import Step
    from lowmem_tui.model.setup import Wishes
    from lowmem_tui.policy.files.policy_file import PolicyFile

STANDARD_INPUT = "-"
LONGEST = 1 << 20
"""Bytes; a policy file is a page or two."""

NAMED_OTHERWISE = frozenset({"tiers", "units"})
"""Steps whose sections have a form of their own (policy.policy_file)."""


class Asked(NamedTuple):
    """A policy file, and what is needed to name a line of it."""

    policy: PolicyFile
    shown: Message
    text: str

    def wrong(self, path: tuple[str, ...], sentence: Message) -> InvalidValueError:
        """Return the error that names the file and the line where ``path`` is set."""
        return InvalidValueError(
            msg("{path}: {why}", path=self.shown, why=toml.wrong(self.text, path, sentence).message)
        )


def read_policy(backend: ServerBackend, path: str) -> Asked:
    """Return what a policy file asks for.

    Raises InvalidValueError, naming the file and the line; ManagerError, UnsupportedError.
    """
    shown = as_message(msg("standard input") if path == STANDARD_INPUT else plain(path))
    try:
        text = _text(path)
        sections = frozenset(STEPS) - NAMED_OTHERWISE
        return Asked(parse_policy(text, unit_names(backend), sections), shown, text)
    except InvalidValueError as error:
        raise InvalidValueError(msg("{path}: {why}", path=shown, why=error.message)) from error


def step_plans(backend: ServerBackend, asked: Asked) -> list[Plan]:
    """Return what the steps of the set-up make of their sections.

    Raises InvalidValueError, naming the file and the line; LowmemError.
    """
    wishes = dict(asked.policy.wishes)
    if asked.policy.tiers and "tiers" in STEPS:
        wishes["tiers"] = {name: str(int(tier)) for name, tier in asked.policy.tiers}
    if not wishes:
        return []
    steps = {step.name: step for step in backend.steps() if step.name in wishes}
    return [_step_plan(step, wishes[name], asked) for name, step in steps.items()]


def _step_plan(step: Step, wishes: Wishes, asked: Asked) -> Plan:
    try:
        return step.plan(wishes)
    except InvalidValueError as error:
        # Which of them it is, is found out by asking for each alone.
        for key, value in wishes.items():
            try:
                step.plan({key: value})
            except InvalidValueError as found:
                raise asked.wrong((step.name, key), found.message) from found
        raise asked.wrong((step.name,), error.message) from error


def _text(path: str) -> str:
    try:
        if path == STANDARD_INPUT:
            raw = sys.stdin.buffer.read(LONGEST + 1)
        else:
            with open(path, "rb") as file:
                raw = file.read(LONGEST + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise InvalidValueError(
            msg("The file cannot be read ({why}).", why=error.strerror or "")
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidValueError(msg("The file is not UTF-8 text: save it as UTF-8.")) from error
    if len(raw) > LONGEST:
        raise InvalidValueError(msg("The file is larger than 1M: it is not a policy file."))
    return text.replace("\r\n", "\n")


def unit_names(backend: ServerBackend) -> dict[str, str]:
    """Return every unit that there is, loaded or not, each name with the primary one."""
    names = {name: name for name in backend.unit_files()}
    backend.wait_ready()
    for unit in backend.look().units.values():
        names |= dict.fromkeys(unit.properties.names if unit.properties else (), unit.name)
        names[unit.name] = unit.name
    return names
