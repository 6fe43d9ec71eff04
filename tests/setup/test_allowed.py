"""What a change may do: each step declares its own, and real and demo servers refuse all else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.machine.allowed import RUN_PLACE, TRIAL_DROP_IN, Allowed, Paths
from lowmem_tui.change.machine.files import EtcFiles
from lowmem_tui.change.machine.guarded_files import GuardedFiles
from lowmem_tui.change.machine.guarded_system import GuardedSystem
from lowmem_tui.change.machine.system import LocalSystem, check
from lowmem_tui.change.records.record import load
from lowmem_tui.change.trials import script
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import InvalidValueError, LowmemError, RefusedError, RolledBackError
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Phase, Plan
from lowmem_tui.policy import dropin
from lowmem_tui.setup.nginx import tested
from lowmem_tui.setup.redis import client
from lowmem_tui.setup.sessions import rule
from lowmem_tui.setup.steps import STEPS, allowed

from .box import Box, offered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lowmem_tui.change.machine.allowed import Tool
    from lowmem_tui.model.ports import Files, System

TOOLS: tuple[Tool, ...] = (tested, client, rule)
"""mypy compares them with the Protocol."""

TREE = Path(__file__).parents[2]
SETUP = TREE / "lowmem_tui/setup"


@pytest.fixture
def box() -> Iterator[Box]:
    made = Box()
    yield made
    made.backend.close()


CHOSEN = {"tiers": {"cron.service": "0"}, "swap": {"file": "1G"}}
"""Where nothing is proposed on the demo server."""


@pytest.mark.parametrize("name", STEPS)
def test_the_plan_of_a_step_is_allowed(box: Box, name: str) -> None:
    """By the list that a real server goes by; what is offered is taken, the unticked too."""
    step = box.step(name)
    look = step.look()
    plan = step.plan(CHOSEN.get(name) or offered(look))
    assert plan.empty == (name == "box" or bool(look.absent)), "the box has nothing to change"
    for file in plan.files:
        allowed().paths.parts(file.path)
    for action in plan.actions:
        check(action.kind, action.what, allowed())


def test_each_step_is_registered() -> None:
    made = {
        path.relative_to(SETUP).with_suffix("").as_posix().replace("/", ".")
        for path in SETUP.rglob("*.py")
        if re.search(r"^def make\(ground", path.read_text("utf-8"), re.MULTILINE)
    }
    assert made == {step.module for step in STEPS.values()}


def test_each_tool_is_a_declared_one() -> None:
    made = {allowed().tool(kind, name) for kind, name in allowed().tools}
    assert made == set(TOOLS)


def files(demo: bool, root: Path) -> Files:
    if demo:
        return GuardedFiles(DemoServer().files, allowed().paths)
    (root / "etc/nginx").mkdir(parents=True, exist_ok=True)
    return EtcFiles(str(root), owner=os.getuid(), paths=allowed().paths)


UNIT_D = f"{dropin.FOLDER}/a.service.d"

NOT_OURS = (
    "/etc/passwd",
    "/etc/nginx/../passwd",
    "/etc/nginx//a",
    "/etc/nginx/.hidden",
    "/etc/nginx/a\nb",
    "/etc/sysctl.d/zz-other.conf",
    "/etc/sysctl.d/../sysctl.d/zz-lowmem-tui.conf",
    f"{UNIT_D}/override.conf",
    f"{UNIT_D}/{TRIAL_DROP_IN}",
    f"{dropin.FOLDER}/a.service",
    f"{dropin.FOLDER}/a b.d/{dropin.OUR_NAME}",
    f"{RUN_PLACE}/a.service.d/{dropin.OUR_NAME}",
    "zz-lowmem-tui.conf",
    "",
)


@pytest.mark.parametrize("demo", [False, True], ids=["real", "demo"])
@pytest.mark.parametrize("path", NOT_OURS)
def test_a_path_that_nobody_declared(tmp_path: Path, path: str, demo: bool) -> None:
    made = files(demo, tmp_path)
    with pytest.raises(PermissionError):
        made.obstacle(path)
    with pytest.raises(PermissionError):
        made.write(path, "x")
    with pytest.raises(PermissionError):
        made.edit(path, "x", "y")
    with pytest.raises(PermissionError):
        made.remove(path)
    with pytest.raises(PermissionError):
        made.tidy(path)
    assert not allowed().paths.is_ours(path)


@pytest.mark.parametrize("demo", [False, True], ids=["real", "demo"])
def test_somebody_else_s_file_is_neither_made_nor_removed(tmp_path: Path, demo: bool) -> None:
    made = files(demo, tmp_path)
    for write in (made.write, lambda path, text: made.edit(path, text, None)):
        with pytest.raises(FileNotFoundError):
            write("/etc/nginx/none.conf", "x")
    with pytest.raises(PermissionError):
        made.remove("/etc/nginx/none.conf")


WRONG = (
    (ActionKind.SYSCTL, "kernel.sysrq", InvalidValueError),
    (ActionKind.SYSCTL, "vm.swappiness\n", InvalidValueError),
    (ActionKind.SWAP_FILE, "/etc/passwd", InvalidValueError),
    (ActionKind.LINK, "/etc/passwd", PermissionError),
    (ActionKind.RUN, "../x", InvalidValueError),
    (ActionKind.SERVICE, "--now", InvalidValueError),
    (ActionKind.TEST, "bash", InvalidValueError),
    (ActionKind.REDIS, "redis-server.service requirepass", InvalidValueError),
)


def demo_system(server: DemoServer) -> GuardedSystem:
    return GuardedSystem(server.system, allowed(), server.inspector)


@pytest.mark.parametrize("demo", [False, True], ids=["real", "demo"])
@pytest.mark.parametrize(("kind", "what", "error"), WRONG)
def test_what_nobody_declared_is_not_done(
    demo: bool, kind: ActionKind, what: str, error: type[Exception], tmp_path: Path
) -> None:
    real = LocalSystem(str(tmp_path), allowed())
    system: System = demo_system(DemoServer()) if demo else real
    with pytest.raises(error):
        system.get(kind, what)
    with pytest.raises(error):
        system.put(kind, what, "x", lambda: None)


def test_without_a_declaration_only_units_are_changed(tmp_path: Path) -> None:
    """What is not handed in is refused: nothing is allowed by an oversight."""
    paths = Paths()
    assert paths.is_ours(dropin.path("a.service"))
    for step in STEPS.values():
        for path in (*step.files, *(f"{UNIT_D}/{name}" for name in step.drop_ins)):
            assert not paths.is_ours(path)
            assert allowed().paths.is_ours(path)
    system = LocalSystem(str(tmp_path))
    for kind, name in ((ActionKind.TEST, "nginx"), (ActionKind.SWAP_FILE, "/swapfile")):
        with pytest.raises(InvalidValueError):
            system.put(kind, name, "", lambda: None)
    assert Allowed().tool(ActionKind.TEST, "nginx") is None


def test_the_demo_refuses_a_change_that_a_real_server_would(box: Box) -> None:
    """The whole change, with its record: nothing of it is left."""
    before = box.files()
    foreign = Plan((), (FileChange("/etc/passwd", None, "x"),), (), (), ())
    with pytest.raises(LowmemError):
        box.backend.apply(foreign)
    sysctl = Action(ActionKind.SYSCTL, "kernel.sysrq", "", "1", Phase.LATE)
    with pytest.raises(RolledBackError, match="Nothing was changed"):
        box.backend.apply(Plan((), (), (), (), (), (sysctl,)))
    assert box.files() == before
    assert box.backend.history() == []


def test_the_demo_s_disk_is_not_filled_with_a_swap_file(box: Box) -> None:
    system = demo_system(box.server)
    with pytest.raises(RefusedError, match="does not fit"):
        system.put(ActionKind.SWAP_FILE, "/swapfile", str(9 << 30), lambda: None)
    system.put(ActionKind.SWAP_FILE, "/swapfile", str(64 << 20), lambda: None)
    with pytest.raises(RefusedError, match="already exists"):
        system.put(ActionKind.SWAP_FILE, "/swapfile", str(128 << 20), lambda: None)
    system.put(ActionKind.SWAP_FILE, "/swapfile", "", lambda: None)
    assert system.get(ActionKind.SWAP_FILE, "/swapfile") == ""


COMMAND = """
import contextlib, io, sys
from lowmem_tui.cli.main import run_command
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    assert run_command([sys.argv[1], "--demo"]) == 0
print(*(m for m in sys.modules if m.startswith(("lowmem_tui.setup", "lowmem_tui.change.machine"))))
"""

READS = {"lowmem_tui.change.machine", "lowmem_tui.change.machine.guarded_files"}
LIST = {"lowmem_tui.setup", "lowmem_tui.setup.steps", "lowmem_tui.change.machine.allowed"}


@pytest.mark.parametrize(("command", "most"), [("list", LIST | READS), ("triage", set[str]())])
def test_a_command_that_only_looks_loads_no_step(command: str, most: set[str]) -> None:
    done = subprocess.run(
        (sys.executable, "-c", COMMAND, command),
        capture_output=True, text=True, check=True, cwd=TREE,
    )  # fmt: skip
    assert set(done.stdout.splitlines()[-1].split()) <= most


# What a change was interrupted in is settled without the steps.

SETTLE = """
import json, os, sys
from lowmem_tui.change import interrupted
from lowmem_tui.change.context import Site
from lowmem_tui.change.machine.files import EtcFiles
from lowmem_tui.change.machine.system import LocalSystem
from lowmem_tui.change.records.store import FolderStore
from lowmem_tui.change.steps import Ports
from lowmem_tui.cli.backend import _paths
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.who import By
from lowmem_tui.setup.steps import allowed

