"""Recovery never blocks: what cannot be rolled back or understood is told, and changes go on.

Each case is a server on which a change was cut, or whose records were damaged; then the next start.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.change import incomplete, interrupted
from lowmem_tui.change.entry import apply, confirm, settled, undo
from lowmem_tui.change.machine.system import LocalSystem
from lowmem_tui.change.records import history as past
from lowmem_tui.change.records import paths
from lowmem_tui.change.records.records import public
from lowmem_tui.change.records.store import MOST, FolderStore
from lowmem_tui.model.change import State
from lowmem_tui.model.errors import HalfDoneError, ManagerError, RefusedError, RolledBackError
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Phase
from lowmem_tui.setup.steps import allowed

from .box import CHAT, REDIS, Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lowmem_tui.change.context import Site
    from lowmem_tui.model.plan import Outcome

FILE = f"/etc/systemd/system/{CHAT}.d/zz-lowmem-tui.conf"
SET = f"{CHAT}:MemoryMax=400M"
OTHER = f"{REDIS}:MemoryMax=300M"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path / "root")
    yield made
    made.close()


def do(box: Box, *sets: str, seconds: int | None = None) -> Outcome:
    return apply(box.site(), box.plan(*sets), box.situation, seconds=seconds)


def record_of(box: Box, number: int = 1) -> Path:
    return box.root / paths.RECORDS[1:] / f"{number}.json"


def states(box: Box) -> list[str]:
    found = past.history(box.site().store, allowed().paths, everything=True, trial=None)
    assert past.history(box.site().store, allowed().paths, everything=False, trial=None) == found
    return [str(change.state) for change in reversed(found)]


def on_this_machine(box: Box) -> Site:
    """Links and sysctls are the machine's: most of what a record asks of it is not possible."""
    site = box.site()
    return replace(site, ports=site.ports._replace(system=LocalSystem(str(box.root), allowed())))


def cut(box: Box, *actions: dict[str, str]) -> None:
    """Make a change, and leave its record as if the power had failed in the middle."""
    do(box, SET)
    made = json.loads(record_of(box).read_text())
    made["state"] = "applying"
    made["plan"]["actions"] = list(actions)
    record_of(box).write_text(json.dumps(made))


def action(kind: str, what: str, before: str, after: str) -> dict[str, str]:
    return {
        "kind": kind,
        "what": what,
        "before": before,
        "after": after,
        "phase": "late",
        "words": "x",
    }


SWAPPINESS = (action("sysctl", "vm.swappiness", "60", "10"),)


def refusing(box: Box, error: Exception | None = None) -> Site:
    """Return a site where vm.swappiness cannot be set."""
    site = box.site()
    real: Any = site.ports.system

    class Refusing:
        progress = None
        get = real.get

        def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
            if what == "vm.swappiness":
                raise error or ManagerError("The kernel does not do it.")
            real.put(kind, what, value, check)

    return replace(site, ports=site.ports._replace(system=Refusing()))


# What was interrupted, and what remains
IMPOSSIBLE = {
    "a sysctl that this kernel has no more": (
        action("sysctl", "vm.block_dump", "0", "1"),
        "Set vm.block_dump to 0.",
    ),
    "a unit that is gone": (
        action("run", "gone.service", "active", "inactive"),
        "Start gone.service.",
    ),
    "a link whose folder is a file": (
        action("link", "/etc/systemd/system/x.target.wants/a.service", "/a", ""),
        "Restore /etc/systemd/system/x.target.wants/a.service (/a).",
    ),
    "a value that is nothing of ours": (
        action("sysctl", "kernel.core_pattern", "|/tmp/x", "core"),
        "Set kernel.core_pattern to |/tmp/x.",
    ),
}


