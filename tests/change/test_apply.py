"""Applying a plan: all of it or nothing, whatever fails. On the demo server, in memory."""

from __future__ import annotations

import errno
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from lowmem_tui.change.apply import apply
from lowmem_tui.change.machine.files import EtcFiles
from lowmem_tui.change.situation import situation
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import (
    ChangedError,
    HalfDoneError,
    LowmemError,
    ManagerError,
    ManagerGoneError,
    NotPermittedError,
    RefusedError,
    RolledBackError,
    UnreloadedError,
)
from lowmem_tui.model.plan import Edit, Plan
from lowmem_tui.model.snapshot import Snapshot, Unit
from lowmem_tui.model.unit import INFINITY, Key
from lowmem_tui.policy import dropin
from lowmem_tui.policy.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lowmem_tui.model.plan import Outcome
    from lowmem_tui.model.ports import Files, Kernel, Manager

REDIS = "redis-server.service"
CLOUDCHAT = "cloudchat.service"
OURS = dropin.path(REDIS)

EDITS = (
    Edit(REDIS, Key.MEMORY_MAX, "300M"),
    Edit(REDIS, Key.MEMORY_HIGH, "280M"),
    Edit(REDIS, Key.OOM_SCORE_ADJUST, "-150"),
    Edit(REDIS, Key.RESTART_SEC, "7s"),
    Edit(CLOUDCHAT, Key.MEMORY_MAX, "610M"),
    Edit(CLOUDCHAT, Key.OOM_SCORE_ADJUST, "333"),
)


class Box(NamedTuple):
    """A server, and its three ports."""

    server: DemoServer
    manager: Manager
    files: Files
    kernel: Kernel

    def plan(self, *edits: Edit) -> Plan:
        sample = self.server.sampler.sample()
        properties = self.manager.properties(sample.units)
        units = {name: Unit(name, u, properties[name]) for name, u in sample.units.items()}
        snapshot = Snapshot(sample.time, sample.monotonic, sample.host, units)
        names = dict.fromkeys(edit.unit for edit in edits)
        return plan(edits, situation(names, self.manager, self.files, self.kernel, snapshot))

    def apply(self, made: Plan, **options: Any) -> Outcome:  # noqa: ANN401
        return apply(made, manager=self.manager, files=self.files, kernel=self.kernel, **options)

    def state(self) -> dict[str, object]:
        """All that an apply may touch: files, loaded values, limits, scores."""
        memory = self.server.init.memory
        names = [n for n in memory.groups if n.endswith(".service")]
        loaded = self.server.connect().properties(n.rpartition("/")[2] for n in names)
        return {
            "files": {path: entry.text for path, entry in self.server.disk.entries.items()},
            "loaded": {name: [p.loaded(key) for key in Key] for name, p in loaded.items()},
            "limits": {name: dict(group.limits) for name, group in memory.groups.items()},
            "scores": {t.pid: t.adj for group in memory.groups.values() for t in group.tasks},
        }


@pytest.fixture
def box() -> Box:
    server = DemoServer(0, lambda: 0.0)
    return Box(server, server.connect(), server.files, server.kernel)


class Breaking:
    """Stands before a hand: its n-th call fails, before or after it has done its work."""

    def __init__(self, hand: object, count: Counter) -> None:
        self._hand = hand
        self._count = count

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        real = getattr(self._hand, name)

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
            fault = self._count.next(name)
            if fault and not self._count.late:
                raise fault
            done = real(*arguments, **options)
            if fault:
                raise fault
            return done

        return call


class Counter:
    def __init__(self, at: Callable[[int], bool], kind: str, *, late: bool = False) -> None:
        self.calls: list[str] = []
        self.late = late
        self._at = at
        self._kind = kind

    def next(self, name: str) -> Exception | None:
        self.calls.append(name)
        if not self._at(len(self.calls) - 1):
            return None
        if name in {"reload", "properties"}:
            if self._kind == "gone":
                return ManagerGoneError("The connection to the system bus has ended: try again.")
            return ManagerError("systemd was asked to reload and has not answered: try again.")
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def breaking(box: Box, count: Counter) -> Box:
    return Box(box.server, *(Breaking(hand, count) for hand in box[1:]))


