"""The administrator's config.toml: read by whom, and how it may be written."""

from __future__ import annotations

from pathlib import Path, PosixPath
from typing import NoReturn

import pytest

from lowmem_tui.cli import rules
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.unit import Tier

OWN = b'[tiers]\n"zork.service" = 0\n'


class Locked(PosixPath):
    def __fspath__(self) -> NoReturn:
        raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    ("raw", "known"),
    [
        pytest.param(OWN, {"zork.service": Tier.GATEKEEPER}, id="plain"),
        pytest.param(b"\xef\xbb\xbf" + OWN, {"zork.service": Tier.GATEKEEPER}, id="a BOM"),
        pytest.param(b"", {}, id="empty"),
    ],
)
def test_what_can_be_read(tmp_path: Path, raw: bytes, known: dict[str, Tier]) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(raw)
    assert dict(rules.load_rules(config=path).config) == known
    assert rules.unread(path) is None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param(b"\xff\xfe", "is not UTF-8 text", id="no text"),
        pytest.param(None, "cannot be read (Is a directory): repair or remove it.", id="a folder"),
        pytest.param(b"[zork]\n", "Line 1: section 'zork' is unknown", id="a section"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, raw: bytes | None, said: str) -> None:
    path = tmp_path / "config.toml"
    path.mkdir() if raw is None else path.write_bytes(raw)
    with pytest.raises(InvalidValueError) as raised:
        rules.load_rules(config=path)
    assert str(raised.value).startswith(str(path))
    assert said in str(raised.value)


def test_what_may_not_be_read_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rules, "CONFIG", Locked("/etc/lowmem-tui/config.toml"))
    assert rules.rules_for(demo=False).config == ()
    assert "its tiers are missing" in capsys.readouterr().err
    assert rules.rules_for(demo=True).config == ()
    assert capsys.readouterr().err == ""
