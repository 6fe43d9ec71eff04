"""Whatever the plan: to apply it and to undo it leaves the tree byte for byte as it was."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lowmem_tui.change.entry import apply, undo
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import Bytes, Key, Span, Word
from lowmem_tui.policy import dropin
from lowmem_tui.policy.plan import plan

from .box import CHAT, REDIS, Box
from .every_setting import wanted
from .faults import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANS = int(os.environ.get("LOWMEM_PLANS", "100"))
"""How many plans are tried; `make faults` tries 10,000."""

SIZES = st.sampled_from(["700M", "1G", "infinity", "95%", "823456789", "2T"])
"""Enough for both units: what is killed has no values to be compared."""


def values(key: Key) -> st.SearchStrategy[str]:
    """Return values of the setting's kind."""
    kind = key.facts.kind
    if isinstance(kind, Word):
        return st.sampled_from(kind.words)
    if isinstance(kind, Bytes):
        return SIZES
    if isinstance(kind, Span):
        return st.sampled_from(["100ms", "3s", "1min 30s", "infinity"])
    return st.integers(-999, 1000).map(str)


EDIT = st.sampled_from(list(Key)).flatmap(
    lambda key: st.builds(
        Edit, st.sampled_from([REDIS, CHAT]), st.just(key), st.none() | values(key)
    )
)
BEFORE = st.none() | st.tuples(
    st.dictionaries(st.sampled_from(list(Key)), st.none(), max_size=4).map(tuple),
    st.sampled_from(["", "\n\n", "# a note\n", "# not UTF-8: \udcff\udcfe\n", "#\r\n", "# ünï"]),
)
"""Our file as it may be found: some settings, and bytes that somebody has put at its end."""


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        made = Box(Path(folder))
        yield made
        made.close()


@settings(
    max_examples=PLANS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(
    edits=st.lists(EDIT, min_size=1, max_size=6),
    redis=BEFORE,
    chat=BEFORE,
    tried=st.booleans(),
)
def test_apply_then_undo(
    box: Box,
    edits: list[Edit],
    redis: tuple[tuple[Key, ...], str] | None,
    chat: tuple[tuple[Key, ...], str] | None,
    tried: bool,
) -> None:
    for unit, found in ((REDIS, redis), (CHAT, chat)):
        path = dropin.path(unit)
        if found is None or not found[0]:
            box.etc.remove(path)
        else:
            text = dropin.render(unit, {key: wanted(key, None) for key in found[0]}, "Service")
            box.etc.write(path, text + found[1])
    box.connection.reload()
    box.match()
    before = tree(str(box.root / "etc"))
    state = box.state()
    made = plan(edits, box.situation((REDIS, CHAT)))
    # What is never written is none of the count.
    assume(not made.refused(True) and not made.empty)
    if tried:
        apply(box.site(), made, box.situation, force=True, seconds=60)
        assert tree(str(box.root / "etc")) == before
    else:
        apply(box.site(), made, box.situation, force=True)
        assert tree(str(box.root / "etc")) != before
    undo(box.site(), box.situation, force=True)
    assert tree(str(box.root / "etc")) == before
    assert box.state() == state
    for record in box.site().journal.records():
        box.site().journal.drop(record)
