"""The way to a limit below use, as the refusal names it: each command is run as it stands there."""

from __future__ import annotations

import contextlib
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli import apply as apply_command
from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.budget import held
from lowmem_tui.policy.plan import parse_set, plan
from tests.host.conftest import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.plan import Notice, Plan

REDIS, SLICE = "redis-server.service", "system-worker.slice"
CLOUDCHAT = "cloudchat.service"
"""It has grown to 386M, and begins with 150M."""
MIB = 1 << 20
WAIT = 20
"""Seconds of the demo server's clock in which it settles."""

Capture = pytest.CaptureFixture[str]


class Machine:
    """The demo server, and what an operator types."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.server = DemoServer(0, self.clock)
        monkeypatch.setattr(apply_command, "open_backend", lambda _: self.backend())

    def backend(self) -> ServerBackend:
        backend = serve(self.server)
        backend.wait_ready()
        return backend

    def plan(self, *sets: str) -> Plan:
        edits = [parse_set(text) for text in sets]
        with contextlib.closing(self.backend()) as backend:
            return plan(edits, backend.situation(dict.fromkeys(e.unit for e in edits)))

    def type(self, command: str) -> int:
        """Run a command line as it was named."""
        sudo, program, *words = shlex.split(command)
        assert sudo == "sudo"
        if program == "lowmem-tui":
            return run_command(["--demo", *words, "--yes"])
        assert program == "systemctl"
        verb, *units = words
        for unit in units:
            with self.server.lock:
                getattr(self.server.init, verb)(unit)
        self.clock.now += WAIT
        self.server.sampler.sample()
        return 0

    def limit(self, unit: str) -> object:
        usage = self.server.sampler.sample().units[unit]
        return usage.memory.max

    def holds(self, unit: str) -> int:
        with contextlib.closing(self.backend()) as backend:
            return held(backend.look().units[unit])

    @property
    def kills(self) -> int:
        return self.server.init.memory.oom_kills


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield Machine(monkeypatch)


def refusal(machine: Machine, sets: str) -> Notice:
    (found,) = [n for n in machine.plan(sets).refusals if n.code == "memory-max-below-use"]
    return found


def commands(notice: Notice) -> list[str]:
    found = re.findall(r"`([^`]+)`", notice.text)
    assert 1 <= len(found) <= 3
    return found


def walk(machine: Machine, notice: Notice) -> None:
    """Run each command as it stands there; what is to be waited for is waited for."""
    before = machine.kills
    for command in commands(notice):
        assert machine.type(command) in {Exit.DONE, Exit.FINDINGS}, command
        machine.clock.now += WAIT
    machine.clock.now += WAIT
    machine.server.sampler.sample()
    assert machine.kills == before


def test_with_swap_what_is_over_is_swapped_out_first(machine: Machine) -> None:
    notice = refusal(machine, f"{REDIS}:MemoryMax=45M")
    assert "Set MemoryHigh first" in notice.text
    assert "restart" not in notice.text
    walk(machine, notice)
    assert machine.limit(REDIS) == 45 * MIB
    assert machine.holds(REDIS) <= 45 * MIB
    # Nothing else is left behind.
    assert machine.server.sampler.sample().units[REDIS].memory.high != 45 * MIB


def test_without_swap_it_is_restarted_within_the_limit(machine: Machine) -> None:
    assert machine.type(f"sudo lowmem-tui apply --set {CLOUDCHAT}:MemorySwapMax=0") == Exit.DONE
    notice = refusal(machine, f"{CLOUDCHAT}:MemoryMax=300M")
    assert "MemoryHigh" not in notice.text
    walk(machine, notice)
    assert machine.limit(CLOUDCHAT) == 300 * MIB
    assert machine.holds(CLOUDCHAT) <= 300 * MIB


def test_nothing_that_runs_is_touched_before_the_restart(machine: Machine, capsys: Capture) -> None:
    machine.type(f"sudo lowmem-tui apply --set {REDIS}:MemorySwapMax=0")
    before, was = machine.limit(REDIS), machine.holds(REDIS)
    first, _ = commands(refusal(machine, f"{REDIS}:MemoryMax=45M"))
    capsys.readouterr()
    assert machine.type(first) == Exit.DONE
    machine.clock.now += WAIT
    assert machine.limit(REDIS) == before
    assert machine.holds(REDIS) >= was - MIB
    said = capsys.readouterr().out
    assert "MemoryMax takes effect at its next start (`systemctl restart redis-server" in said
    assert "memory-max-below-peak" in said


def test_a_slice_without_swap_has_its_largest_restarted(machine: Machine) -> None:
    assert machine.type(f"sudo lowmem-tui apply --set {SLICE}:MemorySwapMax=0") == Exit.DONE
    limit = machine.holds(SLICE) * 7 // 8 // MIB
    notice = refusal(machine, f"{SLICE}:MemoryMax={limit}M")
    stop, apply, start = commands(notice)
    assert stop.startswith("sudo systemctl stop 'worker@")
    for command in (stop, apply):
        assert machine.type(command) == Exit.DONE
    assert machine.kills == 0
    # These workers need more than that from the beginning: of that the text warns.
    assert machine.type(start) == Exit.DONE
    assert machine.limit(SLICE) == limit * MIB
    assert "What needs more again is killed at the limit then" in notice.text


def test_what_else_is_asked_for_is_asked_for_on_the_way(machine: Machine) -> None:
    wishes = (f"{CLOUDCHAT}:MemoryMax=300M", f"{CLOUDCHAT}:MemorySwapMax=0")
    (notice,) = [n for n in machine.plan(*wishes).refusals if n.code == "memory-max-below-use"]
    assert "--at-restart" in notice.text
    walk(machine, notice)
    memory = machine.server.sampler.sample().units[CLOUDCHAT].memory
    assert (memory.max, memory.swap_max) == (300 * MIB, 0)


def test_a_memory_high_of_ours_is_as_before_in_the_end(machine: Machine) -> None:
    assert machine.type(f"sudo lowmem-tui apply --set {REDIS}:MemoryHigh=200M") == Exit.DONE
    walk(machine, refusal(machine, f"{REDIS}:MemoryMax=45M"))
    memory = machine.server.sampler.sample().units[REDIS].memory
    assert (memory.max, memory.high) == (45 * MIB, 200 * MIB)


def test_what_it_holds_is_allowed_without_a_refusal(machine: Machine) -> None:
    notice = refusal(machine, f"{REDIS}:MemoryMax=45M")
    instead = re.search(r"'(\S+:MemoryMax=\d+M)'\.$", notice.text)
    assert instead is not None
    assert machine.plan(instead[1]).refusals == ()


def test_dropping_our_own_limit_has_the_same_way(machine: Machine) -> None:
    """Below ours there is one of 256M, of somebody's own file: here the file says less."""
    path = "/etc/systemd/system/redis.service.d/override.conf"
    machine.server.files.write(path, "[Service]\nMemoryMax=45M\n")
    assert machine.type(f"sudo lowmem-tui apply --set {REDIS}:MemoryMax=300M") == Exit.DONE
    notice = refusal(machine, f"{REDIS}:MemoryMax=")
    walk(machine, notice)
    assert machine.limit(REDIS) == 45 * MIB


@pytest.mark.parametrize(("key", "value"), [(Key.MEMORY_MAX, "45M"), (Key.OOM_SCORE_ADJUST, "-50")])
def test_at_restart_is_undone_as_any_change(machine: Machine, key: Key, value: str) -> None:
    backend = machine.backend()
    before = backend.situation([REDIS]).units[REDIS].settings[key]
    done = machine.type(f"sudo lowmem-tui apply --at-restart --set {REDIS}:{key}={value}")
    assert done == Exit.DONE
    now = backend.situation([REDIS]).units[REDIS].settings[key]
    assert (now.declared, now.kernel) == (value, before.kernel)
    machine.type(f"sudo systemctl restart {REDIS}")
    assert backend.situation([REDIS]).units[REDIS].settings[key].kernel == now.loaded
    backend.undo(None)
    assert backend.situation([REDIS]).units[REDIS].settings[key] == before


def test_at_restart_is_no_trial(machine: Machine, capsys: Capture) -> None:
    line = f"sudo lowmem-tui apply --at-restart --trial 60 --set {REDIS}:MemoryMax=45M"
    assert machine.type(line) == Exit.USAGE
    assert "--at-restart and --trial" in capsys.readouterr().err
