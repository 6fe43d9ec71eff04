"""Every parser of text that others wrote, in one registry: what is called, and with what it begins.

A target takes any bytes and either returns or raises an error of the project's own. `covers` names
the functions that it runs through, as ``module.function``; tests/fuzz/test_registry.py finds a
parser that no target covers.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import lzma
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lowmem_tui.change.records import decode, record
from lowmem_tui.cli.rules import load_rules
from lowmem_tui.host import cgroupfs, machine, procfs, reading, swaps
from lowmem_tui.host.dbus import dbus_dict, systemd
from lowmem_tui.host.logs import (
    file_evidence,
    journal,
    kernel_log,
    kmsg,
    oom_text,
    pid1_text,
    task_table,
)
from lowmem_tui.host.logs.kernel_log import Line
from lowmem_tui.host.logs.log_file import LogFile
from lowmem_tui.model import (
    cells,
    integer,
    kept,
    message_data,
    quantity,
    settings,
    text,
    trial,
    unit,
    unitfile,
    when,
)
from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.message import verbatim
from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.model.unit import Key, Tier
from lowmem_tui.policy import classify, commands, dropin, names, plan, toml
from lowmem_tui.policy.checks import ignored, launchers
from lowmem_tui.policy.files import policy_file, tiers_file
from lowmem_tui.setup import unit_command, unit_text, unit_words
from lowmem_tui.setup.gunicorn import args as gunicorn_args
from lowmem_tui.setup.gunicorn import file as gunicorn_file
from lowmem_tui.setup.gunicorn import php_fpm, python_text
from lowmem_tui.setup.gunicorn import start as gunicorn_start
from lowmem_tui.setup.nginx import config as nginx_config
from lowmem_tui.setup.nginx import sites as nginx_sites
from lowmem_tui.setup.nginx import static as nginx_static
from lowmem_tui.setup.nginx import zones as nginx_zones
from lowmem_tui.setup.redis import config as redis_config
from lowmem_tui.setup.redis import file as redis_file
from lowmem_tui.setup.steps import allowed
from lowmem_tui.setup.swap import zram
from lowmem_tui.stream.frames import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GIB = 1 << 30
FRAMES = Path(__file__).parents[1].joinpath("stream/version-1.frames").read_bytes()
KEY_FRAME = FRAMES[4 : 4 + int.from_bytes(FRAMES[:4], "big")]


@dataclass(frozen=True)
class Target:
    """A parser, or several that are given the same kind of text."""

    run: Callable[[bytes], object]
    covers: frozenset[str]
    seeds: tuple[bytes, ...] = ()
    slow: bool = field(default=False)
    """Whether one input costs so much that a sample is smaller."""


TARGETS: dict[str, Target] = {}


def target(
    name: str,
    run: Callable[[bytes], object],
    *covers: Callable[..., object] | str,
    seeds: Iterable[str | bytes] = (),
    slow: bool = False,
) -> None:
    """Register a target; what it covers is named by the functions themselves."""
    names = frozenset(
        each if isinstance(each, str) else f"{each.__module__}.{each.__qualname__}".removeprefix(
            "lowmem_tui."
        )
        for each in covers
    )  # fmt: skip
    begin = tuple(s.encode("utf-8", "surrogateescape") if isinstance(s, str) else s for s in seeds)
    TARGETS[name] = Target(run, names, begin, slow)


def shown(data: bytes) -> str:
    """Return bytes as the readers of files hand them over."""
    return data.decode("utf-8", "surrogateescape")


def drained(found: object) -> object:
    """Run a generator to its end."""
    return list(found) if isinstance(found, Iterator) else found


def by_text(*functions: Callable[..., Any]) -> Callable[[bytes], object]:
    """Return a target that gives one text to each function; the project's own errors are right."""

    def run(data: bytes) -> object:
        body = shown(data)
        for function in functions:
            try:
                drained(function(body))
            except LowmemError:
                continue
        return None

    return run


