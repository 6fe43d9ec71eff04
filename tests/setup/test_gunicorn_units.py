"""gunicorn in the units of real servers: what is set where, and what cannot be determined."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowmem_tui.model.snapshot import UnitFile, UnitSituation
from lowmem_tui.setup.gunicorn import args as gunicorn_args
from lowmem_tui.setup.gunicorn import seen as gunicorn_seen
from lowmem_tui.setup.gunicorn import step as gunicorn
from lowmem_tui.setup.gunicorn.start import start_of
from tests import english
from tests.setup.tree import Tree
from tests.unit.servers import M, process, service, situation, snapshot

from .box import Box

if TYPE_CHECKING:
    from pathlib import Path

    from lowmem_tui.setup.gunicorn.seen import Gunicorn
    from tests.english import Look

NAME = "shop.service"
UNIT = f"/etc/systemd/system/{NAME}"
VENV = "/srv/shop/venv"
BIN = f"{VENV}/bin/gunicorn"
PACKAGES = f"{VENV}/lib/python3.12/site-packages"


@dataclass
class Shop:
    """One unit, its files, and so many workers that run with this command line."""

    root: Path
    command: str = f"{BIN} shop:app"
    lines: str = ""
    files: dict[str, str] = field(default_factory=dict)
    workers: int = 1
    running: str = ""
    loaded: str = ""
    unit: str = NAME
    folder: str = "/srv/shop"
    reads: list[str] = field(default_factory=list)

    def make(self) -> gunicorn.GunicornStep:
        tree = Tree(self.root)
        for package in ("gunicorn", "gevent"):
            tree.write(f"{PACKAGES}/{package}/__init__.py", "")
        for path, text in self.files.items():
            tree.write(path, text)
        said = self.running or f"{VENV}/bin/python {self.command}"
        processes = [process(100, 30 * M, command=said)]
        processes += [process(101 + i, 70 * M, ppid=100, command=said) for i in range(self.workers)]
        words = tuple((self.loaded or self.command).split())
        one = service(self.unit, *processes, exec_start=words, main_pid=100)
        folder = f"WorkingDirectory={self.folder}\n" if self.folder else ""
        text = f"[Service]\n{folder}{self.lines}\nExecStart={self.command}\n"
        files = (UnitFile(UNIT, text),) if self.command else ()
        known = UnitSituation(self.unit, one, files, {}, None)
        ground = replace(
            tree.ground(),
            snapshot=lambda: snapshot(one),
            situation=lambda names: situation(*([known] if self.unit in set(names) else [])),
        )
        real = ground.files

        class Recorded:
            def __getattr__(_self, name: str) -> object:  # noqa: N805
                return getattr(real, name)

            def read(_self, path: str) -> str | None:  # noqa: N805
                self.reads.append(path)
                return real.read(path)

        self.ground = replace(ground, files=Recorded())  # type: ignore[arg-type]
        return gunicorn.make(self.ground)

    def look(self) -> Look:
        return english.look(self.make().look())

    def seen(self) -> Gunicorn:
        self.make()
        (found,) = gunicorn_seen.see(self.ground)
        return found


def taken(look: Look) -> dict[str, str]:
    return {i.key.rpartition(" ")[2]: i.value for i in look.items if i.taken and not i.done}


VALUES: dict[str, tuple[Shop, dict[str, str]]] = {}


def case(name: str, values: dict[str, str], **fields: object) -> None:
    VALUES[name] = (Shop(root=None, **fields), values)  # type: ignore[arg-type]


case(
    "arguments in a variable are of the command line",
    {"workers": "4 line", "worker-class": "gthread line", "max-requests": "300 line"},
    command=f"{BIN} $SHOP_ARGS shop:app",
    lines='Environment="SHOP_ARGS=-w 4 --worker-class gthread --threads 4 --max-requests 300"',
    workers=4,
)
case(
    "one in braces is one word",
    {"workers": "3 line", "max-requests": "0 default"},
    command=f"{BIN} -w ${{N}} shop:app",
    lines="Environment=N=3 'X=--max-requests 5'",
    workers=3,
)
case(
    "of an environment file, which wins",
    {"workers": "5 line"},
    command=f"{BIN} --workers=${{N}} shop:app",
    lines="EnvironmentFile=-/etc/default/shop\nEnvironment=N=2",
    files={"/etc/default/shop": "# x\nN='5'\n"},
    workers=5,
)
case(
    "arguments in an environment file",
    {"workers": "5 theirs", "max-requests": "0 default"},
    lines="EnvironmentFile=/etc/default/shop\nEnvironment=GUNICORN_CMD_ARGS=--max-requests=5",
    files={"/etc/default/shop": 'GUNICORN_CMD_ARGS="--workers 5"\n'},
    workers=5,
)
case(
    "the number by WEB_CONCURRENCY",
    {"workers": "6 default"},
    lines="EnvironmentFile=/srv/shop/.env",
    files={"/srv/shop/.env": "WEB_CONCURRENCY=6\n"},
    workers=6,
)
case(
    "an option that a file does not set although it is a default of another",
    {"workers": "4 file", "max-requests": "500 file", "worker-class": "sync default"},
    command=f"{BIN} --chdir /srv/shop/src -c conf.py shop:app",
    files={"/srv/shop/conf.py": "workers = 4\nmax_requests = 500\n"},
    workers=4,
)
case(
    "a file in the folder of --chdir is read by nobody",
    {"workers": "1 default"},
    command=f"{BIN} --chdir /srv/shop/src shop:app",
    files={"/srv/shop/src/gunicorn.conf.py": "workers = 4\n"},
)
for form in ("-cetc/g.py", "-c=etc/g.py", "--config=file:etc/g.py", "--conf ./etc/g.py"):
    case(
        f"a file by {form}",
        {"workers": "4 file"},
        command=f"{BIN} {form} shop:app",
        files={"/srv/shop/etc/g.py": "workers = 4\n", "/srv/shop/gunicorn.conf.py": "workers = 9"},
        workers=4,
    )
case(
    "a file by a variable of the unit",
    {"workers": "4 file"},
    command=f"{BIN} -c ${{CONF}} shop:app",
    lines="Environment=CONF=/etc/shop/g.py",
    files={"/etc/shop/g.py": "workers = 4\n"},
    workers=4,
)
case(
    "a file by GUNICORN_CMD_ARGS",
    {"workers": "4 file"},
    lines="Environment='GUNICORN_CMD_ARGS=-c g.py'",
    files={"/srv/shop/g.py": "workers = 4\n"},
    workers=4,
)
case(
    "a folder by a specifier",
    {"workers": "4 file"},
    folder="-/srv/%p",
    files={"/srv/shop/gunicorn.conf.py": "workers = 4\n"},
    workers=4,
)
case(
    "no folder is the root",
    {"workers": "4 file"},
    folder="",
    files={"/gunicorn.conf.py": "workers = 4\n"},
    workers=4,
)
for command in (
    f"/usr/bin/env A=1 {BIN} -w 4 shop:app",
    "/usr/bin/poetry run gunicorn -w 4 shop:app",
    "/usr/local/bin/uv run --frozen gunicorn -w 4 shop:app",
    "/usr/bin/uv run python -m gunicorn -w 4 shop:app",
    f"/usr/bin/nice -n 5 {BIN} -w 4 shop:app",
    f"-/usr/bin/env PYTHONPATH=src /usr/bin/ionice -c 3 {VENV}/bin/python -u -m gunicorn -w4 x",
    f"{VENV}/bin/python -X dev -W error {BIN} -w 4 shop:app",
    f"{VENV}/bin/python3 -m gunicorn.app.wsgiapp -w 4 shop:app",
    "/opt/own/bin/gunicorn -w 4 shop:app",
    "gunicorn -w 4 shop:app",
):
    case(f"started by {command}", {"workers": "4 line"}, command=command, workers=4)
case(
    "env sets the arguments",
    {"workers": "4 theirs"},
    command=f"/usr/bin/env GUNICORN_CMD_ARGS=--workers=4 {BIN} shop:app",
    workers=4,
)
case(
    "threads make gthread of sync",
    {"threads": "2 file"},
    files={"/srv/shop/gunicorn.conf.py": "threads = 2\n"},
)


@pytest.mark.parametrize(("shop", "values"), VALUES.values(), ids=VALUES)
def test_who_sets_what(tmp_path: Path, shop: Shop, values: dict[str, str]) -> None:
    found = replace(shop, root=tmp_path).seen()
    assert values == {option: f"{found.value(option)} {found.origin(option)}" for option in values}


def test_threads_decide_about_the_class(tmp_path: Path) -> None:
    shop = Shop(tmp_path, files={"/srv/shop/gunicorn.conf.py": "threads = 2\n"})
    assert shop.seen().worker_class == "gthread"
    assert "worker-class" not in taken(shop.look())
    shop.files["/srv/shop/gunicorn.conf.py"] = "threads = cpus()\n"
    assert shop.seen().worker_class == ""
    assert "worker-class" not in taken(shop.look())


UNKNOWN: dict[str, tuple[Shop, str]] = {}


def unknown(name: str, reason: str, **fields: object) -> None:
    UNKNOWN[name] = (Shop(root=None, **fields), reason)  # type: ignore[arg-type]


unknown(
    "arguments of the service manager",
    "PassEnvironment",
    command=f"{BIN} $SHOP_ARGS shop:app",
    lines="PassEnvironment=SHOP_ARGS",
)
unknown(
    "arguments in a file that is gone",
    "is not there",
    command=f"{BIN} $SHOP_ARGS shop:app",
    lines="EnvironmentFile=/etc/shop.env",
)
unknown("arguments handed on", "PassEnvironment", lines="PassEnvironment=GUNICORN_CMD_ARGS")
unknown("a file that is gone", "is not there", lines="EnvironmentFile=/etc/shop.env")
unknown("a module", "is a module of Python", command=f"{BIN} -c python:shop.conf shop:app")
unknown("a configuration that is gone", "does not exist", command=f"{BIN} -c g.py shop:app")
unknown(
    "a configuration that a file of the user names",
    "may write",
    command=f"{BIN} -c ${{CONF}} shop:app",
    lines="EnvironmentFile=/srv/shop/.env",
    files={"/srv/shop/.env": "CONF=/etc/shop/g.py\n", "/etc/shop/g.py": "workers = 1\n"},
)
unknown(
    "a folder by a specifier of the host", "folder", folder="/srv/%H", command=f"{BIN} -c g.py a:b"
)
unknown("a home", "folder", folder="~")
unknown("another root", "folder", lines="RootDirectory=/srv/root")
unknown(
    "a wrapper that goes elsewhere", "folder", command=f"/usr/bin/uv --directory /x run {BIN} a"
)
unknown("env that goes elsewhere", "folder", command=f"/usr/bin/env -C /x {BIN} a:b")
unknown(
    "a wrapper with its own variables", "other variables", command=f"/usr/bin/pipenv run {BIN} a"
)
unknown("env that clears", "other variables", command=f"/usr/bin/env -i {BIN} a:b")
unknown("env that splits", "env starts it", command=f"/usr/bin/env -S '{BIN} a:b'")
unknown("a shell", "sh starts it", command=f"/bin/sh -c '{BIN} -w 4 shop:app'")
unknown("a paste file", "paste", command=f"{BIN} --paste production.ini")
unknown("gunicorn_paster", "paste", command=f"{VENV}/bin/gunicorn_paster production.ini")
unknown(
    "a file that sets what cannot be seen",
    "is a program",
    files={"/srv/shop/gunicorn.conf.py": "globals().update(workers=4)\n"},
)
unknown(
    "a file that is too long",
    "is a program",
    files={"/srv/shop/gunicorn.conf.py": "workers = 4\n" + "# x\n" * 30_000},
)
unknown(
    "a script", "a script starts it", command="/srv/shop/run.sh", running="gunicorn: master [x]"
)
unknown(
    "an init script", "an init script starts it", command="/etc/init.d/gunicorn start", running="x"
)
unknown(
    "a variable without end",
    "GUNICORN_CMD_ARGS is too long",
    lines="EnvironmentFile=/srv/shop/.env",
    files={"/srv/shop/.env": "GUNICORN_CMD_ARGS=" + "-" * 60_000},
)
unknown(
    "a script that is seen",
    "a script starts it",
    command="/srv/shop/run.sh",
    running=f"{VENV}/bin/python {BIN} -b :80 shop:app",
)


@pytest.mark.parametrize(("shop", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_seen_is_unknown_and_proposes_nothing(
    tmp_path: Path, shop: Shop, reason: str
) -> None:
    shop = replace(shop, root=tmp_path, files=dict(shop.files), reads=[])
    look = shop.look()
    assert taken(look) == {}
    found = shop.seen()
    for option in ("worker-class", "workers", "max-requests"):
        assert found.value(option) == ""
    assert "unknown" in " ".join(look.facts)
    assert reason in " ".join([*look.facts, *look.by_hand])
    assert [f.code for f in look.findings] == []


def test_what_runs_in_a_container_is_not_reached_by_its_unit(tmp_path: Path) -> None:
    shop = Shop(
        tmp_path,
        command="/usr/bin/podman run --cgroups=split shop",
        running="/usr/local/bin/python /usr/local/bin/gunicorn -w 1 shop:app",
    )
    look = shop.look()
    assert look.items == ()
    assert "set GUNICORN_CMD_ARGS there" in " ".join(look.by_hand)


def test_what_a_script_shows_is_its_own_and_the_rest_is_unknown(tmp_path: Path) -> None:
    shop = Shop(
        tmp_path,
        command="/srv/shop/run.sh",
        running=f"{VENV}/bin/python {BIN} -w 4 -c /etc/shadow shop:app",
        workers=4,
        files={"/etc/shadow": "workers = 9"},
    )
    found = shop.seen()
    assert (found.value("workers"), found.origin("workers")) == ("4", "line")
    assert found.value("max-requests") == ""
    assert "/etc/shadow" not in shop.reads


def test_more_workers_than_was_read(tmp_path: Path) -> None:
    """Four run: that the number is 1, or that anything else is a default, cannot be said."""
    look = Shop(tmp_path, workers=4).look()
    assert taken(look) == {}
    assert "4 workers, but its files set 1" in " ".join(look.facts)
    assert not any("is 1" in finding.text for finding in look.findings)


def test_a_worker_that_is_replaced_contradicts_nothing(tmp_path: Path) -> None:
    shop = Shop(
        tmp_path, command=f"{BIN} shop:app", lines="Environment=WEB_CONCURRENCY=4", workers=3
    )
    assert shop.seen().value("workers") == "4"


def test_a_command_line_that_was_changed_since_contradicts_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path, running=f"{VENV}/bin/python {BIN} -w 4 shop:app", workers=4)
    found = shop.seen()
    assert (found.value("workers"), found.contradicted) == ("1", False)


def test_too_many_that_run_are_found_whoever_sets_them(tmp_path: Path) -> None:
    shop = Shop(
        tmp_path,
        workers=20,
        files={"/srv/shop/gunicorn.conf.py": "workers = f()\n"},
        lines="User=x",
    )
    look = shop.look()
    (finding,) = (f for f in look.findings if f.code == "gunicorn-workers-over-limit")
    assert "has 20 workers" in finding.text
    assert finding.remedy.startswith("by hand: workers")
    assert taken(look).keys() <= {
        "worker-class",
        "max-requests",
        "max-requests-jitter",
        "worker-connections",
    }


def test_gevent_is_never_put_in_the_place_of_another_class(tmp_path: Path) -> None:
    for name in ("uvicorn.workers.UvicornWorker", "tornado", "egg:x#y", "asgi", "gthread"):
        for shop in (
            Shop(tmp_path, command=f"{BIN} -k {name} shop:app"),
            Shop(tmp_path, lines=f"Environment='GUNICORN_CMD_ARGS=-k {name}'"),
            Shop(tmp_path, files={"/srv/shop/gunicorn.conf.py": f"worker_class = '{name}'\n"}),
        ):
            assert "worker-class" not in taken(shop.look())
        (tmp_path / "srv/shop/gunicorn.conf.py").unlink()


def test_a_file_of_the_unit_that_cannot_be_read_makes_all_unknown(tmp_path: Path) -> None:
    shop = Shop(tmp_path, command=f"{BIN} $ARGS shop:app")
    shop.make()
    known = shop.ground.situation([NAME]).units[NAME]
    drop_in = UnitFile(f"{UNIT}.d/secret.conf", None)
    read = replace(known, files=(*known.files, drop_in))
    found = gunicorn_seen._see(shop.ground, read)
    assert (found.value("workers"), found.value("max-requests")) == ("", "")
    assert "secret.conf cannot be read" in str(found.unsure)


def test_a_loaded_command_counts_where_no_file_is_known(tmp_path: Path) -> None:
    shop = Shop(tmp_path, command="", loaded=f"{BIN} -w 4 shop:app", workers=4)
    assert shop.seen().value("workers") == "4"


# What a user of the machine may do

FORGED = "gunicorn -c /proc/kcore x:y"


@pytest.mark.parametrize("unit", ["user@1000.service", "cron.service", "ssh.service"])
def test_a_process_of_a_user_is_no_gunicorn_of_the_system(tmp_path: Path, unit: str) -> None:
    shop = Shop(tmp_path, command="/usr/sbin/x", running=FORGED, unit=unit)
    assert shop.look().absent
    assert shop.reads == []


def test_no_path_of_a_process_is_opened(tmp_path: Path) -> None:
    shop = Shop(tmp_path, command="/usr/bin/node x.js", running=FORGED)
    shop.look()
    assert [path for path in shop.reads if not path.startswith("/etc/systemd/system/")] == []


def test_the_program_of_a_file_of_the_user_is_not_searched(tmp_path: Path) -> None:
    shop = Shop(
        tmp_path,
        command="/usr/bin/env ${X}/bin/gunicorn shop:app",
        lines="EnvironmentFile=/srv/shop/.env",
        files={"/srv/shop/.env": "X=/home/u\n", "/home/u/pyvenv.cfg": ""},
    )
    assert shop.seen().gevent is None
    assert "/home/u/pyvenv.cfg" not in shop.reads


HOSTILE = ["²", "9" * 3000, "\x1b[31m\u202e", "a" + "\u0301\u0327" * 20_000, "x" * 60_000, "[red]"]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("option", ["workers", "max_requests", "worker_class", "threads"])
def test_a_hostile_value_is_harmless_to_show(option: str, value: str) -> None:
    box = Box()
    path = "/etc/systemd/system/cloudchat.service"
    box.write(f"{path}.d/x.conf", f"[Service]\nExecStart=\nExecStart={BIN} cloudchat:app\n")
    box.write("/srv/cloudchat/gunicorn.conf.py", f"{option} = {json.dumps(value)}\n")
    look = box.step("gunicorn").look()
    shown = [*look.facts, *look.by_hand, *(f.text for f in look.findings)]
    assert all(text.isprintable() for text in shown)
    assert max(map(len, shown)) < 600
    assert all(len(item.now) < 300 for item in look.items)


_WORDS = st.lists(
    st.one_of(
        st.none(),
        st.sampled_from(
            [
                *("/usr/bin/env", "A=1", "-i", "-u", "-C", "gunicorn", "/x/bin/gunicorn", "-m"),
                *("python3", "sh", "-c", "uv", "run", "nice", "-S", "sudo", "chroot", "/x", ""),
            ]
        ),
    ),
    max_size=7,
)


@given(_WORDS)
def test_any_command_line_is_read(words: list[str | None]) -> None:
    """Whatever is found, gunicorn or a text with its name is on the line, and its words are."""
    found = start_of(words)
    if found is not None:
        assert any("gunicorn" in (word or "") for word in words)
        assert len(found.words) < len(words)


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.text(max_size=60), lines=st.text(st.characters(exclude_characters="\0"), max_size=60)
)
def test_any_unit_and_any_file_is_looked_at(tmp_path: Path, text: str, lines: str) -> None:
    shop = Shop(tmp_path, lines=lines.encode("utf-8", "replace").decode())
    shop.files["/srv/shop/gunicorn.conf.py"] = text.encode("utf-8", "replace").decode()
    shop.look()


# As gunicorn itself says (--print-config)

REAL = pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
SETUPS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "nothing": ("", {}, {}),
    "all three": (
        "-w 2",
        {"GUNICORN_CMD_ARGS": "--workers 3 --threads 2"},
        {"gunicorn.conf.py": "workers = 4\nthreads = 5\nmax_requests = 6\n"},
    ),
    "chdir and a file here": (
        "--chdir sub -c g.py",
        {},
        {"g.py": "workers = 4\n", "sub/g.py": "workers = 5\n", "sub/app.py": ""},
    ),
    "chdir and a file there": ("--chdir sub", {}, {"sub/gunicorn.conf.py": "workers = 5\n"}),
    "a file by name": (
        "-c=g.py",
        {},
        {"g.py": "workers = 4\n", "gunicorn.conf.py": "workers = 5\n"},
    ),
    "a file of the environment": (
        "",
        {"GUNICORN_CMD_ARGS": "-c g.py"},
        {"g.py": "max_requests = '7'\n", "gunicorn.conf.py": "workers = 5\n"},
    ),
    "the line's file and not the environment's": (
        "-c file:g.py",
        {"GUNICORN_CMD_ARGS": "-c h.py"},
        {"g.py": "workers = 4\n", "h.py": "workers = 5\n"},
    ),
    "concurrency": ("", {"WEB_CONCURRENCY": "7"}, {}),
    "concurrency and a file": ("", {"WEB_CONCURRENCY": "7"}, {"gunicorn.conf.py": "workers = 3\n"}),
    "quoted": ("", {"GUNICORN_CMD_ARGS": "--name 'a -w 9' -w2"}, {}),
    "cut short": ("--thr 3 --max-requests-j 4", {}, {}),
    "in one word": ("-Rw3 -kgthread", {}, {}),
}


@REAL
@pytest.mark.parametrize("name", SETUPS)
def test_as_gunicorn_resolves_it(tmp_path: Path, name: str) -> None:
    arguments, environment, files = SETUPS[name]
    folder = tmp_path / "srv/shop"
    (folder / "sub").mkdir(parents=True)
    for path, text in {"app.py": "app = None\n", "sub/app.py": "app = print\n", **files}.items():
        (folder / path).write_text(text or "app = print\n")
    (folder / "app.py").write_text("app = print\n")
    clean = {key: value for key, value in os.environ.items() if key != "WEB_CONCURRENCY"}
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--print-config", *arguments.split(), "app:app"],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said = dict(line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line)
    said = {key.strip(): value for key, value in said.items()}
    lines = "".join(f'Environment="{key}={value}"\n' for key, value in environment.items())
    shop = Shop(tmp_path, command=f"{BIN} {arguments} app:app", lines=lines, workers=0)
    found = shop.seen()
    for option in gunicorn_args.OPTIONS.keys() - {"config", "chdir"}:
        assert found.value(option) == said[option.replace("-", "_")]
