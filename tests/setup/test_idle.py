"""The step `idle`: what is on, what it holds, what takes it off and brings it back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.rules import load_rules
from lowmem_tui.demo import idle as demo
from lowmem_tui.model.errors import InvalidValueError, RefusedError
from lowmem_tui.model.plan import ActionKind, Phase
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import Tier, is_unit_name
from lowmem_tui.policy import protect
from lowmem_tui.setup.idle import guards as idle_guards
from lowmem_tui.setup.idle import step as idle
from lowmem_tui.setup.idle.table import table
from tests import english
from tests.unit.servers import known, properties

from .box import Box, codes, goes_through, items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.setup.context import Ground

MODEM = "ModemManager.service"
LIB = "/usr/lib/systemd/system"
ETC = "/etc/systemd/system"
SNAPD = f"{ETC}/multi-user.target.wants/snapd.service"


@pytest.fixture
def box() -> Box:
    return Box()


def test_goes_through(box: Box) -> None:
    links = dict(box.server.disk.links)
    plan = goes_through(box, "idle")
    assert [(a.kind, a.what, a.before, a.after, a.phase) for a in plan.actions] == [
        (ActionKind.RUN, "snapd.service", "active", "inactive", Phase.EARLY),
        (ActionKind.LINK, SNAPD, f"{LIB}/snapd.service", "", Phase.FILES),
        (
            ActionKind.LINK,
            f"{ETC}/multi-user.target.wants/ModemManager.service",
            f"{LIB}/ModemManager.service",
            "",
            Phase.FILES,
        ),
    ]
    assert box.server.disk.links == links
    box.now = 5.0
    state = box.server.connect().properties(["snapd.service"])["snapd.service"]
    assert (state.active_state, state.unit_file_state) == ("active", "enabled")


def test_taken_off_it_neither_runs_nor_starts_at_boot(box: Box) -> None:
    box.backend.apply(box.step("idle").plan({"snapd.service": "off"}))
    assert SNAPD not in box.server.disk.links
    assert box.server.disk.unit_files()["snapd.service"] == "disabled"
    box.now = 5.0
    state = box.server.connect().properties(["snapd.service"])["snapd.service"]
    assert (state.active_state, state.main_pid) == ("inactive", 0)
    look = box.step("idle").look()
    assert "snapd.service" not in items(look)
    assert box.step("idle").plan({"snapd.service": "off"}).empty


def test_says_what_each_holds(box: Box) -> None:
    look = box.step("idle").look()
    assert items(look)["snapd.service"] == "on, 15.3M RAM + 17.8M swap"
    assert items(look)["ModemManager.service"] == "enabled, not running"
    assert codes(look) == ["idle-service", "idle-service"]


def test_security_updates_are_not_taken_by_default(box: Box) -> None:
    item = next(i for i in box.step("idle").look().items if i.key.startswith("unattended"))
    assert not item.taken
    assert "security updates" in item.why
    plan = box.step("idle").plan({"unattended-upgrades.service": "off"})
    assert [notice.code for notice in plan.warnings] == ["idle-kept"]
    assert plan.actions


def test_business_units_that_are_switched_off_get_no_advice_for_a_limit() -> None:
    rules = load_rules(config=None)
    units = {idle.unit for idle in table() if not idle.keep}
    tiers = {unit: rules.classify(Unit(unit, None, None), 1 << 30).tier for unit in units}
    assert {unit for unit, tier in tiers.items() if tier is Tier.BUSINESS} == protect.IDLE


def test_the_name_by_which_one_comes_in_is_not_taken_by_default() -> None:
    (avahi,) = (idle for idle in table() if idle.unit == "avahi-daemon.service")
    assert avahi.keep


def test_what_is_needed_by_what_runs_is_left_alone(box: Box) -> None:
    text = box.read(f"{LIB}/snapd.service") or ""
    box.write(f"{LIB}/snapd.service", text + "RequiredBy=cloudchat.service\n")
    look = box.step("idle").look()
    assert "snapd.service" not in items(look)
    assert "snapd.service is kept: cloudchat.service is running and needs it." in look.facts
    with pytest.raises(RefusedError, match=r"cloudchat\.service is running and needs it"):
        box.step("idle").plan({"snapd.service": "off"})


def test_what_only_a_link_makes_another_want_is_no_need(box: Box) -> None:
    """As of cloud-final.service and snapd.seeded.service on Ubuntu: the link goes with the rest."""
    text = box.read(f"{LIB}/snapd.service") or ""
    link = f"{ETC}/cloudchat.service.wants/snapd.service"
    box.server.disk.links[link] = f"{LIB}/snapd.service"
    box.write(f"{LIB}/snapd.service", text + "WantedBy=cloudchat.service\n")
    assert "snapd.service" in items(box.step("idle").look())
    plan = box.step("idle").plan({"snapd.service": "off"})
    assert link in {a.what for a in plan.actions}


@pytest.mark.parametrize(("unmet", "there"), [(True, False), (False, True)])
def test_what_its_own_conditions_keep_from_starting_is_no_weight(
    box: Box, *, unmet: bool, there: bool
) -> None:
    """As of networkd-dispatcher.service on Ubuntu, where there is no script to run."""
    ground: Ground = box.step("idle").of._ground  # type: ignore[attr-defined]

    def situation(names: Iterable[str]) -> Situation:
        found = ground.situation(names)
        known = found.units[MODEM]
        assert known.unit.properties is not None
        properties = replace(known.unit.properties, unmet=unmet)
        changed = replace(known, unit=replace(known.unit, properties=properties))
        return replace(found, units={**found.units, MODEM: changed})

    look = english.look(idle.make(replace(ground, situation=situation)).look())
    assert (MODEM in items(look)) is there


def test_what_something_else_starts_is_masked_and_unmasked_by_undo(box: Box) -> None:
    service = demo.FILES[f"{LIB}/ModemManager.service"].partition("[Install]")[0]
    box.write(f"{LIB}/packagekit.service", service)
    box.server.connect().restart_unit("packagekit.service")
    plan = box.step("idle").plan({"packagekit.service": "off"})
    assert [(a.kind, a.what, a.after) for a in plan.actions] == [
        (ActionKind.RUN, "packagekit.service", "inactive"),
        (ActionKind.LINK, f"{ETC}/packagekit.service", "/dev/null"),
    ]
    box.backend.apply(plan)
    box.now = 5.0
    assert "packagekit.service" not in items(box.step("idle").look())
    box.backend.undo()
    assert f"{ETC}/packagekit.service" not in box.server.disk.links
    state = box.server.connect().properties(["packagekit.service"])["packagekit.service"]
    assert state.load_state == "loaded"


def test_a_file_in_the_place_of_a_mask_is_not_touched(box: Box) -> None:
    box.write(f"{ETC}/packagekit.service", "[Service]\nExecStart=/opt/packagekitd\n")
    box.server.connect().restart_unit("packagekit.service")
    look = box.step("idle").look()
    assert "packagekit.service" not in items(look)
    assert any("is in the way of a mask" in each for each in look.by_hand)
    with pytest.raises(RefusedError, match="is in the way of a mask"):
        box.step("idle").plan({"packagekit.service": "off"})


def test_its_sockets_go_with_it(box: Box) -> None:
    box.write(f"{LIB}/snapd.socket", "[Socket]\nListenStream=/x\n[Install]\nWantedBy=s.target\n")
    link = f"{ETC}/sockets.target.wants/snapd.socket"
    box.server.disk.links[link] = f"{LIB}/snapd.socket"
    plan = box.step("idle").plan({"snapd.service": "off"})
    assert {a.what for a in plan.actions} == {"snapd.service", SNAPD, link}


def test_a_target_is_not_stopped(box: Box) -> None:
    """snapd has some of its own: they hold nothing, and mounts of snaps stand behind them."""
    target = "snapd.mounts.target"
    ground: Ground = box.step("idle").of._ground  # type: ignore[attr-defined]

    def situation(names: Iterable[str]) -> Situation:
        found = ground.situation([name for name in names if name != target])
        more = known(Unit(target, None, properties(target, type="")))
        return replace(found, units={**found.units, target: more})

    step = idle.make(
        replace(
            ground,
            situation=situation,
            unit_files=lambda: {**ground.unit_files(), target: "static"},
        )
    )
    assert target not in {a.what for a in step.plan({"snapd.service": "off"}).actions}


def test_an_alias_goes_with_it(box: Box) -> None:
    alias = f"{ETC}/dbus-org.freedesktop.ModemManager1.service"
    box.server.disk.links[alias] = f"{LIB}/ModemManager.service"
    box.server.connect().reload()
    plan = box.step("idle").plan({"ModemManager.service": "off"})
    assert alias in {a.what for a in plan.actions}


# the guard → the file that shows that it is in use
ALIKE = [
    ("modem", "/sys/class/net/ppp0/address"),
    ("modem", "/sys/class/usbmisc/cdc-wdm0/dev"),
    ("modem", "/sys/class/tty/ttyUSB2/dev"),
    ("wireless", "/sys/class/net/wlan0/address"),
    ("wireless", "/sys/class/net/lan7/phy80211/name"),
    ("containers", "/var/lib/incus/containers/web/backup.yaml"),
]
GUARDS = {
    "snaps": "/var/lib/snapd/snaps/certbot_12.snap",
    "modem": "/sys/class/net/wwan0/address",
    "wireless": "/sys/class/net/wlp1s0/address",
    "bluetooth": "/sys/class/bluetooth/hci0/name",
    "printers": "/etc/cups/ppd/office.ppd",
    "iscsi": "/sys/class/iscsi_session/session1/state",
    "containers": "/var/lib/lxc/web/config",
    "dispatcher": "/etc/networkd-dispatcher/routable.d/50-x",
}


@pytest.mark.parametrize(("guard", "path"), [*GUARDS.items(), *ALIKE])
def test_what_is_in_use_is_left_alone(box: Box, guard: str, path: str) -> None:
    ground = box.step("idle").of._ground  # type: ignore[attr-defined]
    assert idle_guards.in_use(ground, guard) is None
    box.write(path, "")
    assert idle_guards.in_use(ground, guard) is not None


def test_guards_that_read_files(box: Box) -> None:
    ground = box.step("idle").of._ground  # type: ignore[attr-defined]
    assert idle_guards.in_use(ground, "multipath") is None
    assert idle_guards.in_use(ground, "nfs") is None
    box.write("/sys/block/dm-0/dm/uuid", "mpath-3600\n")
    assert "dm-0 is a disk with several paths" in str(idle_guards.in_use(ground, "multipath"))
    box.write("/proc/mounts", "a:/x /srv nfs4 rw 0 0\n")
    assert "NFS is mounted" in str(idle_guards.in_use(ground, "nfs"))


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("/etc/fstab", "a:/x /srv nfs noauto,x-systemd.automount 0 0\n", "/etc/fstab names"),
        ("/etc/exports", "# none\n/srv *(ro)\n", "/etc/exports shares"),
        ("/etc/yp.conf", "ypserver 10.0.0.1\n", "NIS"),
        ("/etc/exports", "# none\n", ""),
        ("/etc/fstab", "#a:/x /srv nfs 0 0\nUUID=1 / ext4 defaults 0 1\n", ""),
    ],
)
def test_what_needs_rpcbind(box: Box, path: str, text: str, words: str) -> None:
    ground = box.step("idle").of._ground  # type: ignore[attr-defined]
    box.write(path, text)
    found = idle_guards.in_use(ground, "nfs")
    assert words in str(found or "")
    assert (found is None) is (words == "")


def test_snaps_of_the_image_alone_are_not_in_use(box: Box) -> None:
    ground = box.step("idle").of._ground  # type: ignore[attr-defined]
    for name in ("core22_1.snap", "snapd_2.snap", "lxd_3.snap", "bare_5.snap"):
        box.write(f"/var/lib/snapd/snaps/{name}", "")
    assert idle_guards.in_use(ground, "snaps") is None
    box.write("/var/snap/lxd/common/lxd/database/global", "")
    assert str(idle_guards.in_use(ground, "snaps")) == "Snaps are installed: lxd."


def test_used_after_all_it_is_reported_and_not_proposed(box: Box) -> None:
    box.write(GUARDS["snaps"], "")
    look = box.step("idle").look()
    assert "snapd.service" not in items(look)
    assert (
        "snapd.service is kept because it is in use. Snaps are installed: certbot."
    ) in look.facts


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("snapd.service", "on", 'write "off", or leave the line out'),
        ("ssh.service", "off", "has no key .ssh.service."),
        ("zork", "off", "has no key .zork."),
    ],
)
def test_a_request_that_is_invalid(box: Box, key: str, value: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        box.step("idle").plan({key: value})


def test_the_table() -> None:
    found = table()
    assert len(found) >= 40
    assert len({each.unit for each in found}) == len(found)
    for each in found:
        assert is_unit_name(each.unit)
        assert str(each.reason).endswith(".") and str(each.lost).endswith(".")
        assert not each.keep or str(each.keep).endswith(".")
        assert not each.guard or each.guard in idle_guards.GUARDS
    assert set(idle_guards.GUARDS) == {each.guard for each in found if each.guard}
    # The door, and what brings security updates, is never taken by default.
    kept = {each.unit for each in found if each.keep}
    assert kept >= {
        *("unattended-upgrades.service", "qemu-guest-agent.service", "walinuxagent.service"),
        *("google-guest-agent.service", "amazon-ssm-agent.service", "droplet-agent.service"),
    }
    assert not {each.unit for each in found} & {
        *("ssh.service", "cron.service", "systemd-networkd.service", "NetworkManager.service"),
        *("polkit.service", "dbus.service", "systemd-resolved.service"),
    }
