"""Builds the lab's disk images once and keeps them in a cache.

``image(suite)`` is a Debian with the program's dependencies in two virtual environments;
``prepared(suite, wheel)`` is the same with the program itself installed. Both are made on the
host, at the host's speed: the guest never runs an installer.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PATH_WITH_SBIN: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
REQUIRED_TOOLS: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "mkswap": "util-linux",
    "ssh": "openssh-client",
}


class LabError(Exception):
    """The lab cannot do what was asked; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Image:
    """A bootable disk with its kernel; the files are shared and never written to."""

    suite: str
    disk: Path
    kernel: Path
    initrd: Path
    swap: Path
    key: Path


def cache_dir() -> Path:
    """Where everything that can be built again is kept."""
    chosen = os.environ.get("LOWMEM_LAB_CACHE")
    path = Path(chosen) if chosen else Path.home() / ".cache" / "lowmem-tui-lab"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def check_tools() -> None:
    """Raise a LabError that names the packages to install, if any is missing."""
    missing = sorted(
        package
        for tool, package in REQUIRED_TOOLS.items()
        if shutil.which(tool, path=PATH_WITH_SBIN) is None
    )
    if missing:
        raise LabError(f"The lab needs these packages: apt-get install {' '.join(missing)}")


def image(suite: str) -> Image:
    """The base image of a suite, built on first use."""
    check_tools()
    tree_key = _recipe_hash(suite)
    return _image(suite, f"{suite}-{tree_key}", None)


def prepared(suite: str, wheel: Path) -> Image:
    """The image of a suite with `wheel` installed in both virtual environments."""
    check_tools()
    digest = hashlib.sha256(recipe.INSTALL.encode())
    digest.update(wheel.read_bytes())
    return _image(suite, f"{suite}-{_recipe_hash(suite)}-{digest.hexdigest()[:12]}", wheel)


def program_dependencies(pyproject: Path = REPOSITORY / "pyproject.toml") -> tuple[str, ...]:
    """The requirements of the program, without its extras."""
    try:
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    except (FileNotFoundError, KeyError):
        return recipe.DEFAULT_DEPENDENCIES
    found = project.get("dependencies", ())
    return tuple(sorted(str(entry) for entry in found))


def ssh_key() -> Path:
    """The private key that opens the lab's machines, made on first use."""
    key = cache_dir() / "id_ed25519"
    with lock("key"):
        if not key.exists():
            _tool(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key)])
    return key


@functools.cache
def _recipe_hash(suite: str) -> str:
    if suite not in recipe.SUITES:
        raise LabError(f"There is no suite {suite!r}: choose from {', '.join(recipe.SUITES)}.")
    ingredients = recipe.SUITES[suite].ingredients
    digest = hashlib.sha256(repr((ingredients, _requirements())).encode())
    digest.update(ssh_key().with_suffix(".pub").read_bytes())
    return digest.hexdigest()[:12]


def _requirements() -> tuple[str, ...]:
    return (*program_dependencies(), *recipe.TEST_DEPENDENCIES)


def _image(suite: str, name: str, wheel: Path | None) -> Image:
    images = cache_dir() / "images"
    images.mkdir(exist_ok=True)
    disk = images / f"{name}.qcow2"
    tree = _tree(suite)
    size = recipe.SUITES[suite].disk_size
    with lock(name):
        if not disk.exists():
            if wheel is None:
                _disk_from_tree(tree, disk, size)
            else:
                with _scratch() as scratch:
                    changed = scratch / "root"
                    _install(tree, changed, wheel)
                    _disk_from_tree(changed, disk, size)
    return Image(
        suite=suite,
        disk=disk,
        kernel=tree / "lab" / "vmlinuz",
        initrd=tree / "lab" / "initrd",
        swap=_swap_disk(),
        key=ssh_key(),
    )


def _tree(suite: str) -> Path:
    """The root directory of a suite, complete but for the program itself."""
    trees = cache_dir() / "trees"
    trees.mkdir(exist_ok=True)
    tree = trees / f"{suite}-{_recipe_hash(suite)}"
    with lock(tree.name):
        if not tree.exists():
            if os.geteuid() != 0:
                raise LabError("Building the lab's image needs root, once: run it as root.")
            wheels = _wheels(suite)
            with _scratch() as scratch:
                _bootstrap(suite, wheels, scratch)
                (scratch / "root").rename(tree)
    return tree


