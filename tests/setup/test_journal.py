"""The step `journal`: what counts in journald's files, what is proposed, what is written."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.setup.journal import step as journal
from tests.english import EnglishStep

from .tree import Tree, codes, items, proposed

if TYPE_CHECKING:
    from pathlib import Path


D = "/etc/systemd/journald.conf.d"
OURS = f"{D}/zz-lowmem-tui.conf"
ALL = {"journal-disk", "journal-ram"}
"""Of a bound by age nothing is found: to have none loses nothing."""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    made.write("/etc/systemd/journald.conf", "[Journal]\n#SystemMaxUse=\n")
    made.write("/var/log/journal/0123/system.journal", "x" * 5_000_000)
    return made


@pytest.fixture
def step(tree: Tree) -> EnglishStep:
    return EnglishStep(journal.make(tree.ground()))


def test_proposes_the_policy_and_finds_nothing_afterwards(tree: Tree, step: EnglishStep) -> None:
    look = step.look()
    assert codes(look) == ALL
    assert "4.8M now" in look.facts[0]
    wishes = proposed(step)
    assert wishes == {"SystemMaxUse": "100M", "RuntimeMaxUse": "32M"}
    plan = step.plan(wishes)
    (file,) = plan.files
    assert file.path == OURS
    assert file.after is not None
    assert file.after.endswith("\n[Journal]\nSystemMaxUse=100M\nRuntimeMaxUse=32M\n")
    (action,) = plan.actions
    assert (action.kind, action.what) == (ActionKind.SERVICE, "systemd-journald.service")
    assert action.inverse == action
    tree.make(plan)
    after = step.look()
    assert after.findings == ()
    assert all(item.done for item in after.items if item.key != "MaxRetentionSec")
    assert step.plan(wishes).empty


@pytest.mark.parametrize(
    ("ram", "value"),
    [(470 << 20, "16M"), (967 << 20, "32M"), (1970 << 20, "64M"), (8 << 30, "64M")],
)
def test_what_is_ram_goes_by_the_ram(tree: Tree, step: EnglishStep, ram: int, value: str) -> None:
    tree.snapshot = replace(tree.snapshot, host=tree.snapshot.host._replace(mem_total=ram))
    assert items(step.look())["RuntimeMaxUse"].value == value


# What files say: the value that is proposed, and whether there is nothing to be done.
@pytest.mark.parametrize(
    ("key", "files", "value", "done"),
    [
        ("SystemMaxUse", {f"{D}/a.conf": "[Journal]\nSystemMaxUse=64M"}, "64M", True),
        ("SystemMaxUse", {f"{D}/a.conf": "[Journal]\nSystemMaxUse=1G"}, "100M", False),
        # The last file wins, whatever folder it is in.
        (
            "SystemMaxUse",
            {
                f"{D}/a.conf": "[Journal]\nSystemMaxUse=64M",
                "/usr/lib/systemd/journald.conf.d/b.conf": "[Journal]\nSystemMaxUse=1G",
            },
            "100M",
            False,
        ),
        # Of the same name /etc's is read alone.
        (
            "SystemMaxUse",
            {
                f"{D}/b.conf": "[Journal]\nSystemMaxUse=64M",
                "/usr/lib/systemd/journald.conf.d/b.conf": "[Journal]\nSystemMaxUse=1G",
            },
            "64M",
            True,
        ),
        # What journald refuses does not count, what is in another section neither.
        ("SystemMaxUse", {f"{D}/a.conf": "[Journal]\nSystemMaxUse=banana"}, "100M", False),
        ("SystemMaxUse", {f"{D}/a.conf": "[Remote]\nSystemMaxUse=64M"}, "100M", False),
        # A value that is taken back.
        (
            "SystemMaxUse",
            {
                f"{D}/a.conf": "[Journal]\nSystemMaxUse=64M",
                f"{D}/b.conf": "[Journal]\nSystemMaxUse=",
            },
            "100M",
            False,
        ),
        ("MaxRetentionSec", {f"{D}/a.conf": "[Journal]\nMaxRetentionSec=2week"}, "2week", True),
        ("MaxRetentionSec", {f"{D}/a.conf": "[Journal]\nMaxRetentionSec=1year"}, "7day", False),
        ("MaxRetentionSec", {f"{D}/a.conf": "[Journal]\nMaxRetentionSec=0"}, "7day", False),
    ],
)
def test_what_others_say(
    tree: Tree, step: EnglishStep, key: str, files: dict[str, str], value: str, done: bool
) -> None:
    for path, text in files.items():
        tree.write(path, text + "\n")
    item = items(step.look())[key]
    assert (item.value, item.done) == (value, done)
    plan = step.plan({key: value})
    assert plan.empty is done
    tree.make(plan)
    assert items(step.look())[key].done
    assert step.plan({key: value}).empty


def test_the_main_file_may_lie_in_usr_lib(tree: Tree, step: EnglishStep) -> None:
    (tree.root / "etc/systemd/journald.conf").unlink()
    tree.write("/usr/lib/systemd/journald.conf", "[Journal]\nSystemMaxUse=50M\n")
    assert items(step.look())["SystemMaxUse"].now == "50M"
    tree.write("/etc/systemd/journald.conf", "[Journal]\n")
    assert items(step.look())["SystemMaxUse"].now == "not set"


def test_a_later_file_wins_and_is_named(tree: Tree, step: EnglishStep) -> None:
    path = f"{D}/zzz.conf"
    tree.write(path, "[Journal]\nSystemMaxUse=2G\n")
    plan = step.plan({"SystemMaxUse": "100M"})
    assert "journal-overruled" in {w.code for w in plan.warnings}
    tree.make(plan)
    look = step.look()
    assert [f.subject for f in look.findings if f.code == "journal-overruled"] == [path]
    assert "journal-disk" not in codes(look)
    assert step.plan({"SystemMaxUse": "100M"}).empty


def test_what_is_lost_for_good_is_shown(tree: Tree, step: EnglishStep) -> None:
    (tree.root / "var/log/journal/0123/old.journal").write_bytes(b"x" * (12 << 20))
    (warning,) = step.plan({"SystemMaxUse": "10M"}).warnings
    assert "16.8M" in warning.text
    assert "Undo does not restore them" in warning.text
    assert warning.lost


DAY = 86_400.0


def older(tree: Tree, days: float, name: str = "") -> None:
    """The oldest entry was written so long ago."""
    path = tree.root / "var/log/journal/0123/system.journal"
    if name:
        hexed = f"{int((time.time() - days * DAY) * 1e6):016x}"
        path.with_name(name.format(hexed)).write_bytes(b"")
    else:
        os.utime(path, (time.time() - days * DAY,) * 2)


NAMES = {
    "its last entry": "",
    "the name of a full file": f"system@{'0' * 32}-{'0' * 16}-{{}}.journal",
    "the name of one that was not closed": "system@{}-0123456789abcdef.journal~",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize(("days", "goes"), [(3, False), (40, True)])
def test_an_age_is_never_taken_and_warned_of_only_where_entries_go(
    tree: Tree, days: float, goes: bool, name: str
) -> None:
    older(tree, days, name)
    step = EnglishStep(journal.make(replace(tree.ground(), now=time.time)))
    # What goes later is lost as well: it is offered, and never preselected.
    assert "MaxRetentionSec" not in proposed(step)
    assert "7day" in items(step.look())["MaxRetentionSec"].choices
    told = [w for w in step.plan({"MaxRetentionSec": "7day"}).warnings if w.lost]
    assert bool(told) is goes
    assert "journal-age" not in codes(step.look())
    # What is bounded so already loses nothing by a wider bound.
    tree.write(f"{D}/a.conf", "[Journal]\nMaxRetentionSec=5day\n")
    assert step.plan({"MaxRetentionSec": "7day"}).warnings == ()


@pytest.mark.parametrize(("holds", "goes"), [(90, False), (120, True)])
def test_a_bound_is_warned_of_and_not_taken_only_where_files_go(
    tree: Tree, step: EnglishStep, holds: int, goes: bool
) -> None:
    with (tree.root / "var/log/journal/0123/old.journal").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, holds << 20)
    assert ("SystemMaxUse" not in proposed(step)) is goes
    assert bool([w for w in step.plan({"SystemMaxUse": "100M"}).warnings if w.lost]) is goes
    # It is still worth a word.
    assert "journal-disk" in codes(step.look())
    assert ("oldest files are removed" in items(step.look())["SystemMaxUse"].why) is goes


@pytest.mark.parametrize("storage", ["volatile", "auto"])
def test_one_in_ram_is_bounded_there_alone(tree: Tree, step: EnglishStep, storage: str) -> None:
    tree.write("/etc/systemd/journald.conf", f"[Journal]\nStorage={storage}\n")
    (tree.root / "var/log/journal").rename(tree.root / "var/log/other")
    assert codes(step.look()) == {"journal-ram"}
    assert set(items(step.look())) == {"RuntimeMaxUse", "MaxRetentionSec"}
    plan = step.plan({"SystemMaxUse": "100M"})
    assert [w.code for w in plan.warnings] == ["journal-not-on-disk"]


def test_what_is_in_ram_goes_too(tree: Tree, step: EnglishStep) -> None:
    tree.write("/etc/systemd/journald.conf", "[Journal]\nStorage=volatile\n")
    tree.write("/run/log/journal/0123/system.journal", "x" * (40 << 20))
    assert "RuntimeMaxUse" not in proposed(step)
    (told,) = step.plan({"RuntimeMaxUse": "32M"}).warnings
    assert told.lost


@pytest.mark.parametrize(
    ("files", "absent"),
    [
        ({f"{D}/a.conf": "Storage=none"}, True),
        ({f"{D}/a.conf": "Storage=none", f"{D}/b.conf": "Storage=persistent"}, False),
        ({f"{D}/a.conf": "Storage=none", f"{D}/b.conf": "Storage=bogus"}, True),
        ({"/usr/lib/systemd/journald.conf.d/a.conf": "Storage=none"}, True),
        ({"/run/systemd/journald.conf.d/a.conf": "Storage=none", f"{D}/a.conf": ""}, False),
    ],
)
def test_where_it_is_kept_is_shown_by_the_last_file(
    tree: Tree, step: EnglishStep, files: dict[str, str], absent: bool
) -> None:
    for path, text in files.items():
        tree.write(path, f"[Journal]\n{text}\n")
    assert bool(step.look().absent) is absent


def test_with_a_file_that_cannot_be_read_nothing_is_known(tree: Tree, step: EnglishStep) -> None:
    (tree.root / D[1:] / "a.conf").mkdir(parents=True)
    look = step.look()
    assert proposed(step) == {}
    assert codes(look) == set()
    assert any(f"{D}/a.conf cannot be read" in fact for fact in look.facts)


@pytest.mark.parametrize(
    ("text", "on_disk", "absent", "words"),
    [
        ("", True, False, "on the disk"),
        ("", False, False, "in RAM"),
        ("Storage=volatile", True, False, "in RAM"),
        ("Storage=none", True, True, "Storage=none"),
    ],
)
def test_where_it_is_kept(
    tree: Tree, step: EnglishStep, text: str, on_disk: bool, absent: bool, words: str
) -> None:
    tree.write("/etc/systemd/journald.conf", f"[Journal]\n{text}\n")
    if not on_disk:
        (tree.root / "var/log/journal").rename(tree.root / "var/log/other")
    look = step.look()
    assert bool(look.absent) is absent
    assert words in (look.absent or look.facts[0])


def test_our_other_settings_stay_and_an_empty_wish_drops_one(tree: Tree, step: EnglishStep) -> None:
    tree.make(step.plan(proposed(step)))
    (file,) = step.plan({"SystemMaxUse": ""}).files
    assert file.after is not None
    assert "SystemMaxUse" not in file.after
    assert "RuntimeMaxUse=32M" in file.after
    (file,) = step.plan(dict.fromkeys(proposed(step), "")).files
    assert file.after is None


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("MaxUse", "100M", "SystemMaxUse"),
        ("SystemMaxUse", "100 megabytes", "size"),
        ("SystemMaxUse", "10%", "size"),
        ("SystemMaxUse", "1M", "at least 8M"),
        ("MaxRetentionSec", "7 suns", "time span"),
        ("SystemMaxUse", "100M\nStorage=none", "size"),
    ],
)
def test_wrong_wishes(step: EnglishStep, key: str, value: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        step.plan({key: value})


IGNORED = {
    "a unit that systemd does not have": (
        "[Journal]\nSystemMaxUse=100MB\n",
        "SystemMaxUse=100MB",
        2,
        "like 256M",
    ),
    "a comment": (
        "[Journal]\nSystemMaxUse=100M # bound\n",
        "comment",
        2,
        "write SystemMaxUse=100M",
    ),
    "another section": ("[journal]\n\nRuntimeMaxUse=9M\n", "[Journal]", 3, "below [Journal]"),
    "no section": ("Storage=volatile\n", "only in [Journal]", 1, "below [Journal]"),
    "another name": ("[Journal]\nSystemMaxuse=100M\n", "SystemMaxUse=", 2, "write SystemMaxUse="),
    "a word": ("[Journal]\nStorage=disk\n", "Storage=disk", 2, ""),
    "a span": ("[Journal]\nMaxRetentionSec=1 fortnight\n", "MaxRetentionSec", 2, ""),
}


@pytest.mark.parametrize(("text", "why", "line", "instead"), IGNORED.values(), ids=IGNORED)
def test_what_journald_ignores(
    tree: Tree, step: EnglishStep, text: str, why: str, line: int, instead: str
) -> None:
    tree.write(f"{D}/size.conf", text)
    (finding,) = (f for f in step.look().findings if f.code == "journal-ignored")
    assert f"{D}/size.conf, line {line} is ignored" in finding.text
    assert why in finding.text
    assert instead in finding.remedy
    assert finding.remedy.endswith("sudo systemctl restart systemd-journald.service")


@pytest.mark.parametrize(
    "text",
    [
        "[Journal]\nSystemMaxUse=100M\nRuntimeMaxUse=1.5G\nMaxRetentionSec=2week\nStorage=auto\n",
        "[Journal]\nSystemMaxUse=\nMaxRetentionSec=\nSystemKeepFree=1G\nForwardToSyslog=yes\n",
        "[Journal]\n# SystemMaxUse=100MB\nMaxRetentionSec=0\n",
    ],
)
def test_what_journald_takes(tree: Tree, step: EnglishStep, text: str) -> None:
    tree.write(f"{D}/size.conf", text)
    assert "journal-ignored" not in codes(step.look())
