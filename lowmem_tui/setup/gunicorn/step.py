"""gunicorn: how many workers, of which worker-class, and that each is recycled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import RefusedError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.message import (
    N_,
    msg,
    of_bytes,
    of_command,
    of_list,
    of_path,
    of_setting,
    of_unit,
    sentences,
)
from lowmem_tui.model.plan import FileChange, Notice
from lowmem_tui.model.setup import Item, Look
from lowmem_tui.setup import common, unit_text
from lowmem_tui.setup.gunicorn import args as gunicorn_args
from lowmem_tui.setup.gunicorn import others as other_workers
from lowmem_tui.setup.gunicorn.seen import see
from lowmem_tui.setup.gunicorn.words import (
    GEVENT,
    by_hand,
    facts,
    findings,
    fitting,
    obstacle,
    unchangeable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.gunicorn.seen import Gunicorn

CONNECTIONS = "50"
REQUESTS = "1000"
JITTER = "50"
WORKERS = 2
"""The guide's, for 1 GiB."""

CHANGED = ("worker-class", "workers", "worker-connections", "max-requests", "max-requests-jitter")
CLASSES = (GEVENT, "gthread", "sync", "eventlet", "tornado")

_NUMBERS = {
    "workers": re.compile(r"[1-9][0-9]?\Z"),
    "worker-connections": re.compile(r"[1-9][0-9]{0,4}\Z"),
    "max-requests": re.compile(r"[0-9]{1,7}\Z"),
    "max-requests-jitter": re.compile(r"[0-9]{1,7}\Z"),
}


