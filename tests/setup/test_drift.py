"""Settings that are in the files, or in systemd, and not in the kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lowmem_tui.change.compare import capped, not_in_kernel
from lowmem_tui.model.setup import Severity
from lowmem_tui.model.snapshot import Setting
from lowmem_tui.model.unit import INFINITY, Key, Tier, Value
from lowmem_tui.policy.classify import Kind
from lowmem_tui.policy.protect import Role
from lowmem_tui.setup.units.drift import not_in_force
from tests.english import findings
from tests.unit.servers import M, known, properties, service

from .box import Box

NGINX, LOGIND = "nginx.service", "systemd-logind.service"
ADJ, MAX = Key.OOM_SCORE_ADJUST, Key.MEMORY_MAX
UNREAD = "Changed on disk, not reloaded."

# unit, container, setting, loaded, kernel → the remedy, and how grave; nothing
CASES: dict[str, tuple[str, str, Key, Value, Value, str, Severity | None]] = {
    "a limit": (
        *(NGINX, "", MAX, 60 * M, INFINITY),
        *("sudo systemctl restart nginx.service", Severity.WARNING),
    ),
    "a score": (
        *(NGINX, "", ADJ, -200, 0),
        *("sudo systemctl restart nginx.service", Severity.WARNING),
    ),
    "of what must not be restarted": (
        *(LOGIND, "", ADJ, -500, 0),
        *("sudo choom -n -500 -p 7", Severity.WARNING),
    ),
    "a score in a container": (
        *(NGINX, "lxc", ADJ, -200, 0),
        *("sudo systemctl restart nginx.service", Severity.ADVICE),
    ),
    "it protects itself": (NGINX, "", ADJ, -200, -1000, "", None),
    "it is so": (NGINX, "", ADJ, -200, -200, "", None),
}


def role(name: str, *settings: Setting, **changes: Any) -> Role:  # noqa: ANN401
    unit = service(name, main_pid=7, **changes)
    assert unit.properties is not None
    one = known(unit, settings={each.key: each for each in settings})
    return Role(one, unit.properties, Tier.GATEKEEPER, Kind.HELPER, enabled=True)


@pytest.mark.parametrize(
    ("name", "container", "key", "loaded", "kernel", "remedy", "severity"),
    CASES.values(),
    ids=CASES,
)
def test_what_the_kernel_does_not_do(
    name: str,
    container: str,
    key: Key,
    loaded: Value,
    kernel: Value,
    remedy: str,
    severity: Severity | None,
) -> None:
    field = {ADJ: "oom_score_adjust", MAX: "memory_max"}[key]
    differs = not_in_kernel(key, properties(name, **{field: loaded}), kernel)
    setting = Setting(key, None, None, loaded, kernel, differs=differs)
    found = findings(not_in_force([role(name, setting, **{field: loaded})], container))
    wanted = [("not-in-force", name, remedy, severity)] if severity else []
    assert [(f.code, f.subject, f.remedy, f.severity) for f in found] == wanted
    assert all(("no privilege" in each.text) is bool(container) for each in found)


def test_what_a_parent_allows_is_no_drift() -> None:
    setting = Setting(MAX, None, None, 60 * M, 60 * M, 50 * M, "x.slice")
    setting = replace(setting, differs=capped(setting))
    assert setting.differs
    assert list(not_in_force([role(NGINX, setting)], "")) == []


def test_what_systemd_has_not_read_is_reloaded() -> None:
    setting = Setting(MAX, "50M", "/a.conf", 60 * M, 60 * M, differs=UNREAD)
    (found,) = findings(not_in_force([role(NGINX, setting)], ""))
    assert (found.text, found.remedy) == (f"MemoryMax: {UNREAD}", "sudo systemctl daemon-reload")


def test_a_reload_alone_puts_nothing_in_force() -> None:
    box = Box()
    box.write(f"/etc/systemd/system/{NGINX}.d/zzz.conf", "[Service]\nOOMScoreAdjust=-300\n")
    found = [f for f in box.step("units").look().findings if f.code == "not-in-force"]
    assert [(f.subject, f.remedy) for f in found] == [
        (NGINX, f"sudo systemctl restart {NGINX}"),
    ]
    assert "systemd has loaded -300, but the main process has -200" in found[0].text
