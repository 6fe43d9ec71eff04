"""A file that an action replaces travels as its value, and nobody is shown the contents."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.change.records.record import action_from
from lowmem_tui.model import kept
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.kept import KeptFile
from lowmem_tui.model.message import msg
from lowmem_tui.model.plan import Action, ActionKind

NUMBERS = st.integers(0, (1 << 32) - 1)
FILES = st.builds(
    KeptFile,
    st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8).map(bytes.hex))).map(tuple),
)


@given(FILES)
def test_a_file_is_read_back_whole(file: KeptFile) -> None:
    assert kept.file_of(file.value) == file
    assert kept.is_foreign(file.value)
    assert kept.reason_of(file.value) is None


@given(st.text())
def test_whatever_is_in_a_record_is_a_value_or_an_error(text: str) -> None:
    for value in (text, f"\0{text}", f"\0file {text}", f"\0other {text}"):
        shown = str(kept.shown(value))
        assert "\0" not in shown
        assert kept.public(kept.public(value)) == kept.public(value)
        try:
            kept.file_of(value)
        except InvalidValueError as error:
            assert str(error).endswith(".")


@pytest.mark.parametrize(
    "made",
    [
        [],
        {},
        {"text": "", "uid": 0, "gid": 0, "mode": "x", "flags": 0, "xattrs": []},
        {"text": "", "uid": -1, "gid": 0, "mode": 1, "flags": 0, "xattrs": []},
        {"text": "", "uid": True, "gid": 0, "mode": 1, "flags": 0, "xattrs": []},
        {"text": "", "uid": 0, "gid": 0, "mode": 1, "flags": 0, "xattrs": [["a", "zz"]]},
        {"text": "", "uid": 0, "gid": 0, "mode": 1, "flags": 0, "xattrs": 5},
    ],
)
def test_what_is_no_file(made: object) -> None:
    value = f"\0file {json.dumps(made)}"
    with pytest.raises(InvalidValueError):
        kept.file_of(value)
    assert str(kept.shown(value)) == "something that cannot be kept"
    assert "cannot be read" in str(kept.reason_of(kept.public(value)))


def test_a_link_s_target_is_itself() -> None:
    for target in ("", "/dev/null", "file {}", "other x"):
        assert str(kept.shown(target)) == target
        assert kept.file_of(target) is None
        assert not kept.is_foreign(target)


def test_an_action_shows_no_contents() -> None:
    file = KeptFile("Environment=PASSWORD=secret\n", 0, 0, 0o600)
    action = Action(ActionKind.LINK, "/etc/systemd/system/a.service", file.value, "/dev/null")
    for each in (action, action.inverse):
        assert "secret" not in f"{each.described}{each.public}"
    assert str(kept.shown(action.public.before)) == "a file of 28 bytes (mode 0600)"
    kept.check(action.public.before)


def test_what_cannot_be_kept_has_its_reason() -> None:
    reason = msg("It is immutable: run `chattr -i` on it.")
    value = kept.other(reason)
    assert kept.reason_of(value) == reason
    assert str(kept.shown(value)) == "something that cannot be kept"
    kept.check(value)


def test_a_record_of_an_older_version_is_read() -> None:
    made = {"kind": "link", "what": "/x", "before": "", "after": "/y", "phase": "late", "words": ""}
    assert action_from(dict(made)).before == ""


@pytest.mark.parametrize(
    ("action", "described"),
    [
        (
            Action(ActionKind.REDIS, "redis-server.service maxmemory", "0", "268435456"),
            "redis redis-server.service maxmemory: 256M -> none",
        ),
        (
            Action(ActionKind.REDIS, "redis-server.service maxmemory 127.0.0.1:6380", "5", "1024"),
            "redis redis-server.service maxmemory 127.0.0.1:6380: 1K -> 5",
        ),
        (
            Action(ActionKind.REDIS, "redis-server.service maxmemory-policy", "noeviction", "x"),
            "redis redis-server.service maxmemory-policy: x -> noeviction",
        ),
        (
            Action(ActionKind.SWAP_FILE, "/swapfile", "2147483648", "4294967296"),
            "write /swapfile, 2G of zeros, mode 0600; mkswap /swapfile",
        ),
        (Action(ActionKind.SWAP_FILE, "/swapfile", "", "2147483648"), "rm /swapfile"),
        (
            Action(ActionKind.SYSCTL, "vm.swappiness", "60", "10"),
            "sysctl -w vm.swappiness=60",
        ),
    ],
)
def test_what_undoing_does_has_values_as_people_write_them(action: Action, described: str) -> None:
    assert str(action.inverse.described) == described
