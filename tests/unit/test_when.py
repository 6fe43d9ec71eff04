"""A moment as a person writes it: held against systemd's own reading (systemd.time(7))."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.when import parse_when

NOW = datetime(2026, 11, 30, 12, 17, 58, tzinfo=UTC).timestamp()


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


MIDNIGHT = at(2026, 11, 30)

MEANT = {
    "now": NOW,
    "today": MIDNIGHT,
    "yesterday": MIDNIGHT - 86400,
    "tomorrow": MIDNIGHT + 86400,
    "yesterday UTC": MIDNIGHT - 86400,
    "2 hours ago": NOW - 7200,
    "2h ago": NOW - 7200,
    "2h 5min ago": NOW - 7500,
    "-2h": NOW - 7200,
    "- 2h": NOW - 7200,
    "-2 hours": NOW - 7200,
    "-1.5h": NOW - 5400,
    "-5": NOW - 5,
    "+2h": NOW + 7200,
    "2 hours left": NOW + 7200,
    "1 week ago": NOW - 604800,
    "1d ago": NOW - 86400,
    "03:12": MIDNIGHT + 3 * 3600 + 720,
    "3:2": MIDNIGHT + 3 * 3600 + 120,
    "03:12:01": MIDNIGHT + 3 * 3600 + 721,
    "00:00:01.5": MIDNIGHT + 1.5,
    "2026-11-29": at(2026, 11, 29),
    "26-11-29": at(2026, 11, 29),
    "2026-2-3": at(2026, 2, 3),
    "2026-02-30": at(2026, 3, 2),
    "2026-11-29 03:12": at(2026, 11, 29, 3, 12),
    "2026-11-29 03:12:01.5": at(2026, 11, 29, 3, 12, 1) + 0.5,
    "2026-11-29 03:12 UTC": at(2026, 11, 29, 3, 12),
    "Sun 2026-11-29 03:12": at(2026, 11, 29, 3, 12),
    "Sunday 2026-11-29": at(2026, 11, 29),
    "23:59:60": MIDNIGHT + 86400,
    "1970-01-01": 0.0,
    "@1700000000": 1700000000.0,
    "@1700000000.5": 1700000000.5,
}
"""What every systemd takes."""

NO_TIME = (
    "", "@", "@-5", "24:00", "12:60", "Mon 2026-11-29", "2026", "2026-11", "11-29", "20261129",
    "1700000000", "1h ago ago", "--2h", "1969-12-31", "10000-01-01", "0000-01-01",
    "yesterday 03:00", "now UTC", "soon", "31.1.", "2026-13-01", "2026-11-00",
)  # fmt: skip

MORE = {
    "2h": NOW - 7200,
    "3d": NOW - 3 * 86400,
    "1d 12h": NOW - 129600,
    " yesterday ": MIDNIGHT - 86400,
    "NOW": NOW,
    "2026-11-29T03:12:01Z": at(2026, 11, 29, 3, 12, 1),
    "2026-11-29T03:12:01+02:00": at(2026, 11, 29, 1, 12, 1),
    "2026-11-29 03:12:01 -0230": at(2026, 11, 29, 5, 42, 1),
    "2026-07-01 12:00 Europe/Berlin": at(2026, 7, 1, 10),
}
"""What newer ones take, or we alone."""


@pytest.mark.parametrize(("text", "meant"), (MEANT | MORE).items(), ids=[*MEANT, *MORE])
def test_a_moment(text: str, meant: float) -> None:
    assert parse_when(text, NOW, UTC) == pytest.approx(meant)


@pytest.mark.parametrize(
    "text", [*NO_TIME, "infinity", "2026-11-29Z", "9" * 200, "٢h", "1 Nowhere/City", "@٣"]
)
def test_no_moment(text: str) -> None:
    with pytest.raises(InvalidValueError, match="is not a time"):
        parse_when(text, NOW, UTC)


def test_days_begin_where_the_machine_is() -> None:
    east = timezone(timedelta(hours=13))
    assert parse_when("today", NOW, east) == at(2026, 11, 30, 11)
    assert parse_when("03:12", NOW, east) == at(2026, 11, 30, 14, 12)


def test_a_change_of_clocks_is_the_machines_own() -> None:
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    assert parse_when("2026-03-29 12:00", NOW, berlin) == at(2026, 3, 29, 10)
    assert parse_when("yesterday", at(2026, 10, 26, 8), berlin) == at(2026, 10, 24, 22)


def test_the_sentence_is_harmless() -> None:
    with pytest.raises(InvalidValueError) as error:
        parse_when("\x1b[2J\n" * 90, NOW)
    assert "\x1b" not in str(error.value)


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    with suppress(InvalidValueError):
        assert parse_when(text, NOW, UTC) >= 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize("text", [*MEANT, *NO_TIME])
def test_as_systemd_reads_it(text: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "timestamp", "--", text],
        capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
    )  # fmt: skip
    theirs = [line.split("@")[1] for line in done.stdout.splitlines() if "UNIX seconds" in line]
    try:
        ours = parse_when(text, time.time(), UTC)
    except InvalidValueError:
        ours = None
    assert (ours is None) == (not theirs)
    if ours is not None:
        # Midnight, or a slow machine, may lie between the two questions.
        assert float(theirs[0]) == pytest.approx(ours, abs=30)
