"""The steps of the set-up, driven in a machine: ``look``, ``apply STEP KEY=VALUE…``, ``undo``.

Prints JSON; a refusal or failure is in it as ``error``, in our own words.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from lowmem_tui.cli.backend import ServerBackend, local_backend
from lowmem_tui.model.errors import LowmemError

if TYPE_CHECKING:
    from lowmem_tui.model.ports import Step


def look(step: Step) -> dict[str, Any]:
    seen = step.look()
    return {
        "absent": seen.absent,
        "facts": seen.facts,
        "items": {item.key: [item.now, item.value, item.done] for item in seen.items},
        "findings": [finding.code for finding in seen.findings],
        "by_hand": seen.by_hand,
    }


def main(backend: ServerBackend, command: str, *rest: str) -> dict[str, Any]:
    steps = {step.name: step for step in backend.steps()}
    if command == "look":
        return {name: look(steps[name]) for name in rest or steps}
    if command == "undo":
        return {"files": backend.undo(*rest).files}
    step = steps[rest[0]]
    wishes = dict(word.split("=", 1) for word in rest[1:])
    if not wishes:
        wishes = {item.key: item.value for item in step.look().items if item.taken}
    plan = step.plan(wishes)
    said = {"notices": [notice.code for notice in (*plan.warnings, *plan.refusals)]}
    if plan.empty:
        return {**said, "empty": True}
    outcome = backend.apply(plan, note="lab")
    again = step.plan(wishes)
    return {**said, "files": outcome.files, "again": again.empty, **look(step)}


if __name__ == "__main__":
    server = local_backend("jeepney")
    try:
        made = main(server, *sys.argv[1:])
    except LowmemError as error:
        made = {"error": str(error), "kind": type(error).__name__}
    finally:
        server.close()
    print(json.dumps(made))
