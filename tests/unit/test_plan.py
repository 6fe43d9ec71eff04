"""Edits and a situation become a plan: files, effects and when they count."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.snapshot import Setting, Unit, UnitFile, UnitSituation
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy.dropin import ours, path, render, with_file
from lowmem_tui.policy.plan import parse_set, plan
from tests.built import LOADED

from .servers import known, process, properties, situation, unit

A = "a.service"
OURS = path(A)
SCORE, MAX, HIGH = Key.OOM_SCORE_ADJUST, Key.MEMORY_MAX, Key.MEMORY_HIGH
RESTART, SEC, POLICY = Key.RESTART, Key.RESTART_SEC, Key.OOM_POLICY


def running(**changes: object) -> Unit:
    return unit(A, process(5), **({"memory_max": INFINITY} | changes))


def held(**settings: str) -> UnitFile:
    """Our drop-in, with these settings."""
    return UnitFile(OURS, render(A, {Key(k): v for k, v in settings.items()}, "Service"))


# --- --set --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("ssh.service:OOMScoreAdjust=-200", Edit("ssh.service", SCORE, "-200")),
        ("a@b.service:MemoryMax=1G 512M", Edit("a@b.service", MAX, "1G 512M")),
        ("ssh:OOMScoreAdjust=-200", Edit("ssh.service", SCORE, "-200")),
        ("w@1:OOMScoreAdjust=-200", Edit("w@1.service", SCORE, "-200")),
        ("org.a.b:MemoryMax=1G", Edit("org.a.b.service", MAX, "1G")),
        ("a.socket:MemoryMax=1G", Edit("a.socket", MAX, "1G")),
        ("a:b.service:MemoryMax=1G", Edit("a:b.service", MAX, "1G")),
        ("a.service:MemoryMax=", Edit(A, MAX, None)),
        ("a.service:MemoryMax= ", Edit(A, MAX, None)),
        ("a.service:RestartSec= 3s ", Edit(A, SEC, "3s")),
        ("a.service:MemoryMax=a=b:c", Edit(A, MAX, "a=b:c")),
    ],
)
def test_set(text: str, edit: Edit) -> None:
    assert parse_set(text) == edit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not UNIT:KEY=VALUE"),
        ("a.service", "is not UNIT:KEY=VALUE"),
        ("a.service:MemoryMax", "is not UNIT:KEY=VALUE"),
        (":MemoryMax=1G", "is not UNIT:KEY=VALUE"),
        ("MemoryMax=1G", "is not UNIT:KEY=VALUE"),
        ("a b:MemoryMax=1G", "'a b' is not a unit's name"),
        (".service:MemoryMax=1G", "'.service' is not a unit's name"),
        ("@:MemoryMax=1G", "'@' is not a unit's name"),
        ("../a.service:MemoryMax=1G", "'../a.service' is not a unit's name"),
        ("a.service:memorymax=1G", "did you mean MemoryMax"),
        ("a.service:Nice=1", "'Nice' is not a setting: write one of OOMScoreAdjust, "),
    ],
)
def test_a_wrong_set(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        parse_set(text)


# --- the file -----------------------------------------------------------------------------------

FILES: dict[str, tuple[UnitFile | None, list[tuple[Key, str | None]], dict[Key, str] | None]] = {
    "the first setting": (None, [(SCORE, "-100")], {SCORE: "-100"}),
    "several settings make one file": (
        None,
        [(SCORE, "-100"), (MAX, "256M"), (RESTART, "always"), (SEC, "3s")],
        {SCORE: "-100", MAX: "256M", RESTART: "always", SEC: "3s"},
    ),
    "what it holds stays": (held(MemoryMax="1G"), [(SCORE, "5")], {SCORE: "5", MAX: "1G"}),
    "a value is replaced": (held(MemoryMax="1G"), [(MAX, "2G")], {MAX: "2G"}),
    "a setting is dropped": (held(MemoryMax="1G", Restart="no"), [(MAX, None)], {RESTART: "no"}),
    "the last one dropped": (held(MemoryMax="1G"), [(MAX, None)], None),
    "one dropped, one new": (held(MemoryMax="1G"), [(MAX, None), (SCORE, "5")], {SCORE: "5"}),
    "the last edit of a setting counts": (None, [(MAX, "1G"), (MAX, "2G")], {MAX: "2G"}),
    "odd spaces": (None, [(MAX, " 1G\t512M ")], {MAX: "1G 512M"}),
}


@pytest.mark.parametrize(("drop_in", "edits", "after"), FILES.values(), ids=FILES)
def test_the_file(
    drop_in: UnitFile | None, edits: list[tuple[Key, str | None]], after: dict[Key, str] | None
) -> None:
    server = situation(known(running(memory_max=3), drop_in=drop_in))
    (change,) = plan([Edit(A, *edit) for edit in edits], server).files
    assert (change.path, change.before) == (OURS, drop_in and drop_in.text)
    assert (None if change.after is None else ours(change.after)) == after


def test_units_have_a_file_each() -> None:
    b = known(unit("b.service", memory_max=INFINITY))
    edits = [Edit(A, MAX, "1G"), Edit("b.service", MAX, "1G"), Edit(A, SCORE, "5")]
    made = plan(edits, situation(known(running()), b))
    assert [f.path for f in made.files] == [OURS, path("b.service")]


@pytest.mark.parametrize(
    ("name", "section"),
    [("a.service", "Service"), ("a.slice", "Slice"), ("a.socket", "Socket"), ("a.mount", "Mount")],
)
def test_the_section_is_the_type_s(name: str, section: str) -> None:
    (change,) = plan([Edit(name, MAX, "1G")], situation(known(unit(name)))).files
    assert f"\n[{section}]\n" in (change.after or "")


def test_an_alias_is_resolved() -> None:
    redis = unit("redis-server.service", memory_max=INFINITY)
    made = plan(
        [Edit("redis.service", MAX, "512M")], situation(known(redis, asked="redis.service"))
    )
    assert made.edits == (Edit("redis-server.service", MAX, "512M"),)
    assert made.files[0].path == path("redis-server.service")
    assert [w.code for w in made.warnings] == ["alias"]


def test_edits_by_alias_and_by_name_are_one_unit_s() -> None:
    redis = unit("redis-server.service", memory_max=INFINITY)
    server = situation(known(redis, asked="redis.service"), known(redis))
    edits = [Edit("redis.service", MAX, "1G"), Edit("redis-server.service", SCORE, "5")]
    (change,) = plan(edits, server).files
    assert ours(change.after or "") == {SCORE: "5", MAX: "1G"}


SO = Setting(MAX, "1G", OURS, 1 << 30, 1 << 30)
NOTHING: dict[str, tuple[UnitSituation, Edit]] = {
    "nothing of ours to drop": (known(running()), Edit(A, MAX, None)),
    "the default is already set": (known(running()), Edit(A, MAX, "infinity")),
    "ours says so": (
        known(
            running(memory_max=1 << 30),
            files={OURS: "MemoryMax=1G"},
            drop_in=held(MemoryMax="1G"),
            settings={MAX: SO},
        ),
        Edit(A, MAX, "1024M"),
    ),
    "the unit's own file says so": (
        known(running(restart="always"), files={"/lib/a.service": "Restart=always"}),
        Edit(A, RESTART, "always"),
    ),
    "to the page": (
        known(running(memory_max=1 << 30), settings={MAX: SO}),
        Edit(A, MAX, str((1 << 30) + 5)),
    ),
}


@pytest.mark.parametrize(("unit", "edit"), NOTHING.values(), ids=NOTHING)
def test_what_is_already_set_changes_nothing(unit: UnitSituation, edit: Edit) -> None:
    made = plan([edit], situation(unit))
    assert (made.files, made.effects, [w.code for w in made.warnings]) == ((), (), ["no-op"])


SOMETHING: dict[str, tuple[UnitSituation, Edit]] = {
    "systemd has not read it yet": (
        known(running(), drop_in=held(MemoryMax="1G")),
        Edit(A, MAX, "1G"),
    ),
    "the kernel has another value": (
        known(
            running(memory_max=1 << 30),
            files={OURS: "MemoryMax=1G"},
            drop_in=held(MemoryMax="1G"),
            settings={MAX: Setting(MAX, "1G", OURS, 1 << 30, INFINITY)},
        ),
        Edit(A, MAX, "1G"),
    ),
    "ours, not read yet, says otherwise": (
        known(running(), drop_in=held(MemoryMax="1G")),
        Edit(A, MAX, "infinity"),
    ),
}


@pytest.mark.parametrize(("unit", "edit"), SOMETHING.values(), ids=SOMETHING)
def test_what_is_so_only_in_part_is_done(unit: UnitSituation, edit: Edit) -> None:
    made = plan([edit], situation(unit))
    assert (len(made.files), len(made.effects)) == (1, 1)


# --- the order of the files ---------------------------------------------------------------------

UNIT = "/usr/lib/systemd/system/a.service"


@pytest.mark.parametrize(
    ("others", "place"),
    [
        ([], 0),
        ([UNIT], 1),
        ([UNIT, "/etc/systemd/system/a.service.d/override.conf"], 2),
        ([UNIT, "/etc/systemd/system.control/a.service.d/50-MemoryMax.conf"], 2),
        ([UNIT, "/run/systemd/system/a.service.d/zzz-trial.conf"], 1),
        ([UNIT, "/usr/lib/systemd/system/service.d/zzz.conf"], 1),
        ([UNIT, "/x/a.service.d/10.conf", OURS, "/x/a.service.d/zzzz.conf"], 2),
        (["/usr/lib/systemd/system/zzz.service"], 1),
    ],
)
def test_ours_stands_among_the_others_by_its_file_name(others: list[str], place: int) -> None:
    files = with_file([UnitFile(p, "") for p in others], UnitFile(OURS, "x"))
    assert [f.path for f in files].index(OURS) == place
    assert [f.path for f in files].count(OURS) == 1


def test_ours_taken_away_is_no_longer_read() -> None:
    files = with_file([UnitFile(UNIT, ""), UnitFile(OURS, "")], UnitFile(OURS, None))
    assert [f.path for f in files] == [UNIT]


# --- whatever is asked --------------------------------------------------------------------------

EDITS = st.lists(
    st.builds(
        Edit,
        st.sampled_from([A, "b.slice", "c.timer", "d@.service", "nowhere.service"]),
        st.sampled_from(Key),
        st.none() | st.text() | st.sampled_from(["1G", "-100", "always", "3s", "kill", "0"]),
    ),
    max_size=6,
)


def everything() -> list[UnitSituation]:
    gone = Unit("e.service", None, properties("e.service", load_state="not-found"))
    return [
        known(running(), drop_in=held(MemoryMax="1G")),
        known(unit("b.slice")),
        known(unit("c.timer")),
        known(unit("d@.service")),
        known(gone),
    ]


@given(EDITS)
def test_any_edits_make_a_plan(edits: list[Edit]) -> None:
    made = plan(edits, situation(*everything()))
    for notice in (*made.warnings, *made.refusals):
        assert notice.text.isprintable()
        assert notice.text.endswith(".")
    assert {f.path for f in made.files} <= {OURS, path("b.slice")}


@given(EDITS)
def test_a_plan_is_plain_data(edits: list[Edit]) -> None:
    json.dumps(asdict(plan(edits, situation(*everything()))), default=str)


FIELDS = {key: name for name, key in LOADED.items()}


@given(EDITS)
def test_a_plan_carried_out_leaves_nothing_to_write(edits: list[Edit]) -> None:
    def after(one: UnitSituation) -> UnitSituation:
        files = {f.path: f.after for f in first.files}
        if (ours_ := path(one.unit.name)) not in files:
            return one
        loaded = {FIELDS[e.key]: e.loaded for e in first.effects if e.loaded is not None}
        return known(
            unit(one.unit.name, **loaded),
            files={ours_: (files[ours_] or "").partition("]\n")[2]},
            drop_in=UnitFile(ours_, files[ours_]) if files[ours_] else None,
        )

    first = plan([e for e in edits if e.unit == A], situation(*everything()))
    second = plan(first.edits, situation(*(after(one) for one in everything()[:1])))
    for change in second.files:
        assert change.before == change.after