def by_bytes(*functions: Callable[..., Any]) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        for function in functions:
            drained(function(data))
        return None

    return run


def a_message(body: str) -> str:
    """Return what a message of JSON reads; what is no JSON is refused before it gets there."""
    try:
        made = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(message_data.from_data(made))


def by_words(*functions: Callable[..., Any]) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        words = shown(data).split("\n" if b"\n" in data else " ")
        for function in functions:
            try:
                drained(function(words))
            except LowmemError:
                continue
        return None

    return run


def or_value_error(function: Callable[[str], object]) -> Callable[[str], object]:
    """Return a function for which ValueError is right: it says so, and its callers expect it."""

    def run(body: str) -> object:
        with contextlib.suppress(ValueError):
            return drained(function(body))
        return None

    return run


class OneFile:
    """Files (model.ports) of which each path has the same text."""

    def __init__(self, body: str) -> None:
        self.body = body

    def read(self, path: str) -> str | None:
        return self.body

    def names(self, folder: str) -> list[str]:
        return ["a.conf", "b.conf"]

    def real_path(self, path: str) -> str:
        return path


# model

target(
    "whole numbers", by_text(integer.natural, integer.signed), integer.natural, integer.signed,
    seeds=["12", "-1000", "٣", "1_0", "9" * 30],
)  # fmt: skip
target(
    "numbers of the kernel's files",
    by_bytes(integer.natural, reading.decimal, lambda raw: reading.field(raw, b"oom_kill ")),
    reading.decimal, reading.field, seeds=["0.25", "oom_kill 3\n", "low 0\noom_kill 12\n"],
)  # fmt: skip
target(
    "sizes, limits, scores and time spans",
    by_text(
        quantity.parse_size,
        lambda s: quantity.parse_limit(s, GIB),
        quantity.parse_time_span,
        quantity.parse_score,
        lambda s: zram.parse(s, GIB),
        *(lambda s, key=key: settings.parse_value(key, s, GIB) for key in Key),
    ),
    quantity.parse_size, quantity.parse_limit, quantity.parse_time_span, quantity.parse_score,
    zram.parse,
    seeds=["1.5G 512M", "25.5%", "infinity", "1h 2min 3.5s", "-1000", "0x1f", "on-failure", "kill"],
)  # fmt: skip
target(
    "text made harmless",
    by_text(text.plain, lambda s: text.plain(s, 40)),
    text.plain, seeds=["a\u0301\u0327b", "\x1b[31m\u202e", "\u1f82日本語"],
)  # fmt: skip
target(
    "text in terminal cells",
    by_text(
        lambda s: (cells.left(s, 40), cells.right(s, 40), cells.fit_right(s, 9, "…")),
        lambda s: (cells.fit(s, 9, "…"), cells.cut(s, 9, "…"), cells.wrap(s, 20)),
        lambda s: cells.wrap(s, 20, whole=False),
    ),
    cells.cells, cells.left, cells.right, cells.fit, cells.fit_right, cells.cut, cells.breaks,
    cells.wrap, seeds=["下一个 OOM 终止对象：redis（redis-server）。", "e\u0301\u200b 한"],
)  # fmt: skip

