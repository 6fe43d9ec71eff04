"""Values of the model by the names of their properties: a test writes ``memory_max=5``."""

# ruff: noqa: ANN401 - fields are passed on by name

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lowmem_tui.model.settings import CGROUP_FILES, Key
from lowmem_tui.model.unit import UnitProperties
from lowmem_tui.model.usage import Memory

LOADED = {key.name.lower(): key for key in Key} | {"restart_usec": Key.RESTART_SEC}
IN_KERNEL = {
    file.removeprefix("memory.").replace(".", "_"): key for key, file in CGROUP_FILES.items()
}


def _split(names: dict[str, Key], fields: dict[str, Any]) -> tuple[dict[str, Any], dict[Key, Any]]:
    others = {name: value for name, value in fields.items() if name not in names}
    return others, {names[name]: value for name, value in fields.items() if name in names}


def _known(values: dict[Key, Any]) -> dict[Key, Any]:
    return {key: value for key, value in values.items() if value is not None}


def properties_of(name: str, **fields: Any) -> UnitProperties:
    """Return a unit's properties; a setting that is None is not known."""
    return with_properties(UnitProperties(name), **fields)


def with_properties(one: UnitProperties, **fields: Any) -> UnitProperties:
    """Return the same with these fields, settings included."""
    others, settings = _split(LOADED, fields)
    return replace(one, **others, settings=_known({**one.settings, **settings}))


def memory_of(**fields: Any) -> Memory:
    """Return a group's values; a setting that is None is not known."""
    return with_memory(Memory(), **fields)


def with_memory(one: Memory, **fields: Any) -> Memory:
    """Return the same with these fields, settings included."""
    others, settings = _split(IN_KERNEL, fields)
    return one._replace(**others, settings=_known({**one.settings, **settings}))
