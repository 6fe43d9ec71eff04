"""The step `tiers`: every service with its tier and reason, and the file that overrides."""

from __future__ import annotations

import pytest

from lowmem_tui.model.errors import InvalidValueError, RefusedError

from .box import Box

CONFIG = "/etc/lowmem-tui/config.toml"


@pytest.fixture
def box() -> Box:
    return Box()


def test_every_service_has_its_tier_and_a_reason(box: Box) -> None:
    look = box.step("tiers").look()
    found = {item.key: (item.value, str(item.why)) for item in look.items}
    assert found["nginx.service"][0] == "0"
    assert found["cloudchat.service"] == ("1", "Its command line runs gunicorn.")
    assert found["certbot.service"] == ("2", "It is Type=oneshot: it does its work and ends.")
    assert all(item.done and item.taken and item.choices == ("0", "1", "2") for item in look.items)
    assert [item.value for item in look.items] == sorted(item.value for item in look.items)
    assert look.findings == ()
    assert "user@1000.service" not in found


def test_nothing_is_written_for_what_is_so(box: Box) -> None:
    step = box.step("tiers")
    assert step.plan({item.key: item.value for item in step.look().items}).empty


def test_another_tier_is_written_counted_kept_and_undone(box: Box) -> None:
    before = box.files()
    step = box.step("tiers")
    plan = step.plan({"cron.service": "0", "nginx.service": "0", "snapd": "2"})
    (file,) = plan.files
    assert file.after is not None
    assert file.after.endswith('[tiers]\n"cron.service" = 0\n"snapd.service" = 2\n')
    box.backend.apply(plan)
    found = {item.key: (item.value, str(item.why)) for item in box.step("tiers").look().items}
    assert found["cron.service"] == ("0", "The configuration sets this tier (cron.service).")
    assert found["snapd.service"][0] == "2"
    assert box.step("tiers").plan({"cron.service": "0", "snapd.service": "2"}).empty
    again = box.step("tiers").plan({"cron.service": "2"}).files[0]
    assert again.after == file.after.replace('cron.service" = 0', 'cron.service" = 2')
    box.backend.undo()
    assert box.files() == before


def test_a_pattern_of_a_policy_file(box: Box) -> None:
    plan = box.step("tiers").plan({"worker@*": "2"})
    box.backend.apply(plan)
    assert box.step("tiers").plan({"worker@*": "2"}).empty
    found = {item.key: item.value for item in box.step("tiers").look().items}
    assert found["worker@a.service"] == "2"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cron.service", "3", "a tier is 0, 1 or 2, not .3."),
        ("../x", "1", "is not a unit's name"),
        ("", "1", "is not a unit's name"),
    ],
)
def test_a_request_that_is_invalid(box: Box, key: str, value: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        box.step("tiers").plan({key: value})


def test_a_broken_file_is_for_its_author_to_mend(box: Box) -> None:
    box.write(CONFIG, "[tiers\n")
    with pytest.raises(RefusedError, match=r"config.toml: Correct the TOML syntax"):
        box.step("tiers").plan({"cron.service": "0"})
