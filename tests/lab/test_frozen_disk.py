"""The disk of a machine at random moments of changes: what a power cut would leave there.

The machine is stopped between two instructions and its disk copied, some hundred times while it
applies, tries, confirms and undoes. Each copy is what the disk holds when the power fails at that
moment. Its file system is repaired as a boot does it (the journal is replayed), and the program
settles what it finds, on the demo server's systemd. test_power_cut.py boots real ones, which takes
minutes for each; here ``LOWMEM_LAB_FROZEN`` (default 30) says how many copies there are in which a
change is under way; those between two changes come in addition.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.entry import settled
from lowmem_tui.change.records.records import OPEN
from lowmem_tui.model.change import KEPT, State
from tests.change.box import Box

from .image import LabError
from .test_power_cut import FILES, SETS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lowmem_tui.change.records.record import Record

    from .conftest import Boot
    from .machine import Machine

UNDER_WAY = int(os.environ.get("LOWMEM_LAB_FROZEN", "30"))
SEED = int(os.environ.get("LOWMEM_LAB_SEED", "1"))
LONGEST = 1500.0
"""Seconds that the machine works at the most."""
PLACES = ("/var/lib/lowmem-tui", "/var/log/lowmem-tui")
FOLDERS = (*PLACES, *(path.rpartition("/")[0] for path in FILES))
APPLY = f"lowmem-tui apply {SETS} --yes"
BETWEEN = "between two changes"
LOOP = f"""cd /root; rm -rf {" ".join(PLACES)} stop
while [ ! -e stop ]; do
  {APPLY}; lowmem-tui undo; {APPLY} --trial 3600; lowmem-tui confirm; lowmem-tui undo
  {APPLY} --trial 3600; lowmem-tui undo
done >log 2>&1"""


def extracted(disk: Path, folder: Path) -> Path:
    """Repair the file system as a boot would, and return a folder with the places that count."""
    raw, root = folder / "raw", folder / "root"
    subprocess.run(["qemu-img", "convert", "-W", "-O", "raw", str(disk), str(raw)], check=True)
    mended = subprocess.run(
        ["e2fsck", "-fy", str(raw)], capture_output=True, text=True, check=False
    )
    # 1: the journal was replayed, or an unlinked file that was still open was freed.
    assert mended.returncode in {0, 1}, mended.stdout
    for place in FOLDERS:
        to = root / place[1:].rpartition("/")[0]
        to.mkdir(parents=True, exist_ok=True)
        command = ["debugfs", "-R", f"rdump {place} {to}", str(raw)]
        subprocess.run(command, capture_output=True, check=True)
    raw.unlink()
    return root


def unended(records: Sequence[Record]) -> str:
    """What the newest change is at, if it has not ended."""
    if not records or records[-1].state not in OPEN:
        return ""
    newest = records[-1]
    if newest.state is State.APPLYING:
        return "undoing" if newest.undoes else "trying" if newest.trial else "applying"
    return str(newest.state)


def check(root: Path, made: dict[str, str]) -> str:
    """Settle what the disk holds; returns what was under way, and what has come of it."""
    drop_ins = {path: root / path[1:] for path in FILES}
    for path, file in drop_ins.items():
        assert not file.exists() or file.read_text() == made[path], (path, file.read_text())
    names = list((root / "var/lib/lowmem-tui").glob("[0-9]*.json"))
    box = Box(root)
    box.boot = "the boot after"
    try:
        box.reload()
        records = box.site().journal.records()
        # None is cut off.
        assert len(records) == len(names)
        at = unended(records)
        said = settled(box.site())
        # A trial that only ran is over, and that is told as well.
        assert bool(said) is bool(at), (said, at)
        assert settled(box.site()) == []
        records = box.site().journal.records()
        assert unended(records) == ""
        assert box.half_files() == []
        # The history tells what is there.
        kept = [record for record in records if record.state in KEPT]
        force = bool(kept) and not kept[-1].undoes
        there = {file.exists() for file in drop_ins.values()}
        assert there == {force}, (at, said, [(r.id, r.state, r.undoes) for r in records])
        return f"{at}: {records[-1].state}" if at else BETWEEN
    finally:
        box.close()


@pytest.mark.long
def test_the_disk_at_random_moments(boot: Boot, tmp_path: Path) -> None:
    machine = boot()
    chance = random.Random(SEED)
    machine.run(APPLY, timeout=900)
    made = {path: machine.get(path) for path in FILES}
    machine.run("lowmem-tui undo", timeout=900)
    worker = threading.Thread(target=work, args=(machine,))
    worker.start()
    counts: Counter[str] = Counter()
    busy = 0
    began = time.monotonic()
    try:
        while busy < UNDER_WAY and time.monotonic() < began + LONGEST:
            time.sleep(chance.uniform(0.2, 3))
            folder = tmp_path / "at"
            folder.mkdir()
            what = check(extracted(machine.disk_now(folder / "disk.qcow2"), folder), made)
            counts[what] += 1
            busy += not what.startswith((BETWEEN, State.TRIAL))
            shutil.rmtree(folder)
    finally:
        print(json.dumps(counts, indent=1, sort_keys=True), flush=True)
        machine.run("touch /root/stop", check=False)
        worker.join()
    assert busy >= UNDER_WAY


def work(machine: Machine) -> None:
    with contextlib.suppress(LabError):
        machine.run(LOOP, timeout=2 * LONGEST)
