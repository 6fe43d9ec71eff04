"""Finding entries of a D-Bus dictionary: as a whole decoder does, whatever else is in it."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jeepney import DBusAddress, new_method_call  # type: ignore[import-untyped]
from jeepney.low_level import Header, Variant  # type: ignore[import-untyped]

from lowmem_tui.host.dbus.dbus_dict import entries

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
PATH = st.sampled_from(["/", "/a", "/org/freedesktop"])
PLAIN: dict[str, st.SearchStrategy[object]] = {
    "y": st.integers(0, 255),
    "b": st.booleans(),
    "n": st.integers(-(2**15), 2**15 - 1),
    "q": st.integers(0, 2**16 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "u": st.integers(0, 2**32 - 1),
    "x": st.integers(-(2**63), 2**63 - 1),
    "t": st.integers(0, 2**64 - 1),
    "d": st.floats(allow_nan=False),
    "s": TEXT,
    "o": PATH,
    "g": st.sampled_from(["", "s", "a{sv}", "(iu)"]),
}
COMPOUND: dict[str, st.SearchStrategy[object]] = {
    "as": st.lists(TEXT, max_size=4),
    "at": st.lists(PLAIN["t"], max_size=4),
    "ay": st.binary(max_size=5),
    "(ss)": st.tuples(TEXT, TEXT),
    "(yt)": st.tuples(PLAIN["y"], PLAIN["t"]),
    "(b(sas)y)": st.tuples(
        st.booleans(), st.tuples(TEXT, st.lists(TEXT, max_size=2)), PLAIN["y"]
    ),
    "a(ss)": st.lists(st.tuples(TEXT, TEXT), max_size=3),
    "a(sasbttttuii)": st.lists(
        st.tuples(TEXT, st.lists(TEXT, max_size=3), st.booleans(), *[PLAIN["t"]] * 4,
            PLAIN["u"], PLAIN["i"], PLAIN["i"]),
        max_size=2,
    ),
    "a{sv}": st.dictionaries(TEXT, TEXT.map(lambda t: ("s", t)), max_size=2),
    "v": PLAIN["t"].map(lambda n: ("t", n)),
    "aas": st.lists(st.lists(TEXT, max_size=2), max_size=2),
}  # fmt: skip


def variants(signature: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return values.map(lambda value: (signature, value))


VARIANTS = st.one_of(*(variants(s, values) for s, values in {**PLAIN, **COMPOUND}.items()))
DICTIONARIES = st.dictionaries(TEXT, VARIANTS, max_size=12)


def message(dictionary: dict[str, tuple[str, object]], member: str = "M") -> bytes:
    there = DBusAddress("/a", "a.b", "a.b")
    raw: bytes = new_method_call(there, member, "a{sv}", (dictionary,)).serialise(serial=1)
    return raw


@settings(max_examples=400, deadline=None)
@given(DICTIONARIES, st.integers(1, 9))
def test_as_a_whole_decoder(dictionary: dict[str, tuple[str, object]], length: int) -> None:
    raw = message(dictionary, "M" * length)
    header, end = Header.from_buffer(raw)
    at = (end + 7) & ~7
    for wanted in (list(dictionary), list(dictionary)[::2], list(dictionary)[-1:], ["", "nosuch"]):
        keys = {key.encode() for key in wanted}
        found = {
            key: Variant().parse_data(raw, place, header.endianness)[0]
            for key, place in entries(raw, at, "<", keys)
        }
        assert found == {k: v for k, v in dictionary.items() if k.encode() in keys}


@settings(max_examples=300, deadline=None)
@given(DICTIONARIES.filter(bool), st.data())
def test_of_a_broken_message(
    dictionary: dict[str, tuple[str, object]], data: st.DataObject
) -> None:
    """It ends, and raises nothing else."""
    raw = bytearray(message(dictionary))
    at = (Header.from_buffer(bytes(raw))[1] + 7) & ~7
    raw[data.draw(st.integers(at, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(at, len(raw)))]
    with contextlib.suppress(ValueError, LookupError, struct.error):
        list(entries(bytes(raw), at, "<", {b"a", b""}))


def test_of_another_byte_order() -> None:
    body = struct.pack(">I4xI1sx1s1sx3xI2sx", 19, 1, b"a", b"\1", b"s", 2, b"hi")
    assert [key for key, _ in entries(body, 0, ">", {b"a"})] == ["a"]


@pytest.mark.parametrize("raw", [b"", b"\0\0\0", b"\xff\0\0\0\0\0\0\0"])
def test_of_nothing(raw: bytes) -> None:
    with pytest.raises((ValueError, IndexError, struct.error)):
        list(entries(raw, 0, "<", set()))