target(
    "unit files",
    by_text(
        unitfile.assignments, unitfile.stray, unitfile.end, dropin.ours, dropin.marked,
        dropin.is_ours,
    ),
    unitfile.assignments, unitfile.stray, unitfile.end, dropin.ours, dropin.marked, dropin.is_ours,
    seeds=["[Service]\nMemoryMax=512M\nExecStart=/bin/x \\\n  -a\n# c\n[Unit]\nA=", "A=1\n"],
)  # fmt: skip
target(
    "names of units", by_text(unit.is_unit_name, unit.is_template, unit.unit_type,
    systemd.unit_name, cgroupfs.unit_name, cgroupfs.owner),
    systemd.unit_name, unit.unit_type,
    seeds=["a@b.service", "/system.slice/x.service/y", "_2e_2f", f"{systemd.UNIT_PATH}a_2eb"],
)  # fmt: skip
target(
    "what a change has kept",
    by_text(kept.reason_of, kept.is_foreign, kept.file_of, kept.shown, kept.public, kept.check),
    kept.reason_of, kept.is_foreign, kept.file_of, kept.shown, kept.public, kept.check,
    seeds=["/dev/null", '\0file {"text": ""}', "\0sized 12 420", '\0other {"template": "It."}'],
)  # fmt: skip
target(
    "a message from elsewhere",
    by_text(a_message), message_data.from_data, message_data.fields,
    seeds=['{"template": "{a} b", "values": {"a": {"kind": "bytes", "value": 5}}}'],
)  # fmt: skip
target(
    "the notice of a trial",
    by_text(trial.parse, lambda s: trial.running(s, 1000.0)), trial.parse, trial.running,
    seeds=[
        "lowmem-tui trial\nid 1\nmonotonic 7\ndeadline 5\nuid 0\nuser a\nsudo \nfrom \nunits \nnote"
    ],
)  # fmt: skip

# stream


def frames_after_a_key_frame(data: bytes) -> object:
    """Read bytes as a key frame, and as a difference from one that was read."""
    decoder = Decoder()
    decoder.snapshot(KEY_FRAME)
    for begin in (b"", KEY_FRAME[:-1], b"\0\1"):
        with contextlib.suppress(LowmemError):
            decoder.snapshot(begin + data)
    return None


target(
    "frames of a recording",
    frames_after_a_key_frame, "stream.frames.snapshot",
    seeds=[FRAMES[4:].decode("latin-1"), "\0\1\1", "LMT\1"],
)  # fmt: skip

# host

target(
    "files of control groups",
    by_bytes(
        cgroupfs.parse_size, cgroupfs.parse_limit, cgroupfs.parse_memory_stat,
        cgroupfs.parse_oom_kills, cgroupfs.parse_flag, machine.pressure,
    ),
    cgroupfs.parse_size, cgroupfs.parse_limit, cgroupfs.parse_memory_stat,
    cgroupfs.parse_oom_kills, cgroupfs.parse_flag, machine.pressure,
    seeds=["max\n", "4096\n", "anon 1\nfile 2\nshmem 3\n", "low 0\noom_kill 1\n",
           ("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 "
           "avg300=0.00 total=0\n")],
)  # fmt: skip
target(
    "files of processes and of the machine",
    by_bytes(
        procfs.text, procfs.parse_stat, procfs.parse_counted, procfs.parse_statm,
        procfs.parse_status, procfs.parse_cmdline, procfs.parse_int, procfs.parse_cgroup,
        lambda raw: procfs.parse_stall(raw, b"some"), procfs.parse_mm_stat, procfs.parse_uptime,
        procfs.parse_oom_kills, procfs.parse_meminfo,
    ),
    procfs.text, procfs.parse_stat, procfs.parse_counted, procfs.parse_statm, procfs.parse_status,
    procfs.parse_cmdline, procfs.parse_int, procfs.parse_cgroup, procfs.parse_stall,
    procfs.parse_mm_stat, procfs.parse_uptime, procfs.parse_oom_kills, procfs.parse_meminfo,
    seeds=["1 (a) b) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 100 200 300\n",
           "100 20 3 4 5 6 7\n", "Name:\tx\nUid:\t0\t0\t0\t0\nVmSwap:\t 5 kB\nVmPTE:\t 4 kB\n",
           "0::/system.slice/a.service\n", "12:memory:/x\n0::/y (deleted)\n", "123.45 6.7\n",
           ("MemTotal: 1 kB\nMemFree: 1 kB\nMemAvailable: 1 kB\nSwapTotal: 0 kB\n"
           "SwapFree: 18446744073709551360 kB\n")],
)  # fmt: skip
target(
    "swaps and fstab", by_text(swaps.parse_swaps, swaps.parse_fstab),
    swaps.parse_swaps, swaps.parse_fstab,
    seeds=["Filename Type Size Used Priority\n/swap\\040x file 1024 0 -2\n",
           "UUID=1 none swap sw,pri=5 0 0\n\"/a b\" none swap noauto\n"],
)  # fmt: skip
target(
    "an entry of the journal",
    by_bytes(lambda raw: (e := journal.parse_entry(raw)) and journal.event(e)),
    journal.parse_entry,
    seeds=[json.dumps({"__CURSOR": "1", "__REALTIME_TIMESTAMP": "1700000000000000",
                       "_BOOT_ID": "a" * 32, "_TRANSPORT": "journal", "_PID": "1",
                       "MESSAGE": "x.service: Failed with result 'oom-kill'.",
                       "UNIT": "x.service"})],
)  # fmt: skip
target(
    "a record of the kernel's buffer",
    by_bytes(lambda raw: kmsg.parse_record(raw, "b" * 32, 0.0), kmsg.unescaped),
    kmsg.parse_record, kmsg.unescaped,
    seeds=[r"3,42,1000000,-;Out of memory: Killed process 1 (a\x20b)"],
)  # fmt: skip