class GunicornStep:
    """See ``Step``."""

    name = "gunicorn"
    title = N_("gunicorn: workers")
    about = N_(
        "Each worker is a whole copy of the application, and memory that the application leaks "
        "adds up in it. Few workers that serve many requests each (worker-class gevent) and are "
        "recycled after a number of requests (max-requests) stay within MemoryMax."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        found = see(self._ground)
        others = other_workers.look(self._ground)
        ram = self._ground.snapshot().host.mem_total
        if not found and not others.facts:
            return Look(absent=msg("There is no gunicorn, no uWSGI and no PHP-FPM."))
        items = {each.name: tuple(_items(each, ram)) for each in found}
        return Look(
            facts=(*(fact for each in found for fact in facts(each)), *others.facts),
            items=tuple(item for each in found for item in items[each.name]),
            findings=(
                *(f for each in found for f in findings(each, items[each.name], ram)),
                *others.findings,
            ),
            by_hand=(*(line for each in found for line in by_hand(each, ram)), *others.by_hand),
        )

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        wanted = {key: value.strip() for key, value in wishes.items() if value.strip()}
        if not wanted:
            return common.plan_of(())
        found = {each.name: each for each in see(self._ground)}
        known = [f"{name} {option}" for name in found for option in CHANGED]
        options: dict[str, dict[str, str]] = {}
        for key, value in wanted.items():
            unit, _, option = key.rpartition(" ")
            name = common.primary_name(unit, (each.situation for each in found.values()))
            if name is None or option not in CHANGED:
                raise common.unknown("gunicorn", key, known)
            _check(key, option, value)
            options.setdefault(name, {})[option] = value
        files: list[FileChange] = []
        for name, asked in options.items():
            files += self._drop_in(found[name], asked)
        changed = [name for name in options if any(f.path == found[name].path for f in files)]
        return common.plan_of(
            files,
            [common.again("restart", name) for name in changed],
            [each for name in changed for each in _warnings(found[name], options[name])],
        )

    def _drop_in(self, gunicorn: Gunicorn, asked: Mapping[str, str]) -> Iterator[FileChange]:
        name = of_unit(gunicorn.name)
        new = {o: v for o, v in asked.items() if gunicorn.value(o) != v}
        if not new and not gunicorn.stale:
            return
        for option, value in new.items():
            if gunicorn.origin(option) == "line":
                raise RefusedError(
                    msg(
                        "{unit}: its command line sets this option: write {option} into {file}.",
                        unit=name,
                        option=of_setting(f"--{option} {value}"),
                        file=of_path(gunicorn.fragment),
                    )
                )
            if option == "worker-class" and value == GEVENT and gunicorn.gevent is False:
                raise RefusedError(
                    msg("{unit}: its Python has no gevent: install it there first.", unit=name)
                )
        if why := gunicorn.hidden or common.obstacle(self._ground.files, gunicorn.path):
            raise RefusedError(unchangeable(gunicorn, why))
        ours = {**gunicorn.ours, **new}
        yield FileChange(gunicorn.path, gunicorn.text, _render(gunicorn.theirs, ours))


def make(ground: Ground) -> GunicornStep:
    """Return the step."""
    return GunicornStep(ground)


def _check(key: str, option: str, value: str) -> None:
    """Raise InvalidValueError for a value that is none."""
    if option == "worker-class":
        if value not in CLASSES:
            raise common.wrong(
                "gunicorn", key, value, msg("one of {values}", values=of_list(CLASSES))
            )
    elif not _NUMBERS[option].match(value):
        raise common.wrong("gunicorn", key, value, msg("a whole number"))


def _render(theirs: str, options: Mapping[str, str]) -> str:
    value = gunicorn_args.joined(theirs, options)
    return (
        "# Written by lowmem-tui. Options that gunicorn's command line does not set itself (it\n"
        "# overrides them). To undo: `lowmem-tui undo`, or remove this file, run `systemctl\n"
        "# daemon-reload` and restart the unit.\n"
        f"[Service]\nEnvironment={unit_text.quoted(f'{gunicorn_args.VARIABLE}={value}')}\n"
    )


def _items(gunicorn: Gunicorn, ram: int) -> Iterator[Item]:
    if obstacle(gunicorn):
        return
    if item := _class(gunicorn):
        yield item
    if item := _workers(gunicorn, ram):
        yield item
    becomes = (gunicorn.worker_class, gunicorn.gevent)
    if gunicorn.worker_class in {GEVENT, "eventlet"} or becomes == ("sync", True):
        yield from _number(
            gunicorn,
            "worker-connections",
            CONNECTIONS,
            ("25", "50", "100", "200"),
            msg(
                "worker-connections: how many requests one worker serves at the same time, each "
                "with its own data in memory; more requests wait at the socket. gunicorn's "
                "default is 1000."
            ),
        )
    yield from _number(
        gunicorn,
        "max-requests",
        REQUESTS,
        ("500", "1000", "2000", "5000"),
        msg(
            "max-requests: after so many requests a worker is recycled: it ends and a new one "
            "starts, which frees the memory that the application has leaked."
        ),
    )
    yield from _number(
        gunicorn,
        "max-requests-jitter",
        JITTER,
        ("25", "50", "100"),
        msg(
            "max-requests-jitter: up to so many more requests, at random for each worker, so that "
            "not all workers are recycled at the same moment."
        ),
    )


def _class(gunicorn: Gunicorn) -> Item | None:
    ours = gunicorn.origin("worker-class") == "ours"
    free = ours or gunicorn.origin("worker-class") == "default"
    if not free or gunicorn.gevent is False or (gunicorn.worker_class != "sync" and not ours):
        return None
    value = gunicorn.value("worker-class") if ours else GEVENT
    unknown = None
    if not gunicorn.gevent:
        unknown = msg(
            "Whether its Python has gevent cannot be determined: run `{command}` with that Python "
            "first.",
            command=of_command("python -c 'import gevent'"),
        )
    return Item(
        f"{gunicorn.name} worker-class",
        _title(gunicorn, "worker-class"),
        gunicorn.worker_class,
        value,
        sentences(
            msg(
                "A sync worker serves one request at a time: while one is slow, the next needs "
                "another worker with all its memory. A gevent worker serves many at a time; "
                "libraries that wait in C code (some database drivers) block all of them."
            ),
            unknown,
        ),
        tuple(dict.fromkeys((value, GEVENT))),
        taken=ours or bool(gunicorn.gevent),
        done=ours,
    )


def _workers(gunicorn: Gunicorn, ram: int) -> Item | None:
    fit = fitting(gunicorn, ram)
    origin = gunicorn.origin("workers")
    now = gunicorn.value("workers")
    if fit is None or gunicorn.cost is None or origin == "line" or (count := natural(now)) is None:
        return None
    fits = 1 < count <= fit
    if fits and origin not in {"ours", "default"}:
        return None
    value = count if fits or count == fit == 1 else max(1, min(WORKERS, fit))
    if origin not in {"ours", "default"} and count <= value:
        return None
    largest = of_bytes(gunicorn.cost.workers[0])
    measure = gunicorn.cost.measure
    why = msg(
        "The largest worker uses {size} ({measure}); {fit} of that size fit into the RAM that the "
        "reserve leaves.",
        size=largest,
        measure=measure,
        fit=fit,
    )
    if gunicorn.limit is not None:
        why = msg(
            "The largest worker uses {size} ({measure}); {fit} of that size fit into MemoryMax.",
            size=largest,
            measure=measure,
            fit=fit,
        )
    return Item(
        f"{gunicorn.name} workers",
        _title(gunicorn, "workers"),
        now,
        str(value),
        why,
        tuple(dict.fromkeys((str(value), *(str(n) for n in range(1, min(fit, 4) + 1))))),
        done=count == value,
    )


def _number(
    gunicorn: Gunicorn, option: str, value: str, choices: tuple[str, ...], why: Message
) -> Iterator[Item]:
    origin = gunicorn.origin(option)
    if origin not in {"ours", "default", "unknown"}:
        return
    now: Message | str = gunicorn.value(option)
    ours = origin == "ours"
    chosen = gunicorn.value(option) if ours else value
    if not now:
        now = msg("unknown")
    elif now == "0" and option == "max-requests":
        now = msg("0 (never recycled)")
    unknown = None
    if origin == "unknown":
        unknown = msg(
            "The present value cannot be determined: this may replace what somebody has set."
        )
    yield Item(
        f"{gunicorn.name} {option}",
        _title(gunicorn, option),
        now,
        chosen,
        sentences(why, unknown),
        tuple(dict.fromkeys((chosen, *choices))) if chosen not in choices else choices,
        taken=origin != "unknown",
        done=ours,
    )


def _title(gunicorn: Gunicorn, option: str) -> Message:
    return msg("{unit}: {option}", unit=of_unit(gunicorn.name), option=of_setting(option))


def _warnings(gunicorn: Gunicorn, asked: Mapping[str, str]) -> Iterator[Notice]:
    name, unit = gunicorn.name, of_unit(gunicorn.name)
    yield Notice(
        "gunicorn-restart",
        name,
        msg(
            "{unit} is restarted: requests in progress may be aborted, and new ones wait or fail "
            "until it is up again.",
            unit=unit,
        ),
    )
    if gunicorn.unsure:
        yield Notice(
            "gunicorn-line-unknown",
            name,
            msg(
                "The command line of {unit} is not completely known ({why}): it may set the same "
                "options, and would override these.",
                unit=unit,
                why=gunicorn.unsure,
            ),
        )
    if asked.get("worker-class") == GEVENT and gunicorn.gevent is None:
        yield Notice(
            "gunicorn-gevent-unknown",
            name,
            msg(
                "Whether the Python of {unit} has gevent is unknown: without it no worker starts.",
                unit=unit,
            ),
        )
