"""Which nginx a server runs, and which file its configuration begins with.

As ngx_get_options and ngx_process_options of nginx's own source read the command line.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.text import plain
from lowmem_tui.setup import common, unit_command
from lowmem_tui.setup.nginx import config as nginx_config

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """What ``-g`` says."""
    unknown: str = ""
    """Why it cannot be determined, a sentence; or ""."""


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
    return of_command(properties.name, made)


def of_command(unit: str, made: Command) -> Started:
    """Return what a command of a unit starts."""
    program = (made.seen[0] if made.seen else "") or ""
    if made.words is None:
        return _unknown(unit, f"{plain(program, 60) or 'something'} ({made.unknown})")
    shown = f"`{plain(' '.join(made.words), 120)}`"
    if program.rpartition("/")[2] not in PROGRAMS or not program.startswith("/"):
        return _unknown(unit, f"{shown}, which is no nginx that is known")
    options = _options(made.words[1:])
    if options is None:
        return _unknown(unit, f"{shown}, which is no command line of nginx")
    if options.get("p") == "" or options.get("c") == "":
        return _unknown(unit, f"{shown}, with an empty option")
    main = options.get("c") or SYSTEM.get(program, "conf/nginx.conf")
    if not main.startswith("/"):
        prefix = options.get("p") or _prefix(program)
        if not prefix.startswith("/"):
            return _unknown(unit, f"{shown}, and its prefix is not known")
        main = f"{prefix.rstrip('/')}/{main}"
    return Started(unit, True, main, options.get("g", ""))


def _unknown(unit: str, how: str) -> Started:
    return Started(
        *(unit, True, "", ""),
        f"{plain(unit, 60)} starts {how}: which configuration that reads cannot be determined, so "
        "nothing is looked for and no limit_req is proposed. Look for limit_req there by hand.",
    )


def _prefix(program: str) -> str:
    """Return what a program of one's own making was built with: /usr/local/nginx/sbin/nginx.

    A link such as /usr/sbin/nginx to it does not tell.
    """
    folder = program.rpartition("/")[0]
    known = folder.endswith("/sbin") and folder not in {"/usr/sbin", "/usr/local/sbin"}
    return folder.removesuffix("/sbin") if known else ""


def _options(words: Sequence[str]) -> dict[str, str] | None:
    """Return the options that take a value, the last of each; None if that cannot be told."""
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
