"""What is asked of the journal, and what is made of any answer: a journalctl of our own answers."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.host.logs import journal, journal_evidence, kmsg
from lowmem_tui.host.logs.journal import Reading, parse_entry
from lowmem_tui.host.logs.kernel_log import Line
from lowmem_tui.host.logs.kill_evidence import LocalWitness
from lowmem_tui.model.errors import (
    LowmemError,
    NotPermittedError,
    RefusedError,
    UnsupportedError,
)
from lowmem_tui.model.incident import Cause, Ending, EventKind, Kind
from lowmem_tui.policy.incidents.build import join
from tests.host.test_kernel_log import INVOKED, KILLED, SUMMARY
from tests.host.test_shortages import FAILED, TRACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOOT = "b" * 32
HOG = "hog.service"


def entry(time: float, message: object, **fields: object) -> dict[str, object]:
    return {
        "__CURSOR": f"s={time}",
        "__REALTIME_TIMESTAMP": str(int(time * 1_000_000)),
        "_BOOT_ID": BOOT,
        "MESSAGE": message,
        **fields,
    }


def kernel(time: float, message: object) -> dict[str, object]:
    return entry(time, message, _TRANSPORT="kernel")


def unit(time: float, number: str, **fields: object) -> dict[str, object]:
    return entry(time, "x", MESSAGE_ID=number, UNIT=HOG, _TRANSPORT="journal", **fields)


NIGHT = [
    kernel(100.0, INVOKED),
    kernel(100.1, "memory: usage 102400kB, limit 102400kB, failcnt 26"),
    kernel(
        100.2, "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name"
    ),
    kernel(100.3, "[    612]    33   612    28000    25600   245760       12          -900 hog"),
    kernel(100.4, SUMMARY),
    kernel(100.5, list(KILLED.encode())),
    unit(100.6, journal.OOM),
    unit(101.0, journal.RESULT, UNIT_RESULT="oom-kill"),
    unit(104.0, journal.RESTART, N_RESTARTS="4"),
    unit(105.5, journal.STARTED),
]

PROGRAM = """#!{python}
import sys, json
args = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(args) + "\\n")
sys.stderr.write({err!r})
if "--grep" in " ".join(args) and {no_grep!r}:
    sys.stderr.write("Compiled without pattern matching support")
    sys.exit(1)
for line in open({data!r}, "rb"):
    found = json.loads(line) if line.startswith(b"{{") else dict(_TRANSPORT="kernel")
    wanted = "MESSAGE_ID=" + found.get("MESSAGE_ID", "") in args or "X=1" in args
    wanted = wanted or "CODE_FUNC=" + found.get("CODE_FUNC", "") in args
    wanted = wanted or "_BOOT_ID=" + found.get("_BOOT_ID", "") in args
    if found["_TRANSPORT"] == "kernel":
        wanted = "_TRANSPORT=kernel" in args
    if wanted:
        sys.stdout.buffer.write(line)
{more}
sys.exit({status})
"""


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Let journalctl answer so; return where it writes down what it was asked."""

    def prepare(
        entries: list[object],
        err: str = "",
        status: int = 0,
        more: str = "",
        *,
        no_grep: bool = False,
    ) -> Path:
        log, data, program = (tmp_path / name for name in ("asked", "data", "journalctl"))
        lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in entries[::-1]]
        data.write_bytes(b"".join(line + b"\n" for line in lines))
        program.write_text(
            PROGRAM.format(
                python=sys.executable, log=str(log), err=err, data=str(data), status=status,
                more=more, no_grep=no_grep,
            )
        )  # fmt: skip
        program.chmod(0o755)
        monkeypatch.setattr(journal, "PROGRAM", str(program))
        monkeypatch.setattr(journal, "FILES", ())
        return log

    return prepare


