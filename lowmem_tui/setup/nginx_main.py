"""Which nginx a server runs, and which file its configuration begins with.

As ngx_get_options and ngx_process_options of nginx's own source read the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.text import plain
from lowmem_tui.setup import nginx_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.model.unit import UnitProperties
    from lowmem_tui.setup.ground import Ground

UNIT = "nginx.service"

UNITS = (UNIT, "openresty.service", "angie.service", "tengine.service", "freenginx.service")
"""The one that is there first counts."""

PROGRAMS = frozenset({"nginx", "openresty", "tengine", "angie", "freenginx"})

SYSTEM = {
    "/usr/sbin/nginx": nginx_config.MAIN,
    "/usr/bin/nginx": nginx_config.MAIN,
    "/sbin/nginx": nginx_config.MAIN,
    "/usr/sbin/freenginx": "/etc/freenginx/freenginx.conf",
    "/usr/sbin/angie": "/etc/angie/angie.conf",
    "/usr/local/openresty/bin/openresty": "/usr/local/openresty/nginx/conf/nginx.conf",
    "/usr/bin/openresty": "/usr/local/openresty/nginx/conf/nginx.conf",
}
"""What the packages of distributions and of the makers are built with."""


class Started(NamedTuple):
    """How nginx is started."""

    unit: str
    main: str
    """The file that its configuration begins with; "" where that cannot be determined."""
    globals: str
    """What ``-g`` says."""
    unknown: str
    """Why it cannot be determined, a sentence; or ""."""


def started(unit: str, properties: UnitProperties | None, words: Sequence[str | None]) -> Started:
    """Return how a unit starts nginx.

    ``words`` are the arguments of its command with systemd's variables filled in, None for one
    whose value is not known; none for a unit without a command.
    """
    if properties is None or not words:
        return Started(unit, nginx_config.MAIN, "", "")
    program = words[0] or ""
    said = " ".join(word if word is not None else "?" for word in words)
    if program.rpartition("/")[2] not in PROGRAMS or not program.startswith("/"):
        return _unknown(unit, f"`{plain(said, 120)}`, which is no nginx that is known")
    options = _options(words[1:])
    if options is None:
        return _unknown(unit, f"`{plain(said, 120)}`, of which a part cannot be determined")
    prefix = options.get("p") or _prefix(program)
    main = options.get("c") or SYSTEM.get(program, "conf/nginx.conf")
    if not main.startswith("/"):
        if not prefix.startswith("/"):
            return _unknown(unit, f"`{plain(said, 120)}`, and its prefix is not known")
        main = f"{prefix.rstrip('/')}/{main}"
    return Started(unit, main, options.get("g", ""), "")


def _unknown(unit: str, how: str) -> Started:
    return Started(
        *(unit, "", ""),
        f"{plain(unit, 60)} starts {how}: its configuration cannot be determined, so limit_req is "
        "neither looked for nor proposed. Do it by hand.",
    )


def _prefix(program: str) -> str:
    """Return what a program of one's own making was built with: /usr/local/nginx/sbin/nginx."""
    folder = program.rpartition("/")[0]
    return folder.removesuffix("/sbin") if folder.endswith("/sbin") else ""


def _options(words: Sequence[str | None]) -> dict[str, str] | None:
    """Return the options that take a value, the last of each; None if that cannot be told."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word or word[0] != "-":
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


def command(ground: Ground, unit: str, properties: UnitProperties) -> list[str | None]:
    """Return the words of a unit's command with its variables filled in; None: not known."""
    raise NotImplementedError