REPORT = """\
hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
CPU: 0 UID: 0 PID: 700 Comm: hog Not tainted 6.12.0 #1
 memory_max_write+0x11b/0x1e0
memory: usage 65536kB, limit 65536kB, failcnt 9
swap: usage 0kB, limit 9007199254740988kB, failcnt 0
Memory cgroup stats for /system.slice/hog.service:
Free swap  = 0kB
Total swap = 2097148kB
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[    700]     0   700     2000     1000    45056        0             0 hog
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
oom_memcg=/a.service,task_memcg=/a.service,task=hog,pid=700,uid=0
Memory cgroup out of memory: Killed process 700 (hog) total-vm:9000kB, anon-rss:5000kB, \
file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:40kB oom_score_adj:0
Out of memory and no killable processes...
Tasks in /a.service are going to be killed due to memory.oom.group set
sshd: page allocation failure: order:2, mode:0x40a20(GFP_ATOMIC|__GFP_COMP), nodemask=(null)
 __alloc_skb+0x1/0x2
systemd[1]: a.service: Failed with result 'oom-kill'.
oom_reaper: reaped process 700 (hog), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB
"""


def reports(data: bytes) -> object:
    lines = [
        Line(1000 + n, "b" * 32, each, str(n)) for n, each in enumerate(shown(data).split("\n"))
    ]
    drained(kernel_log.parse(line for line in lines if kernel_log.wanted(line.text)))
    drained(kernel_log.parse(lines))
    task_table.parse_table((line.text for line in lines), 4096)
    return None


LINES_OF_REPORTS = (
    oom_text.asked, oom_text.usage, oom_text.swap, oom_text.stats_of, oom_text.summary,
    oom_text.killed, oom_text.chosen, oom_text.task_in, oom_text.together, oom_text.lowered,
    oom_text.constraint, oom_text.nothing_to_kill, oom_text.not_eligible, pid1_text.event,
)  # fmt: skip
target(
    "the kernel's reports", reports, kernel_log.parse, kernel_log.wanted, task_table.parse_table,
    seeds=[REPORT], slow=True,
)  # fmt: skip
target(
    "a line of a report", by_text(*LINES_OF_REPORTS, lambda s: oom_text.asked_pid(s, "hog")),
    *LINES_OF_REPORTS, oom_text.asked_pid, seeds=REPORT.splitlines(),
)  # fmt: skip
DATES = (
    "[  123.456789] ", "[Mon Nov 30 03:12:01 2026] ", "Nov 30 03:12:01 host kernel: [1.2] ",
    "2026-11-30T03:12:01.5+00:00 host kernel: ", "<4>[ 12.3][ T123] ", "4,5,6000000,-;",
    "kern  :warn  : [Nov30 03:12] ", "<6>1 2026-11-30T03:12:01Z host kernel - - - ",
)  # fmt: skip


