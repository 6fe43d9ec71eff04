"""The step `box`: what is said of which machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.setup import machine
from tests.english import EnglishStep
from tests.unit.servers import process, service, snapshot

from .tree import Tree, codes

if TYPE_CHECKING:
    from pathlib import Path


G, M = 1 << 30, 1 << 20


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def step(tree: Tree) -> EnglishStep:
    return EnglishStep(machine.make(tree.ground()))


def test_an_ordinary_machine(tree: Tree, step: EnglishStep) -> None:
    tree.swaps(_dev_vda2=512)
    look = step.look()
    said = " ".join(look.facts)
    for words in (
        "1G of RAM",
        "512M of swap, 0 of it in use: /dev/vda2 (partition, 512M)",
        "trixie",
        "kernel 6.12",
        "1 processor.",
        "systemd 257, only cgroup v2",
        "10G of 20G are free on / (ext4)",
        "not a container",
        "systemd-oomd, earlyoom, nohang and oomd are not running",
    ):
        assert words in said, words
    assert (look.items, look.findings, look.absent) == ((), (), "")


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"root_free": 900 * M}, {"disk-full"}),
        ({"root_writable": False}, {"disk-read-only"}),
        ({"unified": False}, {"cgroup-v1"}),
        ({"systemd": 247}, {"systemd-old"}),
        ({"systemd": None}, set()),
        ({"container": "lxc"}, set()),
    ],
)
def test_what_is_wrong(
    tree: Tree, step: EnglishStep, facts: dict[str, object], found: set[str]
) -> None:
    tree.facts(**facts)
    look = step.look()
    assert codes(look) == found
    assert all(finding.remedy and finding.text.endswith(".") for finding in look.findings)


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ("lxc", "oom_score_adj"),
        ("openvz", "host"),
        ("docker", "docker run --memory"),
        ("x", "host"),
    ],
)
def test_what_cannot_work_in_a_container(
    tree: Tree, step: EnglishStep, container: str, words: str
) -> None:
    tree.facts(container=container)
    (said,) = [fact for fact in step.look().facts if "container" in fact]
    assert words in said


@pytest.mark.parametrize(
    "killer", ["systemd-oomd.service", "earlyoom.service", "nohang.service", "oomd.service"]
)
def test_other_killers_are_named(tree: Tree, step: EnglishStep, killer: str) -> None:
    tree.snapshot = replace(snapshot(service(killer, process(command="/usr/bin/killer"))))
    said = " ".join(step.look().facts)
    assert f"{killer} is running and also kills" in said
    assert "Only the kernel" not in said


def test_there_is_nothing_to_wish_for(step: EnglishStep) -> None:
    assert step.plan({}).empty
    with pytest.raises(InvalidValueError, match="changes nothing"):
        step.plan({"ram": "2G"})
