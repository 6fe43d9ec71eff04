"""How a command line starts gunicorn: by itself, by Python, by a wrapper, by a shell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_command
from lowmem_tui.setup import unit_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.message import Message

PROGRAMS = frozenset({"gunicorn", "gunicorn3", "gunicorn_paster"})
_MODULES = frozenset({"gunicorn", "gunicorn.app.wsgiapp"})

_SHELLS = frozenset(
    {"sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox", "su", "script", "scl", "screen"}
)
_WRAPPERS = frozenset(
    {
        *("poetry", "uv", "uvx", "pipx", "pipenv", "pdm", "hatch", "rye", "pixi"),
        *("conda", "mamba", "micromamba", "newrelic-admin", "ddtrace-run", "dotenv", "direnv"),
        *("opentelemetry-instrument", "elasticapm-run", "nice", "ionice", "chrt", "taskset"),
        *("numactl", "timeout", "stdbuf", "setpriv", "setsid", "nohup", "chpst", "authbind"),
        *("dumb-init", "tini", "systemd-cat", "unshare", "prlimit", "cgexec", "time", "flock"),
        *("sudo", "doas", "runuser", "gosu", "su-exec", "chroot", "firejail", "bwrap"),
        *(
            "proxychains",
            "proxychains4",
            "torsocks",
            "xvfb-run",
            "aa-exec",
            "envdir",
            "softlimit",
            "setuidgid",
        ),
    }
)
CONTAINERS = frozenset(
    {
        *("docker", "docker-compose", "podman", "nerdctl", "crun", "runc", "conmon", "ctr"),
        *("systemd-nspawn", "lxc-start", "lxc", "incus", "kubelet", "k3s", "snap", "flatpak"),
    }
)
"""Programs that run others in a container: what a unit sets does not reach them."""
_OTHER_ENVIRONMENT = frozenset(
    {
        *("pipenv", "dotenv", "direnv", "envdir", "hatch"),
        *("sudo", "doas", "runuser", "bwrap", "firejail"),
    }
)
"""Wrappers that read variables from a file, or take some away."""
_MOVES = ("-C", "--directory", "--chdir", "--project", "--cd", "-D", "--cwd")
_ELSEWHERE = frozenset({"chroot", "unshare", "bwrap", "firejail"})
_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})


@dataclass(frozen=True, slots=True)
class Start:
    """A command line that starts gunicorn."""

    words: tuple[str | None, ...] = ()
    """What follows gunicorn on it; None for what is not known."""
    program: str = ""
    """The absolute path of gunicorn, or of the Python that runs it; "" if that is unknown."""
    paster: bool = False
    """Whether a paste file configures it."""
    environment: dict[str, str] = field(default_factory=dict)
    """The variables that ``env`` sets."""
    other_environment: bool = False
    """Whether the variables of the unit may not be what gunicorn gets."""
    moved: bool = False
    """Whether its working folder, or its root, may be another one than the unit's."""
    elsewhere: bool = False
    """Whether its root is another one than the unit's."""
    unknown: Message | str = ""
    """Why its arguments are unknown, without a full stop; or ""."""


def start_of(words: Sequence[str | None]) -> Start | None:
    """Return how these words start gunicorn; None if they start something else."""
    start = Start()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word is None:
            return None
        name = word.rpartition("/")[2]
        if name == "env":
            start, rest = _env(start, rest)
            if start.unknown:
                return start if _named(rest) else None
        elif name in _SHELLS:
            return _by_shell(start, name, rest)
        elif name in _WRAPPERS:
            start, rest = _wrapper(start, name, rest)
        else:
            return _direct(start, word, rest)
    return None


def of_process(words: Sequence[str]) -> list[str] | None:
    """Return what follows gunicorn on the command line of a process of it; None for another's."""
    found = _direct(Start(), words[0], list(words[1:])) if words else None
    return None if found is None else [word for word in found.words if word is not None]


def _direct(start: Start, word: str, rest: list[str | None]) -> Start | None:
    """Return the start if this is gunicorn, or a Python that runs it."""
    name = word.rpartition("/")[2]
    if name in PROGRAMS and "/init.d/" in word:
        return replace(start, unknown=msg("an init script starts it"))
    if name in PROGRAMS:
        return _found(start, word, rest)
    if not name.startswith(("python", "pypy")):
        return None
    at = 0
    while at < len(rest):
        each = rest[at]
        at += 1
        if each is None or each == "-c":
            return None
        if each.startswith("-m"):
            module = each[2:] or next(iter(rest[at:]), None)
            after = at if each[2:] else at + 1
            return _found(start, word, rest[after:]) if module in _MODULES else None
        if each in _WITH_VALUE:
            at += 1
        elif not each.startswith("-"):
            return _found(start, each, rest[at:]) if _is_program(each) else None
    return None


def _is_program(word: str) -> bool:
    return word.rpartition("/")[2] in PROGRAMS


def _found(start: Start, word: str, rest: Sequence[str | None]) -> Start:
    return replace(
        start,
        words=tuple(rest),
        program=word if word.startswith("/") and not start.elsewhere else "",
        paster=word.rpartition("/")[2] == "gunicorn_paster",
    )


def _env(start: Start, rest: list[str | None]) -> tuple[Start, list[str | None]]:
    """Read the options and variables of env(1)."""
    set_here = dict(start.environment)
    other, moved = start.other_environment, start.moved
    while rest and (word := rest[0]) is not None:
        name, equals, value = word.partition("=")
        if equals and unit_words.is_name(name):
            set_here[name] = value
        elif word in {"-u", "--unset"} or word.startswith(("-u", "--unset=")):
            other = True
            del rest[: word in {"-u", "--unset"}]
        elif word in {"-i", "-", "--ignore-environment"}:
            other = True
        elif word in {"-C", "--chdir"} or word.startswith(("-C", "--chdir=")):
            moved = True
            del rest[: word in {"-C", "--chdir"}]
        elif word.startswith("-"):
            return replace(
                start, unknown=msg("{program} starts it", program=of_command("env"))
            ), rest
        else:
            break
        rest = rest[1:]
    return replace(start, environment=set_here, other_environment=other, moved=moved), rest


def _by_shell(start: Start, name: str, rest: Sequence[str | None]) -> Start | None:
    if not _named(rest):
        return None
    return replace(start, unknown=msg("{program} starts it", program=of_command(name)))


def _named(rest: Sequence[str | None]) -> bool:
    return any("gunicorn" in (word or "") for word in rest)


def _wrapper(start: Start, name: str, rest: Sequence[str | None]) -> tuple[Start, list[str | None]]:
    """Skip a wrapper's own words: up to gunicorn, or to what leads to it."""
    at = next((i for i, word in enumerate(rest) if word is None or _leads_on(word)), len(rest))
    own = [word or "" for word in rest[:at]]
    return (
        replace(
            start,
            moved=start.moved
            or name in _ELSEWHERE
            or any(word.startswith(("--directory=", "--chdir=")) or word in _MOVES for word in own),
            other_environment=start.other_environment
            or name in _OTHER_ENVIRONMENT
            or any(word.startswith(("--env", "--clear")) for word in own),
            elsewhere=start.elsewhere or name in _ELSEWHERE,
        ),
        list(rest[at:]),
    )


def _leads_on(word: str) -> bool:
    name = word.rpartition("/")[2]
    known = name in _SHELLS or name in _WRAPPERS or name == "env"
    return known or _is_program(word) or name.startswith(("python3", "pypy3")) or name == "python"
