"""Which nginx a server runs, and which file its configuration begins with.

As ngx_get_options and ngx_process_options of nginx's own source read the command line.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg, of_command, of_path, of_unit, sentences
from lowmem_tui.model.text import plain
from lowmem_tui.setup import common, unit_command
from lowmem_tui.setup.nginx import config as nginx_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import UnitSituation
    from lowmem_tui.model.unit import UnitProperties
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.unit_command import Command

UNIT = "nginx.service"

UNITS = (UNIT, "openresty.service", "angie.service", "tengine.service", "freenginx.service")
"""The one that is there first counts."""

PROGRAMS = frozenset({"nginx", "nginx-debug", "openresty", "tengine", "angie", "freenginx"})

SYSTEM = {
    "/usr/sbin/nginx": nginx_config.MAIN,
    "/usr/bin/nginx": nginx_config.MAIN,
    "/sbin/nginx": nginx_config.MAIN,
    "/usr/sbin/nginx-debug": nginx_config.MAIN,
    "/usr/sbin/freenginx": "/etc/freenginx/freenginx.conf",
    "/usr/sbin/angie": "/etc/angie/angie.conf",
    "/usr/local/openresty/bin/openresty": "/usr/local/openresty/nginx/conf/nginx.conf",
    "/usr/bin/openresty": "/usr/local/openresty/nginx/conf/nginx.conf",
}
"""What the packages of distributions and of the makers are built with."""


class Started(NamedTuple):
    """How nginx is started."""

    unit: str
    there: bool
    """Whether there is such a unit at all."""
    main: str
    """The file that its configuration begins with; "" where that cannot be determined."""
    ahead: str = ""
    """What ``-g`` sets."""
    unknown: Message | None = None
    """Why it cannot be determined, in sentences."""


def started(ground: Ground) -> Started:
    """Return which nginx this server has and how it is started. Raises LowmemError."""
    for units in ((UNIT,), UNITS[1:]):
        known = ground.situation(units).units
        for unit in units:
            properties = known[unit].unit.properties
            if properties is not None and properties.exists:
                return _of_unit(ground, known[unit], properties)
    return Started(UNIT, False, nginx_config.MAIN)


def _of_unit(ground: Ground, known: UnitSituation, properties: UnitProperties) -> Started:
    if properties.load_state == "masked":
        return Started(properties.name, True, nginx_config.MAIN)
    made = unit_command.command(
        known.files,
        properties.name,
        partial(common.read, ground.files),
        ground.inspector.names,
    )
    # /usr/sbin/nginx may be a link to what was built elsewhere.
    program = made.seen[0] if made.seen else None
    if program and program.startswith("/"):
        real = ground.inspector.real_path(program)
        made = made._replace(seen=(real, *made.seen[1:]))
    return started_by(properties.name, made)


def started_by(unit: str, made: Command) -> Started:
    """Return what a command of a unit starts."""
    program = (made.seen[0] if made.seen else "") or ""
    if made.words is None:
        return _unknown(unit, _no_command(unit, program, made.unknown or ""))
    name, shown = of_unit(unit, 60), of_command(plain(" ".join(made.words), 120))
    if program.rpartition("/")[2] not in PROGRAMS or not program.startswith("/"):
        return _unknown(
            unit,
            msg("{unit} starts `{command}`, which is no known nginx.", unit=name, command=shown),
        )
    options = _options(made.words[1:])
    if options is None:
        return _unknown(
            unit,
            msg(
                "{unit} starts `{command}`, which is no command line of nginx.",
                unit=name,
                command=shown,
            ),
        )
    if options.get("p") == "" or options.get("c") == "":
        return _unknown(
            unit, msg("{unit} starts `{command}`, with an empty option.", unit=name, command=shown)
        )
    main = options.get("c") or SYSTEM.get(program, "conf/nginx.conf")
    if not main.startswith("/"):
        prefix = options.get("p") or _prefix(program)
        if not prefix.startswith("/"):
            return _unknown(
                unit,
                msg(
                    "{unit} starts `{command}`, whose prefix is unknown.", unit=name, command=shown
                ),
            )
        main = f"{prefix.rstrip('/')}/{main}"
    return Started(unit, True, main, options.get("g", ""))


def _no_command(unit: str, program: str, why: Message | str) -> Message:
    if not program:
        return msg(
            "The command of {unit} cannot be determined: {why}.", unit=of_unit(unit, 60), why=why
        )
    return msg(
        "The command by which {unit} starts {program} cannot be determined: {why}.",
        unit=of_unit(unit, 60),
        program=of_path(plain(program, 60)),
        why=why,
    )


def _unknown(unit: str, why: Message) -> Started:
    return Started(
        *(unit, True, "", ""),
        sentences(
            why,
            msg(
                "Which configuration it reads cannot be determined, so no limit_req is proposed: "
                "check there yourself whether limit_req is set."
            ),
        ),
    )


def _prefix(program: str) -> str:
    """Return the prefix that a self-built program was built with: /usr/local/nginx/sbin/nginx.

    A link such as /usr/sbin/nginx to it does not show that.
    """
    folder = program.rpartition("/")[0]
    known = folder.endswith("/sbin") and folder not in {"/usr/sbin", "/usr/local/sbin"}
    return folder.removesuffix("/sbin") if known else ""


def _options(words: Sequence[str]) -> dict[str, str] | None:
    """Return the options that take a value, the last of each; None if that is not certain."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return None
        for at, char in enumerate(word[1:], 2):
            if char in "pcges":
                value = word[at:] or next(rest, None)
                if value is None:
                    return None
                found[char] = value
                break
            if char not in "?hvVtTq":
                return None
    return found
