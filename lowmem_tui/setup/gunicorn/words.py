"""What is said of a gunicorn: facts, findings, what is to be done by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.text import plain
from lowmem_tui.policy import budget
from lowmem_tui.setup import common

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.model.setup import Item
    from lowmem_tui.setup.gunicorn.seen import Gunicorn

GEVENT = "gevent"
FILLED = 0.9
"""The share of its limit that the workers may fill: the rest is page cache and peaks."""

_ORIGINS = {
    "line": "its command line",
    "ours": "our drop-in",
    "theirs": "GUNICORN_CMD_ARGS of another file",
    "file": "its configuration file",
    "default": "gunicorn's default",
}

WIDTH = 40
"""Of a value that is shown."""


_ABOUT = {
    "gunicorn-no-end": "max-requests",
    "gunicorn-sync": "worker-class",
    "gunicorn-workers-over-limit": "workers",
}
"""The option that a finding is about."""


def obstacle(gunicorn: Gunicorn) -> str:
    """Return why no option can be set by our drop-in; or ""."""
    if gunicorn.line is None:
        return f"its command line is not known ({gunicorn.unsure})."
    return gunicorn.hidden


def fitting(gunicorn: Gunicorn, ram: int) -> int | None:
    """Return how many workers of the largest's size fit into its limit; None if not known."""
    cost = gunicorn.cost
    if cost is None or not cost.workers[0]:
        return None
    room = gunicorn.limit if gunicorn.limit is not None else ram - budget.reserve(ram)
    return max(1, int((room * FILLED - cost.master) // cost.workers[0]))


def facts(gunicorn: Gunicorn) -> Iterator[str]:
    """Yield what was found."""
    name = plain(gunicorn.name)
    cost = gunicorn.cost
    limit = "no MemoryMax" if gunicorn.limit is None else f"MemoryMax={format_size(gunicorn.limit)}"
    if cost is None:
        yield f"{name} runs no worker now, so what one costs is not known; {limit}."
    else:
        count = len(cost.workers)
        each = " and ".join(format_size(size) for size in cost.workers[:4])
        more = "" if count <= 4 else f" and {count - 4} more"
        yield (
            f"{name} runs {count} {'worker' if count == 1 else 'workers'} of {each}{more}, the "
            f"master {format_size(cost.master)} ({cost.words}): "
            f"{format_size(sum(cost.workers) + cost.master)} together; {limit}."
        )
    told = [_told(gunicorn, option) for option in ("worker-class", "workers", "max-requests")]
    yield f"{name}: {', '.join(told)}."
    yield from (f"{sentence}." for sentence in _unknown(gunicorn))


def _told(gunicorn: Gunicorn, option: str) -> str:
    origin = gunicorn.origin(option)
    if origin == "unknown":
        return f"{option} unknown"
    value = plain(gunicorn.value(option), WIDTH) or "unknown"
    if origin == "default" and option == "workers" and gunicorn.concurrency:
        return f"{option} {value} (WEB_CONCURRENCY)"
    return f"{option} {value} ({_ORIGINS[origin]})"


def _unknown(gunicorn: Gunicorn) -> Iterator[str]:
    """Yield why something is not known; without full stops."""
    name = plain(gunicorn.name)
    if gunicorn.contradicted:
        yield (
            f"{name} runs {gunicorn.running} workers, which is not what its files say "
            f"({gunicorn.read_workers}): something else sets its options, so what its command "
            "line does not set cannot be determined"
        )
    if gunicorn.unsure:
        yield (
            f"{name}: {gunicorn.unsure}, so what is not seen on its command line cannot be "
            "determined"
        )
    elif gunicorn.config_file.trouble:
        yield f"{name}: {gunicorn.config_file.trouble}"


def findings(gunicorn: Gunicorn, items: Iterable[Item], ram: int) -> Iterator[Finding]:
    """Yield what is wrong, and what of the items is not as it is proposed."""
    found = [*_wrong(gunicorn, ram)]
    yield from found
    told = {f"{gunicorn.name} {_ABOUT[f.code]}" for f in found if f.code in _ABOUT}
    yield from common.undone("gunicorn", items, told)


def _wrong(gunicorn: Gunicorn, ram: int) -> Iterator[Finding]:
    name = plain(gunicorn.name)
    if gunicorn.stale:
        yield Finding(
            "gunicorn-args-hidden",
            Severity.PROBLEM,
            gunicorn.name,
            f"{plain(gunicorn.path)} repeats other GUNICORN_CMD_ARGS than the files of {name} have "
            "by now: the newer ones are hidden.",
            common.remedy("gunicorn"),
        )
    if gunicorn.value("max-requests") == "0":
        yield Finding(
            "gunicorn-no-end",
            Severity.ADVICE,
            gunicorn.name,
            f"The workers of {name} are never recycled (max-requests 0): what the application "
            "leaks adds up.",
            _mend(gunicorn, "max-requests", "1000"),
        )
    if (
        gunicorn.worker_class == "sync"
        and gunicorn.gevent
        and gunicorn.origin("worker-class") in {"default", "line"}
    ):
        yield Finding(
            "gunicorn-sync",
            Severity.ADVICE,
            gunicorn.name,
            f"The workers of {name} serve one request at a time (worker-class sync), and its "
            "Python has gevent.",
            _mend(gunicorn, "worker-class", GEVENT),
        )
    fit = fitting(gunicorn, ram)
    count = gunicorn.workers
    if fit is not None and count is not None and count > fit and gunicorn.cost:
        yield Finding(
            "gunicorn-workers-over-limit",
            Severity.WARNING,
            gunicorn.name,
            f"{name} has {count} workers and room for {fit} of "
            f"{format_size(gunicorn.cost.workers[0])}: all at that size are killed at the limit.",
            _mend(gunicorn, "workers", str(min(fit, 2))),
        )


def _mend(gunicorn: Gunicorn, option: str, value: str) -> str:
    if obstacle(gunicorn) or gunicorn.origin(option) == "line":
        return f"by hand: --{option} {value} in {plain(gunicorn.fragment)}"
    if not gunicorn.value(option):
        return f"by hand: {option} {value}, in the file or script that sets it"
    return common.remedy("gunicorn")


def by_hand(gunicorn: Gunicorn, ram: int) -> Iterator[str]:
    """Yield what cannot be done from here."""
    name = plain(gunicorn.name)
    if sentence := obstacle(gunicorn):
        yield f"{name}: {sentence} The options: --max-requests 1000 --max-requests-jitter 50."
        return
    for finding in _wrong(gunicorn, ram):
        remedy = str(finding.remedy)
        if remedy.startswith("by hand: --"):
            yield (
                f"{name}: its command line decides, so edit ExecStart: "
                f"{remedy.removeprefix('by hand: ')}, then `systemctl daemon-reload` and "
                f"`systemctl restart {name}`."
            )
    if gunicorn.gevent is False and gunicorn.worker_class == "sync":
        yield (
            f"{name}: its Python has no gevent; once it is installed beside gunicorn, this step "
            "proposes it."
        )
