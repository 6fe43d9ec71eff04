"""Whatever lies in a record's or the summary's place is read back as it was written, or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lowmem_tui.change.entry import apply, settled
from lowmem_tui.change.records import decode, paths
from lowmem_tui.change.records.record import dump, load
from lowmem_tui.change.records.records import public
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.setup.steps import allowed

from .box import CHAT, REDIS, Box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.change.records.record import Record
    from lowmem_tui.model.message import Message

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["infinity", "trial", "applying", "/etc/passwd", "\0file {}", "\ud800", CHAT]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def read_record(text: str) -> Record:
    return load(text, allowed().paths)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A record of a trial with limits and scores, and the summary."""
    box = Box(tmp_path_factory.mktemp("decode") / "root")
    sets = (f"{CHAT}:MemoryMax=400M", f"{REDIS}:OOMScoreAdjust=-50")
    apply(box.site(), box.plan(*sets), box.situation, seconds=60, note="why")
    store = box.site().store
    yield store.read(f"{paths.RECORDS}/1.json") or "", store.read(paths.SUMMARY) or ""
    box.close()


def ways(made: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Yield the way to every value in JSON."""
    if way:
        yield way
    inner = (
        made.items()
        if isinstance(made, dict)
        else enumerate(made)
        if isinstance(made, list)
        else ()
    )
    for key, value in inner:
        yield from ways(value, (*way, key))


def test_what_is_written_is_read_back(texts: tuple[str, str]) -> None:
    record = read_record(texts[0])
    assert read_record(dump(record)) == record
    assert record.live.limits
    assert record.live.scores
    assert record.trial is not None
    for state in State:
        left = ("look at it",) if state is State.INCOMPLETE else ()
        changed = record.to(state, "said", left)
        assert read_record(dump(changed)) == changed


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_may_be_any_other(texts: tuple[str, str], data: st.DataObject) -> None:
    """What is read is what we could have written: it can be shown, written and settled."""
    for text, read in ((texts[0], read_record), (texts[1], lambda text: public(_Store(text)))):
        made = json.loads(text)
        way = data.draw(st.sampled_from(list(ways(made))))
        inner = made
        for key in way[:-1]:
            inner = inner[key]
        if data.draw(st.booleans()):
            inner[way[-1]] = data.draw(JSON)
        else:
            del inner[way[-1]]
        try:
            found: Any = read(json.dumps(made))
        except InvalidValueError as error:
            assert str(error)
        else:
            if read is read_record:
                assert read_record(dump(found)) == found
                found.change()
                for file in found.plan.files:
                    (file.before or "").encode("utf-8", "surrogateescape")


@given(
    st.text(max_size=60)
    | st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example("1" * 10_000)
@example("-" + "0" * 10_000)
@example("1e999999")
@example('"\\ud800"')
def test_any_text(text: str) -> None:
    for read in (read_record, lambda text: public(_Store(text))):
        with pytest.raises(InvalidValueError):
            read(text)


@given(JSON)
def test_readers_return_their_type_or_say_what_it_is_not(made: object) -> None:
    readers: dict[Any, Any] = {
        decode.text: str,
        decode.flat: str,
        decode.flag: bool,
        decode.whole(0, 9): int,
        decode.number(0, 9): (int, float),
        decode.listed(decode.flag): tuple,
    }
    for reader, kind in readers.items():
        try:
            found = reader(made)
        except ValueError as error:
            assert str(error)
        else:
            assert isinstance(found, kind)
            assert kind is bool or not isinstance(found, bool)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_a_record_says_the_next_start_goes_on(
    tmp_path_factory: pytest.TempPathFactory, texts: tuple[str, str], data: st.DataObject
) -> None:
    box = Box(tmp_path_factory.mktemp("any") / "root")
    try:
        made = json.loads(texts[0])
        way = data.draw(st.sampled_from(list(ways(made))))
        inner = made
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = data.draw(JSON)
        box.site().store.write(f"{paths.RECORDS}/1.json", json.dumps(made))
        box.clock.now += 61
        settled(box.site())
        assert settled(box.site()) == []
        assert not [r for r in box.site().journal.records() if r.state is State.APPLYING]
    finally:
        box.close()


class _Store:
    """A store with nothing but this summary."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, path: str) -> str | None:
        del path
        return self._text

    def names(self, folder: str) -> list[str]:
        del folder
        return []

    def write(self, path: str, text: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def tidy(self, folder: str) -> None: ...

    def set_aside(self, path: str) -> str:
        return path

    def troubles(self) -> list[Message]:
        return []
