"""The operator's language: as the environment says or --lang, and English where it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lowmem_tui.cli import language
from lowmem_tui.model.errors import InvalidValueError

CHINESE = "zh_CN.UTF-8"
EVERY = ", ".join(("en", *language.LANGUAGES))


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, "en"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": CHINESE}, "zh_CN"),
        ({"LANG": "zh_CN.utf8@pinyin"}, "zh_CN"),
        ({"LANG": "zh_TW.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": CHINESE}, "zh_CN"),
        ({"LANG": CHINESE, "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "en_US.UTF-8", "LC_ALL": CHINESE}, "zh_CN"),
        ({"LANG": CHINESE, "LC_ALL": "C"}, "en"),
        ({"LANG": CHINESE, "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": CHINESE, "LC_ALL": ""}, "zh_CN"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "xx:zh_CN:en"}, "zh_CN"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "en:zh_CN"}, "en"),
        ({"LANG": CHINESE, "LANGUAGE": "en"}, "en"),
        ({"LANG": CHINESE, "LANGUAGE": ""}, "zh_CN"),
        ({"LANG": "C", "LANGUAGE": "zh_CN"}, "en"),
        ({"LANGUAGE": "zh_CN"}, "en"),
    ],
)
def test_the_environment_names_the_language(environ: dict[str, str], found: str) -> None:
    assert language.wanted(environ) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [("en", "en"), ("en_GB", "en"), ("C", "en"), ("zh_CN", "zh_CN"), ("zh-CN", "zh_CN"),
     ("zh", "zh_CN"), ("zh_CN.UTF-8", "zh_CN")],
)  # fmt: skip
def test_the_option_names_the_language(asked: str, found: str) -> None:
    assert language.named(asked) == found


@pytest.mark.parametrize("asked", ["", "fr", "zh_TW", "\x1b[2J", "../../etc"])
def test_a_language_that_there_is_not(asked: str) -> None:
    with pytest.raises(InvalidValueError, match=f"use one of {EVERY}") as raised:
        language.named(asked)
    assert "\x1b" not in str(raised.value)


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"]} | environ
    return subprocess.run(
        [sys.executable, "-m", "lowmem_tui", *arguments],
        env=kept,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


WRONG = ("plan", "--demo", "--set", "ssh.service:MemoryMax=banana")
"""What is refused with a sentence of the model."""


def test_a_refusal_is_in_the_operators_language(compiled: None) -> None:
    english = run(*WRONG, LANG="en_US.UTF-8").stderr
    for result in (
        run(*WRONG, LANG=CHINESE),
        run("--lang", "zh_CN", *WRONG, LANG="en_US.UTF-8"),
        run(*WRONG, "--lang=zh_CN", LANG="C.UTF-8"),
    ):
        assert result.returncode == 2 or result.returncode == 3
        assert result.stderr != english
        assert "banana" in result.stderr


@pytest.mark.parametrize(
    "environ", [{"LANG": "zh_CN.GBK"}, {"LC_ALL": "C", "LANG": CHINESE}, {}], ids=str
)
def test_without_a_terminal_of_utf8_it_is_english(compiled: None, environ: dict[str, str]) -> None:
    result = run("--lang", "zh_CN", *WRONG, **environ)
    assert result.stderr == run(*WRONG).stderr
    assert result.stderr.isascii()


@pytest.mark.parametrize(
    "command",
    [
        ("check",), ("list",), ("incidents",), ("history",),
        ("plan", "--set", "redis-server.service:MemoryMax=10M"),
        ("whatif", "--set", "redis-server.service:MemoryMax=90M"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_json_is_the_same_in_every_language(compiled: None, command: tuple[str, ...]) -> None:
    english = run(*command, "--demo", "--json", LANG="C.UTF-8")
    chinese = run("--lang", "zh_CN", *command, "--demo", "--json", LANG="C.UTF-8")
    assert (chinese.stdout, chinese.returncode) == (english.stdout, english.returncode)
    assert english.stdout.startswith("{")


def test_ascii_is_english(compiled: None) -> None:
    assert run("--ascii", *WRONG, LANG=CHINESE).stderr.isascii()


def test_an_unknown_language_is_wrong_usage() -> None:
    result = run("--lang", "xx", "list", "--demo", LANG="en_US.UTF-8")
    assert (result.returncode, result.stdout) == (2, "")
    assert f"use one of {EVERY}" in result.stderr


LOADED = """\
import os, sys
from lowmem_tui.cli import language
language.prepare([])
print(*[m for m in ("gettext", "locale", "pkgutil", "lowmem_tui.model.language",
    "lowmem_tui.model.message") if m in sys.modules])
"""


@pytest.mark.parametrize(
    ("lang", "loaded"), [("en_US.UTF-8", ""), ("de_DE.UTF-8", ""), ("C.UTF-8", "")]
)
def test_nothing_is_loaded_for_english(lang: str, loaded: str) -> None:
    environ = {"PATH": os.environ["PATH"], "LANG": lang}
    found = subprocess.run(
        [sys.executable, "-c", LOADED], env=environ, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == loaded
