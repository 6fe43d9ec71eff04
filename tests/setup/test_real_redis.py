"""What we read in a configuration, and what a real redis-server makes of it; and how it is asked.

Servers of the tests' own, on sockets in a folder: no service of the machine is touched.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.model.errors import ManagerError
from lowmem_tui.setup.redis import client
from lowmem_tui.setup.redis.file import RedisConfig, bytes_of, config_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SERVER = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server (.ci/run has it)")

DEFAULTS = {
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "save": "3600 1 300 100 60 10000",
    "appendonly": "no",
    "requirepass": "",
    "dbfilename": "dump.rdb",
}


@contextmanager
def serving(folder: Path, words: Sequence[str]) -> Iterator[Path | None]:
    """A server with these words; its socket, or None where it does not start."""
    assert SERVER is not None
    socket = folder / "s"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [SERVER, *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 30
        while server.poll() is None and not socket.exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.005)
        yield socket if server.poll() is None else None
    finally:
        server.kill()
        server.wait()


def laid_out(folder: Path, text: str) -> None:
    (folder / "conf.d").mkdir()
    (folder / "sub").mkdir()
    (folder / "redis.conf").write_text(text)
    (folder / "more.conf").write_text("maxmemory 5mb\n")
    (folder / "sub/in.conf").write_text("maxmemory 11mb\n")
    (folder / "conf.d/10.conf").write_text("maxmemory 10mb\nmaxmemory-policy volatile-")
    (folder / "conf.d/20.conf").write_text("ttl\nmaxmemory 20mb\n")
    (folder / "conf.d/.30.conf").write_text("maxmemory 30mb\n")


def read(folder: Path, words: Sequence[str]) -> RedisConfig:
    texts = client._Texts(str(folder / "redis.conf"))
    return config_of(["redis-server", *words], texts.read, client._names, str(folder))


def ask(socket: Path, config: RedisConfig, name: str) -> str:
    more = {"REDISCLI_AUTH": config.password} if config.password else {}
    command = ["redis-cli", "-s", str(socket), "--raw", "CONFIG", "GET", name]
    done = subprocess.run(command, capture_output=True, env=more | {"PATH": "/usr/bin:/bin"})
    return done.stdout.decode("utf-8", "surrogateescape").removeprefix(f"{name}\n")[:-1]


CASES: list[tuple[str, tuple[str, ...]]] = [
    ("maxmemory 1mb\nMAXMEMORY 2MB\n", ()),
    ("\tmaxmemory\t3mb\r\n  maxmemory-policy  'allkeys-lru'\n", ()),
    ("save 900 1\nsave 300 10\n", ()),
    ('save "900 1 300 10"\n', ()),
    ("save 900 1\n", ("--save", "300", "10")),
    ("save 900 1\n", ("--save", "")),
    ("save 900 1\n", ("--save", "--maxmemory", "5mb")),
    ("save 900 1\n", ("--save 60 5",)),
    ('save ""\nsave 5 6\n', ()),
    ("maxmemory 1mb\n", ("--MAXMEMORY", "7mb", "--maxmemory", "8mb")),
    ("maxmemory 1mb", ("--maxmemory 7mb",)),
    ("include more.conf\nmaxmemory 1mb\n", ()),
    ("maxmemory 1mb\ninclude more.conf\n", ()),
    ('maxmemory 1mb\ninclude "conf.d/*.conf"\n', ()),
    ("include nothing/*.conf\nmaxmemory 9mb\n", ()),
    ("include conf.d\nmaxmemory 5mb\n", ()),
    ("dir sub\ninclude in.conf\n", ()),
    ("include more.conf\n", ("--include", "sub/in.conf")),
    ('requirepass "a\\x41\\t\\"b"\n', ()),
    ("requirepass 'a\\'b\\n'\n", ()),
    ('requirepass a"b c"\n', ()),
    ('requirepass "\\xc3\\xa9"\n', ()),
    ("requirepass a\vb\n", ()),
    ('requirepass ""\n', ()),
    ('maxmemory 64k\n# "\n', ()),
    ("maxmemory 12b\n", ()),
    ('maxmemory ""\n', ()),
    ("maxmemory 00005mb\n", ()),
    ("APPENDONLY Yes\n", ("--appendonly", "no")),
    ('dbfilename "queue \\x2e.rdb"\n', ()),
    ('requirepass a\\"b\n', ()),
    ('requirepass "x"y\n', ()),
    ('requirepass "x\n', ()),
    ("maxmemory 1.5gb\n", ()),
    ("maxmemory -1\n", ()),
    ('maxmemory "1 mb"\n', ()),
    ("maxmemory\n", ()),
    ("maxmemory 1mb 2mb\n", ()),
    ("save 1\n", ()),
    ("save x y\n", ()),
    ("appendonly maybe\n", ()),
    ("include none.conf\n", ()),
]


@pytest.mark.parametrize(("text", "options"), CASES, ids=[f"{c}" for c in CASES])
def test_it_starts_with_what_we_read(tmp_path: Path, text: str, options: tuple[str, ...]) -> None:
    laid_out(tmp_path, text)
    words = ("redis.conf", *options, "--unixsocket", str(tmp_path / "s"), "--port", "0")
    config = read(tmp_path, words)
    with serving(tmp_path, words) as socket:
        # It does not start exactly where we say that something is not known.
        assert (socket is None) is bool(config.trouble), config.trouble
        if socket is None:
            return
        for name, default in DEFAULTS.items():
            ours = " ".join(config.values.get(name, [default]))
            if name == "maxmemory":
                ours = str(bytes_of(ours) or 0)
            if name in {"maxmemory-policy", "appendonly"}:
                ours = ours.lower()
            assert ask(socket, config, name) == ours, name


SECRETS = {
    "no password": "",
    "a password": 'requirepass "a b\\x43"\n',
    "a password that another file sets": "include {folder}/secret\n",
    "a user": "user default on >pw ~* &* +@all\n",
    "other names": "rename-command CONFIG abc123\nrename-command INFO 'inf'\n",
    "both": "requirepass x\nrename-command CONFIG b840fc02d524045429941cc15f59e41cb7be6c52\n",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_it_is_asked_and_set(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text("requirepass included\n")
    (tmp_path / "redis.conf").write_text(text.format(folder=tmp_path))
    words = ("redis.conf", "--unixsocket", str(tmp_path / "s"), "--port", "0")
    where = f" -s {tmp_path}/s @ {tmp_path}/redis.conf"
    with serving(tmp_path, words):
        assert client.get(f"redis.service maxmemory{where}") == "0"
        client.put(f"redis.service maxmemory{where}", str(5 << 20))
        assert client.get(f"redis.service maxmemory{where}") == str(5 << 20)
        assert client.get(f"redis.service save{where}") == DEFAULTS["save"]
        client.put(f"redis.service save{where}", "")
        assert client.get(f"redis.service save{where}") == ""
        assert int(client.get(f"redis.service used_memory{where}")) > 100_000


SILENT = {
    "a password that is nowhere": ("user default on #{digest} ~* &* +@all\n", "NOAUTH"),
    "a list of users": ("aclfile {folder}/users.acl\n", "NOAUTH"),
    "a command that was taken away": ('rename-command CONFIG ""\n', "rename-command"),
    "a user that may not": ("user default on nopass ~* &* +@all -config -info\n", "NOPERM"),
}


@pytest.mark.parametrize(("text", "why"), SILENT.values(), ids=SILENT)
def test_one_that_does_not_tell_says_why(tmp_path: Path, text: str, why: str) -> None:
    digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    (tmp_path / "users.acl").write_text(f"user default on #{digest} ~* &* +@all\n")
    (tmp_path / "redis.conf").write_text(text.format(folder=tmp_path, digest=digest))
    words = ("redis.conf", "--unixsocket", str(tmp_path / "s"), "--port", "0")
    where = f" -s {tmp_path}/s @ {tmp_path}/redis.conf"
    with serving(tmp_path, words), pytest.raises(ManagerError, match=why):
        client.get(f"redis.service maxmemory{where}")
