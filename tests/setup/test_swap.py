"""The step `swap`: what is proposed for which server, what is refused, what is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.setup.swap import step as swap
from lowmem_tui.setup.swap.seen import LINK, PATH, TEXT
from tests.english import EnglishStep

from .tree import Tree, codes, items, proposed

if TYPE_CHECKING:
    from pathlib import Path


G, M = 1 << 30, 1 << 20
FILE = (ActionKind.SWAP_FILE, "/swapfile")
RUN = (ActionKind.RUN, "swapfile.swap")
PROGRAMS = ("modprobe", "zramctl", "mkswap", "swapon", "swapoff")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def step(tree: Tree) -> EnglishStep:
    return EnglishStep(swap.make(tree.ground()))


def ram(tree: Tree, size: int) -> None:
    host = tree.snapshot.host._replace(mem_total=size)
    tree.snapshot = replace(tree.snapshot, host=host)


def have_zram(tree: Tree) -> None:
    tree.facts(zram=True)
    for name in PROGRAMS:
        tree.write(f"/usr/sbin/{name}", "")


def make(tree: Tree, step: EnglishStep, **wishes: str) -> None:
    """Apply, and have the kernel list what is on then."""
    tree.make(step.plan(wishes))
    on = {}
    if tree.system.get(*RUN) == "active":
        on["_swapfile"] = int(tree.system.get(*FILE)) // M
    if tree.system.get(ActionKind.RUN, "lowmem-tui-zram.service") == "active":
        on["_dev_zram0"] = 480
    tree.swaps(**on)


# RAM, swap elsewhere, free on the disk, of so much; the proposed size, what is found.
@pytest.mark.parametrize(
    ("size", "other", "free", "total", "value", "found"),
    [
        (967 * M, 0, 10 * G, 20 * G, "2G", "swap-missing"),
        (470 * M, 0, 10 * G, 20 * G, "1G", "swap-missing"),
        (1970 * M, 0, 10 * G, 20 * G, "2G", "swap-missing"),
        (967 * M, 512, 10 * G, 20 * G, "1536M", "swap-small"),
        (967 * M, 1024, 10 * G, 20 * G, "", ""),
        (967 * M, 900, 10 * G, 20 * G, "", ""),
        (8 * G, 2048, 10 * G, 20 * G, "", ""),
        # A part of the disk stays free.
        (967 * M, 0, 3 * G, 20 * G, "1G", "swap-missing"),
        (967 * M, 0, 3 * G, 4 * G, "2G", "swap-missing"),
        (967 * M, 0, 1200 * M, 4 * G, "256M", "swap-missing"),
        (967 * M, 0, 1 * G, 20 * G, None, "swap-missing"),
    ],
)
def test_the_size(
    tree: Tree,
    step: EnglishStep,
    size: int,
    other: int,
    free: int,
    total: int,
    value: str | None,
    found: str,
) -> None:
    tree.facts(root_free=free, root_total=total)
    if other:
        tree.swaps(_dev_vda2=other)
    ram(tree, size)
    look = step.look()
    assert codes(look) == ({found} if found else set())
    if value is None:
        assert "file" not in items(look)
        assert any("no room" in fact for fact in look.facts)
        assert "free space" in look.findings[0].remedy
        return
    item = items(look)["file"]
    assert (item.value, item.taken, item.done) == (value, bool(value), not value)
    assert value in item.choices


def test_makes_the_file_the_unit_and_its_link(tree: Tree, step: EnglishStep) -> None:
    assert proposed(step) == {"file": "2G"}
    plan = step.plan({"file": "2G"})
    assert [(f.path, f.before, f.after) for f in plan.files] == [(PATH, None, TEXT)]
    assert [(a.phase, a.kind, a.what, a.before, a.after) for a in plan.actions] == [
        ("early", *FILE, "", str(2 * G)),
        ("files", ActionKind.LINK, LINK, "", PATH),
        ("late", *RUN, "inactive", "active"),
    ]
    tree.system.values[RUN] = "inactive"
    make(tree, step, file="2G")
    look = step.look()
    assert look.findings == ()
    assert (items(look)["file"].now, items(look)["file"].done) == ("2G", True)
    assert step.plan({"file": "2G"}).empty
    assert proposed(step) == {"file": "2G"}


def made(tree: Tree, step: EnglishStep, size: str = "1G") -> None:
    tree.system.values[RUN] = "inactive"
    make(tree, step, file=size)


def test_another_size_takes_its_place(tree: Tree, step: EnglishStep) -> None:
    made(tree, step)
    plan = step.plan({"file": "512M"})
    assert plan.files == ()
    assert [(a.phase, a.kind, a.before, a.after) for a in plan.actions] == [
        ("early", ActionKind.RUN, "active", "inactive"),
        ("early", ActionKind.SWAP_FILE, str(G), ""),
        ("early", ActionKind.SWAP_FILE, "", str(512 * M)),
        ("late", ActionKind.RUN, "inactive", "active"),
    ]
    # And back: off, away, the old one again, on.
    assert [(a.phase, a.kind, a.after) for a in (x.inverse for x in reversed(plan.actions))] == [
        ("early", ActionKind.RUN, "inactive"),
        ("late", ActionKind.SWAP_FILE, ""),
        ("late", ActionKind.SWAP_FILE, str(G)),
        ("late", ActionKind.RUN, "active"),
    ]
    make(tree, step, file="512M")
    assert items(step.look())["file"].now == "512M"
    # A smaller one that somebody chose is left alone.
    assert step.look().findings == ()


def test_one_that_is_off_is_switched_on(tree: Tree, step: EnglishStep) -> None:
    made(tree, step)
    tree.system.values[RUN] = "inactive"
    tree.swaps()
    assert codes(step.look()) == {"swap-off"}
    assert [a.kind for a in step.plan({"file": "1G"}).actions] == [ActionKind.RUN]
    make(tree, step, file="1G")
    assert step.look().findings == ()


def test_an_empty_wish_takes_ours_away_and_nobody_elses(tree: Tree, step: EnglishStep) -> None:
    assert step.plan({"file": "", "zram": ""}).empty
    made(tree, step)
    make(tree, step, file="")
    assert tree.files.read(PATH) is None
    assert tree.system.get(*FILE) == ""
    assert tree.system.get(ActionKind.LINK, LINK) == ""


# What the machine is, words of the refusal, whether a command to do it by hand is shown.
@pytest.mark.parametrize(
    ("facts", "files", "there", "words", "by_hand"),
    [
        ({"root_filesystem": "btrfs"}, {}, "", "btrfs", True),
        ({"root_filesystem": "zfs"}, {}, "", "zfs", False),
        ({"root_filesystem": "overlay"}, {}, "", "overlay", False),
        ({"root_writable": False}, {}, "", "read-only", False),
        ({}, {"/etc/fstab": "/swapfile none swap sw 0 0\n"}, "foreign", "/etc/fstab", True),
        ({}, {PATH: "[Swap]\nWhat=/swapfile\n"}, "", "not written by lowmem-tui", False),
        ({}, {}, "foreign", "not made by lowmem-tui", False),
        ({"root_free": 100 * M}, {}, "", "does not fit", False),
    ],
)
def test_refused(
    tree: Tree,
    step: EnglishStep,
    facts: dict[str, object],
    files: dict[str, str],
    there: str,
    words: str,
    by_hand: bool,
) -> None:
    tree.facts(**facts)
    for path, text in files.items():
        tree.write(path, text)
    tree.system.values[FILE] = there
    (refusal,) = step.plan({"file": "1G"}).refusals
    assert words in refusal.text
    assert not refusal.forceable
    look = step.look()
    assert "file" not in items(look)
    assert codes(look) >= {"swap-missing"}
    assert bool(look.by_hand) is by_hand


@pytest.mark.parametrize("container", ["lxc", "openvz", "docker", "podman"])
def test_containers(tree: Tree, step: EnglishStep, container: str) -> None:
    tree.facts(container=container)
    look = step.look()
    assert container in look.absent
    assert (look.items, look.findings) == ((), ())
    (refusal,) = step.plan({"file": "1G"}).refusals
    assert container in refusal.text


def test_a_tight_disk_is_warned_of(tree: Tree, step: EnglishStep) -> None:
    tree.facts(root_free=3 * G)
    assert step.plan({"file": "1G"}).warnings == ()
    (warning,) = step.plan({"file": "2G"}).warnings
    assert "1G are free" in warning.text


def test_the_guides_own_swap_file_counts(tree: Tree, step: EnglishStep) -> None:
    tree.write("/etc/fstab", "/swapfile none swap sw 0 0\n")
    tree.system.values[FILE] = "foreign"
    tree.swaps(_swapfile=2048)
    look = step.look()
    assert look.findings == ()
    assert proposed(step) == {}


@pytest.mark.parametrize(
    ("line", "there", "on", "found"),
    [
        ("/dev/vda2 none swap sw 0 0", ["/dev/vda2"], "_dev_vda2", False),
        ("/dev/vda2 none swap sw 0 0", ["/dev/vda2"], "", True),
        ("/dev/vda2 none swap noauto 0 0", ["/dev/vda2"], "", False),
        ("/dev/vda2 none swap sw 0 0", [], "", False),
        ("#/dev/vda2 none swap sw 0 0", ["/dev/vda2"], "", False),
        ("LABEL=swap none swap sw,nofail 0 0", ["/dev/disk/by-label/swap"], "", True),
        ("LABEL=swap none swap sw,nofail 0 0", ["/dev/disk/by-label/swap"], "_dev_vda2", False),
        ("/dev/vda1 / ext4 defaults 0 1", ["/dev/vda1"], "", False),
    ],
)
def test_swap_of_fstab_that_is_off(
    tree: Tree, step: EnglishStep, line: str, there: list[str], on: str, found: bool
) -> None:
    tree.write("/etc/fstab", f"{line}\n")
    for path in there:
        if "by-label" in path:
            tree.write("/dev/vda2", "")
            (tree.root / path[1:]).parent.mkdir(parents=True)
            (tree.root / path[1:]).symlink_to("../../vda2")
        else:
            tree.write(path, "")
    tree.swaps(**({on: 2048} if on else {}))
    assert ("swap-fstab-off" in codes(step.look())) is found


OFF = {
    "Ubuntu's": ("/swap.img none swap sw 0 0", "/swap.img"),
    "a UUID": ("UUID=97c8 none swap sw 0 0", "/dev/disk/by-uuid/97c8"),
    "a UUID in other letters": ("UUID=97C8 none swap sw 0 0", "/dev/disk/by-uuid/97c8"),
    "in quotes": ('UUID="97c8" none swap sw 0 0', "/dev/disk/by-uuid/97c8"),
    "a partition's UUID": ("PARTUUID=1-02 none swap sw 0 0", "/dev/disk/by-partuuid/1-02"),
    "a label": (r"LABEL=my\040swap none swap sw", r"/dev/disk/by-label/my\x20swap"),
    "a partition's label": ("PARTLABEL=swap none swap sw", "/dev/disk/by-partlabel/swap"),
    "a name with a blank": (r"/my\040swap none swap sw,pri=5 0 0", "/my swap"),
    "a name of two bytes": (r"/\303\251 none swap defaults 0 0", "/é"),
    "the guide's": ("/swapfile none swap sw 0 0", "/swapfile"),
}


@pytest.mark.parametrize(("line", "there"), OFF.values(), ids=OFF)
def test_what_is_off_is_switched_on_ahead_of_a_second_one(
    tree: Tree, step: EnglishStep, line: str, there: str
) -> None:
    have_zram(tree)
    tree.write("/etc/fstab", f"UUID=1 / ext4 defaults 0 1\n{line}\n")
    tree.write(there, "x")
    look = step.look()
    assert codes(look) == {"swap-fstab-off"}
    assert look.findings[0].remedy == "sudo swapon -a"
    assert "swapon -a" in look.by_hand[0]
    assert proposed(step) == {}
    if "/swapfile" not in line:
        # It can still be chosen.
        assert "swap-off-elsewhere" in {w.code for w in step.plan({"file": "1G"}).warnings}


def test_off_on_btrfs_is_switched_on_first_too(tree: Tree, step: EnglishStep) -> None:
    tree.facts(root_filesystem="btrfs")
    tree.write("/etc/fstab", "/swap/swapfile none swap sw 0 0\n")
    tree.write("/swap/swapfile", "x")
    look = step.look()
    assert codes(look) == {"swap-fstab-off"}
    assert not any("subvolume" in line for line in look.by_hand)


def test_what_is_left_off_on_purpose_is_no_swap(tree: Tree, step: EnglishStep) -> None:
    tree.write("/etc/fstab", "/dev/vda2 none swap sw,noauto 0 0\n")
    tree.write("/dev/vda2", "x")
    tree.unit_files["dev-vda2.swap"] = "generated"
    look = step.look()
    assert codes(look) == {"swap-missing"}
    assert any("noauto" in fact for fact in look.facts)
    assert proposed(step) == {"file": "2G"}


UNITS = {
    "a partition": ("dev-vdb1.swap", "enabled", "/dev/vdb1", True),
    "found by its type": (
        r"dev-disk-by\x2duuid-97c8.swap",
        "generated",
        "/dev/disk/by-uuid/97c8",
        True,
    ),
    "not to be on": ("dev-vdb1.swap", "disabled", "/dev/vdb1", False),
    "not there": ("dev-vdb1.swap", "enabled", "/dev/vdc1", False),
}


@pytest.mark.parametrize(("unit", "state", "there", "off"), UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("active", [False, True])
def test_swap_of_a_unit(
    tree: Tree, step: EnglishStep, unit: str, state: str, there: str, off: bool, active: bool
) -> None:
    tree.unit_files[unit] = state
    tree.write(there, "x")
    tree.system.values[ActionKind.RUN, unit] = "active" if active else "inactive"
    look = step.look()
    assert ("swap-unit-off" in codes(look)) is (off and not active)
    if off and not active:
        assert look.findings[0].remedy == f"sudo systemctl start '{unit}'"
        assert proposed(step) == {}


@pytest.mark.parametrize(("on", "first"), [(False, "dd if=/dev/zero"), (True, "swapoff /swapfile")])
def test_what_is_done_by_hand_begins_with_what_can_be_done(
    tree: Tree, step: EnglishStep, on: bool, first: str
) -> None:
    """``swapoff`` of what is not on fails, and nothing behind the && is done."""
    tree.write("/etc/fstab", "/swapfile none swap sw 0 0\n")
    if on:
        tree.write("/swapfile", "x")
        tree.swaps(_swapfile=256)
    (by_hand,) = step.look().by_hand
    assert f"`{first}" in by_hand
    assert "swapon /swapfile" in by_hand


def test_a_unit_of_a_line_of_fstab_is_reported_once(tree: Tree, step: EnglishStep) -> None:
    tree.write("/etc/fstab", "/swap.img none swap sw 0 0\n")
    tree.write("/swap.img", "x")
    tree.unit_files["swap.img.swap"] = "generated"
    assert [f.code for f in step.look().findings] == ["swap-fstab-off"]


def test_zram(tree: Tree, step: EnglishStep) -> None:
    assert "zram" not in items(step.look())
    have_zram(tree)
    item = items(step.look())["zram"]
    assert (item.value, item.taken) == ("512M", False)
    tree.system.values[ActionKind.RUN, "lowmem-tui-zram.service"] = "inactive"
    make(tree, step, zram="480M")
    text = tree.files.read("/etc/systemd/system/lowmem-tui-zram.service")
    assert text is not None
    assert f"zramctl --size {480 * M} /dev/zram0" in text
    look = step.look()
    assert look.findings == ()
    assert (items(look)["zram"].now, items(look)["zram"].done) == ("480M", True)
    assert step.plan({"zram": "480M"}).empty
    # A release that words its comment otherwise does not switch the device off and on.
    other = text.replace("changes it", "of another release")
    tree.write("/etc/systemd/system/lowmem-tui-zram.service", other)
    assert step.plan({"zram": "480M"}).empty
    tree.write("/etc/systemd/system/lowmem-tui-zram.service", text)
    verbs = [(a.phase, a.after) for a in step.plan({"zram": "256M"}).actions]
    assert verbs == [("early", "inactive"), ("late", "active")]
    make(tree, step, zram="")
    assert tree.files.read("/etc/systemd/system/lowmem-tui-zram.service") is None


def test_zram_is_taken_where_no_file_can_be(tree: Tree, step: EnglishStep) -> None:
    have_zram(tree)
    tree.facts(zram=True, root_filesystem="btrfs")
    assert proposed(step) == {"zram": "512M"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/sys/block/zram0/disksize", "536870912\n"),
        ("/etc/systemd/system/lowmem-tui-zram.service", "[Service]\n"),
    ],
)
def test_somebody_elses_zram_is_left_alone(
    tree: Tree, step: EnglishStep, path: str, text: str
) -> None:
    have_zram(tree)
    tree.write(path, text)
    assert "zram" not in items(step.look())
    (refusal,) = step.plan({"zram": "256M"}).refusals
    assert "that lowmem-tui did not set up" in refusal.text


@pytest.mark.parametrize(("size", "enough"), [(480, True), (256, True), (100, False)])
def test_zram_is_swap(tree: Tree, step: EnglishStep, size: int, enough: bool) -> None:
    tree.swaps(_dev_zram0=size)
    look = step.look()
    assert codes(look) == (set() if enough else {"swap-small"})
    assert items(look)["file"].done is enough
    assert proposed(step) == ({} if enough else {"file": "2G"})


def test_no_zram_here(step: EnglishStep) -> None:
    (refusal,) = step.plan({"zram": "256M"}).refusals
    assert "no zram" in refusal.text


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("size", "1G", "file, zram"),
        ("file", "much", "size"),
        ("file", "1M", "64M to 64G"),
        ("file", "65G", "64M to 64G"),
        ("zram", "8G", "twice the RAM"),
        ("zram", "1M", "16M to"),
    ],
)
def test_wrong_wishes(step: EnglishStep, key: str, value: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        step.plan({key: value})
