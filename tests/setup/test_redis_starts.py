"""The step `redis`: which services are one, and what each is started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.model.errors import RefusedError
from lowmem_tui.setup.redis.programs import config_file, is_one
from tests.setup.redis_server import CONF, START, UNIT, Answers, item, see
from tests.unit.servers import M, process, service

if TYPE_CHECKING:
    from pathlib import Path

    from lowmem_tui.model.snapshot import Unit
    from tests.english import Look

STARTS: dict[str, tuple[str, str, dict[str, str], str]] = {
    "an option behind the file": (f"{START} --maxmemory 9mb", "", {}, "9M"),
    "several words": (f'{START} "--maxmemory 9mb"', "", {}, "9M"),
    "an environment": (
        "/usr/bin/redis-server $OPTIONS",
        f'Environment="OPTIONS={CONF} --maxmemory 9mb"\n',
        {},
        "9M",
    ),
    "a file of variables": (
        "/usr/bin/redis-server $REDIS_ARGS --port 6379",
        "EnvironmentFile=-/etc/sysconfig/redis\n",
        {"/etc/sysconfig/redis": f'REDIS_ARGS="{CONF} --maxmemory 9mb"\n'},
        "9M",
    ),
    "a variable within a word": (
        "/usr/bin/redis-server /etc/redis/${NAME}.conf",
        "Environment=NAME=other\n",
        {"/etc/redis/other.conf": "maxmemory 9mb\n"},
        "9M",
    ),
    "a working folder": (
        "/usr/bin/redis-server other.conf",
        "WorkingDirectory=/etc/redis\n",
        {"/etc/redis/other.conf": "include d/*.conf\n", "/etc/redis/d/1.conf": "MaxMemory 9mb"},
        "9M",
    ),
    "a wrapper": (f"/usr/bin/env LANG=C {START} --maxmemory 9mb", "", {}, "9M"),
    "valkey": (f"/usr/bin/valkey-server {CONF} --maxmemory 9mb", "", {}, "9M"),
    "Amazon's": (f"/usr/bin/redis6-server {CONF} --maxmemory 9mb", "", {}, "9M"),
}


@pytest.mark.parametrize(("start", "lines", "files", "bound"), STARTS.values(), ids=STARTS)
def test_what_it_starts_with(
    tmp_path: Path, start: str, lines: str, files: dict[str, str], bound: str
) -> None:
    step = see(tmp_path, start=start, lines=lines, files=files, system=Answers())
    look = step.look()
    assert item(look, "maxmemory").now == f"no limit; {bound} after its next start"
    plan = step.plan({f"{UNIT} maxmemory": "32mb"})
    assert (plan.files[0].after or "").endswith(f"\nExecStart={start} --maxmemory 32mb\n")


ELSEWHERE: dict[str, dict[str, Any]] = {
    "a shell": {
        "start": "/bin/sh -c 'exec redis-server /x'",
        "changes": {"exec_start": ("/bin/sh", "-c", "exec redis-server /x")},
    },
    "two commands in a line": {
        "start": "/bin/true ; /usr/bin/redis-server --port 6379",
        "changes": {"exec_start": ("/usr/bin/redis-server",)},
    },
    "standard input at its end": {"start": "/usr/bin/redis-server --port 6379 -"},
}


@pytest.mark.parametrize("case", ELSEWHERE.values(), ids=ELSEWHERE)
def test_where_options_would_not_reach_it_the_line_to_write_is_shown(
    tmp_path: Path, case: dict[str, Any]
) -> None:
    step = see(tmp_path, command="/usr/bin/redis-server 127.0.0.1:6379", **case)
    look = step.look()
    assert look.items == ()
    assert "Write into its redis.conf: maxmemory 64mb" in look.by_hand[0]
    with pytest.raises(RefusedError):
        step.plan({f"{UNIT} maxmemory": "64mb"})


SCRIPT = """\
#!/bin/sh
REDISPORT=6379
EXEC=/usr/local/bin/redis-server
CLIEXEC=/usr/local/bin/redis-cli
PIDFILE=/var/run/redis_${REDISPORT}.pid
CONF="/etc/redis/${REDISPORT}.conf"
case "$1" in
    start)
        $EXEC $CONF
        ;;
    stop)
        $CLIEXEC -p $REDISPORT shutdown
        ;;
