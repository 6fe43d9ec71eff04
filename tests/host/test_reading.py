"""Files that others may have written: bounded in size and time."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.host.reading import read_regular

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_whole_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    assert read_regular(str(tmp_path / "a"), 1000) == b"x" * 1000
    with pytest.raises(OSError, match="larger than") as caught:
        read_regular(str(tmp_path / "a"), 999)
    assert caught.value.errno == errno.EFBIG


def test_a_sparse_file_of_a_gibibyte_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(OSError, match="larger than 1024 KiB"):
        read_regular(str(tmp_path / "big"))


def test_an_absent_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read_regular(str(tmp_path / "a")) is None
    assert read_regular(str(tmp_path / "file/below")) is None


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(str(tmp_path / "fifo"))


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(device)


def test_dev_null_masks_a_unit_and_reads_as_empty(tmp_path: Path) -> None:
    (tmp_path / "masked.service").symlink_to("/dev/null")
    assert read_regular(str(tmp_path / "masked.service")) == b""


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_regular(str(tmp_path))


def test_a_file_of_the_kernel_whose_size_is_not_known_is_read() -> None:
    assert b"MemTotal" in (read_regular("/proc/meminfo") or b"")
