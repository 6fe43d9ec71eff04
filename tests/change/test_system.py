"""What is changed besides files, through the programs of the machine: here through stand-ins that
answer as the real ones do. The lab asks the real ones.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.change.machine import system
from lowmem_tui.change.machine.system import LocalSystem
from lowmem_tui.host import programs
from lowmem_tui.model.errors import InvalidValueError, ManagerError, NotReadyError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.setup.redis import client
from lowmem_tui.setup.sessions import rule as tmpfiles_rule
from lowmem_tui.setup.steps import allowed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REDIS = "redis-server.service maxmemory"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a program there, a shell script, that is found ahead of the machine's own."""
    monkeypatch.setattr(programs, "PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(name: str, script: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    put("systemctl", "echo active")
    return put


def nothing() -> None:
    pass


WHERE = {
    "": ((), ""),
    " -p 6380": (("-p", "6380"), ""),
    " -h 10.0.0.5 -p 6380": (("-h", "10.0.0.5", "-p", "6380"), ""),
    " -h ::1": (("-h", "::1"), ""),
    " -s /run/redis/redis.sock @ /etc/redis/redis.conf": (
        ("-s", "/run/redis/redis.sock"),
        "/etc/redis/redis.conf",
    ),
}


@pytest.mark.parametrize(("where", "found"), WHERE.items())
def test_where_a_redis_is(where: str, found: tuple[tuple[str, ...], str]) -> None:
    assert client.place(f"{REDIS}{where}") == ("maxmemory", *found)


@pytest.mark.parametrize(
    "what",
    [
        "redis-server.service requirepass",
        "redis-server.service dir",
        f"{REDIS} -p",
        f"{REDIS} -p x",
        f"{REDIS} -x y",
        f"{REDIS} --eval /tmp/x",
        f"{REDIS} -s relative",
        f"{REDIS} -h -x",
        f"{REDIS} @ relative",
        "../x maxmemory",
        "redis-server.service used_memory\n",
    ],
)
def test_what_is_no_redis(what: str) -> None:
    with pytest.raises(InvalidValueError):
        client.place(what)


PASSWORDS = {
    "requirepass x\n": "x",
    'requirepass "a b"\nrequirepass y\n': "y",
    'requirepass "a b"\n': "a b",
    "# requirepass x\n": "",
    'requirepass "a\n': "",
    "requirepass\n": "",
    "": "",
}


@pytest.mark.parametrize(("text", "password"), PASSWORDS.items())
def test_passwords(tmp_path: Path, text: str, password: str) -> None:
    (tmp_path / "redis.conf").write_text(text)
    assert client.password(str(tmp_path / "redis.conf")) == password
    assert client.password(str(tmp_path / "none")) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    ("owner", "included", "mode", "found"),
    [(0, 0, 0o600, "x"), (107, 107, 0o600, "x"), (107, 0, 0o644, "x"), (107, 108, 0o600, "")],
)
def test_a_password_is_not_read_for_somebody_who_may_not(
    tmp_path: Path, owner: int, included: int, mode: int, found: str
) -> None:
    """redis.conf is often the redis user's own, and root says what it reads to that server."""
    conf, other = tmp_path / "redis.conf", tmp_path / "other.conf"
    conf.write_text(f"include {other}\n")
    other.write_text("requirepass x\n")
    other.chmod(mode)
    os.chown(conf, owner, owner)
    os.chown(other, included, included)
    assert client.password(str(conf)) == found
    # Its group may be given it, too.
    os.chown(other, included, owner)
    other.chmod(0o640)
    assert client.password(str(conf)) == "x"


