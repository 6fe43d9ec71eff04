"""`check` and `setup` agree: what a step would still change, it also finds."""

from __future__ import annotations

import pytest

from lowmem_tui.setup.steps import STEPS

from .box import Box, defaults

PROPOSING = {name: [*defaults(Box().step(name).look())] for name in STEPS}
ONE_LEFT = [(name, key) for name, keys in PROPOSING.items() for key in keys]


@pytest.mark.parametrize(("name", "left"), ONE_LEFT)
def test_what_is_left_is_found(name: str, left: str) -> None:
    box = Box()
    step = box.step(name)
    wishes = defaults(step.look())
    plan = step.plan({key: value for key, value in wishes.items() if key != left})
    if not plan.empty:
        box.backend.apply(plan)
    look = step.look()
    undone = [item.key for item in look.items if item.taken and item.value and not item.done]
    # What the administrator has promised beyond what there is is no proposal of ours.
    found = [each.code for each in look.findings if each.code != "limits-over-ram"]
    assert (undone != []) is (found != [])
