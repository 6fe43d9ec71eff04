"""gunicorn's own options: their names, whether they take a value, and what they are unless set.

Of gunicorn 19.9 to 27.0 (gunicorn/config.py); what one version has not got, nobody writes there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.integer import natural

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIONS: dict[str, str] = {
    "worker-class": "-k",
    "workers": "-w",
    "worker-connections": "",
    "max-requests": "",
    "max-requests-jitter": "",
    "threads": "",
    "config": "-c",
    "chdir": "",
}
"""The long names of those that matter here, with their short ones."""

DEFAULTS: Mapping[str, str] = {
    "worker-class": "sync",
    "workers": "1",
    "worker-connections": "1000",
    "max-requests": "0",
    "max-requests-jitter": "0",
    "threads": "1",
    "config": "",
    "chdir": "",
}

NUMBERS = frozenset(
    {"workers", "worker-connections", "max-requests", "max-requests-jitter", "threads"}
)

LONG_TEXT = 200
"""A class's name or a path of more characters cannot be determined."""

FLAGS = frozenset(
    {
        *("help", "version", "reload", "spew", "check-config", "print-config", "preload"),
        *("no-sendfile", "reuse-port", "daemon", "initgroups", "capture-output", "log-syslog"),
        *("disable-redirect-access-to-syslog", "enable-stdio-inheritance", "debug"),
        *("enable-backlog-metric", "suppress-ragged-eofs", "do-handshake-on-connect"),
        *("permit-obsolete-folding", "permit-unconventional-http-method", "strip-header-spaces"),
        *("permit-unconventional-http-version", "casefold-http-method", "no-control-socket"),
        "proxy-protocol",
    }
)
"""Those that take no value."""

VALUED = frozenset(
    {
        *OPTIONS,
        *("bind", "backlog", "timeout", "graceful-timeout", "keep-alive", "limit-request-line"),
        *("limit-request-fields", "limit-request-field_size", "reload-engine", "env", "pid"),
        *("reload-extra-file", "worker-tmp-dir", "user", "group", "umask", "forwarded-allow-ips"),
        *("access-logfile", "access-logformat", "error-logfile", "log-file", "log-level"),
        *(
            "logger-class",
            "log-config",
            "log-config-json",
            "log-config-dict",
            "log-syslog-to",
            "log-syslog-prefix",
        ),
        *("log-syslog-facility", "statsd-host", "dogstatsd-tags", "statsd-prefix", "name"),
        *("pythonpath", "paste", "paster", "proxy-allow-from", "protocol", "uwsgi-allow-from"),
        *("keyfile", "certfile", "ssl-version", "cert-reqs", "ca-certs", "ciphers"),
        *("http-protocols", "http2-cleartext", "http2-max-concurrent-streams"),
        *("http2-initial-window-size", "http2-max-frame-size", "http2-max-header-list-size"),
        *("paste-global", "forwarder-headers", "header-map", "asgi-loop", "asgi-lifespan"),
        *("asgi-disconnect-grace-period", "websocket-max-message-size", "http-parser"),
        *("root-path", "dirty-app", "dirty-workers", "dirty-timeout", "dirty-threads"),
        *("dirty-graceful-timeout", "control-socket", "control-socket-mode"),
    }
)

SHORT_FLAGS = frozenset("DRhv")
SHORT_VALUED = {short[1]: name for name, short in OPTIONS.items() if short} | {
    each[0]: each for each in ("bind", "timeout", "env", "pid", "user", "group")
}
SHORT_VALUED |= {"m": "umask", "n": "name"}


def value_of(option: str, text: str) -> str | None:
    """Return a value as it counts; None where gunicorn refuses it or reads it in another way.

    ``010`` is octal there, and ``0x10`` a number.
    """
    if option not in NUMBERS:
        return text if len(text) <= LONG_TEXT else None
    number = natural(text.strip(), 9)
    if number is None or str(number) != text.strip():
        return None
    return str(number)
