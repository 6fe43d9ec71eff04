"""Our drop-in: its place, its text, and reading it back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.settings import render_value
from lowmem_tui.model.unit import INFINITY, Key, Value
from lowmem_tui.model.unitfile import assignments
from lowmem_tui.policy.dropin import OUR_NAME, is_ours, marked, ours, path, render

TEXT = """\
# Written by lowmem-tui. Change it with 'lowmem-tui apply --set UNIT:KEY=VALUE'.
# To remove a setting, leave its value empty:
#   lowmem-tui apply --set 'a.service:OOMScoreAdjust='
#   lowmem-tui apply --set 'a.service:MemoryMax='

[Service]
OOMScoreAdjust=-100
MemoryMax=256M
"""


def test_the_text_says_who_wrote_it_and_how_to_remove_a_setting() -> None:
    settings = {Key.MEMORY_MAX: "256M", Key.OOM_SCORE_ADJUST: "-100"}
    assert render("a.service", settings, "Service") == TEXT


@pytest.mark.parametrize("name", ["a.service", "a@b.service", r"dev-x\x2dy.swap", "a:b.service"])
def test_the_path(name: str) -> None:
    assert path(name) == f"/etc/systemd/system/{name}.d/{OUR_NAME}"


@pytest.mark.parametrize(
    "name",
    [
        *("", "a", "../a.service", "a/b.service", ".service", "a.service\n", "a b.service"),
        *(
            "é.service",
            "a.service.d",
            "a.conf",
            "a\0.service",
            "x" * 300 + ".service",
            "@a.service",
        ),
    ],
)
def test_no_path_is_made_for_what_is_no_unit(name: str) -> None:
    with pytest.raises(InvalidValueError, match="is not a unit's name"):
        path(name)


@given(st.text())
def test_no_path_leaves_its_folder(name: str) -> None:
    try:
        found = path(name)
    except InvalidValueError:
        return
    assert found.startswith("/etc/systemd/system/")
    assert found.count("/") == 5
    assert "/../" not in found


@pytest.mark.parametrize("value", ["1\n[Install]", "1\0", "\x1b", " 1", "1\\", "\ud800"])
def test_a_value_that_would_not_stay_on_its_line_is_refused(value: str) -> None:
    with pytest.raises(InvalidValueError, match="A unit file cannot hold"):
        render("a.service", {Key.MEMORY_MAX: value}, "Service")


VALUES: dict[Key, st.SearchStrategy[Value]] = {
    Key.OOM_SCORE_ADJUST: st.integers(-1000, 1000),
    Key.MEMORY_MAX: st.integers(1, 2**64 - 2) | st.just(INFINITY),
    Key.MEMORY_HIGH: st.integers(1, 2**64 - 2) | st.just(INFINITY),
    Key.MEMORY_SWAP_MAX: st.integers(0, 2**64 - 2) | st.just(INFINITY),
    Key.RESTART: st.sampled_from(["no", "always", "on-failure"]),
    Key.RESTART_SEC: st.integers(0, 2**62),
    Key.OOM_POLICY: st.sampled_from(["continue", "stop", "kill"]),
}
SETTINGS = st.fixed_dictionaries({}, optional=VALUES).map(
    lambda values: {key: render_value(key, value) for key, value in values.items()}
)


@given(SETTINGS)
def test_what_is_written_is_read_back(settings: dict[Key, str]) -> None:
    assert ours(render("a.service", settings, "Service")) == settings


@given(SETTINGS)
def test_what_is_written_is_known_as_ours(settings: dict[Key, str]) -> None:
    assert is_ours(render("a.service", settings, "Slice"))


@given(SETTINGS)
def test_a_file_holds_only_the_settings_asked_for(settings: dict[Key, str]) -> None:
    text = render(r"a\x2d.service", settings, "Service")
    assert {(a.section, a.key) for a in assignments(text)} == {("Service", k) for k in settings}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("[Service]\nMemoryMax=1G\nMemoryMax=2G\n", {Key.MEMORY_MAX: "2G"}),
        ("[Service]\nMemoryMax= 1G\t512M\n", {Key.MEMORY_MAX: "1G 512M"}),
        ("[Service]\nMemoryMax=banana\nNice=5\n", {}),
    ],
    ids=["nothing", "repeated", "odd spaces", "what systemd ignores"],
)
def test_what_is_read_back(text: str, found: dict[Key, str]) -> None:
    assert ours(text) == found


@pytest.mark.parametrize(
    ("text", "by_us", "all_of_it"),
    [
        (TEXT, True, True),
        (TEXT + "Nice=5\n", True, False),
        (TEXT + "ExecStart=/bin/x\n", True, False),
        (TEXT + "# a remark\n\n", True, True),
        ("[Service]\nMemoryMax=1G\n", False, False),
        ("", False, False),
    ],
    ids=["ours", "a line more", "a command more", "a remark more", "somebody's", "empty"],
)
def test_whose_a_file_is(text: str, by_us: bool, all_of_it: bool) -> None:
    assert (marked(text), is_ours(text)) == (by_us, all_of_it)
