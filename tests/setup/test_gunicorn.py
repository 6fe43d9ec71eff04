"""The step `gunicorn`: who sets an option, what a worker costs, and what our drop-in says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError, RefusedError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.setup import unit_text
from lowmem_tui.setup.gunicorn import args as gunicorn_args
from lowmem_tui.setup.gunicorn.args import joined, of_file, ours_of, parse

from .box import Box, codes, goes_through, items

if TYPE_CHECKING:
    from collections.abc import Callable

UNIT = "cloudchat.service"
FILE = f"/etc/systemd/system/{UNIT}"
OURS = f"{FILE}.d/zz-lowmem-tui-gunicorn.conf"
GUNICORN = "/srv/cloudchat/venv/bin/gunicorn"
PACKAGES = "/srv/cloudchat/venv/lib/python3.13/site-packages"


def box_with(command: str, *lines: str) -> Box:
    """Its command line in the unit, and more lines of [Service]."""
    box = Box()
    text = [f"ExecStart={GUNICORN} {command}" if command else f"ExecStart={GUNICORN} app", *lines]
    override = "\n".join(["[Service]", "ExecStart=", *text, ""])
    box.write(f"{FILE}.d/override.conf", override)
    return box


def option(key: str) -> str:
    return f"{UNIT} {key}"


def argument_line(text: str | None) -> str:
    assert text is not None
    return text.splitlines()[-1]


def test_the_demo_server_goes_through() -> None:
    plan = goes_through(Box(), "gunicorn")
    assert [file.path for file in plan.files] == [OURS]
    assert argument_line(plan.files[0].after) == (
        'Environment="GUNICORN_CMD_ARGS=--max-requests 1000 --max-requests-jitter 50"'
    )
    assert [(a.kind, a.what, a.after) for a in plan.actions] == [
        (ActionKind.SERVICE, UNIT, "restart")
    ]
    assert [w.code for w in plan.warnings] == ["gunicorn-restart"]


def test_all_of_it_where_nothing_is_set() -> None:
    plan = goes_through(box_with("app"), "gunicorn")
    assert argument_line(plan.files[0].after) == (
        'Environment="GUNICORN_CMD_ARGS=--worker-class gevent --workers 2 --worker-connections 50 '
        '--max-requests 1000 --max-requests-jitter 50"'
    )


ORIGINS: dict[str, tuple[str, tuple[str, ...], set[str]]] = {
    "short": ("-k gevent -w2 app", (), {"worker-connections", "max-requests"}),
    "equals": ("--workers=2 --worker-class=gevent app", (), {"worker-connections", "max-requests"}),
    "cut short": (
        "--worker-cl gevent --max-requests 5 --workers 1 app",
        (),
        {"worker-connections"},
    ),
    "threads": ("--threads 4 app", (), {"workers", "max-requests"}),
    "another class": ("-k uvicorn.workers.UvicornWorker app", (), {"workers", "max-requests"}),
    "theirs": (
        "app",
        ("Environment='GUNICORN_CMD_ARGS=--max-requests 500 --worker-class gevent'",),
        {"workers", "worker-connections"},
    ),
    "concurrency": ("-k gevent app", ("Environment=WEB_CONCURRENCY=2",), {"workers"}),
}


@pytest.mark.parametrize(("command", "lines", "wanted"), ORIGINS.values(), ids=ORIGINS)
def test_what_is_set_already_is_left(
    command: str, lines: tuple[str, ...], wanted: set[str]
) -> None:
    look = box_with(command, *lines).step("gunicorn").look()
    found = {item.key.removeprefix(f"{UNIT} ") for item in look.items}
    assert wanted <= found
    words = {"max-requests", "worker-class", "workers", "worker-connections"} & found - wanted
    for name in words:
        assert f"--{name}" not in command


def test_their_arguments_are_kept() -> None:
    box = box_with("-w 2 app", 'Environment="GUNICORN_CMD_ARGS=--log-level info" A=1')
    plan = goes_through(box, "gunicorn")
    assert argument_line(plan.files[0].after) == (
        'Environment="GUNICORN_CMD_ARGS=--log-level info --worker-class gevent '
        '--worker-connections 50 --max-requests 1000 --max-requests-jitter 50"'
    )


def test_newer_arguments_that_are_hidden_are_found_and_mended() -> None:
    box = box_with("-k gevent -w 2 app", "Environment=GUNICORN_CMD_ARGS=--preload")
    box.backend.apply(box.step("gunicorn").plan({option("max-requests"): "300"}))
    text = (box.read(f"{FILE}.d/override.conf") or "").replace("--preload", "--log-level=debug")
    box.write(f"{FILE}.d/override.conf", text)
    look = box.step("gunicorn").look()
    assert "gunicorn-args-hidden" in codes(look)
    box.backend.apply(box.step("gunicorn").plan({option("max-requests"): "300"}))
    assert argument_line(box.read(OURS)) == (
        'Environment="GUNICORN_CMD_ARGS=--log-level=debug --max-requests 300"'
    )
    assert "gunicorn-args-hidden" not in codes(box.step("gunicorn").look())


HIDDEN: dict[str, Callable[[], Box]] = {
    "an environment file": lambda: _with_environment_file("  GUNICORN_CMD_ARGS=--preload\n"),
    "a later drop-in": lambda: _with_later("[Service]\nEnvironment=GUNICORN_CMD_ARGS=\n"),
}


def _with_environment_file(text: str) -> Box:
    box = box_with("app", "EnvironmentFile=-/etc/default/cloudchat")
    box.write("/etc/default/cloudchat", text)
    return box


def _with_later(text: str) -> Box:
    box = box_with("app")
    box.write(f"{FILE}.d/zzz.conf", text)
    return box


@pytest.mark.parametrize("case", HIDDEN)
def test_where_our_file_would_not_count(case: str) -> None:
    look = HIDDEN[case]().step("gunicorn").look()
    assert look.items == ()
    assert "GUNICORN_CMD_ARGS" in look.by_hand[0]
    assert all(finding.remedy.startswith("by hand") for finding in look.findings)
    with pytest.raises(RefusedError, match="add the options there"):
        HIDDEN[case]().step("gunicorn").plan({option("max-requests"): "10"})


def test_another_environment_file_does_no_harm() -> None:
    goes_through(_with_environment_file("# GUNICORN_CMD_ARGS=\nDEBUG=1\n"), "gunicorn")


def test_the_command_line_decides() -> None:
    box = box_with("-k sync -w 9 --max-requests 0 app")
    look = box.step("gunicorn").look()
    assert codes(look) == [
        "gunicorn-no-end",
        "gunicorn-sync",
        "gunicorn-workers-over-limit",
        "gunicorn-worker-connections",
        "gunicorn-max-requests-jitter",
    ]
    assert all(finding.remedy.startswith("by hand: --") for finding in look.findings[:3])
    assert all("override.conf" in line for line in look.by_hand)
    assert list(items(look)) == [option("worker-connections"), option("max-requests-jitter")]
    with pytest.raises(RefusedError, match="its command line sets this option"):
        box.step("gunicorn").plan({option("workers"): "2"})
    assert box.step("gunicorn").plan({option("workers"): "9"}).empty


@pytest.mark.parametrize(
    ("limit", "value", "finding"),
    [("600M", "2", False), ("300M", "1", False), ("100M", "1", False)],
)
def test_the_workers_fit_into_the_limit(limit: str, value: str, finding: bool) -> None:
    box = box_with("-k gevent app", f"MemoryMax={limit}")
    box.server.kernel.set_limit(f"/system.slice/{UNIT}", "memory.max", _mib(limit))
    look = box.step("gunicorn").look()
    (item,) = (item for item in look.items if item.key == option("workers"))
    assert (item.now, item.value) == ("1", value)
    assert ("gunicorn-workers-over-limit" in codes(look)) is finding
    assert "PSS" in item.why


def _mib(text: str) -> int:
    return int(text[:-1]) << 20


def test_too_many_of_a_file_are_overruled() -> None:
    box = box_with("-k gevent app")
    box.write("/srv/cloudchat/gunicorn.conf.py", "workers = 8\nmax_requests = 100\n")
    look = box.step("gunicorn").look()
    assert codes(look) == [
        "gunicorn-workers-over-limit",
        "gunicorn-worker-connections",
        "gunicorn-max-requests-jitter",
    ]
    plan = goes_through(box, "gunicorn")
    assert "--workers 2" in (plan.files[0].after or "")
    assert "--max-requests " not in (plan.files[0].after or "")


GEVENT: dict[str, tuple[Callable[[Box], None], bool | None]] = {
    "beside it": (lambda box: None, True),
    "not there": (lambda box: box.remove(f"{PACKAGES}/gevent/__init__.py"), False),
    "not known": (lambda box: box.remove(f"{PACKAGES}/gunicorn/__init__.py"), None),
    "of the system": (lambda box: _of_system(box), True),
}


def _of_system(box: Box) -> None:
    box.remove(f"{PACKAGES}/gevent/__init__.py")
    box.write("/srv/cloudchat/venv/pyvenv.cfg", "include-system-site-packages = true\n")
    box.write("/usr/lib/python3/dist-packages/gevent/__init__.py", "")


@pytest.mark.parametrize(("change", "known"), GEVENT.values(), ids=GEVENT)
def test_gevent_is_proposed_where_it_is(change: Callable[[Box], None], known: bool | None) -> None:
    box = box_with("app")
    change(box)
    look = box.step("gunicorn").look()
    found = [item for item in look.items if item.key == option("worker-class")]
    assert [item.taken for item in found] == ([] if known is False else [known is True])
    assert ("gunicorn-sync" in codes(look)) is (known is True)
    if known is False:
        assert any("no gevent" in line for line in look.by_hand)
        with pytest.raises(RefusedError, match="install it"):
            box.step("gunicorn").plan({option("worker-class"): "gevent"})
    if known is None:
        assert "cannot be determined" in found[0].why
        plan = box.step("gunicorn").plan({option("worker-class"): "gevent"})
        assert "gunicorn-gevent-unknown" in [w.code for w in plan.warnings]


def test_by_python_and_by_script() -> None:
    box = Box()
    box.write(
        f"{FILE}.d/override.conf",
        "[Service]\nExecStart=\nExecStart=/srv/cloudchat/venv/bin/python3 -m gunicorn app\n",
    )
    goes_through(box, "gunicorn")
    box = Box()
    box.write(f"{FILE}.d/override.conf", "[Service]\nExecStart=\nExecStart=/srv/cloudchat/run\n")
    # Its processes tell, options and all.
    look = box.step("gunicorn").look()
    assert list(items(look)) == [option("max-requests"), option("max-requests-jitter")]


def test_no_gunicorn() -> None:
    box = Box()
    box.server.connect().stop_unit(UNIT)
    box.write(FILE, "[Service]\nExecStart=/usr/bin/node app.js\n")
    box.now += 60
    assert box.step("gunicorn").look().absent.startswith("There is no gunicorn")
    with pytest.raises(InvalidValueError, match="nothing can be set in this section"):
        box.step("gunicorn").plan({option("workers"): "1"})


WRONG = {
    "a key": ({option("bind"): "1"}, "has no key"),
    "no unit": ({"workers": "1"}, "has no key 'workers'"),
    "another unit": ({"nginx.service workers": "1"}, "has no key"),
    "no number": ({option("workers"): "many"}, "whole number"),
    "none": ({option("workers"): "0"}, "whole number"),
    "a class": ({option("worker-class"): "gevent --preload"}, "one of gevent"),
    "a line break": ({option("max-requests"): "1\nUser=root"}, "whole number"),
}


@pytest.mark.parametrize(("wishes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_wishes(wishes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Box().step("gunicorn").plan(wishes)


LINES: dict[str, tuple[list[str], dict[str, str]]] = {
    "nothing": ([], {}),
    "the last one": (["-w", "1", "--workers", "2"], {"workers": "2"}),
    "glued": (
        ["-w3", "-kgevent", "-c=x.py"],
        {"workers": "3", "worker-class": "gevent", "config": "x.py"},
    ),
    "no value": (["--workers"], {"workers": ""}),
    "others": (["--bind", "x", "--workers-of-mine", "1", "--wor", "2", "-"], {}),
    "exact before prefix": (["--max-requests", "5"], {"max-requests": "5"}),
    "after the end": (["--", "--workers", "2"], {}),
}


@pytest.mark.parametrize(("words", "found"), LINES.values(), ids=LINES)
def test_command_lines(words: list[str], found: dict[str, str]) -> None:
    assert parse(words) == found


FILES: dict[str, tuple[str, dict[str, str], set[str]]] = {
    "numbers": (
        "workers = 3\nworker_class = 'gevent'",
        {"workers": "3", "worker-class": "gevent"},
        set(),
    ),
    "computed": ("import os\nworkers = os.cpu_count() * 2 + 1", {}, {"workers"}),
    "the last one": ("workers = 3\nworkers = 4", {"workers": "4"}, set()),
    "by a condition": ("workers = 3\nif x:\n    workers = 9", {}, {"workers"}),
    "annotated": ("workers: int = 3", {"workers": "3"}, set()),
    "no number": ("workers = True", {}, {"workers"}),
    "two": ("workers, x = 1, 2", {}, {"workers"}),
    "broken": ("workers = (", {}, set(gunicorn_args.OPTIONS)),
    "deep": ("(" * 500, {}, set(gunicorn_args.OPTIONS)),
    "NUL": ("workers = 1\0", {}, set(gunicorn_args.OPTIONS)),
    "others": ("bind = ':8000'", {}, set()),
}


@pytest.mark.parametrize(("text", "found", "computed"), FILES.values(), ids=FILES)
def test_configuration_files(text: str, found: dict[str, str], computed: set[str]) -> None:
    assert of_file(text) == (found, computed)


_OPTION = st.sampled_from(["workers", "max-requests", "worker-class", "max-requests-jitter"])


@settings(deadline=None)
@given(
    st.sampled_from(["", "--preload", "--log-level 'a b'", "--workers 7", "--x 100%"]),
    st.dictionaries(_OPTION, st.sampled_from(["1", "gevent", "50"]), min_size=1),
)
def test_our_arguments_are_read_back(theirs: str, options: dict[str, str]) -> None:
    value = joined(theirs, options)
    assert ours_of(value, theirs) == (options, False)
    assert ours_of(value, "--other")[1]
    line = f"[Service]\nEnvironment={unit_text.quoted(f'X={value}')}\n"
    assert unit_text.environment([UnitFile("x", line)]) == {"X": value}


@settings(deadline=None)
@given(st.text(max_size=100))
def test_any_configuration_file_is_read(text: str) -> None:
    found, computed = of_file(text)
    assert not set(found) & computed


def test_php_and_uwsgi_are_looked_at() -> None:
    box = Box()
    box.write(
        f"{FILE}.d/override.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/php-fpm8.4 --nodaemonize\n",
    )
    box.write("/etc/php/8.4/fpm/pool.d/www.conf", "; x\npm.max_children = 20\n")
    look = box.step("gunicorn").look()
    assert "php-children" in codes(look)
    assert any("pm.max_requests" in line for line in look.by_hand)
    box.write(
        f"{FILE}.d/override.conf",
        "[Service]\nMemoryMax=400M\nExecStart=\nExecStart=/usr/bin/uwsgi --ini x.ini\n",
    )
    box.server.kernel.set_limit(f"/system.slice/{UNIT}", "memory.max", 400 << 20)
    assert "uwsgi-workers" in codes(box.step("gunicorn").look())