def _bootstrap(suite: str, wheels: Path, scratch: Path) -> None:
    staged = scratch / "staged"
    wanted = recipe.SUITES[suite]
    for name, text in wanted.files.items():
        path = staged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    lab = staged / "lab"
    shutil.copytree(wheels, lab / "wheels")
    shutil.copyfile(ssh_key().with_suffix(".pub"), lab / "authorized_keys")
    (lab / "setup").write_text(recipe.SETUP, encoding="utf-8")
    (lab / "own").write_text(wanted.own, encoding="utf-8")
    stage = f'tar -C "{staged}" -cf - . | tar -C "$1" --no-overwrite-dir -xf -'
    _tool(
        [
            # In a mount namespace of its own, so that none of its mounts outlives it.
            *("unshare", "--mount", "--propagation", "private", "--"),
            "mmdebstrap",
            "--mode=root",
            "--variant=apt",
            "--format=directory",
            f"--include={','.join(wanted.packages)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.EXCLUDED),
            '--aptopt=Acquire::Retries "5"',
            f"--customize-hook={stage}",
            '--customize-hook=chroot "$1" sh /lab/setup',
            wanted.release,
            str(scratch / "root"),
        ]
    )
    # Tools that make a tree also fill this one in: the guest must find it empty.
    (scratch / "root" / "etc" / "machine-id").write_text("")
    shutil.rmtree(scratch / "root" / "lab" / "wheels")


def _wheels(suite: str) -> Path:
    """The wheels of the program's dependencies for the Python of a suite."""
    python = recipe.SUITES[suite].python
    requirements = _requirements()
    key = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:12]
    store = cache_dir() / "wheels"
    store.mkdir(exist_ok=True)
    wheels = store / f"{python}-{key}"
    with lock(f"wheels-{wheels.name}"):
        if not wheels.exists():
            with _scratch() as scratch:
                _tool(
                    [
                        *(sys.executable, "-m", "pip", "download", "--quiet"),
                        *("--only-binary=:all:", "--python-version", python),
                        *("--implementation", "cp"),
                        *("--abi", f"cp{python.replace('.', '')}", "--abi", "abi3"),
                        *("--abi", "none"),
                        *("--platform", "manylinux2014_x86_64"),
                        *("--platform", "manylinux_2_28_x86_64", "--platform", "any"),
                        *("--dest", str(scratch / "wheels")),
                        *requirements,
                    ]
                )
                (scratch / "wheels").rename(wheels)
    return wheels


def _install(tree: Path, changed: Path, wheel: Path) -> None:
    """Make `changed` a copy of `tree` with the wheel installed in it.

    The copy is made of hard links: an installer replaces files, it does not write into them.
    """
    if os.geteuid() != 0:
        raise LabError("Installing into the lab's image needs root: run it as root.")
    _tool(["cp", "-al", str(tree), str(changed)])
    shutil.copy(wheel, changed / "lab")
    _tool(["chroot", str(changed), "/bin/sh", "-c", recipe.INSTALL])


def _disk_from_tree(tree: Path, disk: Path, size: str) -> None:
    with _scratch() as scratch:
        raw = scratch / "disk.raw"
        _tool(
            [
                *("mke2fs", "-q", "-t", "ext4", "-L", "root", "-m", "1"),
                *("-E", "assume_storage_prezeroed=1,root_owner=0:0"),
                *("-d", str(tree), str(raw), size),
            ]
        )
        _to_qcow2(raw, disk)


def _swap_disk() -> Path:
    """An empty swap area, found by its label."""
    disk = cache_dir() / f"swap-{recipe.SWAP_SIZE_MIB}.qcow2"
    with lock("swap"):
        if not disk.exists():
            with _scratch() as scratch:
                raw = scratch / "swap.raw"
                raw.touch(mode=0o600)
                os.truncate(raw, recipe.SWAP_SIZE_MIB << 20)
                _tool(["mkswap", "-q", "-L", "swap", str(raw)])
                _to_qcow2(raw, disk)
    return disk


def _to_qcow2(raw: Path, disk: Path) -> None:
    made = raw.with_suffix(".qcow2")
    _tool(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made)])
    made.chmod(0o444)
    made.rename(disk)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder on the cache's file system that is gone afterwards, so results can be renamed."""
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache_dir()) as name:
        yield Path(name)


@contextmanager
def lock(name: str) -> Iterator[None]:
    """One builder at a time, also between processes and between threads."""
    locks = cache_dir() / "locks"
    locks.mkdir(exist_ok=True)
    with (locks / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _tool(command: Sequence[str]) -> None:
    """Run a tool of the host; what it said is in the error if it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, "PATH": PATH_WITH_SBIN},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise LabError(f"{command[0]} failed with {done.returncode} in the lab:\n{tail}")
