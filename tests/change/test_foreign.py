"""A file of somebody else's that is edited: it keeps all it has, and their own edit always wins."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from lowmem_tui.change.entry import apply, undo
from lowmem_tui.change.machine import attributes, exchange
from lowmem_tui.change.machine import files as module
from lowmem_tui.change.machine.files import EtcFiles
from lowmem_tui.model.errors import ChangedError, LowmemError, RefusedError, RolledBackError
from lowmem_tui.model.plan import FileChange, Plan
from lowmem_tui.setup.steps import allowed

from .box import Box, faults
from .faults import FaultyOs, Killed, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATH = "/etc/nginx/sites-available/app"
OLD, NEW, EDIT = "server {}\n", "server { limit_req zone=lowmem; }\n", "an hour's work\n"

ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
ANYBODY = 0xFFFFFFFF

root_alone = pytest.mark.skipif(os.getuid() != 0, reason="gives files to others")


def acl(*entries: tuple[int, int, int]) -> bytes:
    """(tag, rights, id) as the kernel has them (linux/posix_acl_xattr.h)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


DEPLOY_WRITES = acl(
    (1, 6, ANYBODY), (2, 6, 1000), (4, 4, ANYBODY), (0x10, 6, ANYBODY), (0x20, 0, ANYBODY)
)
DEPLOY_READS = acl(
    (1, 6, ANYBODY), (2, 4, 1000), (4, 0, ANYBODY), (0x10, 4, ANYBODY), (0x20, 0, ANYBODY)
)
FOR_ALL_NEW_FILES = acl(
    (1, 7, ANYBODY), (2, 7, 1000), (4, 7, ANYBODY), (0x10, 7, ANYBODY), (0x20, 0, ANYBODY)
)


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that everybody may look into (pytest closes its own to them)."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def site(root: Path) -> Path:
    path = root / PATH[1:]
    path.parent.mkdir(parents=True)
    path.write_text(OLD)
    return path


@pytest.fixture
def files(root: Path, site: Path) -> EtcFiles:
    assert site.exists()
    return EtcFiles(str(root), owner=os.getuid(), paths=allowed().paths)


class Os:
    """The real one, some calls apart."""

    def __init__(self, instead: dict[str, Callable[..., object]]) -> None:
        self._instead = instead

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return self._instead.get(name) or getattr(os, name)


def others(site: Path) -> list[str]:
    return [each.name for each in site.parent.iterdir() if each.name != "app"]


def everything(path: Path) -> object:
    fd = os.open(path, os.O_RDONLY)
    try:
        return attributes.of(fd), path.read_bytes(), path.stat().st_nlink
    finally:
        os.close(fd)


# What it has stays


def plain_file(site: Path) -> None:
    site.chmod(0o644)


def with_an_acl(site: Path) -> None:
    os.chown(site, 0, 33)
    site.chmod(0o640)
    os.setxattr(site, ACL, DEPLOY_WRITES)


def with_an_acl_in_a_folder_with_another(site: Path) -> None:
    with_an_acl(site)
    os.setxattr(site.parent, DEFAULT_ACL, FOR_ALL_NEW_FILES)


def in_a_folder_whose_acl_is_for_all_new_files(site: Path) -> None:
    os.setxattr(site.parent, DEFAULT_ACL, FOR_ALL_NEW_FILES)
    site.chmod(0o660)


def that_one_may_read(site: Path) -> None:
    site.chmod(0o600)
    os.setxattr(site, ACL, DEPLOY_READS)


def with_marks(site: Path) -> None:
    os.setxattr(site, "user.mark", b"1")
    os.setxattr(site, "user.empty", b"")
    os.setxattr(site, "trusted.t", b"\0\xff")
    os.setxattr(site, "security.label", b"system_u:object_r:httpd_config_t:s0")


def with_flags(site: Path) -> None:
    # Not dumped, no atime: given to the new one (chattr(1)).
    subprocess.run(["chattr", "+dA", str(site)], check=True)


