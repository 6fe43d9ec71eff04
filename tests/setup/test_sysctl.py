"""The step `sysctl`: what is proposed, what counts at boot, what is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.policy.incidents.shortages import Failures
from lowmem_tui.setup import sysctl
from lowmem_tui.setup.sysctl import declared
from tests.english import EnglishStep
from tests.unit.servers import service

from .tree import Tree, codes, items, proposed

if TYPE_CHECKING:
    from pathlib import Path


OURS = "/etc/sysctl.d/zz-lowmem-tui.conf"
DEFAULTS = {
    "swappiness": 60,
    "dirty_ratio": 20,
    "dirty_background_ratio": 10,
    "vfs_cache_pressure": 100,
    "overcommit_memory": 0,
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    made.sysctl(**DEFAULTS)
    return made


@pytest.fixture
def step(tree: Tree) -> EnglishStep:
    return EnglishStep(sysctl.make(tree.ground()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vm.swappiness=10", {"vm.swappiness": "10"}),
        ("  vm.swappiness =  10  ", {"vm.swappiness": "10"}),
        ("-vm.swappiness = 10", {"vm.swappiness": "10"}),
        ("vm/swappiness=10", {"vm.swappiness": "10"}),
        ("net/ipv4/conf/enp3s0.200/forwarding=1", {"net.ipv4.conf.enp3s0/200.forwarding": "1"}),
        ("#vm.swappiness=10\n; vm.swappiness=20\n", {}),
        ("vm.swappiness", {}),
        ("vm.swappiness=1\nvm.swappiness=2", {"vm.swappiness": "2"}),
    ],
)
def test_reads_as_sysctl_d_says(text: str, found: dict[str, str]) -> None:
    from lowmem_tui.model.snapshot import UnitFile

    assert {k: v.value for k, v in declared([UnitFile("/x", text)]).items()} == found


def test_proposes_the_policy_and_finds_nothing_afterwards(tree: Tree, step: EnglishStep) -> None:
    look = step.look()
    assert {key: item.value for key, item in items(look).items()} == {
        "vm.swappiness": "10",
        "vm.dirty_ratio": "10",
        "vm.dirty_background_ratio": "5",
        "vm.vfs_cache_pressure": "50",
    }
    assert not any(item.done for item in look.items)
    assert len(look.findings) == 4
    wishes = proposed(step)
    plan = step.plan(wishes)
    assert [(a.kind, a.what, a.before, a.after) for a in plan.actions] == [
        (ActionKind.SYSCTL, "vm.swappiness", "60", "10"),
        (ActionKind.SYSCTL, "vm.dirty_ratio", "20", "10"),
        (ActionKind.SYSCTL, "vm.dirty_background_ratio", "10", "5"),
        (ActionKind.SYSCTL, "vm.vfs_cache_pressure", "100", "50"),
    ]
    tree.make(plan)
    after = step.look()
    assert after.findings == ()
    assert all(item.done for item in after.items)
    assert step.plan(wishes).empty
    assert dict(proposed(step)) == dict(wishes)


def test_the_inverse_is_the_server_as_it_was(tree: Tree, step: EnglishStep) -> None:
    plan = step.plan(proposed(step))
    tree.make(plan)
    for action in plan.actions:
        tree.system.put(action.kind, action.what, action.inverse.after, lambda: None)
    tree.files.remove(OURS)
    assert codes(step.look()) == {
        f"sysctl-{k.replace('_', '-')}" for k in DEFAULTS if "over" not in k
    }


# Which Redis is there, the live value; whether 1 is proposed, and whether it is found missing.
@pytest.mark.parametrize(
    ("unit", "state", "live", "offered", "found"),
    [
        ("redis-server.service", "enabled", 0, True, True),
        ("valkey-server.service", "enabled", 0, True, True),
        ("redis-server.service", "disabled", 0, False, False),
        ("redis-server.service", "masked", 0, False, False),
        ("nginx.service", "enabled", 0, False, False),
        ("redis-server.service", "enabled", 2, False, False),
    ],
)
def test_overcommit_only_with_redis(
    tree: Tree, step: EnglishStep, unit: str, state: str, live: int, offered: bool, found: bool
) -> None:
    tree.unit_files[unit] = state
    tree.sysctl(overcommit_memory=live)
    look = step.look()
    assert ("vm.overcommit_memory" in items(look)) is offered
    assert ("sysctl-overcommit-memory" in codes(look)) is found
    if offered:
        assert unit in items(look)["vm.overcommit_memory"].why


# The unit, its program, the state of its file, whether it runs; whether it is a Redis to ask for.
BY_PROGRAM = {
    "a name of its own": ("cache.service", "/usr/bin/redis-server", "enabled", False, True),
    "an instance": ("redis@6380.service", "/opt/redis/redis-server", "", True, True),
    "KeyDB": ("keydb.service", "/usr/bin/keydb-server", "enabled", True, True),
    "a Redis of Amazon Linux": ("redis6.service", "/usr/bin/redis6-server", "enabled", True, True),
    "it is off": ("cache.service", "/usr/bin/redis-server", "disabled", False, False),
    "another program": ("cache.service", "/usr/bin/memcached", "enabled", True, False),
}


@pytest.mark.parametrize(
    ("name", "program", "state", "runs", "found"), BY_PROGRAM.values(), ids=BY_PROGRAM
)
def test_a_redis_is_known_by_its_program(
    tree: Tree, step: EnglishStep, name: str, program: str, state: str, runs: bool, found: bool
) -> None:
    unit = service(
        name,
        exec_start=(program, "/etc/redis.conf"),
        unit_file_state=state,
        active_state="active" if runs else "inactive",
    )
    tree.snapshot = replace(tree.snapshot, units={name: unit})
    tree.sysctl(overcommit_memory=0)
    made = items(step.look())
    assert ("vm.overcommit_memory" in made) is found
    if found:
        assert name in made["vm.overcommit_memory"].why
        assert not step.plan({"vm.overcommit_memory": "1"}).warnings


def test_overcommit_without_redis_is_warned_of(step: EnglishStep) -> None:
    (warning,) = step.plan({"vm.overcommit_memory": "1"}).warnings
    assert warning.code == "sysctl-overcommit"


# What a file says, the live value; the value that is proposed, whether that is so already.
@pytest.mark.parametrize(
    ("path", "declared", "live", "value", "done"),
    [
        # Somebody's own good value stays.
        ("/etc/sysctl.d/10-mine.conf", "1", 1, "1", True),
        ("/etc/sysctl.d/99-mine.conf", "20", 20, "20", True),
        # One that is good now and gone after the next boot is not.
        ("/etc/sysctl.d/10-mine.conf", "60", 10, "10", False),
        ("/etc/sysctl.d/10-mine.conf", "100", 100, "10", False),
        # 0 keeps groups from swapping.
        ("/etc/sysctl.d/10-mine.conf", "0", 0, "10", False),
        ("/usr/lib/sysctl.d/50-vendor.conf", "10", 10, "10", True),
    ],
)
def test_what_others_say(
    tree: Tree, step: EnglishStep, path: str, declared: str, live: int, value: str, done: bool
) -> None:
    tree.write(path, f"vm.swappiness = {declared}\n")
    tree.sysctl(swappiness=live)
    item = items(step.look())["vm.swappiness"]
    assert (item.value, item.done) == (value, done)
    plan = step.plan({"vm.swappiness": value})
    assert plan.empty is done
    if not done:
        tree.make(plan)
        assert items(step.look())["vm.swappiness"].done


def test_good_at_boot_and_not_now_needs_no_file(tree: Tree, step: EnglishStep) -> None:
    tree.write("/etc/sysctl.d/10-mine.conf", "vm.swappiness=10\n")
    plan = step.plan({"vm.swappiness": "10"})
    assert plan.files == ()
    assert [a.after for a in plan.actions] == ["10"]


@pytest.mark.parametrize("folder", ["/etc", "/run", "/usr/lib"])
def test_a_later_file_wins_wherever_it_lies_and_is_named(
    tree: Tree, step: EnglishStep, folder: str
) -> None:
    path = f"{folder}/sysctl.d/zzz.conf"
    tree.write(path, "vm.swappiness=90\n")
    plan = step.plan({"vm.swappiness": "10"})
    (warning,) = plan.warnings
    assert (warning.code, path in warning.text) == ("sysctl-overruled", True)
    tree.make(plan)
    look = step.look()
    (finding,) = [f for f in look.findings if f.code == "sysctl-overruled"]
    assert finding.subject == path
    assert "sysctl-swappiness" not in codes(look)
    assert step.plan({"vm.swappiness": "10"}).empty
    (tree.root / path[1:]).unlink()
    assert "sysctl-overruled" not in codes(step.look())


def test_a_masked_file_says_nothing(tree: Tree, step: EnglishStep) -> None:
    tree.write("/usr/lib/sysctl.d/50-vendor.conf", "vm.swappiness=10\n")
    (tree.root / "etc/sysctl.d/50-vendor.conf").symlink_to("/dev/null")
    tree.sysctl(swappiness=10)
    assert not items(step.look())["vm.swappiness"].done


def test_sysctl_conf_is_reported_of(tree: Tree, step: EnglishStep) -> None:
    tree.make(step.plan({"vm.swappiness": "10"}))
    assert step.look().by_hand == ()
    tree.write("/etc/sysctl.conf", "vm.swappiness=60\n")
    (words,) = step.look().by_hand
    assert "sysctl --system" in words


def test_swap_in_ram_alone_is_another_matter(tree: Tree, step: EnglishStep) -> None:
    tree.sysctl(swappiness=10)
    tree.write("/etc/sysctl.d/10-mine.conf", "vm.swappiness=10\n")
    tree.swaps(_dev_zram0=480)
    assert items(step.look())["vm.swappiness"].value == "100"
    tree.swaps(_dev_zram0=480, _swapfile=1024)
    assert items(step.look())["vm.swappiness"].value == "10"


def test_a_ratio_that_is_not_in_force_is_left_alone(tree: Tree, step: EnglishStep) -> None:
    tree.sysctl(dirty_ratio=0)
    look = step.look()
    assert "vm.dirty_ratio" not in items(look)
    assert any("dirty_bytes" in fact for fact in look.facts)


def test_our_other_settings_stay_and_an_empty_wish_drops_one(tree: Tree, step: EnglishStep) -> None:
    tree.make(step.plan(proposed(step)))
    plan = step.plan({"vm.swappiness": ""})
    (file,) = plan.files
    assert file.after is not None
    assert "swappiness" not in file.after
    assert "vm.dirty_ratio=10\n" in file.after
    assert [(a.before, a.after) for a in plan.actions] == [("10", "60")]
    dropped = dict.fromkeys(proposed(step), "")
    (file,) = step.plan(dropped).files
    assert file.after is None


@pytest.mark.parametrize("container", ["lxc", "openvz", "docker"])
def test_containers(tree: Tree, step: EnglishStep, container: str) -> None:
    tree.facts(container=container)
    look = step.look()
    assert container in look.absent
    assert (look.items, look.findings) == ((), ())
    (refusal,) = step.plan({"vm.swappiness": "10"}).refusals
    assert container in refusal.text


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("vm.swapiness", "10", "vm.swappiness"),
        ("kernel.panic", "10", "vm.swappiness"),
        ("vm.swappiness", "ten", "0 to 200"),
        ("vm.swappiness", "201", "0 to 200"),
        ("vm.swappiness", "-1", "0 to 200"),
        ("vm.dirty_ratio", "0", "1 to 100"),
        ("vm.swappiness", "10\nkernel.panic=1", "0 to 200"),
        ("vm.overcommit_memory", "3", "0 to 2"),
    ],
)
def test_wrong_wishes(step: EnglishStep, key: str, value: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        step.plan({key: value})


# What is kept free, and what is kept for huge pages.

FREE, HUGE = "vm.min_free_kbytes", "vm.nr_hugepages"
LOST = Failures(12, 11)


def meminfo(tree: Tree, total: int, free: int, size: int = 2048) -> None:
    tree.sysctl(nr_hugepages=total)
    tree.write(
        "/proc/meminfo",
        f"HugePages_Total: {total}\nHugePages_Free: {free}\nHugePages_Rsvd: 0\n"
        f"Hugepagesize: {size} kB\n",
    )


def test_what_the_kernel_made_itself_is_left_alone(tree: Tree, step: EnglishStep) -> None:
    tree.sysctl(min_free_kbytes=4096)
    meminfo(tree, 0, 0)
    look = step.look()
    assert not {FREE, HUGE} & set(items(look))
    assert not {"sysctl-min-free-kbytes", "sysctl-nr-hugepages"} & codes(look)
    assert any("vm.min_free_kbytes is 4096: 4M are kept free" in fact for fact in look.facts)


@pytest.mark.parametrize(
    ("now", "failed", "value", "taken"),
    [(1024, None, 4096, True), (4096, LOST, 16384, True), (262144, None, 16384, False)],
)
def test_what_is_kept_free_goes_like_other_values(
    tree: Tree, step: EnglishStep, now: int, failed: Failures | None, value: int, taken: bool
) -> None:
    tree.sysctl(min_free_kbytes=now)
    tree.failures = failed
    look = step.look()
    item = items(look)[FREE]
    assert (item.now, item.value, item.taken, item.done) == (str(now), str(value), taken, False)
    (found,) = [f for f in look.findings if f.code == "sysctl-min-free-kbytes"]
    assert FREE in found.text
    assert (FREE in proposed(step)) is taken
    plan = step.plan({FREE: str(value)})
    (action,) = plan.actions
    assert (action.kind, action.what, action.before, action.after) == (
        ActionKind.SYSCTL, FREE, str(now), str(value),
    )  # fmt: skip
    assert action.inverse.after == str(now)
    tree.make(plan)
    after = step.look()
    assert items(after)[FREE].done
    assert "sysctl-min-free-kbytes" not in codes(after)
    assert step.plan({FREE: str(value)}).empty


def test_what_the_next_boot_makes_of_it_counts(tree: Tree, step: EnglishStep) -> None:
    tree.sysctl(min_free_kbytes=4096)
    tree.write("/etc/sysctl.d/10-mine.conf", "vm.min_free_kbytes=262144\n")
    look = step.look()
    assert "sysctl-min-free-kbytes" in codes(look)
    tree.make(step.plan({FREE: items(look)[FREE].value}))
    assert "sysctl-min-free-kbytes" not in codes(step.look())


def test_huge_pages_that_nothing_uses(tree: Tree, step: EnglishStep) -> None:
    meminfo(tree, 128, 128)
    look = step.look()
    (found,) = [f for f in look.findings if f.code == "sysctl-nr-hugepages"]
    assert "256M are reserved" in found.text
    assert (items(look)[HUGE].now, items(look)[HUGE].value) == ("128", "0")
    assert proposed(step)[HUGE] == "0"
    plan = step.plan({HUGE: "0"})
    (action,) = plan.actions
    assert (action.before, action.after, action.inverse.after) == ("128", "0", "128")
    tree.make(plan)
    meminfo(tree, 0, 0)
    assert items(step.look())[HUGE].done


def test_huge_pages_of_a_database_are_left_to_the_operator(tree: Tree, step: EnglishStep) -> None:
    tree.unit_files["postgresql.service"] = "enabled"
    meminfo(tree, 128, 128)
    assert HUGE not in proposed(step)
    assert "postgresql.service" in items(step.look())[HUGE].why


def test_dropping_ours_leaves_the_kernels_own_to_the_next_boot(
    tree: Tree, step: EnglishStep
) -> None:
    tree.sysctl(min_free_kbytes=1024)
    tree.make(step.plan({FREE: "4096"}))
    plan = step.plan({FREE: ""})
    assert plan.actions == ()
    assert [w.code for w in plan.warnings] == ["sysctl-next-boot"]
    assert [file.after for file in plan.files] == [None]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (FREE, "1000000", "write at most 157286"),
        (FREE, "512", "1024 to"),
        (HUGE, "500", "write at most 76"),
        (HUGE, "-1", "0 to"),
        (FREE, "\u0663\u0663\u0663\u0663", "whole number"),
        (FREE, "9" * 5000, "whole number"),
    ],
)
def test_what_would_have_the_kernel_kill_is_refused(
    tree: Tree, step: EnglishStep, key: str, value: str, words: str
) -> None:
    tree.sysctl(min_free_kbytes=4096)
    meminfo(tree, 0, 0)
    with pytest.raises(InvalidValueError, match=words):
        step.plan({key: value})


def test_what_is_not_known_is_not_proposed(tree: Tree, step: EnglishStep) -> None:
    tree.sysctl(nr_hugepages=128)
    assert not {FREE, HUGE} & set(items(step.look()))
