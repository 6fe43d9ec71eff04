"""The tier rules: the package's own table, and the administrator's overrides."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, TypeAlias

from lowmem_tui.cli.output import talk
from lowmem_tui.host.reading import FOREIGN
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_path
from lowmem_tui.model.unit import TIERS_FILE
from lowmem_tui.policy import classify

if TYPE_CHECKING:
    from os import PathLike

    from lowmem_tui.model.message import Message
    from lowmem_tui.policy.classify import Rules

StrPath: TypeAlias = "str | PathLike[str]"

CONFIG = TIERS_FILE
TABLE = os.path.join(os.path.dirname(classify.__file__), "tiers.toml")


def rules_for(*, demo: bool) -> Rules:
    """Return the rules for a command; what may not be read is reported on standard error.

    Raises InvalidValueError, as ``load_rules``.
    """
    if not demo and (words := unread(CONFIG)):
        talk(words)
    return load_rules(config=None if demo else CONFIG)


def unread(config: StrPath = CONFIG) -> Message | None:
    """Return a sentence where this user may not read the administrator's file."""
    try:
        _raw(config)
    except PermissionError:
        return msg(
            "{path} may not be read, so its tiers are missing: run this as root to include them.",
            path=of_path(str(config)),
        )
    except OSError:
        pass
    return None


def _raw(config: StrPath) -> bytes:
    """Return the file. OSError: one that is no regular file, or too large, is not read."""
    if os.path.exists(config) and not (os.path.isfile(config) or os.path.isdir(config)):
        raise OSError(errno.EINVAL, "it is not a regular file", str(config))
    with open(config, "rb") as file:
        raw = file.read(FOREIGN + 1)
    if len(raw) > FOREIGN:
        raise OSError(errno.EFBIG, f"it is larger than {FOREIGN >> 10} KiB", str(config))
    return raw


def load_rules(*, config: StrPath | None = CONFIG) -> Rules:
    """Return the rules; ``config`` None leaves the administrator's file out (the demo server).

    So does one that this user may not read. Raises InvalidValueError, naming the file and the
    line, for a config that cannot be understood.
    """
    with open(TABLE, encoding="utf-8") as table:
        rules = classify.parse_rules(table.read())
    if config is None:
        return rules
    try:
        text = _raw(config).decode("utf-8-sig")
    except (FileNotFoundError, PermissionError):
        return rules
    except OSError as error:
        raise InvalidValueError(
            msg(
                "{path} cannot be read ({why}): repair or remove it.",
                path=of_path(str(config)),
                why=error.strerror or "",
            )
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            msg("{path} is not UTF-8 text: save it as UTF-8.", path=of_path(str(config)))
        ) from error
    try:
        return rules.with_config(classify.parse_config(text))
    except InvalidValueError as error:
        raise InvalidValueError(
            msg("{path}: {why}", path=of_path(str(config)), why=error.message)
        ) from error
