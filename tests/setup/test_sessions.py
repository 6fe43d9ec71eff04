"""The step `sessions`: which folders hold session files, and the rule that empties them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.setup import FolderUsage
from lowmem_tui.setup.sessions import step as sessions

from .box import Box, codes, defaults, goes_through, items

if TYPE_CHECKING:
    from collections.abc import Mapping

FLASK = "/srv/cloudchat/flask_session"
OURS = "/etc/tmpfiles.d/zz-lowmem-tui.conf"
UNIT_FILE = "/etc/systemd/system/cloudchat.service"
DAY = 86_400.0


def box_with(monkeypatch: pytest.MonkeyPatch, folders: Mapping[str, tuple[int, int]]) -> Box:
    """Folders, each with a number of files and the days of the oldest."""
    box = Box()
    now = box.server.sampler.sample().time
    usages = {
        path: FolderUsage(files, files << 12, now - days * DAY if files else None)
        for path, (files, days) in folders.items()
    }
    monkeypatch.setattr(box.server.inspector, "usage", usages.get)
    return box


def test_the_demo_server_goes_through() -> None:
    plan = goes_through(Box(), "sessions")
    assert [file.path for file in plan.files] == [OURS]
    assert (plan.files[0].after or "").endswith(f"\ne {FLASK} - - - 31d\n")
    assert [(a.kind, a.what) for a in plan.actions] == [(ActionKind.TEST, "tmpfiles")]
    assert ["does not restore removed files" in w.text for w in plan.warnings] == [True]


def test_an_age_can_be_changed() -> None:
    box = Box()
    box.backend.apply(box.step("sessions").plan({FLASK: "31d"}))
    plan = box.step("sessions").plan({FLASK: "7d"})
    assert (plan.files[0].after or "").endswith(f"\ne {FLASK} - - - 7d\n")
    assert (plan.files[0].after or "").count("\ne ") == 1


FOUND: dict[str, tuple[dict[str, tuple[int, int]], dict[str, str], list[str]]] = {
    "none": ({}, {}, []),
    "young": ({FLASK: (3, 2)}, {FLASK: "31d"}, ["sessions-unbounded"]),
    "old": ({FLASK: (3, 40)}, {FLASK: "31d"}, ["sessions-unbounded"]),
    "many": ({FLASK: (5000, 1)}, {FLASK: "31d"}, ["sessions-unbounded"]),
    "empty": ({FLASK: (0, 0)}, {FLASK: "31d"}, ["sessions-unbounded"]),
    "not sure": ({"/srv/cloudchat/sessions": (9, 99)}, {}, []),
    "elsewhere": ({"/srv/other/flask_session": (9, 99)}, {}, []),
    "in /tmp": (
        {"/tmp/flask_session": (9, 99)},
        {"/tmp/flask_session": "31d"},
        ["sessions-unbounded"],
    ),
    "PHP": ({"/var/lib/php/sessions": (9, 99)}, {}, ["sessions-php"]),
    "Laravel": (
        {"/srv/cloudchat/storage/framework/sessions": (9, 99)},
        {"/srv/cloudchat/storage/framework/sessions": "31d"},
        ["sessions-unbounded"],
    ),
}


@pytest.mark.parametrize(("folders", "wishes", "found"), FOUND.values(), ids=FOUND)
def test_what_is_found(
    monkeypatch: pytest.MonkeyPatch,
    folders: dict[str, tuple[int, int]],
    wishes: dict[str, str],
    found: list[str],
) -> None:
    box = box_with(monkeypatch, folders)
    look = box.step("sessions").look()
    assert defaults(look) == wishes
    assert codes(look) == found
    assert bool(look.absent) is not bool(folders) or folders.keys() == {"/srv/other/flask_session"}
    assert any("conversations" in line for line in look.by_hand)
    if wishes and found != ["sessions-php"]:
        goes_through(box, "sessions")


def test_one_that_is_not_sure_can_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/srv/cloudchat/sessions"
    box = box_with(monkeypatch, {path: (9, 99)})
    (item,) = box.step("sessions").look().items
    assert not item.taken
    assert "Check the folder first" in item.why
    assert f"e {path} - - - 7d" in (box.step("sessions").plan({path: "7d"}).files[0].after or "")


@pytest.mark.parametrize(
    ("folder", "told"), [(FLASK, 1), ("/srv/cloudchat/storage/framework/sessions", 0)]
)
def test_a_bound_by_count_is_the_application_s(
    monkeypatch: pytest.MonkeyPatch, folder: str, told: int
) -> None:
    look = box_with(monkeypatch, {folder: (9, 1)}).step("sessions").look()
    assert sum("SESSION_FILE_THRESHOLD" in line for line in look.by_hand) == told


@pytest.mark.parametrize("rule", [f"d {FLASK} - - - 5d", "e /srv/cloudchat/ 755 - - 5d -"])
def test_a_rule_of_theirs_is_enough(rule: str) -> None:
    box = Box()
    box.write("/etc/tmpfiles.d/cloudchat.conf", f"# x\n\n{rule}\n")
    look = box.step("sessions").look()
    assert look.items == ()
    assert codes(look) == []
    assert any("cloudchat.conf" in line for line in look.by_hand)
    assert box.step("sessions").plan({FLASK: "31d"}).empty


@pytest.mark.parametrize("rule", ["d /srv/cloudchat - - - -", f"# e {FLASK} - - - 5d", "e", "x\0y"])
def test_what_is_no_such_rule(rule: str) -> None:
    box = Box()
    box.write("/etc/tmpfiles.d/cloudchat.conf", f"{rule}\n")
    assert list(items(box.step("sessions").look())) == [FLASK]


def test_a_rule_of_ours_is_known_when_its_unit_is_gone() -> None:
    box = Box()
    box.backend.apply(box.step("sessions").plan({FLASK: "14d"}))
    box.write(f"{UNIT_FILE}.d/x.conf", "[Service]\nWorkingDirectory=\n")
    (item,) = box.step("sessions").look().items
    assert (item.value, item.done) == ("14d", True)
    assert box.step("sessions").plan({FLASK: "14d"}).empty


def test_a_timer_that_does_not_run() -> None:
    box = Box()
    box.backend.apply(box.step("sessions").plan({FLASK: "14d"}))
    box.write("/usr/lib/systemd/system/systemd-tmpfiles-clean.timer", "[Timer]\nOnBootSec=15min\n")
    assert codes(box.step("sessions").look()) == ["sessions-timer-off"]


def test_a_link_is_not_followed() -> None:
    box = Box()
    box.server.disk.links[FLASK] = "/etc"
    assert box.step("sessions").look().items == ()


HOMES = ["", "~", "relative", "/", "-/none", "/srv/%H", "/srv/a b", "/srv/x*"]


@pytest.mark.parametrize("home", HOMES)
def test_odd_folders(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    box = Box()
    box.write(f"{UNIT_FILE}.d/x.conf", f"[Service]\nWorkingDirectory={home}\n")
    always = FolderUsage(9, 9, 0.0)
    monkeypatch.setattr(
        box.server.inspector, "usage", lambda path: None if path.startswith("/tmp") else always
    )
    for item in box.step("sessions").look().items:
        assert item.key.startswith(("/srv/cloudchat", "/var/tmp", "/none"))


def test_by_the_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = "/etc/systemd/system/worker@.service"
    box = Box()
    text = (box.read(unit) or "").replace("[Service]", "[Service]\nWorkingDirectory=/srv/%i")
    box.write(unit, text)
    usage = box.server.inspector.usage(FLASK)
    assert usage is not None
    asked: list[str] = []

    def note(path: str) -> FolderUsage | None:
        asked.append(path)
        return replace(usage, files=0) if path == FLASK else None

    monkeypatch.setattr(box.server.inspector, "usage", note)
    box.step("sessions").look()
    assert "/srv/a/flask_session" in asked


WRONG = {
    "a folder": ({"/etc": "31d"}, "has no key '/etc'"),
    "an age": ({FLASK: "soon"}, "an age in days"),
    "a line break": ({FLASK: "31d\nr /etc"}, "an age in days"),
    "nothing": ({FLASK: "0d"}, "an age in days"),
}


@pytest.mark.parametrize(("wishes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_wishes(wishes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Box().step("sessions").plan(wishes)


_PATH = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda text: f"/srv/{text}")


@settings(deadline=None)
@given(st.dictionaries(_PATH, st.sampled_from(["7d", "31d"]), max_size=4))
def test_our_rules_are_read_back(rules: dict[str, str]) -> None:
    good = {path.rstrip("/"): age for path, age in rules.items() if sessions._writable(path)}
    assert sessions._rules(sessions._render(good)) == good
    for path in set(rules) - set(good):
        if not sessions._writable(path):
            with pytest.raises(InvalidValueError):
                sessions._render({path: "7d"})
