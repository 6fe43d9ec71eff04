"""What is read of a gunicorn configuration file and command line: what gunicorn makes of them."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.setup.gunicorn import python_text
from lowmem_tui.setup.gunicorn.args import OPTIONS, of_file, of_variable, parse

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = set(OPTIONS)

SET: dict[str, tuple[str, dict[str, str]]] = {
    "several names": ("workers = threads = 2", {"workers": "2", "threads": "2"}),
    "a text that is a number": ("workers = '4'", {"workers": "4"}),
    "glued texts": ("worker_class = 'ge' 'vent'", {"worker-class": "gevent"}),
    "with underscores": ("max_requests = 1_000", {"max-requests": "1000"}),
    "unset": ("workers = 4\ndel workers", {}),
    "set again": ("workers = cpus() * 2\nworkers = 3", {"workers": "3"}),
    "no value": ("workers: int", {}),
    "of a class": ("class Mine:\n    workers = 9\nworkers = 2", {"workers": "2"}),
    "of a function": ("def f():\n    workers = 9\nworkers = 2", {"workers": "2"}),
    "of a comprehension": ("x = [workers for workers in y]\n", {}),
    "of a lambda": ("f = lambda workers: workers\nworkers = 2", {"workers": "2"}),
    "of somebody else": ("x.workers = 9\nd['workers'] = 9\nworkers = 2", {"workers": "2"}),
    "a name with a dash": ("max_requests = 5\nmaxrequests = 6", {"max-requests": "5"}),
    "a hook": ("def when_ready(server):\n    server.log.info('x')\nworkers = 2", {"workers": "2"}),
    "a set of somebody else's": ("def f(r):\n    r.set(k, v)\nworkers = 2", {"workers": "2"}),
    "a byte order mark": ("\ufeffworkers = 2", {"workers": "2"}),
    "lines of Windows": ("workers = 2\r\nthreads = 3\r\n", {"workers": "2", "threads": "3"}),
    "imports": ("import os, sys\nfrom a import b\nworkers = 2", {"workers": "2"}),
}


@pytest.mark.parametrize(("text", "found"), SET.values(), ids=SET)
def test_what_a_file_sets(text: str, found: dict[str, str]) -> None:
    assert of_file(text) == (found, set())


COMPUTED = {
    "of the environment": "import os\nworkers = int(os.environ.get('W', 4))",
    "added to": "workers = 1\nworkers += 3",
    "in a condition": "workers = 1\nif x:\n    workers = 4",
    "in an exception": "try:\n    workers = f()\nexcept E:\n    workers = 1",
    "in a loop": "for workers in (1, 2, 3):\n    pass",
    "with": "with f() as workers:\n    pass",
    "caught": "try:\n    f()\nexcept E as workers:\n    pass",
    "imported": "from settings import workers",
    "imported by another name": "from settings import n as workers",
    "a module": "import workers.of.mine",
    "a function": "def workers(): return 4",
    "a class": "class workers: pass",
    "by the way": "print(workers := 4)",
    "by the way in a default": "def f(x=(workers := 4)): pass",
    "by the way in a comprehension": "[workers := y for y in z]",
    "global": "def f():\n    global workers\n    workers = 4\nf()\n",
    "global before": "def f():\n    global workers\n    workers = 4\nworkers = 1\nf()",
    "global in a class": "class A:\n    global workers\n    workers = 4\n",
    "unpacked": "workers, x = 4, 5",
    "unpacked with a star": "[*workers] = x",
    "matched": "match x:\n    case [workers]:\n        pass",
    "matched as": "match x:\n    case 4 as workers:\n        pass",
    "matched rest": "match x:\n    case {'a': 1, **workers}:\n        pass",
    "matched star": "match x:\n    case [1, *workers]:\n        pass",
    "unset perhaps": "workers = 4\nif x:\n    del workers",
    "another number": "workers = 0x10 if x else 3",
    "no number": "workers = True",
    "no number at all": "workers = '²'",
    "octal": "workers = '010'",
    "a long number": "workers = " + "9" * 3000,
    "a longer number": "workers = '" + "9" * 5000 + "'",
    "nothing": "workers = None",
    "by a hook": "workers = 1\ndef on_starting(server):\n    server.cfg.set('workers', 4)",
    "by a hook in the arbiter": "def when_ready(server):\n    server.num_workers = 4",
}


@pytest.mark.parametrize("text", COMPUTED.values(), ids=COMPUTED)
def test_what_a_file_computes(text: str) -> None:
    assert of_file(text) == ({}, {"workers"})


EVERYTHING = {
    "globals": "globals().update(workers=4)",
    "globals by item": "globals()['workers'] = 4",
    "globals renamed": "g = globals\ng()['workers'] = 4",
    "locals": "for k, v in x:\n    locals()[k] = v",
    "vars": "vars()['workers'] = 4",
    "exec": "exec(open('more.py').read())",
    "eval": "eval('globals')()",
    "compile": "compile(x, 'y', 'exec')",
    "a star": "from settings.base import *",
    "a star in a try": "try:\n    from local import *\nexcept ImportError:\n    pass",
    "setattr": "import sys\nsetattr(sys.modules[__name__], 'workers', 4)",
    "its module": "import sys\nsys.modules['__config__'].workers = 4",
    "its module imported": "import __config__\n__config__.workers = 4",
    "its module by name": "m = find('__config__')",
    "its dict": "f.__globals__['workers'] = 4",
    "builtins": "import builtins\nbuiltins.exec(x)",
    "builtins from": "from builtins import exec as run\nrun(x)",
    "in a function": "def f():\n    globals()['workers'] = 4\nf()",
    "a frame": "import inspect\ninspect.currentframe().f_globals['workers'] = 4",
    "runpy": "import runpy\nx = runpy.run_path('more.py')",
    "a hook that sets any": "def f(server):\n    for k, v in x: server.cfg.set(k, v)",
    "a hook by another name": "def f(s):\n    c = s.cfg\n    c.set(k, 4)",
    "a hook on settings": "def f(server):\n    server.cfg.settings['workers'].set(4)",
    "no Python": "workers = (",
    "Python 2": "print 'x'\nworkers = 4",
    "not text": "workers = 4  # \udcff",
    "NUL": "workers = 4\0",
}


@pytest.mark.parametrize("text", EVERYTHING.values(), ids=EVERYTHING)
def test_what_may_set_anything_computes_all(text: str) -> None:
    assert of_file(text) == ({}, ALL)


def test_an_escape_that_python_warns_of_is_no_noise(recwarn: pytest.WarningsRecorder) -> None:
    assert of_file("workers = 2\naccess = '\\d'\nif 1is 1: pass") == ({"workers": "2"}, set())
    assert not recwarn.list


# A program of such statements is run, and compared with what was read of it.
_NAME = st.sampled_from(["workers", "threads", "max_requests", "other", "f"])
_VALUE = st.sampled_from(["1", "2", "'3'", "other", "1 + 1", "[5 for workers in 'a']", "(f := 4)"])
_SIMPLE = st.one_of(
    st.builds("{} = {}".format, _NAME, _VALUE),
    st.builds("{} = {} = {}".format, _NAME, _NAME, _VALUE),
    st.builds("{}: int = {}".format, _NAME, _VALUE),
    st.builds("{} += 1".format, _NAME),
    st.builds("del {}".format, _NAME),
    st.builds("({} := {})".format, _NAME, _VALUE),
    st.builds("from math import pi as {}".format, _NAME),
    st.builds("globals()['{}'] = {}".format, _NAME, _VALUE),
    st.just("f()"),
    st.just("pass"),
)


def _indented(head: str) -> Callable[[list[str]], str]:
    def made(body: list[str]) -> str:
        lines = "\n".join(body).splitlines()
        return head + "\n" + "\n".join(f"    {line}" for line in lines)

    return made


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3)
    heads = [
        *("if other:", "while False:", "for threads in (1, 2):", "def f():", "class f:"),
        *("def f():\n    global workers", "async def threads():", "with open('/dev/null') as f:"),
    ]
    return st.one_of(*(body.map(_indented(head)) for head in heads))


_PROGRAM = st.lists(st.recursive(_SIMPLE, _blocks, max_leaves=6), min_size=1, max_size=6)


@settings(deadline=None, max_examples=400)
@given(_PROGRAM)
def test_what_is_read_is_what_running_it_sets(statements: list[str]) -> None:
    text = "\n".join(statements)
    found, computed = of_file(text)
    space: dict[str, Any] = {"other": 7}
    try:
        exec(text, space)
    except Exception:  # noqa: BLE001 - gunicorn would not start
        return
    for option in OPTIONS:
        value = space.get(option.replace("-", "_"))
        if option in found:
            assert str(value) == found[option]
        elif option not in computed:
            assert value is None


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    found, computed = of_file(text)
    assert not set(found) & computed


# Bombs: each costs the parser seconds, all memory or the process where it is let through.

FORMS: dict[str, Callable[[int], str]] = {
    "parens": lambda n: "(" * n + ")" * n,
    "open parens": lambda n: "(" * n,
    "lists": lambda n: "x=" + "[" * n + "]" * n,
    "dicts": lambda n: "x=" + "{1:" * n + "1" + "}" * n,
    "mixed": lambda n: "x=" + "({[" * n,
    "minus": lambda n: "x=" + "-" * n + "1",
    "not": lambda n: "x=" + "not " * n + "1",
    "dots": lambda n: "x=a" + ".a" * n,
    "calls": lambda n: "x=a" + "()" * n,
    "nested calls": lambda n: "x=" + "a(" * n + ")" * n,
    "plus": lambda n: "x=1" + "+1" * n,
    "strings": lambda n: "x=" + '"a" ' * n,
    "lambda": lambda n: "x=" + "lambda:" * n + "1",
    "lambda defaults": lambda n: "x=" + "lambda a=" * n + "1",
    "ifelse": lambda n: "x=" + "1 if 1 else " * n + "1",
    "elif": lambda n: "if 1:\n pass\n" + "elif 1:\n pass\n" * n,
    "subscript": lambda n: "x=a" + "[0]" * n,
    "pow": lambda n: "x=1" + "**1" * n,
    "compare": lambda n: "x=1" + "<1" * n,
    "walrus": lambda n: "x=" + "(a:=" * n + "1" + ")" * n,
    "await": lambda n: "x=" + "await " * n + "1",
    "star": lambda n: "x=" + "*" * n + "1",
    "hugeint": lambda n: "workers=" + "9" * n,
    "hexint": lambda n: "workers=0x" + "f" * n,
    "name": lambda n: "a" * n + "=1",
    "wide name": lambda n: "ﷺ" * n + "=1",
    "marks": lambda n: "a" + "\u0301\u0327" * n + "=1",
    "indent": lambda n: "".join(" " * i + "if 1:\n" for i in range(min(n, 200))) + " " * 201 + "x",
    "try": lambda n: "".join(" " * i + "try:\n" for i in range(min(n, 200))),
    "assigns": lambda n: "a=" * n + "1",
    "commas": lambda n: "x=" + "1," * n,
    "fstr": lambda n: "x=" + "f'{" * n,
    "fstring": lambda n: "x=f'''" + "{" * n + "1" + "}" * n + "'''",
    "fstring minus": lambda n: "x=f'''{" + "-" * n + "1}'''",
    "quotes": lambda n: "'''" * n,
    "escapes": lambda n: "x='" + "\\d" * n + "'",
    "names": lambda n: "x='" + "\\N{DIGIT ONE}" * n + "'",
    "nul": lambda n: "\0" * n,
    "backslashes": lambda n: "\\\n" * n,
    "blanks": lambda n: " \t\f" * n,
    "lines": lambda n: "\n" * n,
    "comments": lambda n: "#\n" * n,
    "comp": lambda n: "x=[1 " + "for a in b " * n + "]",
    "decorators": lambda n: "@a\n" * n + "def f(): pass",
    "match": lambda n: "match x:\n case " + "[" * n + "]" * n + ": pass",
    "or": lambda n: "match x:\n case 1" + "|1" * n + ": pass",
    "semicolons": lambda n: "x=1;" * n,
    "manyworkers": lambda n: "workers=1\n" * n,
    "annotations": lambda n: "x:" + "a[" * n + "]" * n,
    "slices": lambda n: "x=a[" + ":" * n + "]",
    "type": lambda n: "def f(" + "a:b=c," * n + "): pass",
}
SIZES = (5, 15, 40, 90, 190, 390, 1000, 3000, 10_000, 200_000)


def _worst(form: Callable[[int], str]) -> float:
    worst = 0.0
    for size in SIZES:
        text = form(size)
        begun = time.thread_time()
        found, computed = of_file(text)
        worst = max(worst, time.thread_time() - begun)
        assert not set(found) & computed
    return worst


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_bomb_is_refused_at_once_and_on_a_small_stack(form: Callable[[int], str]) -> None:
    """Each form at each size, in a thread with a stack of 256 KiB: no crash, and no second."""
    took: list[float] = []
    before = threading.stack_size(256 << 10)
    try:
        thread = threading.Thread(target=lambda: took.append(_worst(form)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert took
    assert took[0] < 0.5


def test_an_ordinary_long_file_is_read() -> None:
    log = "logconfig_dict = {'version': 1, 'handlers': {'console': {'class': 'x', 'level': 1}}}\n"
    text = "# A comment of some words\n" * 400 + "workers = 3\n" + log + "raw_env = [\n"
    text += "    'NAME=value',\n" * 300 + "]\n" + "def post_fork(server, worker):\n    pass\n" * 40
    assert python_text.is_small(text)
    assert of_file(text) == ({"workers": "3"}, set())


# Command lines

PARSED: dict[str, tuple[list[str], dict[str, str]]] = {
    "a flag and a value in one word": (["-Dw4"], {"workers": "4"}),
    "flags": (["-DRw", "4"], {"workers": "4"}),
    "a value that looks like an option": (["-b", "-w", "--workers", "3"], {"workers": "3"}),
    "a value is no option": (["--name", "-w", "x"], {}),
    "an environment is no option": (["-e", "WEB=-w4", "-w2"], {"workers": "2"}),
    "no number": (["-w", "many", "--threads", "²"], {"workers": "", "threads": ""}),
    "many digits": (["-w", "9" * 5000], {"workers": ""}),
    "a class of somebody's": (["-k", "egg:x#y"], {"worker-class": "egg:x#y"}),
    "a long class": (["-k", "x" * 500], {"worker-class": ""}),
    "cut short": (
        ["--thr", "4", "--max-requests-j=5"],
        {"threads": "4", "max-requests-jitter": "5"},
    ),
    "not unmistakable": (["--worker-c", "4", "--threads=5"], {"threads": "5"}),
    "of a future version": (["--new-thing", "x", "-w", "3"], {"workers": "3"}),
}


@pytest.mark.parametrize(("words", "found"), PARSED.values(), ids=PARSED)
def test_command_lines(words: list[str], found: dict[str, str]) -> None:
    assert parse(words) == found


def test_a_variable_that_a_shell_would_not_take() -> None:
    assert of_variable("--workers '3") is None
    assert of_variable("--workers '3' -k \"gevent\"") == {"workers": "3", "worker-class": "gevent"}


_GUNICORN = pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
_WORD = st.sampled_from(
    [
        *("-w", "-w2", "-w=3", "-k", "-kgevent", "-D", "-Dw4", "-c", "-cx.py", "--config=y.py"),
        *("--workers", "--workers=5", "--worker-class", "--threads=2", "--thr", "--max-requests"),
        *("--max-requests-jitter", "7", "0", "x.py", "gevent", "app:app", "-b", ":80", "--reload"),
        *("--chdir", "/", "--worker-connections", "--preload", "-e", "A=-w9", "--name", "-R", "--"),
    ]
)


@_GUNICORN
@settings(deadline=None, max_examples=300)
@given(st.lists(_WORD, max_size=8))
def test_command_lines_as_gunicorn_takes_them(words: list[str]) -> None:
    from gunicorn.config import Config

    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            args = vars(Config().parser().parse_args(words))
        except SystemExit:  # it takes no such line
            return
    theirs = {name: args[name.replace("-", "_")] for name in OPTIONS}
    assert parse(words) == {name: str(v) for name, v in theirs.items() if v is not None}
