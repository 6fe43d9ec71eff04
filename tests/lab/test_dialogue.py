"""`--plain` on a real systemd, over ssh: edit, review, a trial, confirm and undo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .machine import Machine

REDIS = "redis-server.service"
GROUP = f"/sys/fs/cgroup/system.slice/{REDIS}"
ETC = f"/etc/systemd/system/{REDIS}.d/zz-lowmem-tui.conf"
EDIT = (f"edit {REDIS}", "MemoryMax", "200M", "0")
SIZE = str(200 << 20)
FORGET = "rm -rf /var/lib/lowmem-tui /var/log/lowmem-tui"


def held(machine: Machine, *lines: str, user: str = "root") -> str:
    """Hold a dialogue, and return what was printed; there is nothing but text in it."""
    typed = "\n".join((*lines, ""))
    done = machine.run("lowmem-tui --plain", user=user, stdin=typed, timeout=900)
    assert all(char.isprintable() or char == "\n" for char in done.stdout)
    return done.stdout


def limit(machine: Machine) -> str:
    """What the kernel has."""
    return machine.run(f"cat {GROUP}/memory.max").stdout.strip()


@pytest.fixture
def before(machine: Machine) -> Iterator[str]:
    # Changes are numbered from 1 only where there were none.
    machine.run(FORGET)
    yield limit(machine)
    machine.run(f"lowmem-tui undo || :; {FORGET}", timeout=600)


def test_one_dialogue_from_the_edit_to_the_undo(machine: Machine, before: str) -> None:
    said = held(machine, *EDIT, "review", "apply", "trial 900", "", "confirm", "history", "q")
    for sentence in (
        f"{REDIS}: MemoryMax changes from ",
        f"New file {ETC}:",
        "Change 1 is on trial. It reverts automatically at ",
        "Change 1 is on trial for ",
        "Change 1 is confirmed: it is permanent.",
    ):
        assert sentence in said
    assert said.count("Verified: the files, systemd and the kernel agree.") == 2
    assert limit(machine) == SIZE
    assert "MemoryMax=200M" in machine.get(ETC)
    said = held(machine, "undo 1", "yes", "q")
    assert "Change 1 is undone: everything has its previous value." in said
    assert limit(machine) == before
    assert machine.run(f"test -e {ETC}", check=False).returncode != 0


def test_a_trial_outlives_the_dialogue_and_is_seen_by_the_next(
    machine: Machine, before: str
) -> None:
    held(machine, *EDIT, "apply", "trial 900")
    assert limit(machine) == SIZE
    said = held(machine, "trial", "undo", "q")
    assert f"{REDIS}: MemoryMax changed from " in said
    assert "Change 1 is undone: everything has its previous value." in said
    assert limit(machine) == before


def test_the_end_of_the_input_applies_nothing(machine: Machine, before: str) -> None:
    held(machine, *EDIT, "apply")
    assert limit(machine) == before
    shown = machine.run("lowmem-tui history --json", timeout=300).stdout
    assert json.loads(shown)["changes"] == []


def test_an_ordinary_user_stages_and_sees_what_to_run(machine: Machine, before: str) -> None:
    said = held(machine, *EDIT, "apply", "q", "yes", user="op")
    assert "To apply just this: sudo lowmem-tui apply --trial 120 --set " in said
    assert limit(machine) == before


def test_a_dumb_terminal_is_named_the_option(machine: Machine) -> None:
    done = machine.run("TERM=dumb lowmem-tui", check=False)
    assert done.returncode == 2
    assert "`lowmem-tui --plain`" in done.stderr