def with_odd_bits(site: Path) -> None:
    os.chown(site, 0, 33)
    site.chmod(0o2750)


def in_a_folder_that_gives_its_group(site: Path) -> None:
    os.chown(site.parent, 0, 33)
    site.parent.chmod(0o2775)


KINDS: list[Callable[[Path], None]] = [
    plain_file,
    with_an_acl,
    with_an_acl_in_a_folder_with_another,
    in_a_folder_whose_acl_is_for_all_new_files,
    that_one_may_read,
    with_marks,
    with_flags,
    with_odd_bits,
    in_a_folder_that_gives_its_group,
]


def name_of(kind: Callable[[Path], None]) -> str:
    return kind.__name__


@root_alone
@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_an_edit_keeps_all_that_a_file_has(
    files: EtcFiles, site: Path, kind: Callable[[Path], None]
) -> None:
    kind(site)
    before = everything(site)
    assert files.obstacle(PATH) is None
    files.edit(PATH, NEW, OLD)
    assert site.read_text() == NEW
    files.write(PATH, OLD)
    assert everything(site) == before
    assert others(site) == []


@root_alone
@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_a_change_and_its_undo_leave_it_as_it_was(
    root: Path, site: Path, kind: Callable[[Path], None]
) -> None:
    kind(site)
    before = everything(site)
    box = Box(root)
    try:
        apply(box.site(), PLAN, box.situation)
        assert site.read_text() == NEW
        undo(box.site(), box.situation)
    finally:
        box.close()
    assert everything(site) == before


