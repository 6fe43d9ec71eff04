"""The option that each finding is about: its own name stands in the finding's text."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from lowmem_tui import setup

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTING = (
    "Memory(Min|Low|High|Max|SwapMax|ZSwapMax|Limit|Accounting)|OOM(ScoreAdjust|Policy)|ManagedOOM"
    "|Restart(Sec|Steps|MaxDelaySec|Mode)?=|Restart|StartLimit(Burst|Interval(Sec)?)"
)
GUNICORN = "GUNICORN_CMD_ARGS|worker-class|workers|worker-connections|max-requests|ExecStart"
REDIS = "maxmemory|maxmemory-policy|appendonly|save|requirepass|ExecStart"

NAMES: dict[str, str] = {
    "nginx-": "limit_req|worker_connections",
    "sysctl-": r"vm\.[a-z_]+",
    "setting-": SETTING,
    "not-in-force": SETTING,
    "gatekeeper-unguarded": SETTING,
    "business-unbounded": SETTING,
    "limit": "Memory(Max|High|Low|Min)",
    "gunicorn-": GUNICORN,
    "redis-": REDIS,
    "php-": r"pm\.max_children",
    "journal-": "SystemMaxUse|RuntimeMaxUse|MaxRetentionSec|Storage",
}
"""By how the codes begin; the longest counts. What is about no option is not in it."""

NONE = ("systemd-", "cgroup-", "disk-", "swap-", "idle-", "sessions-", "box-")
"""Of the machine, a unit or a folder as a whole: there is no option to name."""


def prefix_of(code: str) -> str:
    """Return which of NAMES or NONE a code belongs to; "" for none."""
    return max((each for each in (*NAMES, *NONE) if code.startswith(each)), key=len, default="")


def missing(code: str, text: str) -> str:
    """Say what a finding does not name; "" if it does, or has nothing to name."""
    if code.endswith("-workers"):
        return "" if "workers" in text else f"{code} does not name workers: {text}"
    prefix = prefix_of(code)
    if prefix not in NAMES:
        return ""
    return "" if re.search(NAMES[prefix], text) else f"{code} names none of {NAMES[prefix]}: {text}"


def codes() -> Iterator[str]:
    """Yield how the code of each finding begins that the steps' sources make."""
    for module in sorted(Path(setup.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                yield from _texts(node.args[0] if node.args else node.keywords[0].value)


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield from _texts(node.values[0])