def test_a_redis_is_asked_and_set(program: Callable[[str, str], None], tmp_path: Path) -> None:
    (tmp_path / "redis.conf").write_text("requirepass secret\n")
    log = tmp_path / "log"
    program(
        "redis-cli",
        f'echo "$REDISCLI_AUTH $*" >> {log}\n'
        'case "$*" in *SET*) echo OK;; *INFO*) printf "# Memory\\r\\nused_memory:99\\r\\n";; '
        '*) printf "maxmemory\\n0\\n";; esac',
    )
    what = f"{REDIS} -p 7000 @ {tmp_path}/redis.conf"
    local = LocalSystem(str(tmp_path), allowed())
    assert local.get(ActionKind.REDIS, what) == "0"
    assert local.get(ActionKind.REDIS, what.replace("maxmemory", "used_memory")) == "99"
    local.put(ActionKind.REDIS, what, "0", nothing)
    local.put(ActionKind.REDIS, what, "64", nothing)
    assert log.read_text().splitlines()[-1] == "secret -p 7000 --raw CONFIG SET maxmemory 64"
    assert log.read_text().count("SET") == 1
    with pytest.raises(InvalidValueError):
        local.put(ActionKind.REDIS, what.replace("maxmemory", "used_memory"), "1", nothing)


def test_what_systemctl_does_not_say_is_not_taken_for_an_end(
    program: Callable[[str, str], None],
) -> None:
    """A swap space that runs would not be stopped, and its file not be removed."""
    program("systemctl", "exit 0")
    with pytest.raises(ManagerError, match=r"does not report whether swapfile\.swap is running"):
        LocalSystem(allowed=allowed()).get(ActionKind.RUN, "swapfile.swap")


def test_a_redis_that_does_not_run_needs_nothing(program: Callable[[str, str], None]) -> None:
    program("systemctl", "echo inactive")
    program("redis-cli", "exit 1")
    LocalSystem(allowed=allowed()).put(ActionKind.REDIS, REDIS, "64", nothing)


@pytest.mark.parametrize(
    "answer",
    ["NOAUTH Authentication required.", "ERR unknown command 'CONFIG'", "", "NOPERM x"],
)
def test_a_redis_that_refuses(program: Callable[[str, str], None], answer: str) -> None:
    program("redis-cli", f'echo "{answer}"')
    with pytest.raises(ManagerError, match="set the value yourself"):
        LocalSystem(allowed=allowed()).get(ActionKind.REDIS, REDIS)


@pytest.mark.parametrize("to", ["", " >&2; exit 1"])
def test_a_redis_that_is_still_loading_is_not_ready(
    program: Callable[[str, str], None], to: str
) -> None:
    program("redis-cli", f"echo 'LOADING Redis is loading the dataset in memory'{to}")
    with pytest.raises(NotReadyError, match="still loading its data"):
        LocalSystem(allowed=allowed()).get(ActionKind.REDIS, REDIS)


def test_a_redis_that_is_not_there(program: Callable[[str, str], None]) -> None:
    program("redis-cli", "echo 'Could not connect: Connection refused' >&2; exit 1")
    with pytest.raises(ManagerError, match="Connection refused"):
        LocalSystem(allowed=allowed()).get(ActionKind.REDIS, REDIS)


EMERG = 'nginx: [emerg] unknown directive "bla" in /etc/nginx/nginx.conf:3'
NGINX = {
    "content": ("exit 0", ""),
    "broken": (f"echo 'nginx: [warn] x' >&2; echo '{EMERG}' >&2; exit 1", EMERG),
    "not permitted": (
        "echo '[emerg] open() \"/run/nginx.pid\" failed (13: Permission denied)' >&2; exit 1",
        "",
    ),
}


@pytest.mark.parametrize(("script", "found"), NGINX.values(), ids=NGINX)
def test_what_nginx_says(program: Callable[[str, str], None], script: str, found: str) -> None:
    program("nginx", script)
    assert LocalSystem(allowed=allowed()).get(ActionKind.TEST, "nginx") == found


def test_a_test_that_fails(program: Callable[[str, str], None]) -> None:
    program("nginx", f"echo '{EMERG}' >&2; exit 1")
    with pytest.raises(ManagerError, match="unknown directive"):
        LocalSystem(allowed=allowed()).put(ActionKind.TEST, "nginx", "", nothing)