def log_of_another(data: bytes) -> object:
    with closing(LogFile(io.BytesIO(data), "x.log")) as source:
        return file_evidence._read(source, "x.log", 1_700_000_000.0, None)


target(
    "logs of other machines", log_of_another,
    "host.logs.file_evidence._read", "host.logs.log_file.open_log",
    seeds=[*("".join(f"{date}{line}\n" for line in REPORT.splitlines()) for date in DATES),
           *(json.dumps({"__REALTIME_TIMESTAMP": "1700000000000000", "_BOOT_ID": "a" * 32,
                         "_TRANSPORT": "kernel", "MESSAGE": line}) for line in REPORT.splitlines()),
           "__CURSOR=s\n__REALTIME_TIMESTAMP=17\n_TRANSPORT=kernel\nMESSAGE=oom-kill:\n\n",
           gzip.compress(REPORT.encode()), lzma.compress(REPORT.encode())],
    slow=True,
)  # fmt: skip
target(
    "an answer of the bus",
    by_bytes(lambda raw: systemd_entries(raw)), dbus_dict.entries,
    seeds=[b"\x10\0\0\0\0\0\0\0\x02\0\0\0Id\0\x01s\0\0\0\0\x01\0\0\0a\0"],
)  # fmt: skip


def systemd_entries(raw: bytes) -> object:
    import struct

    try:
        return list(dbus_dict.entries(raw, 0, "<", {b"Id"}))
    except (LookupError, TypeError, ValueError, struct.error, AssertionError):
        return None  # what the client takes for an answer that cannot be understood


# policy and change

target(
    "TOML files of the administrator",
    by_text(
        toml.parse,
        lambda s: toml.line_of(s, ("units", "a.service")),
        lambda s: toml.wrong(s, ("tiers",), verbatim("x")),
        classify.parse_config,
        classify.parse_rules,
        lambda s: policy_file.parse_policy(s, {}, frozenset({"swap"})),
        lambda s: tiers_file.with_tiers(s, {"a.service": Tier.BUSINESS}),
        lambda s: classify.tier_of(s, ("tiers", "a.service"), 1),
        lambda s: classify.parse_tiers(s, {"a.service": 1}),
    ),
    toml.parse, toml.line_of, toml.wrong, classify.parse_config, classify.parse_rules,
    policy_file.parse_policy, tiers_file.with_tiers, classify.tier_of, classify.parse_tiers,
    seeds=[('schema = 1\n[units."a.service"]\nMemoryMax = "256M"\nOOMScoreAdjust = -100\n[tiers]\n'
           '"b@*.service" = 1\n[swap]\nfile = "2G"\n')],
    slow=True,
)  # fmt: skip


def mistakes(data: bytes) -> object:
    files = [UnitFile("/etc/systemd/system/a.service.d/b.conf", shown(data))] * 2
    return [*ignored.ignored(files, "a.service", 252), *ignored.overridden(files, "a.service")]


