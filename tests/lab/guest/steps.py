"""The steps of the set-up, driven in a machine.

Commands: ``look STEP…``, ``apply STEP KEY=VALUE…``, ``undo [ID]``; several of them, with ``+``
between, cost one start of the program. Prints a JSON list; a refusal or failure is in it as
``error``, in our own words, and ends it.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from lowmem_tui.cli.local import local_backend
from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.setup import lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.model.ports import Step


def look(step: Step) -> dict[str, Any]:
    seen = step.look()
    return {
        "absent": str(seen.absent),
        "facts": [str(fact) for fact in seen.facts],
        "items": {item.key: [str(item.now), item.value, item.done] for item in seen.items},
        "findings": [finding.code for finding in seen.findings],
        "by_hand": [str(line) for each in seen.by_hand for line in lines(each)],
    }


def do(backend: ServerBackend, command: str, *rest: str) -> dict[str, Any]:
    if command == "undo":
        return {"files": backend.undo(*rest).files}
    steps = {step.name: step for step in backend.steps()}
    if command == "look":
        return {name: look(steps[name]) for name in rest or steps}
    step = steps[rest[0]]
    wishes = dict(word.split("=", 1) for word in rest[1:])
    if not wishes:
        wishes = {item.key: item.value for item in step.look().items if item.taken}
    plan = step.plan(wishes)
    said = {"notices": [notice.code for notice in (*plan.warnings, *plan.refusals)]}
    if plan.empty:
        return {**said, "empty": True}
    outcome = backend.apply(plan, note="lab")
    return {**said, "files": outcome.files, "again": step.plan(wishes).empty, **look(step)}


def commands(words: list[str]) -> Iterator[list[str]]:
    while "+" in words:
        at = words.index("+")
        yield words[:at]
        words = words[at + 1 :]
    yield words


if __name__ == "__main__":
    server = local_backend("jeepney")
    made: list[dict[str, Any]] = []
    try:
        made.extend(do(server, *each) for each in commands(sys.argv[1:]))
    except LowmemError as error:
        made.append({"error": str(error), "kind": type(error).__name__})
    finally:
        server.close()
    print(json.dumps(made))
