"""Logs that others have published, of kernels 3.10 to 6.13 and systemd 247 to 255."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowmem_tui.host.logs.file_evidence import FileWitness
from lowmem_tui.host.logs.kernel_log import parse
from lowmem_tui.host.logs.task_table import parse_table
from lowmem_tui.model.incident import Cause, Clock, Kind
from lowmem_tui.policy.incidents import text as incident_words
from lowmem_tui.policy.incidents.build import join

HERE = Path(__file__).parent / "oom" / "found"
FOUND = sorted(HERE.glob("*.txt"))

KILL, NOTHING, FAILED = Kind.OOM_KILL, Kind.NO_VICTIM, Kind.ALLOCATION
USER = "user@1000.service"

# Kind, cause, unit, process, how many of it, each, the oldest first
TOLD: dict[str, list[tuple[Kind, Cause, str, str, int]]] = {
    "3.10-limit": [(KILL, Cause.LIMIT, "test.service", "test", 1)],
    "3.10-child": [(KILL, Cause.LIMIT, "", "palo_be", 1)],
    "4.15-child": [
        (KILL, Cause.LIMIT, "", "python3", 1),
        (KILL, Cause.LIMIT, "", "python3", 1),
        (FAILED, Cause.ALLOCATION, "", "python3", 1),
    ],
    "4.19-limit": [(KILL, Cause.LIMIT, "/kubepods/pod951f6bc5/024952d653ef", "cp", 1)],
    "4.20-nothing": [
        (KILL, Cause.LIMIT, "", "a.out", 1),
        (NOTHING, Cause.LIMIT, "/test1", "a.out", 2),
    ],
    "5.4-slub": [(FAILED, Cause.ALLOCATION, "", "", 73)],
    "5.4-bare": [(KILL, Cause.LIMIT, "", "uwsgi", 1)],
    "5.15-user": [(KILL, Cause.RAM, USER, "terraform", 1)],
    "5.19-nomemcg": [(KILL, Cause.RAM, "", "systemd-logind", 1)],
    "6.6-android": [(KILL, Cause.RAM, "/apps/uid_10198", "gs.intelligence", 1)],
    "6.8-azure": [(KILL, Cause.RAM, "azuremonitoragent.service", "mdsd", 1)],
    "6.13-kswapd": [(FAILED, Cause.ALLOCATION, "", "kswapd0", 1)],
    "6.x-french": [(KILL, Cause.RAM, USER, "colmap", 1)],
    "oomd-255": [(Kind.OOMD, Cause.OOMD, "user@1001.service", "", 1)],
    "oomd-247": [(Kind.OOMD, Cause.OOMD, USER, "", 1)],
}


@pytest.mark.parametrize("path", FOUND, ids=[path.stem for path in FOUND])
def test_what_is_in_it(path: Path) -> None:
    found = list(join(FileWitness(str(path), 1.8e9).evidence()).incidents)[::-1]
    told = []
    for incident in found:
        report, shortage = incident.report, incident.shortage
        victim = report.victim if report else None
        name = victim.name if victim else shortage.process if shortage else ""
        told.append((incident.kind, incident.cause, incident.unit, name, incident.count))
        assert str(incident_words.why(incident)).isprintable()
        assert "swap were used up" not in str(incident_words.why(incident))
        if path.stem.endswith(("french", "child", "255", "247", "slub")):
            assert incident.clock is Clock.WALL
    assert told == TOLD[path.stem]


def test_each_of_them_is_reported() -> None:
    assert [path.stem for path in FOUND] == sorted(TOLD)


@pytest.mark.parametrize(
    ("name", "rows"),
    [("3.10-limit", [(6306, 0, 1246)]), ("4.19-limit", [(62685, -998, 16), (62769, -998, 19)])],
)
def test_their_tables(name: str, rows: list[tuple[int, int, int]]) -> None:
    texts = [x.partition("] ")[2] for x in (HERE / f"{name}.txt").read_text().splitlines()[1:]]
    table = parse_table(texts, 4096)
    assert [(t.pid, t.adj, t.page_tables // 4096) for t in table] == rows


def test_a_limit_of_the_first_kind_of_groups() -> None:
    (incident,) = join(FileWitness(str(HERE / "4.19-limit.txt"), 0).evidence()).incidents
    report = incident.report
    assert report is not None
    assert (report.limit, report.asked_by, report.asked_pid) == (512 << 20, "cp", 62769)
    assert list(parse([])) == []