target(
    "settings that systemd ignores", mistakes, ignored.ignored, ignored.overridden,
    seeds=["[Service]\nMemoryMax=512MB\nMemorymax=1G # x\n[Unit]\nOOMPolicy=x\nRestart=always\n"],
    slow=True,
)  # fmt: skip
target(
    "settings on the command line",
    by_text(plan.parse_set, plan.parse_key), plan.parse_set, plan.parse_key,
    seeds=["a.service:MemoryMax=256M", "a.service:OOMScoreAdjust="],
)  # fmt: skip
target(
    "arguments of commands",
    by_text(lambda s: when.parse_when(s, 1_700_000_000.0)), when.parse_when,
    seeds=["yesterday", "2 hours ago", "-2h", "2026-11-29 03:12", "@1700000000", "today"],
)  # fmt: skip
target(
    "command lines",
    by_words(
        lambda words: commands.commands(words, {"docker", "node"}), launchers.launch,
        gunicorn_args.parse, gunicorn_args.uses_paste, gunicorn_start.start_of,
        gunicorn_start.of_process, php_fpm.options,
    ),
    commands.commands, launchers.launch, gunicorn_args.parse, gunicorn_args.uses_paste,
    gunicorn_start.start_of, gunicorn_start.of_process, php_fpm.options,
    seeds=["/usr/bin/docker run --rm -m 1g x", "sh -c docker\tcompose up",
           "/v/bin/python3 -m gunicorn -w4 --config=a.py --threads 2 x:app",
           "env A=b gunicorn --paste x.ini", "/usr/bin/screen -dmS a /x"],
)  # fmt: skip
target(
    "programs of units",
    by_words(
        load_rules(config=None).programs.find,
        lambda words: [(list(names.bare(word)), names.is_agent(word)) for word in words],
    ),
    names.bare, names.is_agent,
    seeds=["/usr/bin/redis6-server /x", "sh -c exec\t'frpc_linux_amd64'", "java -jar /x/agent.jar",
           "nice -n 5 python3 -m foo.bar", "/opt/uptime-kuma/server/server.js", "rclone mount a:"],
)  # fmt: skip
target(
    "words of a command", by_text(commands.words_of, commands.program_of), commands.words_of,
    commands.program_of, seeds=["a 'b c' \"d\" \\x", "/usr/bin/python3.11"],
)  # fmt: skip
target(
    "records of changes",
    by_text(partial(record.load, paths=allowed().paths), or_value_error(decode.parse)),
    record.load, decode.parse,
    seeds=[json.dumps({"id": 1, "time": 1.0, "by": {"uid": 0, "user": "root"}, "state": "applied",
                       "plan": {"files": [{"path": "/etc/systemd/system/a.service.d/"
                                           "zz-lowmem-tui.conf", "before": None, "after": "x"}],
                                "edits": [], "effects": [], "actions": []},
                       "live": {"limits": [], "scores": [], "active": []}, "trial": None})],
)  # fmt: skip

# set-up

target(
    "systemd's words",
    by_text(
        or_value_error(unit_words.split), unit_words.until_broken, unit_words.is_name,
        lambda s: unit_words.specified(s, "a@b.service"),
        or_value_error(unit_words.environment_file),
        unit_words.variables_of, unit_words.whole_variable,
        lambda s: unit_words.expanded(s, {"A": "b c"}),
        or_value_error(lambda s: unit_words.first_or_kept(s, 0)),
        unit_text.words,
        lambda s: unit_command.commands([UnitFile("/etc/systemd/system/a.service", s)],
                                        "a.service", lambda path: ("A=1 2\n", None)),
        lambda s: unit_command.expand(
            s.split(" "), unit_command.variables([], "a.service", lambda path: ("", None))),
    ),
    unit_words.split, unit_words.until_broken, unit_words.is_name, unit_words.specified,
    unit_words.environment_file, unit_words.variables_of, unit_words.whole_variable,
    unit_words.expanded, unit_words.first_or_kept, unit_words.first, unit_words.skip_blanks,
    unit_text.words, unit_command.expand,
    seeds=["-@/bin/x ${A} $B \"c d\" 'e' \\x41 %i $$", 'A="b c"\n# x\nB=\'d\' \\\n e\n',
           "[Service]\nEnvironment=A=1 \"B=2 3\"\nEnvironmentFile=-/etc/x\nExecStart=/b $A"],
    slow=True,
)  # fmt: skip
target(
    "Redis' configuration",
    lambda data: redis_config.config_of(
        ["redis-server", "/etc/redis/redis.conf", "--maxmemory", "1mb"],
        OneFile(shown(data)),  # type: ignore[arg-type]
    ),
    redis_config.config_of, "setup.redis.file.config_of",
    seeds=[("include /etc/redis/*.conf\nrequirepass \"a\\x41\"\nmaxmemory 64mb\nsave 900 1\n"
           "rename-command CONFIG ''\nuser default on >x\n")],
    slow=True,
)  # fmt: skip
target(
    "Redis' words and titles",
    by_text(redis_file.split, redis_file.bytes_of, redis_file.lower, redis_config.title_port),
    redis_file.split, redis_file.bytes_of, redis_file.lower, redis_config.title_port,
    seeds=["a \"b\\x41\" 'c\\'d'", "64mb", "/usr/bin/redis-server 127.0.0.1:6379"],
)  # fmt: skip
target(
    "gunicorn's configuration",
    by_text(gunicorn_file.of_file, python_text.is_small, gunicorn_args.of_variable,
            lambda s: gunicorn_args.ours_of(s, "--workers 4")),
    gunicorn_file.of_file, python_text.is_small, gunicorn_args.of_variable, gunicorn_args.ours_of,
    seeds=["import os\nworkers = 4\nif x:\n    max_requests = 5\nglobals().update(a=1)\n",
           "--workers 4 -k 'gthread'"],
    slow=True,
)  # fmt: skip