def test_all_three_places(box: Box) -> None:
    outcome = box.apply(box.plan(*EDITS), force=True)
    assert outcome.mismatches == ()
    assert outcome.files == (OURS, dropin.path(CLOUDCHAT))
    redis = box.manager.properties([REDIS])[REDIS]
    assert redis.memory_max == 300 << 20
    assert redis.restart_usec == 7_000_000
    assert box.kernel.limit(redis.control_group, "memory.max") == 300 << 20
    assert box.kernel.limit(redis.control_group, "memory.high") == 280 << 20
    scores = {
        box.kernel.oom_score_adj(*process) for process in box.kernel.processes(redis.control_group)
    }
    assert scores == {-150}
    assert any(
        "memory.max" in str(sentence) and REDIS in str(sentence) for sentence in outcome.live
    )
    assert any(
        "oom_score_adj" in str(sentence) and CLOUDCHAT in str(sentence) for sentence in outcome.live
    )
    assert all(str(sentence).endswith(".") for sentence in (*outcome.live, *outcome.pending))


def test_there_and_back_again(box: Box) -> None:
    before = box.state()
    box.apply(box.plan(*EDITS), force=True)
    assert box.state() != before
    box.apply(box.plan(*(Edit(e.unit, e.key, None) for e in EDITS)), force=True)
    assert box.state() == before


def test_nothing_to_do(box: Box) -> None:
    before = box.state()
    outcome = box.apply(Plan((), (), (), (), ()))
    assert outcome == type(outcome)((), (), (), ())
    assert box.state() == before


def test_refused(box: Box) -> None:
    made = box.plan(Edit(REDIS, Key.OOM_SCORE_ADJUST, "5000"))
    before = box.state()
    with pytest.raises(RefusedError):
        box.apply(made)
    made = box.plan(Edit(REDIS, Key.MEMORY_MAX, "2M"))
    assert made.refusals
    with pytest.raises(RefusedError):
        box.apply(made)
    assert box.state() == before
    box.apply(made, force=True)
    assert box.files.read(OURS)


def test_a_file_was_changed_meanwhile(box: Box) -> None:
    made = box.plan(*EDITS)
    box.files.write(OURS, "somebody else's\n")
    before = box.state()
    with pytest.raises(ChangedError, match="new plan"):
        box.apply(made, force=True)
    assert box.state() == before


def test_a_file_is_edited_between_the_look_and_the_write(box: Box) -> None:
    """`systemctl edit` knows nothing of our lock: what it wrote is not written over."""
    made = box.plan(*EDITS)
    before = box.state()
    theirs = "[Service]\nNice=5\n"
    second = dropin.path(CLOUDCHAT)

    class Edited:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.files, name)

        def write(self, path: str, text: str) -> None:
            box.files.write(path, text)
            box.files.write(second, theirs)

    with pytest.raises(RolledBackError, match=r"changed after the plan was made.*previous value"):
        apply(made, manager=box.manager, files=Edited(), kernel=box.kernel, force=True)
    after = box.state()
    assert box.files.read(second) == theirs
    box.files.remove(second)
    assert {**after, "files": box.state()["files"]} == before


def count_calls(box: Box, *edits: Edit) -> list[str]:
    count = Counter(lambda _: False, "")
    breaking(box, count).apply(box.plan(*(edits or EDITS)), force=True)
    return count.calls


@pytest.mark.parametrize(("kind", "late"), [("gone", False), ("silent", True)])
def test_any_call_fails_once(kind: str, late: bool) -> None:
    """It is all as before, or all done."""
    calls = count_calls(fresh())
    assert {"write", "reload", "set_limit", "set_oom_score_adj", "properties"} <= set(calls)
    done = fresh()
    done.apply(done.plan(*EDITS), force=True)
    after = done.state()
    for n in range(len(calls)):
        box = fresh()
        made = box.plan(*EDITS)
        before = box.state()
        assert before != after
        broken = breaking(box, Counter(lambda at, n=n: at == n, kind, late=late))  # type: ignore[misc]
        try:
            broken.apply(made, force=True)
        except LowmemError as error:
            assert not isinstance(error, HalfDoneError), (n, calls[n])
            assert str(error).endswith(".")
            assert "\n" not in str(error)
            assert box.state() == before, (n, calls[n])
        else:
            assert box.state() == after, (n, calls[n])