@pytest.fixture
def witness(tmp_path: Path) -> LocalWitness:
    """Of a machine where the unit runs again, and its group has counted two kills."""
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "sys/kernel/random").mkdir(parents=True)
    (proc / "sys/kernel/random/boot_id").write_text(f"{BOOT[:8]}-{BOOT[8:]}\n")
    (proc / "vmstat").write_text("oom_kill 3\n")
    group = cgroup / "system.slice" / HOG
    group.mkdir(parents=True)
    (group / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    (group / "memory.events").write_text("low 0\noom 2\noom_kill 2\n")
    return LocalWitness(str(proc), str(cgroup), str(tmp_path / "no-kmsg"))


def read(
    most: int = 100, seconds: float = 30.0, grep: str = ""
) -> tuple[list[journal.Entry], bool]:
    reading = Reading(["X=1"], grep=grep, most=most, seconds=seconds)
    return list(reading.entries()), reading.cut


def test_a_night_from_the_journal(answer: Callable[..., Path], witness: LocalWitness) -> None:
    asked = answer(NIGHT)
    evidence = witness.evidence(since=50.7)
    assert [e.kind for e in evidence.events] == [
        EventKind.OOM, EventKind.RESULT, EventKind.RESTART, EventKind.STARTED,
    ]  # fmt: skip
    assert (evidence.boot, evidence.kills, evidence.counters) == (BOOT, 3, {HOG: 2})
    found = join(evidence)
    (incident,) = found.incidents
    assert (incident.cause, incident.ending, incident.restarts) == (Cause.LIMIT, Ending.BACK, 4)
    assert incident.back_after == pytest.approx(5.0)
    assert found.unreported == {HOG: 1}
    first, second = (json.loads(line) for line in asked.read_text().splitlines())
    assert "--since=@50" in first
    assert "_TRANSPORT=kernel" in first
    assert "--since=@90" in second
    assert second[-1] == f"UNIT={HOG}"
    assert incident.report is not None
    whole = witness.report(incident.report.reference)
    assert whole.lines[0] == INVOKED
    assert whole.lines[-1] == KILLED
    assert [task.pid for task in whole.tasks] == [612]


def test_a_report_that_is_gone(answer: Callable[..., Path], witness: LocalWitness) -> None:
    answer([])
    for reference in ("s=1", "kmsg:7"):
        with pytest.raises(RefusedError):
            witness.report(reference)


def test_it_stops_when_it_has_enough(answer: Callable[..., Path]) -> None:
    answer(NIGHT, more="sys.stdout.flush(); import time; time.sleep(60)")
    entries, cut = read(most=3)
    assert cut
    assert [e.time for e in entries] == [105.5, 104.0, 101.0]


def test_it_stops_when_its_time_is_up(answer: Callable[..., Path]) -> None:
    answer(NIGHT, more="sys.stdout.flush(); import time; time.sleep(60)")
    _, cut = read(seconds=1.5)
    assert cut


def test_without_pattern_matching(answer: Callable[..., Path]) -> None:
    answer(NIGHT, no_grep=True)
    assert len(read(grep="x")[0]) == 4


def test_long_and_broken_entries_are_passed_over(answer: Callable[..., Path]) -> None:
    answer([*NIGHT[-2:], entry(1.0, "x" * 200_000, _TRANSPORT="journal")])
    assert len(read()[0]) == 2


@pytest.mark.parametrize(
    ("err", "status", "kind"),
    [
        ("No journal files were opened due to insufficient permissions.", 1, NotPermittedError),
        (
            "Hint: You are currently not seeing messages from other users and the system.",
            0,
            NotPermittedError,
        ),
        ("Failed to add match: \x1b[2J\n Invalid", 1, LowmemError),
    ],
)
def test_why_it_cannot_be_read(
    answer: Callable[..., Path], witness: LocalWitness, err: str, status: int, kind: type[Exception]
) -> None:
    answer([], err, status)
    with pytest.raises(kind):
        witness.evidence()


def test_a_journal_that_is_not_ours(
    witness: LocalWitness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "system.journal").touch()
    monkeypatch.setattr(journal, "FILES", (f"{tmp_path}/*.journal",))
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(NotPermittedError):
        witness.evidence()


def test_no_journalctl(witness: LocalWitness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FILES", ())
    monkeypatch.setattr(journal, "PROGRAM", "/nonexistent/journalctl")
    with pytest.raises(UnsupportedError):
        witness.evidence()


def test_a_journal_without_kills_is_no_error(
    answer: Callable[..., Path], witness: LocalWitness
) -> None:
    answer([entry(99.0, "x", _TRANSPORT="journal")])
    evidence = witness.evidence()
    assert (join(evidence).incidents, evidence.notes) == ((), ())


EARLIER = [{**made, "_BOOT_ID": "e" * 32} for made in NIGHT]


@pytest.mark.parametrize(
    ("entries", "status", "outcomes"),
    [
        pytest.param([], 0, [Ending.RUNS], id="no file at all: journalctl -o json is silent"),
        pytest.param([], 1, [Ending.RUNS], id="the same with --grep"),
        pytest.param(EARLIER, 0, [Ending.RUNS, Ending.BACK], id="of earlier boots alone"),
    ],
)
def test_a_journal_that_tells_nothing_of_this_boot(
    answer: Callable[..., Path],
    witness: LocalWitness,
    monkeypatch: pytest.MonkeyPatch,
    entries: list[object],
    status: int,
    outcomes: list[Ending],
) -> None:
    answer(entries, "", status)
    texts = (INVOKED, SUMMARY, KILLED)
    buffer = [Line(200.0 + at, BOOT, text, f"kmsg:{at}") for at, text in enumerate(texts)]
    monkeypatch.setattr(kmsg, "lines", lambda *_: iter(buffer))
    found = join(witness.evidence())
    assert [incident.ending for incident in found.incidents] == outcomes
    assert "nothing of this boot" in str(found.notes[0])


@pytest.mark.parametrize(
    ("trouble", "kind"), [(PermissionError, NotPermittedError), (FileNotFoundError, LowmemError)]
)
def test_neither_a_journal_nor_the_buffer(
    answer: Callable[..., Path],
    witness: LocalWitness,
    monkeypatch: pytest.MonkeyPatch,
    trouble: type[Exception],
    kind: type[Exception],
) -> None:
    def refuse(*_: object) -> None:
        raise trouble

    answer([])
    monkeypatch.setattr(kmsg, "lines", refuse)
    with pytest.raises(kind, match="nothing of this boot"):
        witness.evidence()


FLOOD = [
    kernel(200.0 + at, text)
    for at, text in enumerate(
        [
            "guard invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=-1000",
            "memory: usage 65536kB, limit 65536kB, failcnt 9",
            "Memory cgroup stats for /system.slice/guard.service:",
            "Out of memory and no killable processes...",
        ]
        * 50
    )
]


def test_what_killed_nothing_never_hides_a_kill(
    answer: Callable[..., Path], witness: LocalWitness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_evidence, "MOST", 20)
    answer([*NIGHT, *FLOOD])
    flood, kill = join(witness.evidence()).incidents
    assert (flood.kind, flood.unit, flood.count) == (Kind.NO_VICTIM, "guard.service", 50)
    assert (kill.unit, kill.ending) == (HOG, Ending.BACK)
    assert kill.report is not None
    assert kill.report.limit == 102400 << 10


def test_where_it_takes_all_the_time_the_kills_are_asked_for_alone(
    answer: Callable[..., Path], witness: LocalWitness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_evidence, "MOST_READ", 80)
    asked = answer([*NIGHT, *FLOOD])
    evidence = witness.evidence()
    _, second, *_ = (json.loads(line) for line in asked.read_text().splitlines())
    assert "--until=@321" in second
    grep = next(word for word in second if word.startswith("--grep="))
    assert "oom-kill:constraint=" in grep
    assert "no killable" not in grep
    assert {i.kind for i in join(evidence).incidents} == {Kind.NO_VICTIM}
    assert "The journal is long" in str(evidence.notes[0])


def test_a_failed_allocation_is_read_with_its_trace(
    answer: Callable[..., Path], witness: LocalWitness
) -> None:
    texts = [FAILED, *TRACE, "Mem-Info:", "more"]
    answer([kernel(100.0 + at / 100, text) for at, text in enumerate(texts)])
    (incident,) = join(witness.evidence()).incidents
    assert incident.shortage is not None
    assert incident.shortage.reference == f"s={100.0 + (len(texts) - 2) / 100}"


def killer(time: float, unit: str, message: str) -> dict[str, object]:
    return entry(time, message, _TRANSPORT="stdout", _SYSTEMD_UNIT=unit)


def test_earlyooms_kill_and_whose_process_it_was(
    answer: Callable[..., Path], witness: LocalWitness, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = 'sending SIGTERM to process 612 uid 33 "hog": badness 600, VmRSS 9 MiB'
    asked = answer([])
    units = iter(["earlyoom.service", HOG])

    def entries(self: Reading) -> Iterator[journal.Entry]:
        unit_name = next(units, "")
        raw = killer(100.0, unit_name, line) | {"_COMM": "hog" if unit_name == HOG else "earlyoom"}
        found = parse_entry(json.dumps(raw).encode()) if unit_name else None
        return iter([found] if found else [])

    monkeypatch.setattr(Reading, "entries", lambda self: (e for e in entries(self)))
    (incident,) = join(witness.evidence()).incidents
    assert (incident.kind, incident.unit, incident.cause) == (Kind.EARLYOOM, HOG, Cause.EARLYOOM)
    assert not asked.exists()


RECORDED = sorted((Path(__file__).parent / "oom").glob("*.jsonl"))

REAL = {
    "hogback": (Cause.LIMIT, Ending.BACK, "oom-kill"),
    "hogdead": (Cause.LIMIT, Ending.DEAD, "oom-kill"),
    "hogloop": (Cause.LIMIT, Ending.START_LIMIT, "oom-kill"),
    "hoggroup": (Cause.LIMIT, Ending.DEAD, "oom-kill"),
    "hoglives": (Cause.LIMIT, Ending.LIVED, ""),
    "hogslice": (Cause.LIMIT, Ending.DEAD, "oom-kill"),
    "hogdog": (Cause.WATCHDOG, Ending.BACK, "watchdog"),
    "hogglobal": (Cause.RAM, Ending.DEAD, "oom-kill"),
}
"""What became of each unit of the recorded night: the last incident of each."""


@pytest.mark.parametrize("recorded", RECORDED, ids=[path.stem for path in RECORDED])
def test_a_recorded_night(
    recorded: Path,
    answer: Callable[..., Path],
    witness: LocalWitness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [json.loads(line) for line in recorded.read_text().splitlines()]
    answer(entries)
    boot = entries[0]["_BOOT_ID"]
    monkeypatch.setattr(LocalWitness, "_boot", lambda _: boot)
    evidence = replace(witness.evidence(), running=frozenset({"hoglives.service"}))
    last = {}
    for i in reversed(join(evidence).incidents):
        last[i.unit.removesuffix(".service")] = i.cause, i.ending, i.result
    scopes = [name for name in last if name.endswith(".scope")]
    assert {name: last[name] for name in last if name not in scopes} == REAL
    assert sum(i.unit == "hogloop.service" for i in join(evidence).incidents) == 3
    (group,) = (r for r in evidence.reports if r.unit == "hoggroup.service")
    assert len(group.also) == 3
    (slice_,) = (r for r in evidence.reports if r.unit == "hogslice.service")
    assert (slice_.limit_unit, slice_.limit) == ("capped.slice", 60 << 20)


@settings(deadline=None)
@given(st.one_of(st.binary(), st.text().map(lambda text: json.dumps(entry(1, text)).encode())))
def test_any_entry(raw: bytes) -> None:
    found = parse_entry(raw)
    if found is not None:
        journal.event(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["UNIT", "MESSAGE_ID", "_BOOT_ID", "CODE_FUNC"]), JSON), JSON
)
def test_any_field(fields: dict[str, object], message: object) -> None:
    found = parse_entry(json.dumps({**entry(1, message), **fields}).encode())
    if found is not None:
        journal.event(found)
    parse_entry(b"[" * 100_000)