@pytest.mark.parametrize(("made", "left"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_rolled_back_is_shown_and_blocks_nothing(
    box: Box, made: dict[str, str], left: str
) -> None:
    before = box.state()
    (box.root / "etc/systemd/system/x.target.wants").touch()
    cut(box, made)
    (sentence,) = settled(on_this_machine(box))
    assert str(sentence).startswith(
        f"Change 1 was interrupted, and rolling it back is incomplete. Do this by hand: {left}"
    )
    assert "`lowmem-tui undo 1` attempts that again" in str(sentence)
    (box.root / "etc/systemd/system/x.target.wants").unlink()
    assert box.state() == before, "files and the kernel's values are as before"
    (change,) = past.history(box.site().store, allowed().paths, everything=True, trial=None)
    assert change.state is State.INCOMPLETE
    assert len(change.remaining) == 1
    assert str(change.remaining[0]).startswith(left)
    assert settled(box.site()) == [], "it is not tried at each start"
    assert do(box, OTHER).mismatches == ()
    do(box, SET, seconds=60)
    confirm(box.site())
    undo(box.site(), box.situation)
    assert states(box) == ["incomplete", "applied", "undone", "applied"]


def test_one_change_that_cannot_be_settled_keeps_no_other(box: Box) -> None:
    before = box.state()
    cut(box, action("sysctl", "vm.block_dump", "0", "1"))
    (first,) = box.site().journal.records()
    do(box, OTHER)
    second = box.site().journal.records()[-1]
    box.site().journal.put(first)
    box.site().journal.put(second.to(State.APPLYING))
    said = settled(on_this_machine(box))
    assert [str(sentence).split(",")[0].split(" and")[0] for sentence in said] == [
        "Change 1 was interrupted",
        "Change 2 was interrupted",
    ]
    assert states(box) == ["incomplete", "failed"]
    assert box.state() == before


def test_a_systemd_that_does_not_answer_is_asked_at_the_next_start(box: Box) -> None:
    """Then there is nothing that could be changed anyway; the files are as before by then."""
    cut(box)
    box.connection.reload = raising(ManagerError("No answer."))  # type: ignore[method-assign]
    with pytest.raises(RolledBackError, match="No answer"):
        settled(box.site())
    assert not (box.root / FILE[1:]).exists()
    box.connection.reload = box.reload  # type: ignore[method-assign]
    settled(box.site())
    assert states(box) == ["failed"]


def test_a_fault_of_ours_keeps_no_other_step(box: Box) -> None:
    cut(box, *SWAPPINESS)
    settled(refusing(box, KeyError("swappiness")))
    (change,) = past.history(box.site().store, allowed().paths, everything=True, trial=None)
    (left,) = change.remaining
    assert str(left).startswith("Set vm.swappiness to 60. KeyError")
    assert not (box.root / FILE[1:]).exists()


# The way out


def stuck(box: Box) -> None:
    box.demo.system.put(ActionKind.SYSCTL, "vm.swappiness", "10", lambda: None)
    cut(box, *SWAPPINESS)
    settled(refusing(box))
    assert states(box) == ["incomplete"]


@pytest.mark.parametrize("number", ["1", None], ids=["by its number", "being the newest"])
def test_undo_tries_what_is_left_again(box: Box, number: str | None) -> None:
    stuck(box)
    with pytest.raises(
        HalfDoneError, match=r"still incomplete\. Do this by hand: Set vm\.swappiness"
    ) as raised:
        undo(refusing(box), box.situation, number)
    assert len(raised.value.remaining) == 1
    assert states(box) == ["incomplete"]
    undo(box.site(), box.situation, number)  # there it is possible
    assert states(box) == ["failed"]
    (change,) = past.history(box.site().store, allowed().paths, everything=True, trial=None)
    assert change.remaining == ()
    assert "rolled back now" in str(change.outcome)


def test_undo_by_force_leaves_it_as_it_is(box: Box) -> None:
    stuck(box)
    outcome = undo(refusing(box), box.situation, "1", force=True)
    assert any("Not rolled back: Set vm.swappiness" in str(sentence) for sentence in outcome.live)
    assert states(box) == ["failed"]
    (change,) = past.history(box.site().store, allowed().paths, everything=True, trial=None)
    assert "Not rolled back: Set vm.swappiness" in str(change.outcome)


def test_without_a_number_undo_means_the_newest_change(box: Box) -> None:
    stuck(box)
    do(box, OTHER)
    undo(box.site(), box.situation)
    assert states(box) == ["incomplete", "undone", "applied"]


def test_what_a_later_change_has_made_of_it_is_left_alone(box: Box) -> None:
    """Its file, its unit's values in the kernel, and its other values are the later change's."""
    stuck(box)
    do(box, f"{CHAT}:MemoryMax=450M", f"{CHAT}:OOMScoreAdjust=-50")
    after = box.state()
    undo(box.site(), box.situation, "1")
    assert box.state() == after | {"vm.swappiness": "60"}
    assert states(box) == ["failed", "applied"]


def test_an_edited_file_is_left_alone_and_reported(box: Box) -> None:
    cut(box)
    (box.root / FILE[1:]).write_text("[Service]\nMemoryMax=1G\n")
    settled(box.site())
    assert states(box) == ["incomplete"]
    with pytest.raises(HalfDoneError, match="was edited meanwhile"):
        undo(box.site(), box.situation, "1")
    undo(box.site(), box.situation, "1", force=True)
    assert (box.root / FILE[1:]).read_text() == "[Service]\nMemoryMax=1G\n"
    assert states(box) == ["failed"]


def test_a_rollback_that_fails_at_once_is_incomplete_as_well(box: Box) -> None:
    """Exit status 7: a step fails, and undoing an earlier one, too."""
    made = box.plan(SET)
    early = Action(ActionKind.SYSCTL, "vm.swappiness", "60", "10", Phase.EARLY)
    late = Action(ActionKind.SYSCTL, "vm.dirty_ratio", "20", "x")
    made = replace(made, actions=(early, late))
    site = box.site()
    real: Any = site.ports.system
    tried: list[str] = []

    class Once:
        progress = None
        get = real.get

        def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
            tried.append(what)
            if tried.count("vm.swappiness") > 1:
                raise ManagerError("The kernel does not do it.")
            real.put(kind, what, value, check)

    site = replace(site, ports=site.ports._replace(system=Once()))
    with pytest.raises(HalfDoneError, match=r"Do this by hand: Set vm\.swappiness to 60"):
        apply(site, made, box.situation)
    assert states(box) == ["incomplete"]
    (change,) = past.history(box.site().store, allowed().paths, everything=True, trial=None)
    assert len(change.remaining) == 1
    do(box, OTHER)


@pytest.mark.parametrize("state", ["trial", "confirming", "applying"])
def test_a_trial_that_cannot_be_ended_whole(box: Box, state: str) -> None:
    do(box, SET, seconds=60)
    (record,) = box.site().journal.records()
    box.site().journal.put(record.to(State(state)))
    box.clock.now += 61
    real = box.etc.remove
    box.etc.remove = raising(PermissionError(1, "no"))  # type: ignore[method-assign]
    settled(box.site())
    assert states(box) == ["incomplete"]
    assert box.room() == []
    box.etc.remove = real  # type: ignore[method-assign]
    undo(box.site(), box.situation)
    assert states(box) == ["failed"]
    assert not list((box.root / "run/systemd/system").iterdir())
    do(box, SET)


# Records that are none


def damaged(how: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        made = json.loads(path.read_text())
        how(made)
        path.write_text(json.dumps(made))

    return damage


def put(*way: str | int, to: object) -> Callable[[Path], None]:
    """Return what puts a value into a record."""

    def how(made: Any) -> None:  # noqa: ANN401
        for key in way[:-1]:
            made = made[key]
        made[way[-1]] = to

    return damaged(how)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def link(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def huge(path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(MOST + 1)


ETC = "/etc/systemd/system/"
DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "zeroes, as a power failure leaves": lambda path: path.write_bytes(bytes(4096)),
    "no JSON": lambda path: path.write_text("{"),
    "no UTF-8": lambda path: path.write_bytes(b'{"schema": "\xff\xfe'),
    "JSON, and no object": lambda path: path.write_text("[]"),
    "a number": lambda path: path.write_text("1" * 5000),
    "cut": lambda path: path.write_text(path.read_text()[:-50]),
    "twice": lambda path: path.write_text(path.read_text() * 2),
    "nested deep": lambda path: path.write_text("[" * 200_000),
    "nested deep, an object": lambda path: path.write_text('{"a":' * 200_000),
    "huge": huge,
    "a pipe": fifo,
    "a folder": folder,
    "a symbolic link": link,
    "another version": put("schema", to=2),
    "a version that is true": put("schema", to=[1]),
    "a key more": put("more", to=1),
    "a key that comes twice": lambda path: path.write_text(
        path.read_text().replace('"state":', '"state": "trial", "state":')
    ),
    "a key less": damaged(lambda made: made.pop("live")),
    "another id": put("id", to=7),
    "a negative id": put("id", to=-1),
    "id null": put("id", to=None),
    "id true": put("id", to=True),
    "a long id": put("id", to=10**30),
    "time in words": put("time", to="soon"),
    "time NaN": put("time", to=float("nan")),
    "time too long for a float": put("time", to=10**400),
    "time infinite": put("time", to=float("inf")),
    "time that no calendar shows": put("time", to=1e300),
    "time before 1970": put("time", to=-5),
    "boot a list": put("boot_id", to=[]),
    "by nobody": put("by", to=None),
    "by odd words": put("by", to={"uid": 0, "user": None, "sudo_user": 5, "ssh_client": []}),
    "by a negative uid": put("by", "uid", to=-1),
    "note a list": put("note", to=["x"]),
    "note of half a character": put("note", to="\ud800"),
    "unknown state": put("state", to="lost"),
    "state a list": put("state", to=["applied"]),
    "trial without one": put("state", to="trial"),
    "kept without a trial": put("state", to="confirming"),
    "expired without a trial": put("state", to="expired"),
    "trial odd": put("trial", to={"seconds": 5, "deadline": 1, "monotonic": "x", "files": []}),
    "trial endless": put(
        "trial", to={"seconds": 10**9, "deadline": 1, "monotonic": 1, "files": []}
    ),
    "trial of a file in /etc": put(
        "trial",
        to={
            "seconds": 60,
            "deadline": 1,
            "monotonic": 1,
            "files": [{"path": FILE, "before": None, "after": None}],
        },
    ),
    "plan null": put("plan", to=None),
    "plan a list": put("plan", to=[]),
    "files null": put("plan", "files", to=None),
    "a path that is a number": put("plan", "files", 0, "path", to=5),
    "/etc/passwd": put("plan", "files", 0, "path", to="/etc/passwd"),
    "a relative path": put("plan", "files", 0, "path", to="etc/passwd"),
    "a path with ..": put("plan", "files", 0, "path", to=f"{ETC}../../passwd"),
    "a path with NUL": put("plan", "files", 0, "path", to=f"{FILE}\0"),
    "a unit of somebody else": put("plan", "files", 0, "path", to=f"{ETC}ssh.service"),
    "a file twice": damaged(lambda made: made["plan"]["files"].append(made["plan"]["files"][0])),
    "contents a number": put("plan", "files", 0, "before", to=5),
    "contents that no file holds": put("plan", "files", 0, "after", to="\udfff\ud800"),
    "effects a number": put("plan", "effects", to=5),
    "an effect on no unit": put("plan", "effects", 0, "unit", to="../x"),
    "an unknown key": put("plan", "effects", 0, "key", to="ExecStart"),
    "an unknown moment": put("plan", "effects", 0, "when", to="soon"),
    "a value that is a fraction": put("plan", "effects", 0, "live", to=0.5),
    "a value that is a list": put("plan", "effects", 0, "loaded", to=[1]),
    "an edit of no unit": put("plan", "edits", 0, "unit", to="a b"),
    "actions null": put("plan", "actions", to=None),
    "an unknown action": put("plan", "actions", to=[action("exec", "/bin/sh", "", "x")]),
    "an unknown phase": put(
        "plan", "actions", to=[action("run", "a.service", "", "") | {"phase": "x"}]
    ),
    "an action on no unit": put("plan", "actions", to=[action("run", "--force", "active", "")]),
    "an action's value a number": put(
        "plan", "actions", to=[action("sysctl", "vm.x", "", "") | {"before": 5}]
    ),
    "a file that was replaced, odd": put(
        "plan", "actions", to=[action("link", f"{ETC}a.service", '\0file {"text": 5}', "")]
    ),
    "live a list": put("live", to=[]),
    "limits a number": put("live", "limits", to=1),
    "a limit of another unit": put("live", "limits", 0, "unit", to="ssh.service"),
    "a limit that is none": put("live", "limits", 0, "key", to="Restart"),
    "a negative limit": put("live", "limits", 0, "before", to=-1),
    "a limit in words": put("live", "limits", 0, "before", to="much"),
    "a group elsewhere": put("live", "limits", 0, "cgroup", to="/../../etc"),
    "a group that is relative": put("live", "limits", 0, "cgroup", to="x"),
    "scores odd": put("live", "scores", to=[{"unit": CHAT}]),
    "a process that is none": put(
        "live",
        "scores",
        to=[{"unit": CHAT, "cgroup": "", "before": 0, "after": 0, "processes": [[-1, 0, 0]]}],
    ),
    "a score of 5000": put(
        "live",
        "scores",
        to=[{"unit": CHAT, "cgroup": "", "before": 0, "after": 5000, "processes": []}],
    ),
    "an active unit that is none": put("live", "active", to=["-x"]),
    "undoes words": put("undoes", to=["x"]),
    "undoes itself": put("undoes", to=[1]),
    "undoes what comes later": put("undoes", to=[99]),
    "said null": put("said", to=None),
    "remaining odd": put("remaining", to="x"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("state", ["applying", "applied"])
def test_what_is_no_record_is_set_aside_and_blocks_nothing(
    box: Box, state: str, damage: Callable[[Path], object]
) -> None:
    do(box, SET)
    damaged(lambda made: made.update(state=state))(record_of(box))
    after = box.state()
    damage(record_of(box))
    assert interrupted.interrupted(box.site().store, lambda: allowed().paths)
    (sentence,) = settled(box.site())
    assert str(sentence).startswith("/var/lib/lowmem-tui/1.json cannot be read as a record.")
    assert "was renamed to /var/lib/lowmem-tui/1.json.unreadable" in str(sentence)
    assert str(sentence).endswith(".")
    assert box.state() == after, "nothing is done by it"
    assert settled(box.site()) == []
    assert os.path.lexists(f"{record_of(box)}.unreadable")
    (notice,) = public(box.site().store).notices
    assert notice in interrupted.unfinished(box.site().store)
    assert past.notices(box.site().store) == [notice]
    assert not interrupted.interrupted(box.site().store, lambda: allowed().paths)
    do(box, OTHER)
    assert [r.id for r in box.site().journal.records()] == [2], "its number is not used again"
    undo(box.site(), box.situation)


@pytest.mark.parametrize(
    "name", ["01.json", "x.json", "-1.json", "1e3.json", "1.json.json", f"{10**12}.json"]
)
def test_a_file_that_has_no_record_s_name(box: Box, name: str) -> None:
    do(box, SET)
    record_of(box).with_name(name).write_text(record_of(box).read_text())
    (sentence,) = settled(box.site())
    assert f"/{name} cannot be read as a record" in str(sentence)
    assert states(box) == ["applied"]
    do(box, OTHER)
    assert states(box) == ["applied", "applied"]


def test_one_that_was_set_aside_is_never_overwritten(box: Box) -> None:
    do(box, SET)
    text = record_of(box).read_text()
    for number in range(3):
        record_of(box).write_text(f"{number}")
        settled(box.site())
    found = sorted(path.name for path in record_of(box).parent.iterdir())
    assert found == ["1.json.unreadable", "1.json.unreadable.2", "1.json.unreadable.3"]
    assert [record_of(box).with_name(name).read_text() for name in found] == ["0", "1", "2"]
    record_of(box).write_text(text)
    settled(box.site())
    assert states(box) == ["applied"]
    assert len(past.notices(box.site().store)) == 3
    for name in found:
        record_of(box).with_name(name).unlink()
    assert interrupted.interrupted(box.site().store, lambda: allowed().paths), (
        "the summary tells of them still"
    )
    assert settled(box.site()) == []
    assert public(box.site().store).notices == []


def test_a_record_that_the_disk_does_not_give_stays_and_a_trial_goes_on(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be given the next time."""
    do(box, OTHER)
    do(box, SET, seconds=60)
    real = FolderStore.read

    def read(store: FolderStore, path: str) -> str | None:
        if path.endswith("/2.json"):
            raise OSError(5, "Input/output error")
        return real(store, path)

    monkeypatch.setattr(FolderStore, "read", read)
    (sentence,) = settled(box.site())
    assert "/2.json cannot be read (Input/output error)" in str(sentence)
    assert box.room() == ["data", "revert"]
    monkeypatch.undo()
    confirm(box.site())
    assert states(box) == ["applied", "confirmed"]


def test_a_change_too_large_for_a_record_is_refused(box: Box) -> None:
    made = box.plan(SET)
    large = FileChange("/etc/sysctl.d/zz-lowmem-tui.conf", None, "# x\n" * (2 << 20))
    before = box.state()
    with pytest.raises(RefusedError, match="too large for a record"):
        apply(box.site(), replace(made, files=(*made.files, large)), box.situation)
    assert box.state() == before
    assert box.site().journal.records() == []


def test_a_long_note_is_cut(box: Box) -> None:
    apply(box.site(), box.plan(SET), box.situation, note="x" * 100_000)
    (record,) = box.site().journal.records()
    assert len(record.note) == 2000


def test_an_incomplete_record_is_kept_and_named(box: Box) -> None:
    stuck(box)
    (sentence,) = interrupted.incomplete(box.site().store)
    assert str(sentence).startswith("Change 1 by op with sudo, from 192.0.2.7: It is incomplete:")
    assert interrupted.unfinished(box.site().store) == [sentence]
    (record,) = box.site().journal.records()
    assert incomplete.incomplete([record], "7") is None


def test_records_of_an_older_version_are_read(box: Box) -> None:
    do(box, SET)

    def older(made: dict[str, Any]) -> None:
        del made["remaining"], made["plan"]["actions"]

    damaged(older)(record_of(box))
    (record,) = box.site().journal.records()
    assert (record.remaining, record.plan.actions) == ((), ())


@pytest.mark.parametrize("state", State)
def test_the_manual_names_the_way_out_of_every_state(state: State) -> None:
    text = (Path(__file__).parents[2] / "docs/safety.md").read_text()
    (row,) = [
        line
        for line in text.splitlines()
        if line.startswith("| `") and f"`{state}`" in line.split("|")[1]
    ]
    assert all(cell.strip() for cell in row.split("|")[1:-1])
    assert row.count("|") == 5


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail
