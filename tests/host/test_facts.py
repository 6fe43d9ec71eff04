"""What machine this is, read from small trees."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.host.facts import LocalInspector
from lowmem_tui.model.setup import FolderUsage, HostFacts

if TYPE_CHECKING:
    from pathlib import Path

KERNEL = os.uname().release


def facts(root: Path, files: dict[str, str]) -> HostFacts:
    for path, text in files.items():
        at = root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text)
    return LocalInspector(str(root), str(root / "proc")).facts()


@pytest.mark.parametrize(
    ("files", "container"),
    [
        ({}, ""),
        ({"run/systemd/container": "lxc\n"}, "lxc"),
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({"proc/1/environ": "PATH=/bin\0container=lxc\0TERM=x\0"}, "lxc"),
        ({"proc/1/environ": "PATH=/bin\0nocontainer=1\0"}, ""),
        # OpenVZ: /proc/vz in a guest, /proc/bc as well on its host.
        ({"proc/vz/veinfo": ""}, "openvz"),
        ({"proc/vz/veinfo": "", "proc/bc/resources": ""}, ""),
    ],
)
def test_the_container(tmp_path: Path, files: dict[str, str], container: str) -> None:
    assert facts(tmp_path, files).container == container


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        ("/dev/vda1 / ext4 rw 0 0\n", "ext4"),
        ("rootfs / rootfs rw 0 0\n/dev/vda1 / btrfs rw,subvol=/@ 0 0\n", "btrfs"),
        ("overlay / overlay rw 0 0\n/dev/vda1 /etc/hosts ext4 rw 0 0\n", "overlay"),
        ("", "unknown"),
    ],
)
def test_the_file_system(tmp_path: Path, mounts: str, found: str) -> None:
    assert facts(tmp_path, {"proc/self/mounts": mounts}).root_filesystem == found


@pytest.mark.parametrize(
    ("files", "zram"),
    [
        ({}, False),
        ({"sys/module/zram/refcnt": "0"}, True),
        ({f"lib/modules/{KERNEL}/modules.dep": "kernel/drivers/block/zram/zram.ko.xz:\n"}, True),
        ({f"lib/modules/{KERNEL}/modules.builtin": "kernel/drivers/block/zram/zram.ko\n"}, True),
        # A module that needs it, and another kernel's.
        ({f"lib/modules/{KERNEL}/modules.dep": "kernel/x.ko: kernel/block/zram/zram.ko\n"}, False),
        ({"lib/modules/0/modules.dep": "kernel/drivers/block/zram/zram.ko:\n"}, False),
    ],
)
def test_zram(tmp_path: Path, files: dict[str, str], zram: bool) -> None:
    assert facts(tmp_path, files).zram is zram


@pytest.mark.parametrize(
    ("files", "name", "systemd"),
    [
        ({}, "Linux", None),
        (
            {
                "etc/os-release": 'NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
                "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so": "",
            },
            "Debian GNU/Linux 12 (bookworm)",
            252,
        ),
        (
            {
                "usr/lib/os-release": "PRETTY_NAME='Ubuntu 24.04.1 LTS'\n",
                "usr/lib/aarch64-linux-gnu/systemd/libsystemd-shared-255.so": "",
            },
            "Ubuntu 24.04.1 LTS",
            255,
        ),
        ({"usr/lib/systemd/libsystemd-shared-257.13-1.so": ""}, "Linux", 257),
    ],
)
def test_names(tmp_path: Path, files: dict[str, str], name: str, systemd: int | None) -> None:
    found = facts(tmp_path, files)
    assert (found.distribution, found.systemd) == (name, systemd)


def test_figures(tmp_path: Path) -> None:
    found = facts(tmp_path, {"sys/fs/cgroup/cgroup.controllers": "memory"})
    assert found.unified
    assert found.root_writable
    assert 0 < found.root_free <= found.root_total
    assert found.processors >= 1
    assert not facts(tmp_path / "other", {"proc/uptime": ""}).unified


def test_usage(tmp_path: Path) -> None:
    inspector = LocalInspector(str(tmp_path))
    assert inspector.usage("/none") is None
    folder = tmp_path / "var"
    (folder / "deep").mkdir(parents=True)
    assert inspector.usage("/var") == FolderUsage(0, 0, None)
    (folder / "a").write_bytes(b"x" * 5000)
    (folder / "deep/b").write_bytes(b"x" * 100)
    (folder / "deep/link").symlink_to("/etc/passwd")
    os.utime(folder / "deep/b", (1000, 1000))
    found = inspector.usage("/var")
    assert found is not None
    assert (found.files, found.oldest) == (2, 1000)
    assert found.bytes >= 5100


def test_pss_and_names(tmp_path: Path) -> None:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/smaps_rollup").write_text("Rss: 100 kB\nPss:    40 kB\nPss_Dirty: 1 kB\n")
    inspector = LocalInspector(str(tmp_path), str(tmp_path / "proc"))
    assert inspector.pss(7) == 40 * 1024
    assert inspector.pss(8) is None
    assert inspector.names("/proc") == ["7"]
    assert inspector.names("/none") == []
    (tmp_path / "link").symlink_to("proc")
    assert inspector.real_path("/link/7") == "/proc/7"


def test_folders_nested_deeper_than_a_path_can_be_are_counted_as_far_as_one_reaches(
    tmp_path: Path,
) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("abc", dir_fd=at)
        below = os.open("abc", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    try:
        (tmp_path / "abc" / "file").write_text("x")
        usage = LocalInspector(str(tmp_path)).usage("/")
        assert usage is not None
        assert usage.files == 1
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "abc")], check=True)
