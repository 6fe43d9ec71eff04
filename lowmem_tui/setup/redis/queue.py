"""What indicates a queue in a Redis: an evicted key of a queue is work that is never done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from lowmem_tui.model.message import msg, of_path, of_unit
from lowmem_tui.model.text import plain
from lowmem_tui.setup.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Snapshot, Unit
    from lowmem_tui.setup.redis.config import RedisConfig

LONGEST: Final = 1000
"""Characters of a command line that are searched."""

WORKERS: Final = (
    *("celery", "celeryd", "celerybeat", "sidekiq", "sidekiqswarm", "resque", "rq", "rqworker"),
    *("rqscheduler", "bull", "bullmq", "bee-queue", "horizon", "huey", "huey_consumer"),
    *("dramatiq", "arq", "asynq", "taskiq", "saq", "qcluster", "delayed_job", "gocelery"),
    *("kue", "qless", "messenger:consume", "jobs:work", "goworker", "faktory"),
    # Applications whose own workers have their queue in Redis.
    *("immich", "peertube", "misskey", "sentry", "paperless", "authentik", "discourse"),
)
"""Programs and subcommands that take work from a queue, which most of them keep in Redis."""

MAIL: Final = ("postfix", "sendmail", "exim", "mailman", "opensmtpd", "nullmailer", "cups")
"""Services whose queue is on the disk: how their units' names begin."""

_NAMED: Final = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, WORKERS))})(?![A-Za-z])|queue", re.IGNORECASE
)
_OWN: Final = ("dbfilename", "dir", "logfile", "pidfile", "unixsocket")
"""Directives that may have the name of what the database is for."""


class Queues(NamedTuple):
    """What indicates a queue."""

    own: tuple[Message, ...] = ()
    """Names of the server itself."""
    workers: tuple[str, ...] = ()
    """Units beside it that take work from a queue, perhaps from this one."""

    @property
    def words(self) -> Message | None:
        """All of it as a list; None if nothing indicates a queue."""
        found: tuple[Message | str, ...] = (*self.own, *self.workers)
        return shortened(found) if found else None


def evidence(name: str, config: RedisConfig, snapshot: Snapshot, stores: Collection[str]) -> Queues:
    """Return what indicates a queue in a server; ``stores`` are all of the servers."""
    own = tuple(_itself(name, config))
    if not own and any(_word(other) for other in stores if other != name):
        return Queues()  # the queue is in that one
    found = (
        (other, _of_unit(unit))
        for other, unit in sorted(snapshot.units.items())
        if other not in stores and other.endswith((".service", ".scope"))
    )
    workers = tuple(
        other if word in other.lower() else f"{other} ({word})" for other, word in found if word
    )
    return Queues(own, workers)


def _itself(name: str, config: RedisConfig) -> Iterator[Message]:
    if _word(name):
        yield msg("its name {unit}", unit=of_unit(name, 60))
    for text in (config.file, *(config.get(key) for key in _OWN)):
        if _word(text):
            yield msg("its file {path}", path=of_path(plain(text, 60)))
            return


def _of_unit(unit: Unit) -> str:
    """Return the word in a unit that indicates a worker; "" for none."""
    properties, usage = unit.properties, unit.usage
    if unit.name.startswith(MAIL) or (properties is None and usage is None):
        return ""
    if properties is not None and not properties.exists:
        return ""
    started = " ".join(properties.exec_start) if properties else ""
    commands = (process.command or process.name for process in (usage.processes if usage else ()))
    return next(filter(None, map(_word, (unit.name, started, *commands))), "")


def _word(text: str) -> str:
    found = _NAMED.search(text[:LONGEST])
    return found[0].lower() if found else ""