def may(site: Path, uid: int, gid: int, mode: str) -> bool:
    """Ask the kernel whether this user may open it so."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            open(site, mode).close()
        except BaseException:  # noqa: BLE001
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@root_alone
@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_nobody_ever_has_more_rights_than_before(
    site: Path, files: EtcFiles, kind: Callable[[Path], None]
) -> None:
    """At no call, and not to the file that is still being written either."""
    kind(site)
    users = ((1000, 1000), (33, 33), (65534, 65534))

    def rights(path: Path) -> set[tuple[int, str]]:
        return {(uid, how) for uid, gid in users for how in ("r", "a") if may(path, uid, gid, how)}

    allowed = rights(site)
    seen = set()

    class Watched(FaultyOs):
        def _wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: Any, **options: Any) -> object:  # noqa: ANN401
                for each in site.parent.iterdir():
                    # What changes the rights of a file changes this, too.
                    state = each.name, each.stat().st_ino, each.stat().st_ctime_ns
                    assert state in seen or rights(each) <= allowed, (each.name, name)
                    seen.add(state)
                return real(*arguments, **options)

            return call

    with faults(Watched()):
        files.edit(PATH, NEW, OLD)
    assert rights(site) == allowed


# What cannot stay


def a_hard_link(site: Path) -> None:
    enabled = site.parent.parent / "sites-enabled"
    enabled.mkdir()
    os.link(site, enabled / "app")


def an_immutable_flag(site: Path) -> None:
    subprocess.run(["chattr", "+i", str(site)], check=True)


def an_append_only_flag(site: Path) -> None:
    subprocess.run(["chattr", "+a", str(site)], check=True)


def an_append_only_folder(site: Path) -> None:
    subprocess.run(["chattr", "+a", str(site.parent)], check=True)


def a_signature(site: Path) -> None:
    os.setxattr(site, "security.ima", b"\x04" + b"\0" * 32)


def a_link_in_its_place(site: Path) -> None:
    site.rename(site.with_name("real"))
    site.symlink_to("real")


def a_pipe(site: Path) -> None:
    site.unlink()
    os.mkfifo(site)


@root_alone
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_hard_link, "2 names"),
        (an_immutable_flag, "chattr -i"),
        (an_append_only_flag, "chattr -a"),
        (an_append_only_folder, "chattr -a"),
        (a_signature, "signed"),
        (a_link_in_its_place, "symbolic link"),
        (a_pipe, "no ordinary file"),
    ],
)
def test_what_cannot_stay_is_reported_before_anything_is_written(
    root: Path, site: Path, files: EtcFiles, make: Callable[[Path], None], words: str
) -> None:
    make(site)
    before = sorted(os.listdir(site.parent)), os.lstat(site)
    box = Box(root)
    try:
        sentence = str(files.obstacle(PATH))
        assert words in sentence
        assert sentence.endswith(".")
        assert PATH.rpartition("/")[0] in sentence
        with pytest.raises(RefusedError, match=words):
            apply(box.site(), PLAN, box.situation, force=True)
        assert box.site().journal.records() == []
        with pytest.raises((LowmemError, OSError)):
            files.edit(PATH, NEW, OLD)
        now = os.lstat(site)
        assert (sorted(os.listdir(site.parent)), now.st_ino, now.st_mtime_ns) == (
            before[0],
            before[1].st_ino,
            before[1].st_mtime_ns,
        )
    finally:
        box.close()
        places = [str(site.parent), str(site)]
        subprocess.run(["chattr", "-ia", *places], check=False, capture_output=True)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EACCES, errno.EINVAL])
@pytest.mark.parametrize("call", ["setxattr", "fchown", "removexattr"])
def test_what_the_kernel_does_not_let_us_give_refuses_the_edit(
    files: EtcFiles, site: Path, call: str, error: int
) -> None:
    os.setxattr(site, "user.mark", b"1")
    if call == "removexattr":
        os.setxattr(site.parent, DEFAULT_ACL, FOR_ALL_NEW_FILES)
    before = everything(site)

    def no(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    with (
        mock.patch.object(attributes, "os", Os({call: no})),
        pytest.raises(RefusedError, match=f"of {PATH} cannot be copied"),
    ):
        files.edit(PATH, NEW, OLD)
    assert everything(site) == before
    assert others(site) == []


def test_what_was_given_is_looked_at(files: EtcFiles, site: Path) -> None:
    """A file system may take a value and not have it."""
    os.setxattr(site, "user.mark", b"1")
    forgetful = Os({"setxattr": lambda *_: None})
    with (
        mock.patch.object(attributes, "os", forgetful),
        pytest.raises(RefusedError, match="something of it differs"),
    ):
        files.edit(PATH, NEW, OLD)
    assert (site.read_text(), others(site)) == (OLD, [])


# Their edit wins


def save(site: Path) -> None:
    site.write_text(EDIT)


def save_as_a_new_file(site: Path) -> None:
    other = site.with_name("app~")
    other.write_text(EDIT)
    other.rename(site)


class Meanwhile(FaultyOs):
    """Somebody does something to the file at the n-th call."""

    def __init__(self, n: int, act: Callable[[], object]) -> None:
        super().__init__()
        self.n, self.act = n, act

    def _wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: Any, **options: Any) -> object:  # noqa: ANN401
            self.calls.append(name)
            if len(self.calls) - 1 == self.n:
                self.act()
            return real(*arguments, **options)

        return call


def calls_of(files: EtcFiles) -> list[str]:
    counting = FaultyOs()
    with faults(counting):
        files.edit(PATH, NEW, OLD)
    files.edit(PATH, OLD, NEW)
    return counting.calls


@pytest.mark.parametrize("how", [save, save_as_a_new_file])
@pytest.mark.parametrize("exchanges", [True, False])
def test_an_edit_at_any_call_wins(
    files: EtcFiles, site: Path, how: Callable[[Path], None], exchanges: bool
) -> None:
    """Where files cannot change places, compared and renamed is as near as it comes."""
    before = everything(site)
    calls = calls_of(files)
    last = len(calls)
    if not exchanges:
        # Looked at, and renamed with no call in between but that of closing.
        last = calls.index("renameat2")
    for n in range(last):
        site.write_text(OLD)
        said = ""
        with contextlib.ExitStack() as held:
            held.enter_context(faults(Meanwhile(n, partial(how, site))))
            if not exchanges:
                held.enter_context(mock.patch.object(exchange, "renameat2", unknown))
            try:
                files.edit(PATH, NEW, OLD)
            except ChangedError as error:
                said = str(error)
        assert site.read_text() == EDIT, (n, calls[n], said)
        assert not said or said.endswith(
            (" is not changed: check it.", " is not touched: check it.")
        ), said
        assert others(site) == [], (n, calls[n])
    site.write_text(OLD)
    assert everything(site) == before


def unknown(*_: object) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_an_editor_that_holds_it_open_wins_whenever_it_writes(files: EtcFiles, site: Path) -> None:
    """It was opened at any call, and is written when all is over: it is the file that is seen."""
    for n in range(len(calls_of(files))):
        site.write_text(OLD)
        held: list[int] = []

        def hold(into: list[int] = held) -> None:
            into.append(os.open(site, os.O_WRONLY))

        with faults(Meanwhile(n, hold)):
            try:
                files.edit(PATH, NEW, OLD)
            except ChangedError:
                assert site.read_text() == OLD
        os.ftruncate(held[0], 0)
        os.write(held[0], EDIT.encode())
        os.close(held[0])
        assert site.read_text() == EDIT, n
        assert others(site) == []


def close_to_others(site: Path) -> None:
    site.chmod(0o600)


def a_second_name(site: Path) -> None:
    os.link(site, site.parent.parent / "second")


def gone(site: Path) -> None:
    site.unlink()


def a_new_mark(site: Path) -> None:
    os.setxattr(site, "user.new", b"1")


def another_group(site: Path) -> None:
    os.chown(site, -1, 12)


@pytest.mark.parametrize(
    "how", [close_to_others, a_second_name, gone, a_new_mark, another_group], ids=name_of
)
def test_all_that_is_done_to_it_while_it_is_synced_stays(
    root: Path, site: Path, how: Callable[[Path], None]
) -> None:
    site.chmod(0o644)
    box = Box(root)

    def fsync(fd: int) -> None:
        if os.readlink(f"/proc/self/fd/{fd}").endswith("/.app.new"):
            how(site)
        os.fsync(fd)

    try:
        with (
            mock.patch.object(module, "os", Os({"fsync": fsync})),
            pytest.raises(
                RolledBackError, match=r"not (changed|touched).*everything has its previous value"
            ),
        ):
            apply(box.site(), PLAN, box.situation)
        theirs = tree(str(site.parent))
        assert ("./app" in theirs) is (how is not gone)
        assert others(site) == []
        (record,) = box.site().journal.records()
        assert record.state == "failed"
    finally:
        box.close()


def test_what_is_edited_before_it_is_our_turn(files: EtcFiles, site: Path) -> None:
    with pytest.raises(ChangedError):
        files.edit(PATH, NEW, "something else")
    site.unlink()
    with pytest.raises(ChangedError):
        files.edit(PATH, NEW, OLD)
    with pytest.raises(FileNotFoundError):
        files.edit(PATH, NEW, None)
    assert not site.exists()


def test_a_file_of_ours_that_is_edited_while_it_is_synced(root: Path) -> None:
    path = "/etc/systemd/system/a.service.d/zz-lowmem-tui.conf"
    ours = root / path[1:]
    ours.parent.mkdir(parents=True)
    ours.write_text("ours")
    files = EtcFiles(str(root), owner=os.getuid(), paths=allowed().paths)

    def fsync(fd: int) -> None:
        ours.write_text("theirs")
        os.fsync(fd)

    with (
        mock.patch.object(module, "os", Os({"fsync": fsync})),
        pytest.raises(ChangedError, match="edited meanwhile"),
    ):
        files.write(path, "new")
    assert [(each.name, each.read_text()) for each in ours.parent.iterdir()] == [
        ("zz-lowmem-tui.conf", "theirs")
    ]


# A crash


@pytest.mark.parametrize("edited", ["", "before", "after"])
def test_killed_at_any_call(files: EtcFiles, site: Path, edited: str) -> None:
    """The next one ends it; an edit that came before the death, or after it, is never lost."""
    has = everything(site)
    calls = calls_of(files)
    for n in range(len(calls)):
        for start in [n] if edited != "before" else range(max(0, n - 3), n):
            site.write_text(OLD)
            dying = FaultyOs(n, kill=True)
            if edited == "before":
                dying = Dying(n, start, partial(save, site))
            try:
                with faults(dying):
                    files.edit(PATH, NEW, OLD)
            except (Killed, ChangedError):
                pass
            if edited == "after":
                save_as_a_new_file(site)
            files.tidy(PATH)
            wanted = {EDIT} if edited else {OLD, NEW}
            assert site.read_text() in wanted, (n, start, calls[n])
            assert others(site) == [], (n, start, calls[n])
            if not edited:
                files.write(PATH, OLD)
                assert everything(site) == has


class Dying(Meanwhile):
    def __init__(self, n: int, at: int, act: Callable[[], object]) -> None:
        super().__init__(at, act)
        self._fail_at, self._kill = n, True

    def _wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        saved = super()._wrap(name, real)

        def call(*arguments: Any, **options: Any) -> object:  # noqa: ANN401
            if self._dead:
                if name == "close":
                    real(*arguments, **options)
                raise Killed
            if len(self.calls) == self._fail_at:
                self._dead = True
                if name == "close":
                    real(*arguments, **options)
                raise Killed
            return saved(*arguments, **options)

        return call


def test_a_number_that_was_given_again_is_not_taken_for_ours(files: EtcFiles, site: Path) -> None:
    """After the crash the file was saved twice: the second one may have the inode of ours."""
    calls = calls_of(files)
    n = calls.index("renameat2") + 1
    with faults(FaultyOs(n, kill=True)), pytest.raises(Killed):
        files.edit(PATH, NEW, OLD)
    (left,) = others(site)
    number, time = left.split(".")[2].split("-")[:2]
    assert (site.stat().st_ino, site.stat().st_mtime_ns) == (int(number), int(time))
    site.write_text(EDIT)
    files.tidy(PATH)
    assert (site.read_text(), others(site)) == (EDIT, [])


def test_what_two_others_have_left_is_left_to_them(files: EtcFiles, site: Path) -> None:
    """An edit that we had in our hands as we died, and another one in its place since."""
    calls = calls_of(files)
    n = calls.index("renameat2")
    with faults(Dying(n + 1, n, partial(save, site))), pytest.raises(Killed):
        files.edit(PATH, NEW, OLD)
    (left,) = others(site)
    save_as_a_new_file(site)
    files.tidy(PATH)
    files.edit(PATH, NEW, EDIT)
    assert site.read_text() == NEW
    assert [site.with_name(name).read_text() for name in others(site)] == [EDIT]
    assert others(site) == [left]


def test_every_call_fails_once(files: EtcFiles, site: Path) -> None:
    has = everything(site)
    for error in (errno.EIO, errno.ENOSPC, errno.EROFS):
        for n in range(len(calls_of(files))):
            with faults(FaultyOs(n, error)), pytest.raises(OSError, match=os.strerror(error)):
                files.edit(PATH, NEW, OLD)
            assert site.read_text() in {OLD, NEW}
            files.write(PATH, OLD)
            assert everything(site) == has
            assert others(site) == []


def test_a_file_that_is_too_large_is_not_read(files: EtcFiles, site: Path) -> None:
    with site.open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(OSError) as caught:
        files.obstacle(PATH)
    assert caught.value.errno == errno.EFBIG


PLAN = Plan((), (FileChange(PATH, OLD, NEW),), (), (), (), ())