def php(data: bytes) -> object:
    files: Any = OneFile(shown(data))
    ground: Any = SimpleNamespace(files=files, inspector=files)
    return php_fpm.read(ground, "/etc/php/fpm.conf", "/usr", {"A": "1"})


target(
    "PHP-FPM's configuration", php, php_fpm.read,
    seeds=["[www]\npm = static\npm.max_children = 8 ; x\ninclude=/etc/php/*.conf\n[b]\npm=${A}\n"],
    slow=True,
)  # fmt: skip


def nginx(data: bytes) -> object:
    file: Any = OneFile(shown(data))
    none: Any = OneFile("")
    config = nginx_config.read_config("/etc/nginx/nginx.conf", file, none)
    every = nginx_sites.all_locations(config)
    cautions = nginx_static.Cautions(every)
    return nginx_zones.zones_of(config), [cautions.of(each) for each in every if each.passes]


target(
    "nginx' configuration", nginx,
    nginx_config.statements, nginx_config.read_config, nginx_sites.all_locations,
    nginx_zones.zones_of,
    seeds=[("http {\n limit_req_zone $binary_remote_addr zone=a:1m rate=5r/s;\n server { listen 80;"
           " location ~ \\.js$ { root /x; } location / { proxy_pass http://127.0.0.1:1; } } }\n"
           "http { map $a $b { default $c; } server { try_files $uri @a; location @a { if ($x) {"
           " proxy_pass http://b; } location =/c { limit_req zone=a; auth_request /d; } } } }\n"
           "include conf.d/*.conf;")],
    slow=True,
)  # fmt: skip

NOT_PARSERS = {
    "model.language.say": "renders",
    "model.language.english": "renders",
    "model.language.spaced": "looks at the last character",
    "model.message.as_message": "keeps it as a value, harmless when it is shown",
    "model.message.of_command": "keeps it as a value, harmless when it is shown",
    "model.message.of_text": "keeps it as a value, harmless when it is shown",
    "model.message.verbatim": "keeps it as a value, harmless when it is shown",
    "host.programs.run": "starts a program",
    "change.machine.system.run_or_raise": "starts a program",
    "host.programs.start": "starts a program",
    "host.dbus.systemd.revert_service": "says what systemd is to run",
    "setup.redis.file.quoted": "writes",
    "policy.dropin.one_line": "writes",
    "policy.files.policy_text.quoted": "writes",
    "policy.files.policy_text.value": "writes",
    "setup.unit_text.quoted": "writes",
    "setup.nginx.edit.inserted": "is given a place that nginx.config has found",
    "setup.nginx.edit.replaced": "is given a place that nginx.config has found",
    "setup.nginx.seen.edited": "is given a place that nginx.config has found",
}
"""Functions that take a text of the kind and parse nothing."""
