"""Recorded changes on real files: history, undo, trials; nothing goes wrong here."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.change.entry import apply, confirm, settled, undo
from lowmem_tui.change.records import history as past
from lowmem_tui.change.records import paths as places
from lowmem_tui.change.records.store import FolderStore
from lowmem_tui.change.trials import script as script_module
from lowmem_tui.change.trials.script import script
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import ManagerError, RefusedError, RolledBackError, UnreloadedError
from lowmem_tui.model.trial import running
from lowmem_tui.setup.steps import allowed

from .box import CHAT, REDIS, Box, strip_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from lowmem_tui.model.plan import Outcome
    from lowmem_tui.model.unit import UnitProperties

FILE = f"/etc/systemd/system/{REDIS}.d/zz-lowmem-tui.conf"
SETS = (f"{REDIS}:MemoryMax=300M", f"{REDIS}:OOMScoreAdjust=-300", f"{CHAT}:MemoryHigh=500M")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path / "root")
    yield made
    made.close()


def states(box: Box, *, everything: bool = True) -> dict[str, State]:
    site = box.site()
    trial = running(site.store.read(places.NOTICE), site.monotonic())
    found = past.history(site.store, allowed().paths, everything=everything, trial=trial)
    return {change.id: change.state for change in reversed(found)}


def do(box: Box, *sets: str, seconds: int | None = None) -> Outcome:
    return apply(box.site(), box.plan(*sets), box.situation, seconds=seconds, note="a reason")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_records_and_their_modes(box: Box, umask: int) -> None:
    mask = os.umask(umask)
    try:
        do(box, *SETS)
    finally:
        os.umask(mask)
    found = past.history(box.site().store, allowed().paths, everything=True, trial=None)
    assert found == past.history(box.site().store, allowed().paths, everything=False, trial=None)
    (change,) = found
    assert (change.id, change.note, change.state) == ("1", "a reason", State.APPLIED)
    assert str(change.by.message) == "op with sudo, from 192.0.2.7"
    modes = {
        path: (box.root / path[1:]).stat().st_mode & 0o777
        for path in (places.RECORDS, f"{places.RECORDS}/1.json", places.SUMMARY)
    }
    assert list(modes.values()) == [0o700, 0o600, 0o644]
    assert "MemoryMax=" not in (box.root / places.SUMMARY[1:]).read_text()


def test_the_files_of_a_trial_are_its_own_until_it_is_kept(box: Box) -> None:
    def paths() -> list[str]:
        return [file.path for file in past.files_of(box.site().store, allowed().paths, "1")]

    do(box, SETS[0], seconds=60)
    assert paths() == [f"/run/systemd/system/{REDIS}.d/zzz-lowmem-tui-trial.conf"]
    confirm(box.site())
    assert paths() == [FILE]


def test_undo_restores_the_bytes_and_undo_of_undo_the_change(box: Box) -> None:
    before = box.state()
    do(box, *SETS)
    after = box.state()
    undo(box.site(), box.situation)
    assert box.state() == before
    assert states(box) == {"1": State.UNDONE, "2": State.APPLIED}
    undo(box.site(), box.situation, "2")
    assert box.state() == after
    assert states(box) == {"1": State.APPLIED, "2": State.UNDONE, "3": State.APPLIED}
    assert states(box, everything=False) == states(box)


def test_undo_restores_a_file_that_others_wrote_byte_for_byte(box: Box) -> None:
    path = box.root / FILE[1:]
    path.parent.mkdir(exist_ok=True)
    odd = b"# Written by lowmem-tui.\n\n[Service]\nMemoryMax=110M\n# odd \xff\xfe bytes\r\n\n"
    path.write_bytes(odd)
    box.connection.reload()
    do(box, f"{REDIS}:MemoryMax=300M")
    assert path.read_bytes() != odd
    undo(box.site(), box.situation)
    assert path.read_bytes() == odd


def test_undo_refuses_a_file_that_was_edited(box: Box) -> None:
    before = box.state()
    do(box, *SETS)
    path = box.root / FILE[1:]
    path.write_text("[Service]\nMemoryMax=222M\nOOMScoreAdjust=-300\n")
    with pytest.raises(RefusedError, match=r"zz-lowmem-tui\.conf was edited since"):
        undo(box.site(), box.situation)
    box.connection.reload()
    undo(box.site(), box.situation, force=True)
    assert box.state() == before


def test_undo_of_an_earlier_change(box: Box) -> None:
    before = box.state()
    do(box, f"{REDIS}:MemoryMax=300M")
    do(box, f"{CHAT}:MemoryHigh=500M")
    do(box, f"{REDIS}:MemoryMax=310M")
    with pytest.raises(RefusedError, match=r"Change 3 came later .* --with-later"):
        undo(box.site(), box.situation, "1")
    undo(box.site(), box.situation, "1", with_later=True)
    assert states(box) == {
        "1": State.UNDONE,
        "2": State.APPLIED,
        "3": State.UNDONE,
        "4": State.APPLIED,
    }
    with pytest.raises(RefusedError, match=r"already undone, by change 4"):
        undo(box.site(), box.situation, "1")
    undo(box.site(), box.situation)
    assert box.state() == before
    with pytest.raises(RefusedError, match=r"no change to undo"):
        undo(box.site(), box.situation)


def test_a_trial_that_is_kept(box: Box) -> None:
    before = box.state()
    do(box, *SETS, seconds=60)
    assert states(box) == {"1": State.TRIAL}
    assert box.room() == ["data", "revert"]
    assert not (box.root / FILE[1:]).exists()
    with pytest.raises(
        RefusedError, match=r"started by op with sudo.*reverts automatically at .*1min left"
    ):
        do(box, *SETS)
    with pytest.raises(RefusedError, match=r"is on trial"):
        undo(box.site(), box.situation, "7")
    outcome = confirm(box.site())
    assert outcome.mismatches == ()
    assert states(box) == {"1": State.CONFIRMED}
    assert box.room() == []
    assert not list((box.root / "run/systemd/system").iterdir())
    with pytest.raises(RefusedError, match="There is no trial to confirm"):
        confirm(box.site())
    undo(box.site(), box.situation)
    assert box.state() == before


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_modes_of_a_trial(box: Box, umask: int) -> None:
    mask = os.umask(umask)
    try:
        do(box, *SETS, seconds=60)
    finally:
        os.umask(mask)
    drop_in = f"/run/systemd/system/{REDIS}.d/zzz-lowmem-tui-trial.conf"
    modes = {
        path: (box.root / path[1:]).stat().st_mode & 0o777
        for path in (
            *(places.RUN, places.ROOM, places.SCRIPT, places.DATA, places.NOTICE),
            *(drop_in, drop_in.rpartition("/")[0]),
        )
    }
    assert list(modes.values()) == [0o755, 0o700, 0o600, 0o600, 0o644, 0o644, 0o755]


def test_a_trial_that_is_undone(box: Box) -> None:
    before = box.state()
    do(box, *SETS, seconds=60)
    assert undo(box.site(), box.situation).mismatches == ()
    assert box.state() == before
    assert states(box) == {"1": State.UNDONE}
    assert box.room() == []


@pytest.mark.parametrize("rebooted", [False, True])
def test_a_trial_that_is_over(box: Box, rebooted: bool) -> None:
    before = box.state()
    do(box, *SETS, seconds=60)
    if rebooted:
        box.boot = "boot 2"
        for path in (box.root / "run").rglob("*lowmem*/*"):
            if path.is_file():
                path.unlink()
    else:
        box.clock.now += 61
        assert states(box) == {"1": State.EXPIRED}
        assert states(box, everything=False) == {"1": State.EXPIRED}
    (sentence,) = settled(box.site())
    assert "reverted" in str(sentence)
    assert states(box) == {"1": State.EXPIRED}
    if not rebooted:
        assert box.state() == before
    with pytest.raises(RefusedError, match=r"change 1 was reverted automatically"):
        confirm(box.site())


def test_trial_of_a_setting_that_is_dropped(box: Box) -> None:
    do(box, f"{REDIS}:MemoryMax=300M", f"{REDIS}:Restart=no")
    kept = box.state()
    do(box, f"{REDIS}:MemoryMax=", f"{REDIS}:Restart=", seconds=60)
    trial = (box.root / f"run/systemd/system/{REDIS}.d/zzz-lowmem-tui-trial.conf").read_text()
    assert "MemoryMax=256M" in trial
    assert "Restart=always" in trial
    undo(box.site(), box.situation)
    assert box.state() == kept


def test_the_script_reverts_a_trial(box: Box, tmp_path: Path) -> None:
    """The script itself, run by dash, on a tree in a folder."""
    do(box, f"{REDIS}:OOMScoreAdjust=-300", f"{REDIS}:MemoryMax=300M", seconds=60)
    (scores,) = box.site().journal.records()[0].live.scores
    group = box.root / "cgroup" / scores.cgroup[1:]
    group.mkdir(parents=True)
    (group / "memory.max").write_text("314572800\n")
    ((pid, start, was),) = scores.processes
    procs = {
        pid: (start, -300, scores.cgroup),  # ours
        91: (start + 5, -300, scores.cgroup),  # forked since
        92: (start, -300, "/user.slice"),  # somebody else's
        93: (start + 6, -17, scores.cgroup),  # set its own
    }
    for number, (began, score, cgroup) in procs.items():
        folder = box.root / "proc" / str(number)
        folder.mkdir(parents=True)
        fields = " ".join(["S", "1", *["0"] * 17, str(began), "0"])
        (folder / "stat").write_text(f"{number} (a ) b\n(c) {fields}\n")
        (folder / "oom_score_adj").write_text(f"{score}\n")
        (folder / "cgroup").write_text(f"0::{cgroup}\n")
    (group / "cgroup.procs").write_text("".join(f"{number}\n" for number in procs))
    run_script(box, tmp_path)
    scored = {n: int((box.root / f"proc/{n}/oom_score_adj").read_text()) for n in procs}
    assert scored == {pid: was, 91: scores.before, 92: -300, 93: -17}
    assert (group / "memory.max").read_text().strip() == str(256 << 20)
    assert not list((box.root / "run/systemd/system").iterdir())
    assert "result" in box.room()
    assert not (box.root / places.NOTICE[1:]).exists()
    assert (tmp_path / "asked").read_text().count("daemon-reload") == 1
    run_script(box, tmp_path)
    assert (tmp_path / "asked").read_text().count("daemon-reload") == 1
    (sentence,) = settled(box.site())
    assert "was not confirmed" in str(sentence)
    assert f"{REDIS} failed meanwhile (oom-kill) and was started again." in str(sentence)
    assert states(box) == {"1": State.EXPIRED}
    assert box.room() == []


@pytest.mark.parametrize("missing", ["data", "confirming"])
def test_the_script_leaves_alone_what_is_kept(box: Box, tmp_path: Path, missing: str) -> None:
    do(box, *SETS, seconds=60)
    room = box.root / places.ROOM[1:]
    if missing == "data":
        (room / "data").unlink()
    else:
        (room / "confirming").touch()
    trial = box.state()
    run_script(box, tmp_path)
    assert box.state() == trial
    assert not (tmp_path / "asked").exists()


def test_a_late_run_of_the_script_is_none_of_the_next_trial_s(box: Box, tmp_path: Path) -> None:
    do(box, *SETS, seconds=60)
    trial = box.state()
    run_script(box, tmp_path, "7")
    assert box.state() == trial
    run_script(box, tmp_path, "1")
    assert "result" in box.room()


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


# What became of the record of a trial
LOST: dict[str, Callable[[Path], object]] = {
    "removed": lambda path: path.unlink(),
    "cut": lambda path: path.write_text(path.read_text()[:200]),
    "of another version": lambda path: path.write_text('{"schema": 99}'),
    "nested without end": lambda path: path.write_text("[" * 100_000),
    "a folder": to_folder,
    "that of another change": lambda path: path.write_text(
        path.read_text().replace('"id": 1', '"id": 7')
    ),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_a_trial_whose_record_is_lost_is_reverted(
    box: Box, tmp_path: Path, lose: Callable[[Path], object]
) -> None:
    do(box, *SETS, seconds=60)
    record = box.root / places.RECORDS[1:] / "1.json"
    lose(record)
    strange = record.exists()
    (box.root / places.CONFIRMING[1:]).touch()
    asked: list[str] = []

    def restart(name: str) -> None:
        asked.append(name)

    box.connection.restart_unit = restart  # type: ignore[method-assign]
    said = settled(box.site())
    assert str(said[0]) == "Trial 1 has no record any more, and systemd reverts it now."
    assert asked == ["lowmem-tui-trial-1.service"]
    assert len(said) == 1 + strange, "what cannot be understood is named"
    assert not record.exists()
    with pytest.raises(RefusedError, match="is being reverted"):
        do(box, f"{CHAT}:MemoryHigh=400M")
    run_script(box, tmp_path, "1")
    assert not list((box.root / "run/systemd/system").iterdir())
    do(box, f"{CHAT}:MemoryHigh=400M")
    assert box.room() == []


def test_force_does_not_undo_a_later_change_on_the_way(box: Box) -> None:
    do(box, f"{REDIS}:MemoryMax=300M")
    do(box, f"{REDIS}:OOMScoreAdjust=-300")
    after = box.state()
    with pytest.raises(RefusedError, match="--with-later"):
        undo(box.site(), box.situation, "1", force=True)
    assert box.state() == after


def test_undone_already_names_the_change_that_did_it(box: Box) -> None:
    do(box, f"{REDIS}:MemoryMax=300M")
    box.connection.reload = raising(ManagerError("no."))  # type: ignore[method-assign]
    with pytest.raises(RolledBackError):
        undo(box.site(), box.situation)
    box.connection.reload = box.reload  # type: ignore[method-assign]
    undo(box.site(), box.situation)
    with pytest.raises(RefusedError, match=r"already undone, by change 3: `lowmem-tui undo 3`"):
        undo(box.site(), box.situation, "1")


def test_what_systemd_did_not_reload_is_settled_by_the_next_start(box: Box) -> None:
    before = box.state()
    box.connection.reload = raising(ManagerError("no."))  # type: ignore[method-assign]
    with pytest.raises(UnreloadedError, match="The files are restored"):
        do(box, *SETS)
    box.connection.reload = box.reload  # type: ignore[method-assign]
    (sentence,) = settled(box.site())
    assert "is rolled back: everything has its previous value" in str(sentence)
    assert box.state() == before
    assert states(box) == {"1": State.FAILED}


def test_a_trial_that_could_not_be_kept_runs_on(box: Box, tmp_path: Path) -> None:
    do(box, *SETS, seconds=60)
    box.connection.reload = raising(ManagerError("no."))  # type: ignore[method-assign]
    with pytest.raises(UnreloadedError):
        confirm(box.site())
    box.connection.reload = box.reload  # type: ignore[method-assign]
    assert states(box) == {"1": State.TRIAL}
    run_script(box, tmp_path, "1")
    assert "result" in box.room()


def test_a_trial_whose_file_was_edited_is_not_kept_and_runs_on(box: Box) -> None:
    do(box, *SETS, seconds=60)
    path = box.root / FILE[1:]
    path.parent.mkdir(exist_ok=True)
    path.write_text("[Service]\nMemoryMax=1G\n")
    with pytest.raises(RefusedError, match="The trial still runs"):
        confirm(box.site())
    assert states(box) == {"1": State.TRIAL}


STOPPED_AT = {
    "a drop-in is written": ("etc", "write"),
    "systemd is reloaded": ("connection", "reload"),
    "a limit is set": ("demo.kernel", "set_limit"),
    "it is verified": ("connection", "properties"),
}


@pytest.mark.parametrize("by_hand", [True, False], ids=["run by hand", "still at work"])
@pytest.mark.parametrize(("of", "call"), STOPPED_AT.values(), ids=STOPPED_AT)
def test_a_trial_that_the_script_comes_into_is_rolled_back(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str, call: str, by_hand: bool
) -> None:
    """The script does not wait for the lock for ever, should the program have been stopped."""
    monkeypatch.setattr(script_module, "PATIENCE", 0)
    before = box.state()
    made = box.plan(*SETS)
    owner = attrgetter(of)(box)
    real = getattr(owner, call)
    done: list[object] = []

    def stopped(*arguments: object) -> object:
        answer = real(*arguments)
        if (box.root / places.NOTICE[1:]).exists():
            done.append(arguments)
        # Not the question whether the timer is armed, but the last one.
        if len(done) == (3 if call == "properties" else 1) and not (tmp_path / "asked").exists():
            run_script(box, tmp_path, "1")
            box.scripted()
            if not by_hand:
                box.clock.now += 61
                (box.root / places.RESULT[1:]).unlink()
        return answer

    monkeypatch.setattr(owner, call, stopped)
    with pytest.raises(RolledBackError, match="The trial was over before everything was applied"):
        apply(box.site(), made, box.situation, seconds=60)
    assert (tmp_path / "asked").exists()
    assert strip_empty(box.state()) == strip_empty(before)
    assert states(box) == {"1": State.FAILED}
    assert box.room() == []


def test_what_was_done_after_the_script_is_reverted_as_well(box: Box, tmp_path: Path) -> None:
    before = box.state()
    do(box, *SETS, seconds=60)
    path = box.root / f"run/systemd/system/{CHAT}.d/zzz-lowmem-tui-trial.conf"
    text = path.read_text()
    box.clock.now += 61
    run_script(box, tmp_path, "1")
    path.parent.mkdir()
    path.write_text(text)
    box.connection.reload()
    (sentence,) = settled(box.site())
    assert "reverted" in str(sentence)
    assert box.state() == before
    assert states(box) == {"1": State.EXPIRED}


def test_a_trial_is_not_kept_when_the_script_may_be_at_work(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = box.state()
    do(box, *SETS, seconds=60)
    real = FolderStore.write

    def stopped(store: FolderStore, path: str, text: str) -> None:
        real(store, path, text)
        if path == places.CONFIRMING:
            box.clock.now += 60 + script_module.PATIENCE

    monkeypatch.setattr(FolderStore, "write", stopped)
    with pytest.raises(RefusedError, match="was over before it could be confirmed"):
        confirm(box.site())
    assert box.state() == before
    assert states(box) == {"1": State.EXPIRED}
    assert box.room() == []


def test_a_trial_that_the_script_left_to_who_keeps_it_ends_when_that_fails(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_module, "PATIENCE", 0)
    before = box.state()
    do(box, *SETS, seconds=60)
    tried: list[None] = []

    def reload() -> None:
        box.reload()
        tried.append(None)
        if len(tried) == 1:
            box.clock.now += 61
            run_script(box, tmp_path, "1")
            raise ManagerError("no.")

    box.connection.reload = reload  # type: ignore[method-assign]
    with pytest.raises(RolledBackError):
        confirm(box.site())
    assert strip_empty(box.state()) == strip_empty(before)
    assert states(box) == {"1": State.EXPIRED}
    assert box.room() == []


# What systemd says of a unit after a change was put back, and whether it is started again
HIT: dict[str, tuple[tuple[str, str, str], bool]] = {
    "failed": (("failed", "failed", "oom-kill"), True),
    "waits for its restart": (("activating", "auto-restart", "oom-kill"), True),
    "what is left of it ends": (("deactivating", "stop-sigterm", "oom-kill"), True),
    "somebody stops it": (("deactivating", "stop-sigterm", "success"), False),
    "runs": (("active", "running", "success"), False),
    "was stopped": (("inactive", "dead", "success"), False),
}


class Hit:
    """redis-server.service is hit by the reload, which fails."""

    def __init__(self, box: Box, state: tuple[str, str, str]) -> None:
        self.started: list[str] = []
        self._box, self._state, self._is_hit = box, state, False
        self._properties = box.connection.properties
        connection: Any = box.connection
        connection.properties = self.properties
        connection.restart_unit = self.started.append
        connection.reload = self.reload

    def reload(self) -> None:
        self._box.reload()
        if not self._is_hit:
            self._is_hit = True
            raise ManagerError("no.")

    def properties(self, names: Iterable[str]) -> dict[str, UnitProperties]:
        found = self._properties(names)
        if self._is_hit and REDIS in found:
            active, sub, result = self._state
            found[REDIS] = replace(found[REDIS], active_state=active, sub_state=sub, result=result)
        return found


@pytest.mark.parametrize(("state", "again"), HIT.values(), ids=HIT)
def test_what_a_change_has_killed_is_started_again_when_it_is_rolled_back(
    box: Box, state: tuple[str, str, str], again: bool
) -> None:
    made = box.plan(*SETS)
    hit = Hit(box, state)
    with pytest.raises(RolledBackError) as raised:
        apply(box.site(), made, box.situation)
    also = f" {REDIS} failed meanwhile (oom-kill) and was started again." if again else ""
    assert str(raised.value) == (
        f"no. The change was rolled back: everything has its previous value.{also}"
    )
    assert hit.started == [REDIS] * again


def test_what_a_change_has_killed_is_started_again_by_the_next_start(box: Box) -> None:
    do(box, *SETS)
    (record,) = box.site().journal.records()
    box.site().journal.put(record.to(State.APPLYING))
    hit = Hit(box, ("failed", "failed", "oom-kill"))
    (sentence,) = settled(box.site())
    assert str(sentence) == (
        "Change 1 was interrupted and is rolled back: everything has its previous value. "
        f"{REDIS} failed meanwhile (oom-kill) and was started again."
    )
    assert hit.started == [REDIS]


def test_what_somebody_has_edited_meanwhile_is_not_called_as_before(box: Box) -> None:
    do(box, *SETS)
    (record,) = box.site().journal.records()
    box.site().journal.put(record.to(State.APPLYING))
    (box.root / FILE[1:]).write_text("[Service]\nMemoryMax=1G\n")
    (sentence,) = settled(box.site())
    assert str(sentence) == (
        "Change 1 was interrupted, and rolling it back is incomplete. Do this by hand: Remove "
        f"{FILE}. {FILE} was edited meanwhile: check it. `lowmem-tui undo 1` attempts that "
        "again. `lowmem-tui undo 1 --force` ends the change as it is."
    )
    assert states(box) == {"1": State.INCOMPLETE}


def raising(error: Exception) -> Callable[[], None]:
    def reload() -> None:
        raise error

    return reload


def run_script(box: Box, tmp_path: Path, *arguments: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "systemctl").write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n'
        '[ "$1" = show ] && printf "%s\\n" Result=oom-kill ActiveState=failed SubState=failed\n'
        "exit 0\n"
    )
    (tools / "systemctl").chmod(0o755)
    path = tmp_path / "revert"
    path.write_text(script(box.roots(tools)))
    done = subprocess.run(
        ["/bin/sh", str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