esac
"""


def init_script(tmp_path: Path, script: str, conf: str, system: Answers) -> Look:
    return see(
        tmp_path,
        system=system,
        unit="redis_6379.service",
        start="/etc/init.d/redis_6379 start",
        files={"/etc/init.d/redis_6379": script, "/etc/redis/6379.conf": conf},
        changes={"type": "forking", "main_pid": 0},
        command="/usr/local/bin/redis-server 127.0.0.1:6379",
    ).look()


def test_one_that_an_init_script_starts(tmp_path: Path) -> None:
    system = Answers(maxmemory=str(9 * M))
    look = init_script(tmp_path, SCRIPT, "port 7000\nmaxmemory 9mb\nrequirepass x\n", system)
    assert "maxmemory: 9M." in look.facts[0]
    assert system.asked[0] == "redis_6379.service used_memory -p 7000 @ /etc/redis/6379.conf"
    assert "/etc/redis/6379.conf" in look.by_hand[0]
    assert look.items == ()


def test_one_whose_script_does_not_tell(tmp_path: Path) -> None:
    """It is asked where it says that it listens."""
    script = SCRIPT.replace("case", ". /etc/default/redis\ncase")
    system = Answers(maxmemory=str(9 * M))
    look = init_script(tmp_path, script, "maxmemory 5mb\n", system)
    assert "9M; cannot be determined after its next start" in look.facts[0]
    assert system.asked[0] == "redis_6379.service used_memory"


SCRIPTS = {
    SCRIPT: "/etc/redis/6379.conf",
    'EXEC=/x/redis-server\nCONF=/y.conf\nsu redis -s /bin/sh -c "$EXEC $CONF" &': "/y.conf",
    "D=/x\nDAEMON=$D/redis-server\nDAEMON_ARGS=/y.conf\n"
    "start-stop-daemon --start --exec $DAEMON -- $DAEMON_ARGS": "/y.conf",
    "/usr/bin/redis-server /etc/r.conf >/dev/null 2>&1": "/etc/r.conf",
    "EXEC=/x\n$EXEC $CONF": "",
    "EXEC=/x\nCONF=/y.conf\n$EXEC $CONF --maxmemory 1mb": "",
    "EXEC=/x\nCONF=$(find / -name y)\n$EXEC $CONF": "",
    "EXEC=/x\nCONF=/a\n$EXEC $CONF\nCONF=/b\n$EXEC $CONF": "",
    "CONF=/y.conf\n[ -f /etc/default/r ] && . /etc/default/r\n$EXEC $CONF": "",
    "EXEC=/x\nCONF='$HOME/y'\n$EXEC $CONF": "",
    "": "",
}


@pytest.mark.parametrize(("script", "file"), SCRIPTS.items())
def test_the_file_of_an_init_script(script: str, file: str) -> None:
    assert config_file(script) == file


def test_of_two_the_one_that_is_meant_is_asked(tmp_path: Path) -> None:
    """Its port is not known, and 6379 may be somebody else's."""
    system = Answers()
    see(tmp_path, "include /none\n", system, command="redis-server *:7000 [cluster]").look()
    assert system.asked[0] == f"{UNIT} used_memory -p 7000"
    system = Answers()
    see(tmp_path, "include /none\n", system, command="redis-server 192.0.2.1:7000").look()
    assert system.asked == []


def test_a_password_of_the_command_line_is_repeated_nowhere(tmp_path: Path) -> None:
    system = Answers()
    look = see(tmp_path, start=f"{START} --requirepass secret", system=system).look()
    assert system.asked == []
    assert "secret" not in "".join((*look.facts, *look.by_hand))


def running(name: str, command: str, **changes: object) -> Unit:
    one = process(100, M, command=command, name=command.split()[0].rpartition("/")[2][:15])
    usual: dict[str, Any] = {"main_pid": 100}
    return service(name, one, **usual | changes)


NAMES: dict[str, tuple[Unit, bool]] = {
    "what it starts": (running("a.service", "/x", exec_start=("/x/redis-server",)), True),
    "keydb": (running("a.service", "/x", exec_start=("/x/keydb-server",)), True),
    "what runs": (running("a.service", "/opt/redis-server *:6379"), True),
    "an init script": (running("a.service", "redis-server *:6379", main_pid=0), True),
    "a Sentinel": (
        running("a.service", "/x", exec_start=("/x/redis-server", "/y", "--sentinel")),
        False,
    ),
    "a Sentinel that runs": (running("a.service", "redis-server *:26379 [sentinel]"), False),
    "redis-sentinel": (running("a.service", "/x", exec_start=("/x/redis-sentinel", "/y")), False),
    "its client": (running("a.service", "/usr/bin/redis-cli monitor"), False),
    "what watches it": (
        running("a.service", "/x", exec_start=("/usr/bin/monit", "redis-server")),
        False,
    ),
    "a container's": (
        service(
            "docker.service",
            process(100, M, command="/usr/bin/dockerd", name="dockerd"),
            process(101, M, command="redis-server *:6379", name="redis-server", ppid=100),
            main_pid=100,
        ),
        False,
    ),
    "behind a shell that waits": (
        service(
            "a.service",
            process(100, M, command="/bin/sh -c x", name="sh"),
            process(101, M, command="redis-server *:6379", name="redis-server", ppid=100),
            main_pid=100,
        ),
        True,
    ),
}


@pytest.mark.parametrize(("unit", "found"), NAMES.values(), ids=NAMES)
def test_what_is_a_redis(unit: Unit, found: bool) -> None:
    assert is_one(unit) is found


def test_a_sentinel_behind_a_variable_holds_nothing(tmp_path: Path) -> None:
    look = see(
        tmp_path,
        start="/usr/bin/redis-server $ARGS",
        lines='Environment="ARGS=/etc/redis/sentinel.conf --sentinel"\n',
    ).look()
    assert look.absent == "There is no Redis."
