"""The notice of a trial, as everybody reads it at each look."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli import local
from lowmem_tui.model.trial import TrialNotice, running
from lowmem_tui.model.who import By

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("count", [1, 30, 500])
def test_a_notice_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    units = tuple(f"worker@{number}.service" for number in range(count))
    now = time.monotonic()
    notice = TrialNotice(
        number="7",
        by=By(0, "root", "", ""),
        note="why " * 50,
        units=units,
        deadline=time.time(),
        monotonic=now,
    )
    (tmp_path / "trial").write_text(notice.render())
    monkeypatch.setattr(local, "PATH", str(tmp_path / "trial"))
    trial = running(local._records().notice(), now - 60)
    assert trial is not None
    assert trial.units == units
