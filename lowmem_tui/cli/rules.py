"""The tier rules: the package's own table, and the administrator's overrides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.policy import classify

if TYPE_CHECKING:
    from lowmem_tui.policy.classify import Rules

CONFIG = Path("/etc/lowmem-tui/config.toml")
TABLE = Path(classify.__file__).with_name("tiers.toml")


def load_rules(*, config: Path | None = CONFIG) -> Rules:
    """Return the rules; ``config`` None leaves the administrator's file out (the demo server).

    Raises InvalidValueError, naming the file and the line, for a config that cannot be understood.
    """
    rules = classify.parse_rules(TABLE.read_text("utf-8"))
    if config is None:
        return rules
    try:
        text = config.read_text("utf-8")
    except FileNotFoundError:
        return rules
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError(f"{config} cannot be read ({error}): mend or remove it.") from error
    try:
        return rules.with_config(classify.parse_config(text))
    except InvalidValueError as error:
        raise InvalidValueError(f"{config}: {error}") from error
