"""Sizes, limits, time spans and scores: what systemd takes, byte for byte."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.amount import format_limit, format_size, format_time_span, render_limit
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.quantity import (
    parse_limit,
    parse_score,
    parse_size,
    parse_time_span,
)
from lowmem_tui.model.settings import parse_value, render_value
from lowmem_tui.model.unit import INFINITY, Key, Value

K, M, G = 1 << 10, 1 << 20, 1 << 30
SEC = 1_000_000
SIZES = st.integers(0, 2**64 - 1)
LIMITS = st.one_of(st.integers(0, 2**64 - 2), st.just(INFINITY))
SPANS = st.integers(0, 2**63)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("5", 5),
        ("512M", 512 * M),
        ("1.5G", 1536 * M),
        ("1G 512M", 1536 * M),
        ("1G512M", 1536 * M),
        ("1M1K3", M + K + 3),
        ("10.M", 10 * M),
        ("1.5", 1),
        ("5 M", 5 * M),
        (" 5M ", 5 * M),
        ("7B", 7),
        ("+3K", 3 * K),
        ("15E", 15 << 60),
        ("0.1K", 102),
        ("0" * 5000 + "5", 5),
    ],
)
def test_a_size_that_systemd_takes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "banana",
            "M",
            "-3",
            "1K 1M",
            "1M 1M",
            "1 2",
            "0x10",
            "1MB",
            "5Mi",
            "5m",
            "1,5G",
        ),
        *("16E", "15.9E", "9" * 6000, "1." + "9" * 6000, "٣M", ".5M", "infinity", "25%", "1G\x00"),
    ],
)
def test_a_size_that_systemd_refuses(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"^'.*' is .*: write .*\.$"):
        parse_size(text)


@given(SIZES)
def test_a_size_in_bytes_is_read_back(size: int) -> None:
    assert parse_size(str(size)) == size


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("infinity", INFINITY),
        ("256M", 256 * M),
        ("0", 0),
        ("100%", 967 * M + 5),
        ("25%", 967 * M // 4),
        ("0%", 0),
        # 25.5 % of 247552 pages, rounded down to a whole page.
        ("25.5%", 63125 * 4096),
        ("12.34%", 30547 * 4096),
        ("12‰", 2970 * 4096),
        ("12.5‰", 3094 * 4096),
        ("1‱", 24 * 4096),
        ("010%", 247552 * 8 // 100 * 4096),
    ],
)
def test_a_limit_that_systemd_takes(text: str, limit: Value) -> None:
    assert parse_limit(text, 967 * M + 5) == limit


@pytest.mark.parametrize(
    "text", ["", "Infinity", "max", "101%", "-1%", "5.%", "5.123%", "%", "5 %", "1.5‱", str(2**64)]
)
def test_a_limit_that_systemd_refuses(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_limit(text, G)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("256m", "'256m' is not a limit: systemd writes it 256M."),
        ("256 MB", "'256 MB' is not a limit: systemd writes it 256M."),
        ("9" * 20 + "T", f"'{'9' * 20}T' is too large: write a size below 16E."),
        ("17000000t", "'17000000t' is not a limit: write a size like 256M"),
        ("18446744073709551615", "is too large: write infinity for no limit."),
    ],
)
def test_the_text_of_a_limit(text: str, said: str) -> None:
    with pytest.raises(InvalidValueError) as raised:
        parse_limit(text, G)
    assert said in str(raised.value)


@given(LIMITS)
def test_a_rendered_limit_is_read_back(limit: int) -> None:
    assert parse_limit(render_limit(limit), G) == limit


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (0, "0"),
        (1, "1"),
        (K, "1K"),
        (1536 * M, "1536M"),
        (G, "1G"),
        (G + 1, str(G + 1)),
        (INFINITY, "infinity"),
    ],
)
def test_a_limit_is_rendered_with_the_largest_exact_suffix(limit: int, text: str) -> None:
    assert render_limit(limit) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "—"),
        (0, "0"),
        (1, "1B"),
        (1023, "1023B"),
        (1024, "1K"),
        (8_493_466, "8.1M"),
        (13_002_342, "12.4M"),
        (412 * M, "412M"),
        (int(99.96 * K), "100K"),
        (int(1023.4 * K), "1023K"),
        (int(1023.6 * K), "1M"),
        (int(1.2 * G), "1.2G"),
        (2**64 - 1, "16E"),
    ],
)
def test_a_size_for_a_column(size: int | None, text: str) -> None:
    assert format_size(size) == text


@given(SIZES)
def test_a_size_for_a_column_has_at_most_five_characters(size: int) -> None:
    assert len(format_size(size)) <= 5


@given(st.integers(1, 2**64 - 1))
def test_a_size_for_a_column_is_off_by_a_twentieth_at_most(size: int) -> None:
    assert abs(parse_size(format_size(min(size, 15 << 60))) - min(size, 15 << 60)) <= size / 20


@pytest.mark.parametrize(("limit", "text"), [(None, "?"), (INFINITY, "—"), (600 * M, "600M")])
def test_a_limit_for_a_column(limit: int | None, text: str) -> None:
    assert format_limit(limit) == text


SPANS_TAKEN = {
    "0": 0,
    "3": 3 * SEC,
    "3s": 3 * SEC,
    "1min 30s": 90 * SEC,
    "100ms": SEC // 10,
    "1.5s": 1_500_000,
    ".5s": 500_000,
    "0.0000015s": 1,
    "1.5min": 90 * SEC,
    "3s2": 5 * SEC,
    "1 2": 3 * SEC,
    "1h5": 3605 * SEC,
    "5 s": 5 * SEC,
    "+5": 5 * SEC,
    "1m": 60 * SEC,
    "1M": 2_629_800 * SEC,
    "1month": 2_629_800 * SEC,
    "1y 2": 31_557_602 * SEC,
    "2w": 14 * 86400 * SEC,
    "7µs": 7,
    "7us": 7,
    "12.34 .56": 12_900_000,
    "12.34s.56": 12_900_000,
    " 10 ": 10 * SEC,
}
SPANS_REFUSED = (
    *("", " ", "s", "banana", "-1s", "1.", "3. 1", "3.sec", "12.34.56", "5ss", "5 x", "1e3", "."),
    *("1S", "0x5", "99999999999999999y", "9" * 6000, "infinity 3"),
)


@pytest.mark.parametrize("text", SPANS_TAKEN)
def test_a_time_span_that_systemd_takes(text: str) -> None:
    assert parse_time_span(text) == SPANS_TAKEN[text]


def test_infinity_is_a_time_span() -> None:
    assert parse_time_span("infinity") is INFINITY


@pytest.mark.parametrize("text", SPANS_REFUSED)
def test_a_time_span_that_systemd_refuses(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"^'.*' is .*: write .*\.$"):
        parse_time_span(text)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize("text", [*SPANS_TAKEN, *SPANS_REFUSED[1:]])
def test_systemd_agrees_on_time_spans(text: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "timespan", "--", text], capture_output=True, text=True, check=False
    )
    shown = [line.split()[-1] for line in done.stdout.splitlines() if "μs:" in line]
    assert shown == ([str(SPANS_TAKEN[text])] if text in SPANS_TAKEN else [])


@given(SPANS)
def test_a_time_span_is_read_back(usec: int) -> None:
    assert parse_time_span(format_time_span(usec)) == usec


@pytest.mark.parametrize(
    ("usec", "text"),
    [
        (None, "?"),
        (INFINITY, "infinity"),
        (0, "0"),
        (3 * SEC, "3s"),
        (100_000, "100ms"),
        (1_500_000, "1.5s"),
        (1_000_001, "1.000001s"),
        (90 * SEC, "1min 30s"),
        (90 * SEC + 1500, "1min 30.0015s"),
        (7, "7us"),
    ],
)
def test_a_time_span_in_words(usec: int | None, text: str) -> None:
    assert format_time_span(usec) == text


@pytest.mark.parametrize(
    ("text", "score"),
    [
        *(("0", 0), ("-1000", -1000), ("1000", 1000), ("+5", 5), (" -200 ", -200)),
        *(("0x10", 16), ("010", 8), ("0b11", 3), ("0o17", 15), ("-0x10", -16)),
        ("0" * 5000 + "5", 5),
    ],
)
def test_a_score_that_systemd_takes(text: str, score: int) -> None:
    assert parse_score(text) == score


@pytest.mark.parametrize(
    "text", ["", "banana", "-1001", "1001", "5000", "1.5", "--5", "09", "9" * 5000, "٣", "1 2"]
)
def test_a_score_that_systemd_refuses(text: str) -> None:
    with pytest.raises(InvalidValueError, match="write a whole number from -1000 to 1000"):
        parse_score(text)


@given(st.integers(-1000, 1000))
def test_a_score_is_read_back(score: int) -> None:
    assert parse_score(str(score)) == score


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        (Key.OOM_SCORE_ADJUST, "", 0),
        (Key.MEMORY_MAX, "", INFINITY),
        (Key.MEMORY_HIGH, "50%", G // 2),
        (Key.MEMORY_SWAP_MAX, "0", 0),
        (Key.RESTART, "on-failure", "on-failure"),
        (Key.RESTART_SEC, "100ms", 100_000),
        (Key.OOM_POLICY, "kill", "kill"),
    ],
)
def test_a_value_that_systemd_would_load(key: Key, text: str, value: Value) -> None:
    assert parse_value(key, text, G) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Key.OOM_SCORE_ADJUST, "5000"),
        (Key.MEMORY_MAX, "banana"),
        (Key.MEMORY_MAX, "0"),
        (Key.MEMORY_HIGH, "0%"),
        (Key.RESTART, ""),
        (Key.RESTART, "Always"),
        (Key.RESTART_SEC, ""),
        (Key.OOM_POLICY, ""),
        (Key.OOM_POLICY, "die"),
    ],
)
def test_a_value_that_systemd_would_ignore(key: Key, text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_value(key, text, G)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (Key.MEMORY_MAX, None, "?"),
        (Key.MEMORY_MAX, 256 * M, "256M"),
        (Key.MEMORY_MAX, INFINITY, "infinity"),
        (Key.RESTART_SEC, 3 * SEC, "3s"),
        (Key.OOM_SCORE_ADJUST, -200, "-200"),
        (Key.RESTART, "always", "always"),
    ],
)
def test_a_value_as_it_is_written_in_a_unit_file(key: Key, value: Value | None, text: str) -> None:
    assert render_value(key, value) == text


@given(st.sampled_from(Key), st.text())
def test_any_text_is_a_value_or_an_error_in_one_line(key: Key, text: str) -> None:
    try:
        parse_value(key, text, G)
    except InvalidValueError as error:
        assert str(error).isprintable()
