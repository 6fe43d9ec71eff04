"""What is reported of a gunicorn: facts, findings, what is to be done by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import (
    as_message,
    msg,
    of_bytes,
    of_command,
    of_list,
    of_path,
    of_setting,
    of_text,
    of_unit,
    plural,
    sentences,
    verbatim,
)
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.policy import budget
from lowmem_tui.setup import common
from lowmem_tui.setup.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.setup import Item
    from lowmem_tui.setup.gunicorn.seen import Gunicorn

GEVENT = "gevent"
FILLED = 0.9
"""The share of its limit that the workers may fill: the rest is page cache and peaks."""

_ORIGINS = {
    "line": msg("its command line"),
    "ours": msg("our drop-in"),
    "theirs": msg("GUNICORN_CMD_ARGS of another file"),
    "file": msg("its configuration file"),
    "default": msg("gunicorn's default"),
}

WIDTH = 40
"""Of a value that is shown."""


class Wrong(NamedTuple):
    """What is wrong with an option."""

    code: str
    severity: Severity
    text: Message
    option: str
    value: str
    """What it is to be."""


def obstacle(gunicorn: Gunicorn) -> Message | None:
    """Return why no option can be set by our drop-in, a sentence."""
    if gunicorn.line is None:
        return msg("Its command line is unknown: {why}.", why=gunicorn.unsure)
    return gunicorn.hidden


def fitting(gunicorn: Gunicorn, ram: int) -> int | None:
    """Return how many workers of the largest's size fit into its limit; None if unknown."""
    cost = gunicorn.cost
    if cost is None or not cost.workers[0]:
        return None
    room = gunicorn.limit if gunicorn.limit is not None else ram - budget.reserve(ram)
    return max(1, int((room * FILLED - cost.master) // cost.workers[0]))


def facts(gunicorn: Gunicorn) -> Iterator[Message]:
    """Yield what was found."""
    limit = msg("It has no MemoryMax.")
    if gunicorn.limit is not None:
        limit = msg("Its MemoryMax is {limit}.", limit=of_bytes(gunicorn.limit))
    yield sentences(_workers(gunicorn), limit)
    options = ("worker-class", "workers", "max-requests")
    yield msg(
        "{unit}: {options}.",
        unit=of_unit(gunicorn.name),
        options=of_list(_option(gunicorn, each) for each in options),
    )
    yield from _unknown(gunicorn)


def _workers(gunicorn: Gunicorn) -> Message:
    name, cost = of_unit(gunicorn.name), gunicorn.cost
    if cost is None:
        return msg("{unit} runs no worker now, so the memory that one needs is unknown.", unit=name)
    return plural(
        "{unit} runs {n} worker of {sizes} and a master of {master}, {total} in all ({measure}).",
        "{unit} runs {n} workers of {sizes} and a master of {master}, {total} in all ({measure}).",
        len(cost.workers),
        unit=name,
        sizes=shortened([of_bytes(size) for size in cost.workers]),
        master=of_bytes(cost.master),
        total=of_bytes(sum(cost.workers) + cost.master),
        measure=cost.measure,
    )


def _option(gunicorn: Gunicorn, option: str) -> Message:
    """Return the value of an option, and who sets it."""
    origin, name = gunicorn.origin(option), of_setting(option)
    value = gunicorn.value(option)
    if origin == "unknown":
        return msg("{option} unknown", option=name)
    by = _ORIGINS[origin]
    if origin == "default" and option == "workers" and gunicorn.concurrency:
        by = verbatim("WEB_CONCURRENCY")
    if not value:
        return msg("{option} unknown ({origin})", option=name, origin=by)
    return msg("{option} {value} ({origin})", option=name, value=of_text(value, WIDTH), origin=by)


def _unknown(gunicorn: Gunicorn) -> Iterator[Message]:
    """Yield why something is unknown."""
    name = of_unit(gunicorn.name)
    if gunicorn.contradicted:
        yield plural(
            "{unit} runs {n} worker, but its files set {read}: something else sets its options, "
            "so those that its command line does not set cannot be determined.",
            "{unit} runs {n} workers, but its files set {read}: something else sets its options, "
            "so those that its command line does not set cannot be determined.",
            gunicorn.running or 0,
            unit=name,
            read=gunicorn.read_workers,
        )
    if gunicorn.unsure:
        yield msg(
            "{unit}: options that its command line does not show cannot be determined ({why}).",
            unit=name,
            why=gunicorn.unsure,
        )
    elif gunicorn.config_file.trouble:
        yield msg("{unit}: {text}", unit=name, text=gunicorn.config_file.trouble)


def findings(gunicorn: Gunicorn, items: Iterable[Item], ram: int) -> Iterator[Finding]:
    """Yield what is wrong, and which items differ from what is proposed."""
    if gunicorn.stale:
        yield Finding(
            "gunicorn-args-hidden",
            Severity.PROBLEM,
            gunicorn.name,
            msg(
                "{file} repeats earlier GUNICORN_CMD_ARGS of {unit}, and hides the present ones.",
                file=of_path(gunicorn.path),
                unit=of_unit(gunicorn.name),
            ),
            common.remedy("gunicorn"),
        )
    found = [*_wrong(gunicorn, ram)]
    for each in found:
        mend = _mend(gunicorn, each.option, each.value)
        yield Finding(each.code, each.severity, gunicorn.name, each.text, mend)
    about = {f"{gunicorn.name} {each.option}" for each in found}
    yield from common.undone("gunicorn", items, about)


def _wrong(gunicorn: Gunicorn, ram: int) -> Iterator[Wrong]:
    name = of_unit(gunicorn.name)
    if gunicorn.value("max-requests") == "0":
        yield Wrong(
            "gunicorn-no-end",
            Severity.ADVICE,
            msg(
                "The workers of {unit} are never recycled (max-requests 0): memory that the "
                "application leaks adds up.",
                unit=name,
            ),
            "max-requests",
            "1000",
        )
    if (
        gunicorn.worker_class == "sync"
        and gunicorn.gevent
        and gunicorn.origin("worker-class") in {"default", "line"}
    ):
        yield Wrong(
            "gunicorn-sync",
            Severity.ADVICE,
            msg(
                "The workers of {unit} serve one request at a time (worker-class sync), and its "
                "Python has gevent.",
                unit=name,
            ),
            "worker-class",
            GEVENT,
        )
    fit = fitting(gunicorn, ram)
    count = gunicorn.workers
    if fit is not None and count is not None and count > fit and gunicorn.cost:
        yield Wrong(
            "gunicorn-workers-over-limit",
            Severity.WARNING,
            plural(
                "{unit} has {n} worker (workers) and room for {fit} of {size}: if all of them "
                "reach that size, processes are killed at the limit.",
                "{unit} has {n} workers and room for {fit} of {size}: if all of them reach that "
                "size, processes are killed at the limit.",
                count,
                unit=name,
                fit=fit,
                size=of_bytes(gunicorn.cost.workers[0]),
            ),
            "workers",
            str(min(fit, 2)),
        )


def _mend(gunicorn: Gunicorn, option: str, value: str) -> Message | str:
    if obstacle(gunicorn) or gunicorn.origin(option) == "line":
        return msg(
            "by hand: {option} in {file}",
            option=of_setting(f"--{option} {value}"),
            file=of_path(gunicorn.fragment),
        )
    if not gunicorn.value(option):
        return msg(
            "by hand: {option}, in the file or script that sets it",
            option=of_setting(f"{option} {value}"),
        )
    return common.remedy("gunicorn")


def by_hand(gunicorn: Gunicorn, ram: int) -> Iterator[Message]:
    """Yield what cannot be done from here."""
    name = of_unit(gunicorn.name)
    if why := obstacle(gunicorn):
        yield sentences(
            unchangeable(gunicorn, why),
            msg(
                "The options to add: {options}.",
                options=of_setting("--max-requests 1000 --max-requests-jitter 50"),
            ),
        )
        return
    for each in _wrong(gunicorn, ram):
        if gunicorn.origin(each.option) == "line":
            yield msg(
                "{unit}: its command line sets this option, so write {option} into ExecStart of "
                "{file}, then run `{reload}` and `{restart}`.",
                unit=name,
                option=of_setting(f"--{each.option} {each.value}"),
                file=of_path(gunicorn.fragment),
                reload=of_command("systemctl daemon-reload"),
                restart=of_command(f"systemctl restart {gunicorn.name}"),
            )
    if gunicorn.gevent is False and gunicorn.worker_class == "sync":
        yield msg(
            "{unit}: its Python has no gevent; this step proposes gevent once it is installed for "
            "that Python.",
            unit=name,
        )


def unchangeable(gunicorn: Gunicorn, why: Message | str) -> Message:
    """Return that its options cannot be set from here, and why."""
    return sentences(
        msg("lowmem-tui cannot set the options of {unit}.", unit=of_unit(gunicorn.name)),
        as_message(why),
    )
