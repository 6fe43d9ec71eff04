"""What lies in our places is used only if nobody but root could have put it there.

As root alone: an ordinary user cannot give files away.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change import interrupted
from lowmem_tui.change.entry import apply, confirm, settled, undo
from lowmem_tui.change.machine.files import LOCK, EtcFiles
from lowmem_tui.change.records import history as past
from lowmem_tui.change.records import paths
from lowmem_tui.change.records.records import summary
from lowmem_tui.change.records.store import FolderStore
from lowmem_tui.cli import rules, triage
from lowmem_tui.host import reading, trusted
from lowmem_tui.model.errors import InvalidValueError, RefusedError, RolledBackError
from lowmem_tui.setup.steps import allowed

from .box import CHAT, REDIS, Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FILE = f"/etc/systemd/system/{CHAT}.d/zz-lowmem-tui.conf"
STORE = paths.RECORDS[1:]

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path / "root")
    yield made
    made.close()


def hostile(box: Box) -> None:
    """Leave a record in progress whose file before it had a command of somebody else's."""
    apply(box.site(), box.plan(f"{CHAT}:MemoryMax=400M"), box.situation)
    path = box.root / STORE / "1.json"
    made = json.loads(path.read_text())
    undo(box.site(), box.situation)
    (box.root / STORE / "2.json").unlink()
    made["state"] = "applying"
    text = "[Service]\nExecStartPre=+/bin/sh -c 'id >/root/owned'\n"
    made["plan"] |= {
        "edits": [],
        "effects": [],
        "files": [{"path": FILE, "before": text, "after": None}],
    }
    made["live"] = {"limits": [], "scores": [], "active": []}
    path.write_text(json.dumps(made))


def give(*paths: Path) -> None:
    for path in paths:
        os.chown(path, 1000, 1000)


def link_to_home(root: Path) -> None:
    home = root / "home"
    (root / STORE).rename(home)
    give(home, home / "1.json")
    (root / STORE).symlink_to(home)


def link_to_root_s_in_home(root: Path) -> None:
    home = root / "home"
    home.mkdir()
    give(home)
    (root / STORE).rename(home / "store")
    (root / STORE).symlink_to("../../home/store")


def link_above(root: Path) -> None:
    home = root / "home"
    home.mkdir()
    give(home)
    (root / "var").rename(home / "var")
    (root / "var").symlink_to("home/var")


def writable(path: str, mode: int, group: int = 0) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        os.chown(root / path, 0, group)
        (root / path).chmod(mode)

    return make


UNTRUSTED: dict[str, Callable[[Path], object]] = {
    "the store is a user's": lambda root: give(root / STORE),
    "all of it is a user's": lambda root: give(root / STORE, root / STORE / "1.json"),
    "the record is a user's": lambda root: give(root / STORE / "1.json"),
    "a link to a user's folder": link_to_home,
    "a link through a user's folder": link_to_root_s_in_home,
    "a link above through a user's folder": link_above,
    "a folder above is a user's": lambda root: give(root / "var/lib"),
    "the root is a user's": give,
    "everybody may write to the store": writable(STORE, 0o777),
    "everybody may write above it": writable("var/lib", 0o777),
    "everybody may write, sticky": writable("var", 0o1777),
    "a group may write to the store": writable(STORE, 0o770, 1000),
    "a group may write above it": writable("var", 0o775, 1000),
    "everybody may write the record": writable(f"{STORE}/1.json", 0o666),
    "a group may write the record": writable(f"{STORE}/1.json", 0o660, 1000),
}


@pytest.mark.parametrize("make", UNTRUSTED.values(), ids=UNTRUSTED)
def test_a_record_that_others_could_have_written_is_ignored(
    box: Box, make: Callable[[Path], object]
) -> None:
    hostile(box)
    before = box.state()
    make(box.root)
    assert interrupted.interrupted(box.site().store, lambda: allowed().paths)
    (sentence,) = settled(box.site())
    assert "is ignored" in str(sentence)
    assert "give it to root alone" in str(sentence)
    assert str(sentence).endswith(".")
    assert box.state() == before
    assert past.history(box.site().store, allowed().paths, everything=True, trial=None) == []
    assert box.site().journal.records() == []


@pytest.mark.parametrize("make", UNTRUSTED.values(), ids=UNTRUSTED)
def test_nothing_is_written_where_others_may_write(
    box: Box, make: Callable[[Path], object]
) -> None:
    hostile(box)
    before = box.state()
    make(box.root)
    if "record" in next(name for name, each in UNTRUSTED.items() if each is make):
        return  # the store itself is root's: there the next change is written down
    with pytest.raises(RefusedError, match="no change is made with it"):
        apply(box.site(), box.plan(f"{REDIS}:MemoryMax=300M"), box.situation)
    assert box.state() == before


def root_s_link(root: Path) -> None:
    (root / "var").rename(root / "mnt")
    (root / "var").symlink_to("mnt")


FINE: dict[str, Callable[[Path], object]] = {
    "the group root may write": writable("var", 0o775),
    "a link above, root's": root_s_link,
    "the group of the logs may write there": writable("var/log", 0o775, 1000),
}


@pytest.mark.parametrize("make", FINE.values(), ids=FINE)
def test_what_is_root_s_alone_is_used(box: Box, make: Callable[[Path], object]) -> None:
    make(box.root)
    apply(box.site(), box.plan(f"{CHAT}:MemoryMax=400M"), box.situation)
    assert len(summary(box.site().store)) == 1
    assert settled(box.site()) == []
    undo(box.site(), box.situation)