def fresh() -> Box:
    server = DemoServer(0, lambda: 0.0)
    return Box(server, server.connect(), server.files, server.kernel)


def test_from_some_call_on_everything_fails() -> None:
    """What could not be put back is told; nothing is said to be back that is not."""
    calls = count_calls(fresh())
    told = 0
    for n in range(len(calls)):
        box = fresh()
        made = box.plan(*EDITS)
        before = box.state()
        broken = breaking(box, Counter(lambda at, n=n: at >= n, "gone"))  # type: ignore[misc]
        with pytest.raises(LowmemError) as caught:
            broken.apply(made, force=True)
        if isinstance(caught.value, HalfDoneError):
            told += 1
            assert "by hand" in str(caught.value)
        else:
            assert box.state() == before, (n, calls[n])
    assert told


def test_systemd_is_gone_for_good_and_the_files_are_as_they_were(box: Box) -> None:
    made = box.plan(Edit(REDIS, Key.MEMORY_MAX, "300M"))
    before = box.state()

    class NoReload:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.manager, name)

        def reload(self) -> None:
            raise ManagerError("systemd was asked to reload and has not answered: try again.")

    with pytest.raises(UnreloadedError, match="systemctl daemon-reload") as caught:
        apply(made, manager=NoReload(), files=box.files, kernel=box.kernel)
    assert str(caught.value).count("has not answered") == 1
    assert box.state() == before


def test_half_done_says_what_is_left(box: Box) -> None:
    made = box.plan(Edit(REDIS, Key.MEMORY_MAX, "300M"))

    class Stuck:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.files, name)

        def remove(self, path: str) -> None:
            raise OSError(errno.EIO, "no", path)

    class NoReload:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.manager, name)

        def reload(self) -> None:
            raise ManagerError("systemd was asked to reload and has not answered: try again.")

    with pytest.raises(HalfDoneError, match=f"by hand: Remove {OURS}") as caught:
        apply(made, manager=NoReload(), files=Stuck(), kernel=box.kernel)
    assert "daemon-reload" in str(caught.value)


def test_not_permitted_to_reload(box: Box) -> None:
    made = box.plan(Edit(REDIS, Key.MEMORY_MAX, "300M"))
    before = box.state()

    class Denied:
        denied = False

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.manager, name)

        def reload(self) -> None:
            if not self.denied:
                self.denied = True
                raise NotPermittedError("systemd lets only root reload: run the same with sudo.")

    with pytest.raises(NotPermittedError, match="everything has its previous value"):
        apply(made, manager=Denied(), files=box.files, kernel=box.kernel)
    assert box.state() == before


def test_a_unit_that_does_not_load_any_more_is_rolled_back(box: Box) -> None:
    made = box.plan(Edit("certbot.service", Key.RESTART, "on-failure"))
    (file,) = made.files
    assert file.after
    bad = file.after.replace("on-failure", "always")
    before = box.state()
    made = Plan(made.edits, (type(file)(file.path, None, bad),), made.effects, (), ())
    with pytest.raises(RolledBackError, match="bad-setting"):
        box.apply(made)
    assert box.state() == before


@pytest.mark.parametrize("key", [Key.MEMORY_MAX, Key.OOM_SCORE_ADJUST])
def test_a_later_file_wins(box: Box, key: Key) -> None:
    later = f"/run/systemd/system/{REDIS}.d/zzz-other.conf"
    box.server.disk.write(later, "[Service]\nMemoryMax=400M\nOOMScoreAdjust=5\n")
    box.manager.reload()
    made = box.plan(Edit(REDIS, key, "500M" if key is Key.MEMORY_MAX else "-7"))
    limits = box.state()["limits"]
    outcome = box.apply(made)
    (mismatch,) = outcome.mismatches
    assert mismatch.key is key
    assert later in str(mismatch.cause)
    assert "read after ours" in str(mismatch.cause)
    assert box.state()["limits"] == limits