root = sys.argv[1]
store = FolderStore(root, owner=os.getuid())
assert interrupted.interrupted(store, _paths)
early = sorted(m for m in sys.modules if m.startswith("lowmem_tui.setup"))
from lowmem_tui.change.entry import settled
demo = DemoServer()
files = EtcFiles(root, owner=os.getuid(), paths=_paths())
ports = Ports(demo.connect(), files, demo.kernel, LocalSystem(root, allowed()))
site = Site(ports, store, _paths(), files.exclusive, lambda: 0.0, lambda: 0.0, "boot",
            lambda: By(0, "root", "", ""))
said = settled(site)
late = sorted(m for m in sys.modules if m.startswith("lowmem_tui.setup"))
print(json.dumps([early, late, [str(each) for each in said]]))
"""


def interrupted_change(
    files: Sequence[tuple[str, str | None, str]], actions: Sequence[dict[str, str]] = ()
) -> dict[str, object]:
    """The record of a change that was being made."""
    return {
        "schema": 1, "id": 1, "time": 1.0, "boot_id": "boot", "note": "", "state": "applying",
        "by": {"uid": 0, "user": "root", "sudo_user": "", "ssh_client": ""},
        "plan": {
            "edits": [], "effects": [],
            "files": [{"path": p, "before": b, "after": a} for p, b, a in files],
            "actions": [*actions],
        },
        "live": {"limits": [], "scores": []}, "trial": None, "undoes": [], "said": "",
    }  # fmt: skip


def test_an_interrupted_change_is_settled_without_the_steps(tmp_path: Path) -> None:
    """A file of each kind that the steps declare, a swap file, and a test that undo leaves out."""
    ours = [path for step in STEPS.values() for path in step.files]
    foreign = "/etc/nginx/sites-available/site"
    drop_ins = [f"{UNIT_D}/{name}" for step in STEPS.values() for name in step.drop_ins]
    changed: list[tuple[str, str | None, str]] = [
        (path, None, "new\n") for path in (*ours, *drop_ins)
    ]
    changed.append((foreign, "old\n", "new\n"))
    for path, _, after in changed:
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(after)
    for folder in ("run", "var/lib", "var/log"):
        (tmp_path / folder).mkdir(parents=True)
    records = tmp_path / "var/lib/lowmem-tui"
    records.mkdir(mode=0o700)
    actions = [
        {"kind": "swap-file", "what": "/swapfile", "before": "", "after": "4096", "phase": "early"},
        {"kind": "test", "what": "nginx", "before": "", "after": ""},
    ]
    record = interrupted_change(changed, actions)
    (records / "1.json").write_text(json.dumps(record))
    done = subprocess.run(
        (sys.executable, "-c", SETTLE, str(tmp_path)),
        capture_output=True, text=True, check=False, cwd=TREE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    early, late, (said,) = json.loads(done.stdout)
    assert "everything has its previous value" in said
    assert early == ["lowmem_tui.setup", "lowmem_tui.setup.steps"]
    # The tool that tests is loaded to be left out, no step is.
    assert set(late) - set(early) <= {"lowmem_tui.setup.nginx", "lowmem_tui.setup.nginx.tested"}
    assert (tmp_path / foreign[1:]).read_text() == "old\n"
    assert [path for path in (*ours, *drop_ins) if (tmp_path / path[1:]).exists()] == []


def test_a_trial_needs_no_declaration() -> None:
    """It is of units alone: the script that reverts it, and what reads its record, need no step."""
    made = interrupted_change([(dropin.path("a.service"), None, "x")])
    drop_in = {"path": f"{RUN_PLACE}/a.service.d/{TRIAL_DROP_IN}", "before": None, "after": "x"}
    trial = {"seconds": 60, "deadline": 61.0, "monotonic": 61.0, "files": [drop_in]}
    made["trial"] = trial
    record = load(json.dumps(made), Paths())
    assert script.data(record) == "id 1\nfile a.service\n"
    made["trial"] = {**trial, "files": [{**drop_in, "path": "/etc/nginx/nginx.conf"}]}
    with pytest.raises(InvalidValueError, match="no trial's"):
        load(json.dumps(made), allowed().paths)


def test_a_record_of_a_path_that_no_step_declares_is_none(tmp_path: Path) -> None:
    """Whoever could write into the folder of the records would have root write anywhere."""
    text = json.dumps(interrupted_change([("/etc/passwd", None, "x")]))
    with pytest.raises(InvalidValueError, match="no file of lowmem-tui"):
        load(text, allowed().paths)
