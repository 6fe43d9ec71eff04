"""Actions get the care that files have: what somebody else has made is never lost or overruled."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.entry import apply, undo
from lowmem_tui.change.machine.links import Links
from lowmem_tui.change.machine.system import LocalSystem
from lowmem_tui.change.records import paths
from lowmem_tui.change.steps import Act
from lowmem_tui.change.transaction import Transaction
from lowmem_tui.host import programs
from lowmem_tui.model import kept
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import (
    ChangedError,
    HalfDoneError,
    LowmemError,
    ManagerError,
    RefusedError,
    RolledBackError,
)
from lowmem_tui.model.message import msg
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Phase, Plan
from lowmem_tui.setup.steps import allowed
from tests.setup.test_real_redis import SERVER, serving

from .box import REDIS, Box, faults
from .faults import FaultyOs, Killed, tree
from .test_foreign import DEPLOY_READS, Meanwhile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ETC = "/etc/systemd/system"
MASK = "/dev/null"
UNIT = f"{ETC}/avahi-daemon.service"
WANTED = f"{ETC}/timers.target.wants/apt-daily.timer"
TARGET = "/usr/lib/systemd/system/apt-daily.timer"
THEIRS = "[Service]\nExecStart=/usr/local/bin/my-avahi\n# \udcff, and no newline at the end"

SWAPPINESS = Action(ActionKind.SYSCTL, "vm.swappiness", "60", "10")
MAXMEMORY = Action(ActionKind.REDIS, f"{REDIS} maxmemory", "0", "67108864")
MASKED = Action(ActionKind.LINK, UNIT, "", MASK, Phase.FILES, "systemctl mask avahi-daemon.service")
DISABLED = Action(ActionKind.LINK, WANTED, TARGET, "", Phase.FILES)
SWAP_FILE = Action(ActionKind.SWAP_FILE, "/swapfile", "", f"{1 << 20}", Phase.EARLY)
STOPPED = Action(ActionKind.RUN, REDIS, "active", "inactive", Phase.EARLY)


def of(*actions: Action) -> Plan:
    return Plan((), (), (), (), (), actions)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path / "root")
    link = made.root / WANTED[1:]
    link.parent.mkdir()
    link.symlink_to(TARGET)
    yield made
    made.close()


def at(box: Box, path: str) -> Path:
    return box.root / path[1:]


def do(box: Box, *actions: Action, force: bool = False) -> None:
    apply(box.site(), of(*actions), box.situation, force=force)


def value(box: Box, action: Action) -> str:
    return box.system().get(action.kind, action.what)


def put(box: Box, action: Action, value: str) -> None:
    """Somebody else does it."""
    box.system().put(action.kind, action.what, value, lambda: None)


def records(box: Box) -> int:
    return len(box.site().journal.records())


def a_unit_file(box: Box) -> None:
    file = at(box, UNIT)
    file.write_bytes(THEIRS.encode("utf-8", "surrogateescape"))
    if os.getuid() == 0:
        os.chown(file, 33, 12)
    os.setxattr(file, "user.mark", b"\0\xff")
    file.chmod(0o640)
    os.setxattr(file, "system.posix_acl_access", DEPLOY_READS)


# A whole unit file under a mask


def test_a_file_in_the_place_of_a_mask_is_refused_and_named(box: Box) -> None:
    a_unit_file(box)
    before = tree(str(box.root / "etc"))
    with pytest.raises(ChangedError, match=rf"{UNIT} is a file of \d+ bytes") as caught:
        do(box, MASKED)
    assert caught.value.way == "force"
    assert str(caught.value).endswith(".")
    assert tree(str(box.root / "etc")) == before
    assert records(box) == 0


def test_by_force_it_is_kept_and_undo_brings_it_back(box: Box) -> None:
    """Byte for byte, with owner, mode, ACL and marks; and undoing that masks it again."""
    a_unit_file(box)
    before = tree(str(box.root / "etc"))
    do(box, MASKED, force=True)
    masked = tree(str(box.root / "etc"))
    assert os.readlink(at(box, UNIT)) == MASK
    for _ in range(2):
        undo(box.site(), box.situation)
        assert tree(str(box.root / "etc")) == before
        newest = box.site().journal.records()[-1]
        undo(box.site(), box.situation, str(newest.id))
        assert tree(str(box.root / "etc")) == masked


def test_nobody_reads_in_the_history_what_was_kept(box: Box) -> None:
    a_unit_file(box)
    do(box, MASKED, force=True)
    summary = box.site().store.read(paths.SUMMARY) or ""
    assert "my-avahi" not in summary
    (change,) = json.loads(summary)["changes"]
    assert str(kept.shown(change["actions"][0]["before"])).startswith("a file of ")
    record = box.site().store.read(f"{paths.RECORDS}/1.json") or ""
    assert "my-avahi" in record


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_file_with_two_names(path: Path) -> None:
    path.write_text("x")
    os.link(path, path.with_name("second.service"))


def a_huge_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def a_signed_file(path: Path) -> None:
    path.write_text("x")
    os.setxattr(path, "security.ima", b"\x04")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_folder, "neither a link nor a file"),
        (a_pipe, "neither a link nor a file"),
        (a_file_with_two_names, "2 names"),
        (a_huge_file, "too large"),
        (a_signed_file, "signed"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_what_cannot_be_kept_is_never_replaced(
    box: Box, make: Callable[[Path], None], words: str, force: bool
) -> None:
    make(at(box, UNIT))
    before = os.lstat(at(box, UNIT))
    with pytest.raises(RefusedError, match=words) as caught:
        do(box, MASKED, force=force)
    assert caught.value.way == ""
    assert os.lstat(at(box, UNIT)).st_ino == before.st_ino
    assert records(box) == 0


def test_another_link_in_its_place(box: Box) -> None:
    at(box, UNIT).symlink_to("/opt/my-avahi.service")
    with pytest.raises(ChangedError, match=r"from none to /opt/my-avahi\.service"):
        do(box, MASKED)
    do(box, MASKED, force=True)
    undo(box.site(), box.situation)
    assert os.readlink(at(box, UNIT)) == "/opt/my-avahi.service"


def test_an_enabling_link_that_points_elsewhere_by_now(box: Box) -> None:
    link = at(box, WANTED)
    link.unlink()
    link.symlink_to("/etc/systemd/system/apt-daily.timer")
    with pytest.raises(ChangedError, match=f"from {TARGET} to {ETC}/apt-daily.timer"):
        do(box, DISABLED)
    do(box, DISABLED, force=True)
    assert not link.parent.exists()
    undo(box.site(), box.situation)
    assert os.readlink(link) == "/etc/systemd/system/apt-daily.timer"


# What is changed between the plan and its turn


@pytest.mark.parametrize(
    ("action", "theirs"),
    [(SWAPPINESS, "1"), (MAXMEMORY, "33554432"), (SWAP_FILE, f"{2 << 20}")],
    ids=lambda each: getattr(each, "kind", ""),
)
def test_a_value_that_somebody_changed_meanwhile(box: Box, action: Action, theirs: str) -> None:
    put(box, action, theirs)
    with pytest.raises(ChangedError, match=f"to {action.in_words(theirs)}:") as caught:
        do(box, action)
    assert caught.value.way == "force"
    assert value(box, action) == theirs
    assert records(box) == 0


@pytest.mark.parametrize(("action", "theirs"), [(SWAPPINESS, "1"), (MAXMEMORY, "33554432")])
def test_by_force_undo_brings_theirs_back(box: Box, action: Action, theirs: str) -> None:
    put(box, action, theirs)
    do(box, action, force=True)
    assert value(box, action) == action.after
    undo(box.site(), box.situation)
    assert value(box, action) == theirs


@pytest.mark.parametrize("action", [SWAPPINESS, MAXMEMORY, MASKED, DISABLED, SWAP_FILE, STOPPED])
def test_what_is_so_by_then_is_theirs_and_undo_leaves_it(box: Box, action: Action) -> None:
    put(box, action, action.after)
    other = replace(SWAPPINESS, what="vm.dirty_ratio", before="20", after="11")
    do(box, action, other)
    assert [a.what for a in box.site().journal.records()[0].plan.actions] == [other.what]
    undo(box.site(), box.situation)
    assert value(box, action) == action.after
    assert value(box, other) == "20"


def test_nothing_is_written_down_of_what_is_all_so(box: Box) -> None:
    put(box, SWAPPINESS, "10")
    do(box, SWAPPINESS)
    assert records(box) == 0


def test_a_redis_that_does_not_run_is_not_asked(box: Box) -> None:
    put(box, MAXMEMORY, "33554432")
    put(box, STOPPED, "inactive")
    do(box, MAXMEMORY)
    undo(box.site(), box.situation)
    assert records(box) == 2


@pytest.mark.parametrize("verb", ["restart", "reload"])
def test_a_service_that_was_stopped_meanwhile_stays_so(box: Box, verb: str) -> None:
    """It takes its settings when it starts: neither the change nor its undo starts it."""
    again = Action(ActionKind.SERVICE, REDIS, verb, verb)
    put(box, STOPPED, "inactive")
    do(box, again, SWAPPINESS)
    box.clock.now += 5
    assert value(box, STOPPED) == "inactive"
    undo(box.site(), box.situation)
    box.clock.now += 5
    assert (value(box, STOPPED), value(box, SWAPPINESS)) == ("inactive", "60")


def test_several_actions_with_one_thing_are_compared_at_its_beginning(box: Box) -> None:
    """As a swap file of another size: off, removed, made, on."""
    again = replace(SWAPPINESS, before="10", after="20")
    do(box, SWAPPINESS, again)
    assert value(box, again) == "20"
    undo(box.site(), box.situation)
    assert value(box, again) == "60"


def test_what_is_changed_while_the_others_are_done(box: Box) -> None:
    """It is compared again when its turn comes; all else is rolled back, and it stays theirs."""
    site = box.site()
    system = box.system()

    class Slow:
        progress = None

        def get(self, kind: ActionKind, what: str) -> str:
            return system.get(kind, what)

        def put(self, kind: ActionKind, what: str, new: str, check: Callable[[], None]) -> None:
            system.put(kind, what, new, check)
            if kind is ActionKind.SYSCTL and new == "10":
                put(box, MAXMEMORY, "33554432")

    slow = replace(site, ports=site.ports._replace(system=Slow()))
    with pytest.raises(RolledBackError, match=r"maxmemory \(redis.*32M.*previous value"):
        apply(slow, of(SWAPPINESS, MAXMEMORY), box.situation)
    assert (value(box, SWAPPINESS), value(box, MAXMEMORY)) == ("60", "33554432")
    assert box.site().journal.records()[0].state is State.FAILED


def test_what_is_changed_after_us_is_no_more_ours_to_roll_back(box: Box) -> None:
    ports = box.site().ports
    run = Transaction(ports, lambda: None)
    run.do(Act(SWAPPINESS))
    run.do(Act(MASKED))
    put(box, SWAPPINESS, "33")
    at(box, UNIT).unlink()
    a_unit_file(box)
    before = tree(str(box.root / "etc"))
    failure = run.abandon(ManagerError("It failed."))
    assert isinstance(failure, HalfDoneError)
    assert "vm.swappiness was changed meanwhile (it is 33)" in str(failure)
    assert f"{UNIT} was changed meanwhile (it is a file of " in str(failure)
    assert "my-avahi" not in str(failure)
    assert value(box, SWAPPINESS) == "33"
    assert tree(str(box.root / "etc")) == before


# What is changed after us, and then undone


@pytest.mark.parametrize(
    ("action", "theirs"),
    [
        (SWAPPINESS, "33"),
        (MAXMEMORY, "33554432"),
        (MASKED, "/opt/my-avahi.service"),
        (DISABLED, "/opt/apt-daily.timer"),
    ],
    ids=lambda each: getattr(each, "what", ""),
)
def test_undo_of_what_somebody_changed_since(box: Box, action: Action, theirs: str) -> None:
    do(box, action)
    put(box, action, theirs)
    with pytest.raises(RefusedError, match="was changed since") as caught:
        undo(box.site(), box.situation)
    assert caught.value.way == "force"
    assert value(box, action) == theirs
    undo(box.site(), box.situation, force=True)
    assert value(box, action) == action.before
    # What was replaced is in the record of the undo, and comes back with its own.
    undo(box.site(), box.situation, "2")
    assert value(box, action) == theirs


def test_undo_of_a_mask_that_is_a_unit_file_by_now(box: Box) -> None:
    do(box, MASKED)
    at(box, UNIT).unlink()
    a_unit_file(box)
    before = tree(str(box.root / "etc"))
    with pytest.raises(RefusedError, match=f"{UNIT} was changed since"):
        undo(box.site(), box.situation)
    assert tree(str(box.root / "etc")) == before
    undo(box.site(), box.situation, force=True)
    assert not at(box, UNIT).exists()
    undo(box.site(), box.situation, "2")
    assert tree(str(box.root / "etc")) == before


@pytest.mark.parametrize("action", [SWAPPINESS, MAXMEMORY, MASKED, DISABLED, SWAP_FILE, STOPPED])
def test_undo_of_what_is_as_before_already(box: Box, action: Action) -> None:
    do(box, action)
    put(box, action, action.before)
    undo(box.site(), box.situation)
    box.clock.now += 5
    assert value(box, action) == action.before


def test_undo_of_a_swap_file_that_is_another_by_now(box: Box) -> None:
    """It cannot be kept in a record: the way out is told, and leads out."""
    do(box, SWAP_FILE, SWAPPINESS)
    at(box, "/swapfile").write_bytes(b"theirs")
    for force in (False, True):
        with pytest.raises(RefusedError, match=r"/swapfile already exists.*move it away"):
            undo(box.site(), box.situation, force=force)
    assert at(box, "/swapfile").read_bytes() == b"theirs"
    at(box, "/swapfile").rename(at(box, "/theirs"))
    undo(box.site(), box.situation)
    assert value(box, SWAPPINESS) == "60"


def test_a_later_change_of_the_same_is_named(box: Box) -> None:
    do(box, SWAPPINESS)
    do(box, replace(SWAPPINESS, before="10", after="20"))
    for force in (False, True):
        with pytest.raises(RefusedError, match=r"Change 2 .*vm.swappiness, too") as caught:
            undo(box.site(), box.situation, "1", force=force)
        assert caught.value.way == "with_later"
    assert value(box, SWAPPINESS) == "20"
    undo(box.site(), box.situation, "1", with_later=True)
    assert value(box, SWAPPINESS) == "60"


def test_what_the_kernel_does_not_have_any_more_needs_no_undo(box: Box) -> None:
    do(box, SWAPPINESS)
    values = box.demo.system._values
    del values[ActionKind.SYSCTL, "vm.swappiness"]
    undo(box.site(), box.situation)
    assert (ActionKind.SYSCTL, "vm.swappiness") not in values


def test_a_record_of_an_older_version_is_undone(box: Box) -> None:
    do(box, MASKED, SWAPPINESS)
    path = at(box, f"{paths.RECORDS}/1.json")
    made = json.loads(path.read_text())
    assert set(made["plan"]["actions"][0]) == {
        *("kind", "what", "before", "after", "phase", "words", "frees")
    }
    undo(box.site(), box.situation)
    assert not at(box, UNIT).is_symlink()


# The links themselves: at the very moment


def nothing_there(_: Path) -> None:
    pass


def a_link(path: Path) -> None:
    path.symlink_to("/old")


def a_file(path: Path) -> None:
    path.write_text("old")
    path.chmod(0o600)


FILE = kept.KeptFile("kept", os.getuid(), os.getgid(), 0o604, 0, (("user.mark", "ff"),)).value


def saved(path: Path) -> None:
    """As an editor does it: a new file, renamed."""
    other = path.with_name("x~")
    other.write_text("theirs")
    other.rename(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / ETC[1:]
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize("make", [nothing_there, a_link, a_file])
@pytest.mark.parametrize("wanted", ["", "/new", FILE])
def test_a_file_that_comes_at_any_call_stays(
    tmp_path: Path, folder: Path, make: Callable[[Path], None], wanted: str
) -> None:
    links = Links(str(tmp_path))
    path = folder / "avahi-daemon.service"

    def run(faulty: FaultyOs) -> None:
        path.unlink(missing_ok=True)
        make(path)
        links.get(UNIT)
        with faults(faulty):
            links.put(UNIT, wanted)

    counting = FaultyOs()
    run(counting)
    assert links.get(UNIT) == wanted
    for n in range(len(counting.calls)):
        try:
            run(Meanwhile(n, lambda: saved(path)))
        except ChangedError as error:
            assert str(error).endswith("check it.")
        assert (path.is_file(), path.read_text()) == (True, "theirs"), (n, counting.calls[n])
        assert [each.name for each in folder.iterdir()] == [path.name], (n, counting.calls[n])


@pytest.mark.parametrize("make", [nothing_there, a_link, a_file])
@pytest.mark.parametrize("wanted", ["", "/new", FILE])
def test_killed_or_failed_at_any_call(
    tmp_path: Path, folder: Path, make: Callable[[Path], None], wanted: str
) -> None:
    """It is what it was, or what it is to be; the next one cleans up."""
    links = Links(str(tmp_path))
    path = folder / "avahi-daemon.service"
    make(path)
    before = links.get(UNIT)
    counting = FaultyOs()
    with faults(counting):
        links.put(UNIT, wanted)
    for n in range(len(counting.calls)):
        for faulty in (FaultyOs(n, kill=True), FaultyOs(n, errno.EIO)):
            path.unlink(missing_ok=True)
            make(path)
            links.get(UNIT)
            # What fails at the very end, of cleaning up, is no failure.
            with faults(faulty), contextlib.suppress(Killed, OSError):
                links.put(UNIT, wanted)
                assert links.get(UNIT) == wanted
            # While it is being replaced there may be none, for a moment.
            assert links.get(UNIT) in {before, wanted, ""}, (n, counting.calls[n])
            links.put(UNIT, before)
            assert links.get(UNIT) == before, (n, counting.calls[n])
            assert {each.name for each in folder.iterdir()} <= {path.name}


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path, folder: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "apt-daily.timer").symlink_to(TARGET)
    (folder / "timers.target.wants").symlink_to(elsewhere)
    links = Links(str(tmp_path))
    assert links.get(WANTED) == ""
    links.put(WANTED, "")
    with pytest.raises(OSError):
        links.put(WANTED, "/new")
    assert os.readlink(elsewhere / "apt-daily.timer") == TARGET


def test_an_immutable_unit_file_is_left(tmp_path: Path, folder: Path) -> None:
    path = folder / "avahi-daemon.service"
    path.write_text("theirs")
    if subprocess.run(["chattr", "+i", str(path)], check=False).returncode:
        pytest.skip("this file system has no flags")
    try:
        links = Links(str(tmp_path))
        assert "chattr -i" in str(kept.reason_of(links.get(UNIT)))
        with pytest.raises(OSError):
            links.put(UNIT, MASK)
        assert path.read_text() == "theirs"
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
    assert [each.name for each in folder.iterdir()] == [path.name]


def test_what_is_kept_is_nobody_else_s_while_it_is_written(tmp_path: Path, folder: Path) -> None:
    file = kept.KeptFile("secret", os.getuid(), os.getgid(), 0o600)
    modes: set[int] = set()

    class Watched(FaultyOs):
        def _wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
            modes.update(stat.S_IMODE(os.lstat(each).st_mode) for each in folder.iterdir())
            return real

    with faults(Watched()):
        Links(str(tmp_path)).put(UNIT, file.value)
    assert modes == {0o600}


def test_what_is_no_value(tmp_path: Path, folder: Path) -> None:
    for value in ("\0file {", "\0file []", kept.other(msg("It is a folder."))):
        with pytest.raises(LowmemError):
            Links(str(tmp_path)).put(UNIT, value)
    assert list(folder.iterdir()) == []


def test_files_and_actions_of_one_change_are_undone_together(box: Box) -> None:
    """A value that somebody changed holds up the file, too: nothing is half undone."""
    path = "/etc/sysctl.d/zz-lowmem-tui.conf"
    plan = replace(of(SWAPPINESS), files=(FileChange(path, None, "vm.swappiness = 10\n"),))
    apply(box.site(), plan, box.situation)
    put(box, SWAPPINESS, "33")
    with pytest.raises(RefusedError, match=r"vm\.swappiness was changed since"):
        undo(box.site(), box.situation)
    assert at(box, path).exists()
    undo(box.site(), box.situation, force=True)
    assert (at(box, path).exists(), value(box, SWAPPINESS)) == (False, "60")


# A real Redis, and the real values that it answers with


@pytest.mark.skipif(SERVER is None, reason="there is no redis-server (.ci/run has it)")
def test_a_real_redis(tmp_path: Path, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each directive set by a change, by somebody else, undone, refused, and undone by force."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text("#!/bin/sh\necho active\n")
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setattr(programs, "PATH", f"{tools}:/usr/bin:/bin")
    local = LocalSystem(str(box.root), allowed())
    site = box.site()
    site = replace(site, ports=site.ports._replace(system=local))
    with serving(tmp_path, ["--port", "0", "--unixsocket", str(tmp_path / "s")]) as socket:
        assert socket is not None

        def action(directive: str, after: str) -> Action:
            what = f"{REDIS} {directive} -s {socket}"
            return Action(ActionKind.REDIS, what, local.get(ActionKind.REDIS, what), after)

        def ask(each: Action) -> str:
            return local.get(ActionKind.REDIS, each.what)

        plan = of(
            action("maxmemory", "67108864"),
            action("maxmemory-policy", "volatile-lru"),
            action("save", ""),
        )
        before = [ask(each) for each in plan.actions]
        assert before == ["0", "noeviction", "3600 1 300 100 60 10000"]
        apply(site, plan, box.situation)
        undo(site, box.situation)
        assert [ask(each) for each in plan.actions] == before
        for each, theirs in zip(plan.actions, ("33554432", "allkeys-lfu", "900 1"), strict=True):
            apply(site, of(each), box.situation)
            local.put(ActionKind.REDIS, each.what, theirs, lambda: None)
            with pytest.raises(RefusedError, match="was changed since"):
                undo(site, box.situation)
            assert ask(each) == theirs
            undo(site, box.situation, force=True)
            assert ask(each) == each.before
            local.put(ActionKind.REDIS, each.what, theirs, lambda: None)
            with pytest.raises(ChangedError, match=f"to {each.in_words(theirs)}:"):
                apply(site, of(each), box.situation)
            local.put(ActionKind.REDIS, each.what, each.before, lambda: None)


def test_undo_chooses_nothing_while_a_record_cannot_be_read(box: Box) -> None:
    """The disk gives an error once: the change before is not taken for the newest."""
    do(box, SWAPPINESS)
    do(box, MASKED)
    site = box.site()
    real = site.store.read

    def read(path: str) -> str | None:
        if path.endswith("/2.json"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    site.store.read = read  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="name the one to undo"):
        undo(site, box.situation)
    assert value(box, SWAPPINESS) == "10"
    undo(site, box.situation, "1")
    assert value(box, SWAPPINESS) == "60"
