"""Every field of a snapshot is in a frame, as the type that the model says."""

from __future__ import annotations

import pytest

from lowmem_tui.model.snapshot import Snapshot
from lowmem_tui.stream.kinds import SIMPLE, Entries, Kind, Record, Table
from lowmem_tui.stream.schema import RECORDS
from tests.stream.snapshots import MODELS, hints

DECLARED = {record.name: record for record in RECORDS if record.name != "MaybeStall"}


def written(hint: object) -> str:
    """Return a type as the kinds write it."""
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    for long in ("lowmem_tui.model.", "usage.", "snapshot.", "unit.", "settings.", "amount.",
                 "message.", "typing.", "collections.abc."):  # fmt: skip
        text = text.replace(long, "")
    return text


def test_each_model_is_declared() -> None:
    assert set(DECLARED) == {model.__name__ for model in MODELS}
    assert RECORDS[-1].name == Snapshot.__name__


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))
def test_each_field_is_declared_with_its_type(model: type) -> None:
    record = DECLARED[model.__name__]
    wanted = {name: written(hint) for name, hint in hints(model).items()}
    assert set(record.fields) == set(wanted)
    for name, kind in record.fields.items():
        assert _type_of(kind) == _plain(wanted[name]), name


def _type_of(kind: Kind) -> str:
    if isinstance(kind, Record):
        name = kind.name.removeprefix("Maybe")
        return f"{name} | None" if kind.optional else name
    return _plain(kind.annotation)


def _plain(annotation: str) -> str:
    return (
        annotation.replace("Mapping[Key, Value]", "Mapping[Key, int | Unlimited | str]")
        .replace("Mapping[Key, Limit]", "Mapping[Key, int | Unlimited]")
        .replace("Message | str", "str")
    )


def test_each_kind_has_a_number_of_its_own() -> None:
    codes = [*SIMPLE, Record.code, Entries.code, Table.code]
    assert sorted(codes) == [*range(1, 15), 32, 33, 34]