@pytest.mark.parametrize("what", ["folder", "file", "everybody's file", "link"])
def test_a_summary_of_somebody_else_s_is_ignored(box: Box, what: str) -> None:
    apply(box.site(), box.plan(f"{CHAT}:MemoryMax=400M"), box.situation)
    path = box.root / paths.SUMMARY[1:]
    if what == "folder":
        give(path.parent)
    elif what == "link":
        home = box.root / "home"
        path.parent.rename(home)
        give(home)
        path.parent.symlink_to(home)
    elif what == "file":
        give(path)
    else:
        path.chmod(0o666)
    assert summary(box.site().store) == []
    (sentence,) = interrupted.unfinished(box.site().store)
    assert "is ignored" in str(sentence)


def test_another_folder_in_the_place_of_the_summary_s_keeps_its_mode(box: Box) -> None:
    """A group that may rename in /var/log must not have us open a closed folder."""
    apply(box.site(), box.plan(f"{CHAT}:MemoryMax=400M"), box.situation)
    path = (box.root / paths.SUMMARY[1:]).parent
    shutil.rmtree(path)
    path.mkdir(0o700)
    (path / "secret").touch()
    apply(box.site(), box.plan(f"{REDIS}:MemoryMax=300M"), box.situation)
    assert path.stat().st_mode & 0o777 == 0o700
    assert not (path / "history.json").exists()


@pytest.mark.parametrize("place", [paths.RUN, paths.ROOM])
def test_a_trial_s_data_of_somebody_else_s_is_ignored(box: Box, place: str) -> None:
    """Its script is run as root: neither is it written there, nor is it waited for."""
    (box.root / paths.ROOM[1:]).mkdir(parents=True, mode=0o755)
    (box.root / paths.DATA[1:]).write_text("id 7\n")
    asked: list[str] = []

    def restart(name: str) -> None:
        asked.append(name)

    box.connection.restart_unit = restart  # type: ignore[method-assign]
    give(box.root / place[1:])
    assert any("is ignored" in str(sentence) for sentence in settled(box.site()))
    assert asked == []
    with pytest.raises(RefusedError, match="no change is made with it"):
        apply(box.site(), box.plan(f"{CHAT}:MemoryMax=400M"), box.situation, seconds=60)
    assert [record.state for record in box.site().journal.records()] == ["failed"]
    apply(box.site(), box.plan(f"{CHAT}:MemoryMax=400M"), box.situation)


# Pipes, sockets, devices and folders where a file is expected


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    os.mknod(path, 0o020600, os.makedev(1, 5))  # /dev/zero: without end


ODD = {"a pipe": fifo, "a device": device, "a folder": lambda path: path.mkdir()}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_what_is_no_file_is_neither_waited_for_nor_read(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    root = tmp_path
    for name in (paths.SUMMARY, paths.NOTICE, paths.DATA, LOCK, "/etc/lowmem-tui/config.toml"):
        path = root / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    store = FolderStore(str(root))
    for name in (paths.SUMMARY, paths.NOTICE, paths.DATA):
        with pytest.raises(OSError, match=r"regular|directory"):
            store.read(name)
        assert trusted.public(str(root / name[1:]), 4096) is None
    with pytest.raises(InvalidValueError, match="cannot be read"):
        summary(store)
    assert interrupted.unfinished(store) == ()
    with pytest.raises((RefusedError, OSError)), EtcFiles(str(root)).exclusive():
        pytest.fail("it is held")
    with pytest.raises(InvalidValueError, match=r"not a regular file|Is a directory"):
        rules.load_rules(config=root / "etc/lowmem-tui/config.toml")
    assert rules.unread(root / "etc/lowmem-tui/config.toml") is None
    assert triage._unended(str(root / paths.SUMMARY[1:])) == []
    assert triage._trial(str(root / paths.NOTICE[1:])) == []


@pytest.mark.parametrize("place", [paths.ROOM, paths.ROOM.rpartition("/")[0]])
def test_a_pipe_in_the_place_of_a_trial_s_folder(box: Box, place: str) -> None:
    """It blocks no change, and a trial names it."""
    path = box.root / place[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    assert settled(box.site()) == []
    apply(box.site(), box.plan(f"{REDIS}:MemoryMax=300M"), box.situation)
    with pytest.raises(RolledBackError, match=rf"{place}\S*: Something that is not a folder"):
        apply(box.site(), box.plan(f"{CHAT}:MemoryMax=400M"), box.situation, seconds=60)


def test_a_pipe_in_the_place_of_a_trial_s_drop_in_is_named(box: Box) -> None:
    plan = box.plan(f"{CHAT}:MemoryMax=400M")
    path = box.root / f"run/systemd/system/{CHAT}.d/zzz-lowmem-tui-trial.conf"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(RolledBackError, match=rf"{path}: The kernel reports: not a regular file"):
        apply(box.site(), plan, box.situation, seconds=60)


def test_the_kernel_s_readers_do_not_wait_for_a_pipe(tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    assert not reading.read(path)
    assert not reading.read_whole(path)
    writer = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert reading.read(path) is None
        assert reading.read_whole(path) is None
    finally:
        os.close(writer)


@pytest.mark.parametrize("name", ["data", "result", "confirming", "revert"])
@pytest.mark.parametrize("make", [fifo, device], ids=["a pipe", "a device"])
def test_a_pipe_in_a_trial_s_folder_blocks_nothing(
    box: Box, name: str, make: Callable[[Path], object]
) -> None:
    room = box.root / paths.ROOM[1:]
    room.mkdir(parents=True)
    make(room / name)
    settled(box.site())
    apply(box.site(), box.plan(f"{CHAT}:MemoryMax=400M"), box.situation, seconds=60)
    confirm(box.site())


def test_a_config_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with path.open("wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(InvalidValueError, match="larger than 1024 KiB"):
        rules.load_rules(config=path)