def test_ours_vanishes_and_an_earlier_file_wins(box: Box) -> None:
    class Vanishing:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.manager, name)

        def reload(self) -> None:
            box.files.remove(OURS)
            box.manager.reload()

    made = box.plan(Edit(REDIS, Key.MEMORY_MAX, "300M"))
    (mismatch,) = apply(made, manager=Vanishing(), files=box.files, kernel=box.kernel).mismatches
    assert (
        "override.conf has MemoryMax=256M, and our drop-in does not set MemoryMax any more"
        in str(mismatch.cause)
    )


def test_a_parent_caps(box: Box) -> None:
    box.kernel.set_limit("/system.slice", "memory.max", 700 << 20)
    outcome = box.apply(box.plan(Edit(REDIS, Key.MEMORY_MAX, "800M")))
    (mismatch,) = outcome.mismatches
    assert "system.slice" in str(mismatch.cause)
    assert "700M" in str(mismatch.cause)


def test_ssh_is_left_alone(box: Box) -> None:
    scores = box.state()["scores"]
    outcome = box.apply(box.plan(Edit("ssh.service", Key.OOM_SCORE_ADJUST, "-200")), force=True)
    assert box.state()["scores"] == scores
    assert outcome.mismatches == ()
    (sentence,) = outcome.pending
    assert "listener" in str(sentence)
    assert "sessions" in str(sentence)


def test_processes_with_a_score_of_their_own_keep_it(box: Box) -> None:
    group = box.manager.properties([CLOUDCHAT])[CLOUDCHAT].control_group
    first, second, *rest = box.kernel.processes(group)
    box.kernel.set_oom_score_adj(*second, 77)
    outcome = box.apply(box.plan(Edit(CLOUDCHAT, Key.OOM_SCORE_ADJUST, "222")))
    scores = [box.kernel.oom_score_adj(*each) for each in (first, second, *rest)]
    assert scores == [222, 77, *(222 for _ in rest)]
    assert f"of {len(rest) + 1} running process" in " ".join(map(str, outcome.live))


def test_a_container_that_may_not_lower_scores(box: Box) -> None:
    class Kernel:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.kernel, name)

        def set_oom_score_adj(self, *_: int) -> bool:
            raise PermissionError(errno.EACCES, "Permission denied")

    made = box.plan(Edit(REDIS, Key.OOM_SCORE_ADJUST, "-50"))
    outcome = apply(made, manager=box.manager, files=box.files, kernel=Kernel())
    (mismatch,) = outcome.mismatches
    assert mismatch.kernel == "-100"
    assert "no privilege to lower it here (CAP_SYS_RESOURCE" in str(mismatch.cause)
    assert "as in a container" in str(mismatch.cause)
    assert outcome.live == ()
    assert box.files.read(OURS)


@pytest.mark.parametrize(
    ("number", "every"), [(signal.SIGINT, 1), (signal.SIGTERM, 9), (signal.SIGHUP, 9)]
)
def test_a_signal_in_the_middle(
    number: signal.Signals, every: int, request: pytest.FixtureRequest
) -> None:
    """It is rolled back at whatever call the signal comes, and the program goes on to say so."""
    edits = EDITS[:3]
    calls = count_calls(fresh(), *edits)
    if signal.getsignal(number) is signal.SIG_IGN:  # as nohup leaves it, to us as well
        request.addfinalizer(lambda: signal.signal(number, signal.SIG_IGN))
        signal.signal(number, signal.SIG_DFL)
    handler = signal.getsignal(number)
    for n in range(0, len(calls), every):
        box = fresh()
        made = box.plan(*edits)
        before = box.state()

        def come(at: int, n: int = n) -> bool:
            if at == n:
                signal.raise_signal(number)
            return False

        with pytest.raises(RolledBackError, match=rf"interrupted \({number.name}\)"):
            breaking(box, Counter(come, "")).apply(made, force=True)
        assert box.state() == before, (n, calls[n])
        assert signal.getsignal(number) is handler


