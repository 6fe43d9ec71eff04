"""A server with one Redis, as the tests of the step have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowmem_tui.cli.rules import load_rules
from lowmem_tui.model.errors import ManagerError, NotReadyError
from lowmem_tui.setup.context import Ground
from lowmem_tui.setup.redis import step as redis
from tests.english import EnglishStep
from tests.setup.tree import Tree
from tests.unit.servers import M, known, process, service, situation, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lowmem_tui.model.plan import ActionKind
    from lowmem_tui.model.snapshot import Unit
    from tests.english import Item, Look

UNIT = "redis-server.service"
CONF = "/etc/redis/redis.conf"
START = f"/usr/bin/redis-server {CONF} --supervised systemd --daemonize no"


class Answers:
    """A server that answers; None for a value has it refuse that command."""

    progress = None

    def __init__(self, used: int | None = M, **values: str) -> None:
        self.asked: list[str] = []
        self.values = {
            "maxmemory": "0",
            "maxmemory-policy": "noeviction",
            "save": "3600 1 300 100 60 10000",
            "appendonly": "no",
        } | {key.replace("_", "-"): value for key, value in values.items()}
        if used is not None:
            self.values["used_memory"] = str(used)

    def get(self, kind: ActionKind, what: str) -> str:
        self.asked.append(what)
        name = what.split(" ")[1]
        if name not in self.values:
            raise ManagerError(f"{UNIT} does not do `{name}` (NOPERM).")
        return self.values[name]

    def put(self, kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        raise AssertionError


class Silent(Answers):
    """One that runs and tells nothing, with these words."""

    def __init__(self, words: str = "NOAUTH Authentication required.") -> None:
        super().__init__()
        kind = NotReadyError if words.startswith("LOADING") else ManagerError
        self.error = kind(words)

    def get(self, kind: ActionKind, what: str) -> str:
        raise self.error


def see(
    tmp_path: Path,
    conf: str = "port 6379\n",
    system: Answers | None = None,
    *,
    rss: int = 20,
    unit: str = UNIT,
    start: str = START,
    lines: str = "",
    others: tuple[Unit, ...] = (),
    files: dict[str, str] | None = None,
    changes: dict[str, Any] | None = None,
    command: str = "",
) -> EnglishStep:
    """The step on a server of 1 GiB with one Redis."""
    tree = Tree(tmp_path)
    tree.write(CONF, conf)
    for path, text in (files or {}).items():
        tree.write(path, text)
    usual: dict[str, Any] = {"exec_start": tuple(start.split()), "main_pid": 100}
    usual |= changes or {}
    one = service(
        unit,
        *([process(100, rss * M, command=command or start, name="redis-server")] if rss else ()),
        **usual,
    )
    text = f"ExecStart={start}\n{lines}"
    units = [
        known(one, files={f"/usr/lib/systemd/system/{unit}": text}),
        *(known(other) for other in others),
    ]
    return EnglishStep(
        redis.make(
            Ground(
                snapshot=lambda: snapshot(one, *others),
                situation=lambda names: situation(*(u for u in units if u.unit.name in set(names))),
                unit_files=dict,
                files=tree.files,
                system=system or Answers(),
                inspector=tree.inspector,
                rules=load_rules(config=None),
                now=lambda: 1.0,
            )
        )
    )


def taken(look: Look) -> dict[str, str]:
    return {item.key.rpartition(" ")[2]: item.value for item in look.items if item.taken}


def item(look: Look, name: str) -> Item:
    return next(item for item in look.items if item.key.endswith(f" {name}"))
