"""A fault at every single system call, systemd's and the kernel's included: the change is made, or
it is not; the next start settles what was interrupted, and the history is right.

A call fails with an error, or the process dies there. Nothing is left out: each point of each
operation is tried.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from lowmem_tui.change.entry import apply, confirm, settled, undo
from lowmem_tui.change.records import history as past
from lowmem_tui.change.recovery import settle
from lowmem_tui.change.trials.script import script
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import HalfDoneError, LowmemError
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Phase
from lowmem_tui.setup.steps import allowed

from .box import CHAT, REDIS, Box, faults, strip_empty
from .faults import FaultyOs, Killed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.snapshot import Situation

SETS = (f"{REDIS}:MemoryMax=300M", f"{REDIS}:OOMScoreAdjust=-300", f"{CHAT}:MemoryHigh=500M")
FIRST = f"{REDIS}:MemoryMax=280M"
SECONDS = 60

SPACE = frozenset(
    {
        *("open", "write", "fsync", "mkdir", "rename", "pwrite", "ftruncate"),
        *("renameat2", "symlink", "link", "setxattr"),
    }
)
CHANGES = frozenset(
    {
        *("open", "mkdir", "rmdir", "rename", "unlink", "fchmod"),
        *("renameat2", "symlink", "link", "fchown", "setxattr", "removexattr"),
    }
)
NEED: dict[int, frozenset[str] | None] = {
    errno.EIO: None,
    errno.ENOSPC: SPACE,
    errno.EROFS: CHANGES,
    errno.EACCES: CHANGES | {"set_limit", "reload", "start_revert_timer", "stop_unit"},
}
"""The calls that fail for want of something: None is every one."""

STEP = 1 if os.environ.get("LOWMEM_FAULTS") else 9
"""`make faults` tries every call, `make test` each ninth: all of them take some minutes."""


ETC, LIBRARY = "/etc/systemd/system", "/usr/lib/systemd/system"
WANTS = f"{ETC}/swap.target.wants"
SITE = "/etc/nginx/sites-available/app"
SERVER = "server {}\n"
MASKED = f"{ETC}/avahi-daemon.service"
ALIAS = f"{ETC}/dbus-org.freedesktop.Avahi.service"
TIMER = f"{ETC}/timers.target.wants/apt-daily.timer"


def others_files(box: Box) -> None:
    """Put there what belongs to somebody else: a site, a unit file, links."""
    files = {SITE: SERVER, MASKED: "[Service]\nExecStart=/usr/local/bin/my-avahi\n"}
    for path, text in files.items():
        file = box.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.setxattr(file, "user.mark", b"1")
        file.chmod(0o640)
    for path in (ALIAS, TIMER):
        (box.root / path[1:]).parent.mkdir(exist_ok=True)
        (box.root / path[1:]).symlink_to(f"{LIBRARY}/{path.rpartition('/')[2]}")


def with_more(plan: Plan) -> Plan:
    """Return a plan with other files, ours and not, and an action of each kind."""
    sysctl, link = ActionKind.SYSCTL, ActionKind.LINK
    return replace(
        plan,
        files=(
            *plan.files,
            FileChange("/etc/sysctl.d/zz-lowmem-tui.conf", None, "vm.swappiness = 10\n"),
            FileChange("/etc/systemd/journald.conf.d/zz-lowmem-tui.conf", None, "[Journal]\n"),
            FileChange(f"{ETC}/swapfile.swap", None, "[Swap]\nWhat=/swapfile\n"),
            FileChange(SITE, SERVER, "server { limit_req zone=lowmem; }\n"),
        ),
        actions=(
            Action(ActionKind.SWAP_FILE, "/swapfile", "", f"{1 << 20}", Phase.EARLY),
            Action(link, f"{WANTS}/swapfile.swap", "", f"{ETC}/swapfile.swap", Phase.FILES),
            Action(link, MASKED, "", "/dev/null", Phase.FILES),
            Action(
                link,
                ALIAS,
                f"{LIBRARY}/dbus-org.freedesktop.Avahi.service",
                "/dev/null",
                Phase.FILES,
            ),
            Action(link, TIMER, f"{LIBRARY}/apt-daily.timer", "", Phase.FILES),
            Action(sysctl, "vm.swappiness", "60", "10"),
            Action(sysctl, "vm.dirty_ratio", "20", "10"),
            Action(ActionKind.TEST, "nginx", "test", "test"),
            Action(ActionKind.SERVICE, "systemd-journald.service", "reload", "reload"),
        ),
    )


class Operation(NamedTuple):
    prepare: Callable[[Box], None]
    do: Callable[[Box, FaultyOs | None], None]
    before: State | None
    """What the history says of the change if it was not made (or was put back)."""
    after: State


def nothing(_: Box) -> None:
    """Nothing is to be prepared."""


def a_change(box: Box, faulty: FaultyOs | None = None) -> None:
    # By force: a unit file is in the place of a mask.
    apply(box.site(faulty), box.planned, box.situation, force=True)


def a_trial(box: Box, faulty: FaultyOs | None = None) -> None:
    apply(box.site(faulty), box.planned, box.situation, seconds=SECONDS)


def more(box: Box) -> None:
    """Let the plan hold all that a plan can hold."""
    others_files(box)
    box.planned = with_more(box.planned)


def more_done(box: Box) -> None:
    more(box)
    a_change(box)


def keep(box: Box, faulty: FaultyOs | None) -> None:
    confirm(box.site(faulty))


def revert(box: Box, faulty: FaultyOs | None) -> None:
    undo(box.site(faulty), box.situation)


OPERATIONS = {
    "apply": Operation(nothing, a_change, State.FAILED, State.APPLIED),
    "trial": Operation(nothing, a_trial, State.FAILED, State.TRIAL),
    "confirm": Operation(a_trial, keep, State.TRIAL, State.CONFIRMED),
    "undo": Operation(a_change, revert, State.FAILED, State.APPLIED),
    "apply-more": Operation(more, a_change, State.FAILED, State.APPLIED),
    "undo-more": Operation(more_done, revert, State.FAILED, State.APPLIED),
    "undo-trial": Operation(a_trial, revert, State.TRIAL, State.UNDONE),
}


class Plain(NamedTuple):
    """An operation that nothing disturbs: the calls that it makes, and what it comes to."""

    plans: tuple[Plan, Plan]
    situation: Situation
    calls: list[str]
    after: dict[str, object]


class Case:
    """One operation on one new server, with what it was and what it shall be."""

    def __init__(self, root: Path, operation: Operation, plain: Plain | None = None) -> None:
        self.box = Box(root)
        self.box.known = plain.situation if plain else None
        self.operation = operation
        first = plain.plans[0] if plain else self.box.plan(FIRST)
        apply(self.box.site(), first, self.box.situation)
        self.box.planned = plain.plans[1] if plain else self.box.plan(*SETS)
        self.plans = (first, self.box.planned)
        self.untouched = self.box.state()
        operation.prepare(self.box)
        self.before = self.box.state()
        # What keeps or ends a trial is no change of its own.
        own = operation.before is not State.TRIAL
        self.records = len(self.box.site().journal.records()) + own

    def run(self, faulty: FaultyOs) -> None:
        with faults(faulty):
            self.operation.do(self.box, faulty)

    def newest(self) -> State | None:
        """What the history says of the change; None before it is in there."""
        records = self.box.site().journal.records()
        return records[-1].state if len(records) == self.records else None


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where fsync costs nothing."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as path:
        yield Path(path)


@pytest.fixture
def plain_run(request: pytest.FixtureRequest, folder: Path) -> Plain:
    case = Case(folder / "plain", OPERATIONS[request.param])
    try:
        known = case.box.known = case.box.situation((REDIS, CHAT))
        faulty = FaultyOs()
        case.run(faulty)
        return Plain(case.plans, known, faulty.calls, case.box.state())
    finally:
        case.box.close()


@pytest.mark.parametrize(
    ("name", "plain_run"), [(name, name) for name in OPERATIONS], indirect=["plain_run"]
)
@pytest.mark.parametrize("error", NEED, ids=errno.errorcode.get)
def test_every_call_fails_once(folder: Path, name: str, plain_run: Plain, error: int) -> None:
    calls, after = plain_run.calls, plain_run.after
    assert len(calls) > 40
    counts: Counter[str] = Counter()
    points = [n for n, call in enumerate(calls) if call in (NEED[error] or calls)][::STEP]
    for n in points:
        case = Case(folder / f"{n}", OPERATIONS[name], plain_run)
        try:
            counts[one_failure(case, n, error, after, f"{n}: {calls[n]}")] += 1
        finally:
            case.box.close()
            shutil.rmtree(case.box.root)
    print(f"{name}, {errno.errorcode[error]}: {dict(counts)}")
    assert sum(counts.values()) == len(points) > 5


def one_failure(case: Case, n: int, error: int, after: dict[str, object], at: str) -> str:
    box, operation = case.box, case.operation
    failed = ""
    try:
        case.run(FaultyOs(n, error))
    except HalfDoneError as failure:
        half = str(failure)
        assert half.endswith(".")
        # Only while a running trial is reverted can something be left: the timer takes it.
        assert operation is OPERATIONS["undo-trial"] or "Do this by hand" not in half, (at, half)
        box.clock.now += SECONDS + 1
        settled(box.site())
        assert box.state() == case.untouched, at
        return "half done, then reverted by the timer"
    except LowmemError as failure:
        failed = str(failure)
        assert failed.endswith("."), failed
        assert "\n" not in failed
    left = box.state()
    if failed:
        # What could not be recorded is settled by the next start.
        settled(box.site())
        assert strip_empty(box.state()) == strip_empty(case.before), (at, failed)
        assert strip_empty(left) == strip_empty(case.before), (at, failed)
        assert case.newest() in {operation.before, None}, (at, failed)
    else:
        assert left == after, at
        settled(box.site())
        assert box.state() == after, at
        assert case.newest() is operation.after, at
    assert box.half_files() == [], at
    return "rolled back" if failed else "done anyway"


@pytest.mark.parametrize("who", ["next start", "timer"])
@pytest.mark.parametrize(
    ("name", "plain_run"), [(name, name) for name in OPERATIONS], indirect=["plain_run"]
)
def test_killed_at_every_call(folder: Path, name: str, plain_run: Plain, who: str) -> None:
    calls, after = plain_run.calls, plain_run.after
    operation = OPERATIONS[name]
    on_trial = name in {"trial", "confirm", "undo-trial"}
    if who == "timer" and not on_trial:
        pytest.skip("there is no timer")
    counts: Counter[str] = Counter()
    points = range(0, len(calls), STEP)
    for n in points:
        case = Case(folder / f"{n}", operation, plain_run)
        try:
            with pytest.raises(Killed):
                case.run(FaultyOs(n, kill=True))
            if who == "timer":
                run_script(case.box, folder)
                case.box.clock.now += SECONDS + 1
            counts[settle_after(case, after, f"{n}: {calls[n]}", over=who == "timer")] += 1
        finally:
            case.box.close()
            shutil.rmtree(case.box.root)
    print(f"{name}, killed, then {who}: {dict(counts)}")
    assert sum(counts.values()) == len(points)


def settle_after(case: Case, after: dict[str, object], at: str, *, over: bool) -> str:
    box = case.box
    sentences = settled(box.site())
    assert all(str(sentence).endswith(".") for sentence in sentences), sentences
    state, newest = box.state(), case.newest()
    if newest is State.TRIAL:
        # It goes on, and ends as trials do.
        assert not over, at
        box.clock.now += SECONDS + 1
        settled(box.site())
        assert box.state() == case.untouched, at
        result = "trial"
    elif newest is State.EXPIRED:
        assert state == case.untouched, at
        result = "expired"
    elif newest in {State.FAILED, None}:
        assert state == case.before, at
        result = "before"
    else:
        assert state == after, (at, newest)
        assert newest is case.operation.after
        result = "after"
    assert box.half_files() == [], at
    assert settled(box.site()) == [], at
    assert box.room() == [], at
    shown = past.history(box.site().store, allowed().paths, everything=True, trial=None)
    assert past.history(box.site().store, allowed().paths, everything=False, trial=None) == shown, (
        at
    )
    return result


@pytest.mark.parametrize(
    ("name", "plain_run"), [(n, n) for n in ("apply", "trial", "confirm")], indirect=["plain_run"]
)
def test_dead_while_settling(folder: Path, name: str, plain_run: Plain) -> None:
    """Settling itself may be interrupted at any call: the next one goes on."""
    middle = plain_run.calls.index("reload") + 1
    ended = False
    n = 0
    while not ended:
        case = Case(folder / f"{n}", OPERATIONS[name], plain_run)
        box = case.box
        try:
            with pytest.raises(Killed):
                case.run(FaultyOs(middle, kill=True))
            second = FaultyOs(n, kill=True)
            with contextlib.suppress(Killed), faults(second), box.site(second).exclusive():
                settle(box.site(second))
                ended = True
            settled(box.site())
            if name == "confirm":
                assert (case.newest(), box.state()) == (State.CONFIRMED, plain_run.after)
            else:
                assert (case.newest(), box.state()) == (State.FAILED, case.before)
            assert box.half_files() == []
            assert box.room() == []
        finally:
            box.close()
            shutil.rmtree(box.root)
        n += STEP
    assert n > 30


def run_script(box: Box, tmp_path: Path) -> None:
    """What systemd does when the time is over."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "systemctl").write_text("#!/bin/sh\nexit 0\n")
    (tools / "systemctl").chmod(0o755)
    if not (box.root / "run/lowmem-tui/trial/revert").exists():
        return
    path = tmp_path / "revert"
    path.write_text(script(box.roots(tools)))
    subprocess.run(["/bin/sh", str(path)], check=True, timeout=60, env={**os.environ})
    box.scripted()