def test_control_z_does_not_stop_it_with_the_lock_held(box: Box) -> None:
    made = box.plan(*EDITS)
    handler = signal.getsignal(signal.SIGTSTP)

    class Manager:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.manager, name)

        def reload(self) -> None:
            signal.raise_signal(signal.SIGTSTP)
            box.manager.reload()

    outcome = apply(made, manager=Manager(), files=box.files, kernel=box.kernel, force=True)
    assert outcome.mismatches == ()
    assert signal.getsignal(signal.SIGTSTP) is handler


def test_systemd_is_asked_three_times_after_the_reload(box: Box) -> None:
    """For what is to be set, for what it has loaded, and last for what went down meanwhile."""
    count = Counter(lambda _: False, "")
    assert breaking(box, count).apply(box.plan(*EDITS), force=True).well
    assert count.calls[count.calls.index("reload") :].count("properties") == 3


def test_in_a_thread_of_its_own(box: Box) -> None:
    outcomes: list[Outcome] = []
    made = box.plan(*EDITS)
    thread = threading.Thread(target=lambda: outcomes.append(box.apply(made, force=True)))
    thread.start()
    thread.join()
    assert outcomes[0].mismatches == ()


def test_what_is_no_error_is_rolled_back_and_goes_on(box: Box) -> None:
    made = box.plan(*EDITS)
    before = box.state()

    class Kernel:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.kernel, name)

        def set_limit(self, *_: object) -> None:
            raise KeyboardInterrupt

    class Once(Kernel):
        tried = False

        def set_limit(self, *arguments: Any) -> None:  # noqa: ANN401
            if not self.tried:
                self.tried = True
                raise KeyboardInterrupt
            box.kernel.set_limit(*arguments)

    with pytest.raises(KeyboardInterrupt):
        apply(made, manager=box.manager, files=box.files, kernel=Once(), force=True)
    assert box.state() == before


def test_somebody_edits_the_file_while_we_fail(box: Box) -> None:
    """Their edit is not undone, and we say so."""
    made = box.plan(Edit(REDIS, Key.MEMORY_MAX, "300M"))

    class Editing:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(box.manager, name)

        def reload(self) -> None:
            box.files.write(OURS, "theirs")
            raise ManagerError("systemd would not reload: try again.")

    with pytest.raises(HalfDoneError, match="edited meanwhile"):
        apply(made, manager=Editing(), files=box.files, kernel=box.kernel)
    assert box.files.read(OURS) == "theirs"


class TestLock:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Iterator[EtcFiles]:
        for place in ("run", "etc/systemd/system"):
            (tmp_path / place).mkdir(parents=True)
        yield EtcFiles(str(tmp_path), owner=os.getuid())

    def test_a_second_instance_is_refused(self, box: Box, tree: EtcFiles) -> None:
        made = box.plan(Edit(REDIS, Key.MEMORY_MAX, "300M"))
        with tree.exclusive(), pytest.raises(RefusedError, match="Another lowmem-tui"):
            apply(made, manager=box.manager, files=tree, kernel=box.kernel)
        assert tree.read(OURS) is None

    @pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
    def test_an_ordinary_user(self, box: Box) -> None:
        made = box.plan(Edit(REDIS, Key.MEMORY_MAX, "300M"))
        with pytest.raises(NotPermittedError, match="sudo"):
            apply(made, manager=box.manager, files=EtcFiles(), kernel=box.kernel)


def test_infinity_is_a_limit_like_any_other(box: Box) -> None:
    outcome = box.apply(box.plan(Edit(REDIS, Key.MEMORY_MAX, "infinity")))
    group = box.manager.properties([REDIS])[REDIS].control_group
    assert box.kernel.limit(group, "memory.max") is INFINITY
    assert outcome.mismatches == ()
