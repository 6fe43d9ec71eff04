"""The writer of drop-ins: whole or not at all, and nothing but ours."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.machine import files as module
from lowmem_tui.change.machine.files import EtcFiles, temporary
from lowmem_tui.model.errors import RefusedError
from lowmem_tui.setup.steps import allowed

from .faults import FaultyOs, Killed, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATH = "/etc/systemd/system/a.service.d/zz-lowmem-tui.conf"
TRIAL = "/run/systemd/system/a.service.d/zzz-lowmem-tui-trial.conf"
OLD = "[Service]\nMemoryMax=1G\n" * 50
NEW = "[Service]\nMemoryMax=2G\n" * 60
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place in ("etc/systemd/system", "run/systemd/system"):
        (tmp_path / place).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def files(root: Path) -> EtcFiles:
    return EtcFiles(str(root), owner=os.getuid(), paths=allowed().paths)


def at(root: Path, path: str) -> Path:
    return root / path[1:]


def write(files: EtcFiles) -> None:
    files.write(PATH, NEW)


def remove(files: EtcFiles) -> None:
    files.remove(PATH)


def test_writes_reads_and_removes(files: EtcFiles, root: Path) -> None:
    assert files.read(PATH) is None
    for text in (NEW, OLD, "", "odd \udcff byte, ünïcode\r\n\0"):
        files.write(PATH, text)
        assert files.read(PATH) == text
    files.remove(PATH)
    assert files.read(PATH) is None
    assert list((root / "etc/systemd/system").iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_are_ours_whatever_the_umask(files: EtcFiles, root: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.write(PATH, OLD)
    finally:
        os.umask(before)
    assert at(root, PATH).stat().st_mode & 0o7777 == 0o644
    assert at(root, PATH).parent.stat().st_mode & 0o7777 == 0o755


ODD_NAMES = {
    "escaped": r"worker@a\x2db.service",
    "an instance": "worker@1:2.service",
    "the longest whose folder has a name": f"{'u' * 245}.service",
}


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_odd_names_make_one_folder(files: EtcFiles, root: Path, name: str) -> None:
    path = f"/etc/systemd/system/{name}.d/zz-lowmem-tui.conf"
    files.write(path, OLD)
    assert [p.name for p in (root / "etc/systemd/system").iterdir()] == [f"{name}.d"]
    assert files.obstacle(path) is None
    files.remove(path)
    assert list((root / "etc/systemd/system").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["ünit.service", "a\u202eb.service", "a\nb.service", "a\x1b[2J.service", "a/b.service"]
)
def test_names_that_systemd_would_not_take_make_no_path(files: EtcFiles, name: str) -> None:
    with pytest.raises(PermissionError, match="no file of lowmem-tui"):
        files.write(f"/etc/systemd/system/{name}.d/zz-lowmem-tui.conf", OLD)


def test_a_name_that_is_too_long_for_a_folder(files: EtcFiles, root: Path) -> None:
    path = f"/etc/systemd/system/{'u' * 247}.service.d/zz-lowmem-tui.conf"
    with pytest.raises(OSError, match="too long"):
        files.write(path, OLD)
    assert list((root / "etc/systemd/system").iterdir()) == []


def test_a_folder_that_was_there_keeps_its_mode(files: EtcFiles, root: Path) -> None:
    folder = at(root, PATH).parent
    folder.mkdir(mode=0o700)
    files.write(PATH, OLD)
    assert folder.stat().st_mode & 0o7777 == 0o700


def test_removing_leaves_the_files_of_others(files: EtcFiles, root: Path) -> None:
    other = at(root, PATH).with_name("override.conf")
    files.write(PATH, OLD)
    other.write_text("theirs")
    files.remove(PATH)
    files.remove(PATH)
    assert other.read_text() == "theirs"
    other.unlink()
    other.parent.rmdir()
    files.remove(PATH)


def test_under_run_too(files: EtcFiles, root: Path) -> None:
    files.write(TRIAL, NEW)
    assert at(root, TRIAL).read_text() == NEW
    files.remove(TRIAL)
    assert not at(root, TRIAL).parent.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/systemd/system/a.service",
        "/etc/systemd/system/zz-lowmem-tui.conf",
        "/etc/systemd/system/a.service.d/override.conf",
        "/etc/systemd/system/a.service.d/zzz-lowmem-tui-trial.conf",
        "/run/systemd/system/a.service.d/zz-lowmem-tui.conf",
        "/etc/systemd/system/a.service/zz-lowmem-tui.conf",
        "/etc/systemd/system/a.d/zz-lowmem-tui.conf",
        "/etc/systemd/system/.d/zz-lowmem-tui.conf",
        "/etc/systemd/system/../a.service.d/zz-lowmem-tui.conf",
        "/etc/systemd/system/x/a.service.d/zz-lowmem-tui.conf",
        "/etc/systemd/system/a b.service.d/zz-lowmem-tui.conf",
        "/etc/systemd/system//zz-lowmem-tui.conf",
        "/usr/lib/systemd/system/a.service.d/zz-lowmem-tui.conf",
        "etc/systemd/system/a.service.d/zz-lowmem-tui.conf",
        "/etc/systemd/system.control/a.service.d/zz-lowmem-tui.conf",
        "/etc/sysctl.d/99-sysctl.conf",
        "/etc/sysctl.d/zz-lowmem-tui.conf/x",
        "/etc/systemd/system/other.swap",
        "/etc/nginx/../passwd",
        "/etc/nginx/sites-enabled/../../passwd",
        "/etc/nginx//site",
        "/etc/nginx/sites-enabled/.hidden",
        "/etc/nginx/sites-enabled/a\nb",
        "",
    ],
)
def test_nothing_else_can_be_written_or_removed(files: EtcFiles, root: Path, path: str) -> None:
    before = tree(str(root))
    with pytest.raises(PermissionError, match="no file of lowmem-tui"):
        files.write(path, NEW)
    with pytest.raises(PermissionError, match="no file of lowmem-tui"):
        files.remove(path)
    assert tree(str(root)) == before


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o664])
def test_somebody_else_s_file_stays_theirs(files: EtcFiles, root: Path, mode: int) -> None:
    path = "/etc/nginx/sites-available/site"
    site = at(root, path)
    site.parent.mkdir(parents=True)
    site.write_text(OLD)
    group = 33 if os.getuid() == 0 else os.getgid()
    os.chown(site, -1, group)
    site.chmod(mode)
    assert files.obstacle(path) is None
    files.write(path, NEW)
    found = site.stat()
    assert (site.read_text(), found.st_mode & 0o7777, found.st_gid) == (NEW, mode, group)
    assert [each.name for each in site.parent.iterdir()] == ["site"]
    with pytest.raises(PermissionError, match="no file of lowmem-tui"):
        files.remove(path)
    with pytest.raises(FileNotFoundError):
        files.write("/etc/nginx/sites-available/new", NEW)


def test_no_link_is_followed(files: EtcFiles, root: Path) -> None:
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "zz-lowmem-tui.conf").write_text("theirs")
    at(root, PATH).parent.symlink_to(elsewhere)
    assert "symbolic link" in str(files.obstacle(PATH))
    for act in (write, remove):
        with pytest.raises(OSError) as caught:
            act(files)
        assert caught.value.errno in {errno.ELOOP, errno.ENOTDIR}
    assert (elsewhere / "zz-lowmem-tui.conf").read_text() == "theirs"


def test_a_link_in_place_of_the_file(files: EtcFiles, root: Path) -> None:
    target = root / "target"
    target.write_text("theirs")
    at(root, PATH).parent.mkdir()
    at(root, PATH).symlink_to(target)
    assert "symbolic link" in str(files.obstacle(PATH))
    files.write(PATH, NEW)
    assert target.read_text() == "theirs"
    assert at(root, PATH).read_text() == NEW


def test_a_link_in_place_of_the_temporary_file(files: EtcFiles, root: Path) -> None:
    target = root / "target"
    target.write_text("theirs")
    at(root, PATH).parent.mkdir()
    at(root, PATH).with_name(temporary("zz-lowmem-tui.conf")).symlink_to(target)
    files.write(PATH, NEW)
    assert target.read_text() == "theirs"
    assert at(root, PATH).read_text() == NEW


def make_file(folder: Path) -> None:
    folder.write_text("")


def make_writable(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def make_group_writable(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o775)
    os.chown(folder, -1, 33 if os.getuid() == 0 else max(os.getgroups()))


def make_inner_folder(folder: Path) -> None:
    (folder / "zz-lowmem-tui.conf").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_file, "no ordinary folder"),
        (make_writable, "written by everybody"),
        (make_group_writable, "written by group"),
        (make_inner_folder, "no ordinary file"),
    ],
)
def test_obstacles(files: EtcFiles, root: Path, make: Callable[[Path], None], words: str) -> None:
    assert files.obstacle(PATH) is None
    make(at(root, PATH).parent)
    assert words in str(files.obstacle(PATH))
    assert str(files.obstacle(PATH)).endswith(".")


def test_odd_owner(files: EtcFiles, root: Path) -> None:
    files.write(PATH, OLD)
    assert files.obstacle(PATH) is None
    others = EtcFiles(str(root), owner=os.getuid() + 1)
    assert "not to root" in str(others.obstacle(PATH))
    with pytest.raises(PermissionError):
        others.write(PATH, NEW)
    with pytest.raises(PermissionError):
        others.remove(PATH)
    assert files.read(PATH) == OLD


def test_no_place_at_all(tmp_path: Path) -> None:
    files = EtcFiles(str(tmp_path), owner=os.getuid(), paths=allowed().paths)
    assert files.obstacle(PATH) is None
    assert files.read(PATH) is None
    with pytest.raises(FileNotFoundError):
        files.write(PATH, NEW)


def test_reading_what_is_no_file(files: EtcFiles, root: Path) -> None:
    (root / "etc/systemd/system/masked.service").symlink_to("/dev/null")
    os.mkfifo(root / "etc/systemd/system/pipe.service")
    assert files.read("/etc/systemd/system/masked.service") == ""
    with pytest.raises(OSError, match="not a regular file"):
        files.read("/etc/systemd/system/pipe.service")
    with pytest.raises(IsADirectoryError):
        files.read("/etc/systemd/system")


def test_one_at_a_time(files: EtcFiles, root: Path) -> None:
    with (
        files.exclusive(),
        pytest.raises(RefusedError, match=f"process {os.getpid()}"),
        EtcFiles(str(root)).exclusive(),
    ):
        raise AssertionError
    with files.exclusive():
        assert (root / "run/lowmem-tui.lock").stat().st_mode & 0o777 == 0o600


def test_byte_by_byte(files: EtcFiles, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "os", FaultyOs(byte_by_byte=True))
    files.write(PATH, NEW)
    assert at(root, PATH).read_text() == NEW


def test_a_reader_sees_the_old_or_the_new_one(files: EtcFiles) -> None:
    files.write(PATH, OLD)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            files.write(PATH, NEW)
            files.write(PATH, OLD)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert {files.read(PATH) for _ in range(500)} <= {OLD, NEW}
    finally:
        stop.set()
        thread.join()


CASES = [(write, None), (write, OLD), (remove, OLD)]


def calls_of(act: Callable[[EtcFiles], None], files: EtcFiles) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        faulty = FaultyOs()
        patch.setattr(module, "os", faulty)
        act(files)
    return faulty.calls


def prepare(files: EtcFiles, root: Path, before: str | None) -> None:
    files.remove(PATH)
    if before is not None:
        files.write(PATH, before)


@pytest.mark.parametrize(("act", "before"), CASES)
@pytest.mark.parametrize("error", ERRORS)
def test_every_system_call_fails_once(
    files: EtcFiles,
    root: Path,
    act: Callable[[EtcFiles], None],
    before: str | None,
    error: int,
) -> None:
    prepare(files, root, before)
    old = tree(str(root))
    calls = calls_of(act, files)
    new = tree(str(root))
    assert {"open", "fsync"} < set(calls)
    for n in range(len(calls)):
        prepare(files, root, before)
        assert tree(str(root)) == old
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "os", FaultyOs(n, error))
            with pytest.raises(OSError) as caught:
                act(files)
            assert caught.value.errno == error
        left = tree(str(root))
        # A folder that could not be removed, empty, is the one thing that may be left.
        left_without_empty = {
            name: what
            for name, what in left.items()
            if name in new or not name.endswith(".service.d")
        }
        assert left == old or left_without_empty == new, (n, calls[n])


@pytest.mark.parametrize(("act", "before"), CASES)
def test_killed_at_every_system_call(
    files: EtcFiles, root: Path, act: Callable[[EtcFiles], None], before: str | None
) -> None:
    prepare(files, root, before)
    calls = calls_of(act, files)
    after = files.read(PATH)
    for n in range(len(calls)):
        prepare(files, root, before)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "os", FaultyOs(n, kill=True))
            with pytest.raises(Killed):
                act(files)
        assert files.read(PATH) in {before, after}, (n, calls[n])
        folder = at(root, PATH).parent
        if folder.exists():
            others = {path.name for path in folder.iterdir()} - {"zz-lowmem-tui.conf"}
            assert others <= {temporary("zz-lowmem-tui.conf")}
            assert not any(name.endswith(".conf") for name in others)
        # The next one cleans up.
        files.write(PATH, OLD)
        assert {path.name for path in folder.iterdir()} == {"zz-lowmem-tui.conf"}


def test_the_order_is_durable(files: EtcFiles) -> None:
    """The data is on the disk before its name is, and the name before write returns."""
    calls = calls_of(write, files)
    assert calls.index("write") < calls.index("fsync", calls.index("write"))
    assert calls.index("fsync", calls.index("write")) < calls.index("rename")
    assert "fsync" in calls[calls.index("rename") :]
    assert "fsync" in calls[calls.index("mkdir") : calls.index("write")]
    calls = calls_of(remove, files)
    assert "fsync" in calls[calls.index("rmdir") :]