TMPFILES = {
    "content": ("exit 0", True),
    "before 256": (
        "echo \"systemd-tmpfiles: unrecognized option '--dry-run'\" >&2; exit 1",
        True,
    ),
    "wrong": ("echo '/etc/tmpfiles.d/x:1: Unknown modifiers' >&2; exit 65", False),
}


@pytest.mark.parametrize(("script", "fine"), TMPFILES.values(), ids=TMPFILES)
def test_a_rule_is_checked(
    program: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    script: str,
    fine: bool,
) -> None:
    program("systemd-tmpfiles", script)
    rule = tmp_path / "zz.conf"
    monkeypatch.setattr(tmpfiles_rule, "PATH", str(rule))
    # Taken away: nothing to try.
    LocalSystem(allowed=allowed()).put(ActionKind.TEST, "tmpfiles", "", nothing)
    rule.write_text("e /x - - - 31d\n")
    if fine:
        LocalSystem(allowed=allowed()).put(ActionKind.TEST, "tmpfiles", "", nothing)
    else:
        with pytest.raises(ManagerError, match="Unknown modifiers"):
            LocalSystem(allowed=allowed()).put(ActionKind.TEST, "tmpfiles", "", nothing)


@pytest.mark.parametrize("state", ["activating", "failed", "inactive"])
def test_what_does_not_run_on_after_its_restart(
    program: Callable[[str, str], None], tmp_path: Path, state: str
) -> None:
    program(
        "systemctl",
        f"[ $1 = restart ] && {{ touch {tmp_path}/done; exit 0; }}\n"
        f"if [ -e {tmp_path}/done ]; then echo {state}; else echo active; fi",
    )
    with pytest.raises(ManagerError, match="is not running after"):
        LocalSystem(allowed=allowed()).put(ActionKind.SERVICE, "x.service", "restart", nothing)


def test_what_does_not_run_is_not_restarted(
    program: Callable[[str, str], None], tmp_path: Path
) -> None:
    program("systemctl", f"[ $1 = restart ] && touch {tmp_path}/done; echo inactive")
    LocalSystem(allowed=allowed()).put(ActionKind.SERVICE, "x.service", "restart", nothing)
    assert not (tmp_path / "done").exists()


# How many huge pages there is room for, before and after the kernel has moved what lies between;
# what is there, what is asked for; what is there then, and a word of the error.
HUGE_PAGES = {
    "there is room": (200, 200, "0", "128", "128", ""),
    "after the kernel has moved what lies between": (90, 200, "0", "128", "128", ""),
    "there is no room": (90, 100, "0", "128", "0", "memory in one piece for 100 of 128 huge pages"),
    "nor for any": (4, 4, "4", "128", "4", "stays 4. Try it again right after the next boot"),
    "fewer always fit": (200, 200, "128", "0", "0", ""),
}


@pytest.mark.parametrize(
    ("room", "moved", "before", "wanted", "after", "error"), HUGE_PAGES.values(), ids=HUGE_PAGES
)
def test_huge_pages_are_reserved_whole_or_not_at_all(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    moved: int,
    before: str,
    wanted: str,
    after: str,
    error: str,
) -> None:
    """A kernel that reserves as many as it finds: what an undo asks for may be too much for it."""
    pages, compact = tmp_path / "nr_hugepages", tmp_path / "compact_memory"
    pages.write_text(before)
    monkeypatch.setattr(system, "_sysctl_path", lambda what: str(pages))
    monkeypatch.setattr(system, "_COMPACT", str(compact))
    found = system._sysctl

    def read(what: str) -> str:
        most = moved if compact.exists() else room
        pages.write_text(str(min(int(pages.read_text()), most)))
        return found(what)

    monkeypatch.setattr(system, "_sysctl", read)
    try:
        system._set_sysctl("vm.nr_hugepages", wanted)
    except ManagerError as raised:
        assert error
        assert error in str(raised)
    else:
        assert not error
    assert read("vm.nr_hugepages") == after
