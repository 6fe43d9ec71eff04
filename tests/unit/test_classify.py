"""Which tier a unit belongs to, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import Tier
from lowmem_tui.policy import classify
from lowmem_tui.policy.classify import Group, Rules, matches, parse_config, parse_rules
from tests.catalogs import translations

from .servers import M, process, properties, usage

TABLE = Path(classify.__file__).with_name("tiers.toml").read_text("utf-8")
RULES = parse_rules(TABLE)
RAM = 1024 * M

BY_NAME: dict[str, tuple[int | None, Group]] = {
    **dict.fromkeys(
        (
            *("ssh.service", "sshd.service", "ssh@3-10.0.0.1:22-10.0.0.2:1.service"),
            *("nginx.service", "dbus.service", "getty@tty1.service", "serial-getty@ttyS0.service"),
            *("systemd-logind.service", "systemd-journald.service", "systemd-udevd.service"),
            *("systemd-networkd.service", "systemd-resolved.service", "NetworkManager.service"),
        ),
        (0, Group.GATEKEEPERS),
    ),
    **dict.fromkeys(
        (
            *("gunicorn.service", "redis-server.service", "redis-server@a.service"),
            *("postgresql@15-main.service", "mysql.service", "mariadb.service", "docker.service"),
            *("php8.2-fpm.service", "php-fpm.service", "uwsgi.service", "cron.service"),
            *("docker-0123abc.scope", "libpod-0123.scope", "snap.lxd.daemon.service"),
            *("systemd-timesyncd.service", "rsyslog.service", "unknown.service"),
        ),
        (1, Group.BUSINESS),
    ),
    **dict.fromkeys(
        (
            *("certbot.service", "backup.service", "cloudchat-backup.service"),
            *("apt-daily.service", "logrotate.service", "unattended-upgrades.service"),
            *("user-runtime-dir@1000.service", "borgmatic.service"),
        ),
        (2, Group.SHORT_LIVED),
    ),
    **dict.fromkeys(("session-3.scope", "user@1000.service"), (None, Group.SESSIONS)),
    **dict.fromkeys(("system.slice", "-.slice", "user-1000.slice"), (None, Group.SLICES)),
    **dict.fromkeys(
        (
            *("init.scope", "run-r12.scope", "ssh.socket", "srv.mount", "certbot.timer"),
            *("dev-sda.swap", "docker/0123", "a.target", ""),
        ),
        (None, Group.OTHER),
    ),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_unit_of_which_only_the_name_is_known(name: str) -> None:
    verdict = RULES.classify(Unit(name, None, None), RAM)
    assert (verdict.tier, verdict.group) == BY_NAME[name]


UNKNOWN = "It is not in the table of known services, and counts as an application."
COMMANDS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "a program": (("/srv/venv/bin/gunicorn", "app:app"), "gunicorn"),
    "a module of Python": (("/usr/bin/python3", "-m", "uvicorn", "app"), "uvicorn"),
    "a script": (("/usr/bin/python3.11", "/srv/app.py"), "python3.11"),
    "behind env": (("/usr/bin/env", "A=1", "node", "server.js"), "node"),
    "in a shell's script": (("/bin/sh", "-c", "cd /srv && exec java -jar x.jar"), "java"),
    "php-fpm's title": (("php-fpm:", "master", "process"), "php-fpm"),
    "a versioned program": (("/usr/sbin/php-fpm8.2", "--nodaemonize"), "php-fpm8.2"),
    "behind Ruby": (("/usr/bin/ruby", "/srv/bin/puma"), "puma"),
    "only an argument": (("/opt/foo", "java"), None),
    "only in a path": (("/opt/java/foo",), None),
    "nothing": ((), None),
}


@pytest.mark.parametrize(("words", "program"), COMMANDS.values(), ids=COMMANDS)
def test_a_unit_of_unknown_name_by_its_exec_start(words: tuple[str, ...], program: str) -> None:
    unit = Unit("cloudchat.service", None, properties("cloudchat.service", exec_start=words))
    found = RULES.classify(unit, RAM)
    expected = f"Its command line runs {program}." if program else UNKNOWN
    assert (found.tier, str(found.reason)) == (Tier.BUSINESS, expected)


def test_a_unit_by_the_command_line_of_its_main_process() -> None:
    small = process(7, rss=1, command="node x.js")
    large = process(8, rss=9, command="/opt/x")
    unit = Unit("x.service", usage("x.service", small, large), properties("x.service", main_pid=7))
    assert str(RULES.classify(unit, RAM).reason) == "Its command line runs node."


@pytest.mark.parametrize(
    ("rss", "reason"),
    [
        (180 * M, "It uses 180M, 17 % of RAM."),
        (50 * M, UNKNOWN),
    ],
)
def test_a_unit_of_which_nothing_is_known_by_its_size(rss: int, reason: str) -> None:
    unit = Unit("x.service", usage("x.service", process(rss=rss)), properties("x.service"))
    found = RULES.classify(unit, RAM)
    assert (found.tier, found.group, str(found.reason)) == (Tier.BUSINESS, Group.BUSINESS, reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "oneshot"},
        {"type": "oneshot", "sub_state": "exited"},
        {"type": "oneshot", "triggered_by": ("x.timer",)},
    ],
    ids=["oneshot", "oneshot that remains after exit", "by a timer as well"],
)
@pytest.mark.parametrize("name", ["nginx.service", "redis-server.service", "x.service"])
def test_what_ends_by_itself_is_short_lived(name: str, changes: dict[str, object]) -> None:
    verdict = RULES.classify(Unit(name, None, properties(name, **changes)), RAM)
    assert (verdict.tier, verdict.group) == (Tier.SHORT_LIVED, Group.SHORT_LIVED)
    assert str(verdict.reason) == "It is Type=oneshot: it does its work and ends."


# name, state and processes of a oneshot → its tier
REMAINING: dict[str, tuple[str, str, int, int]] = {
    "ifupdown's dhclient": ("networking.service", "active", 1, 0),
    "of one interface": ("ifup@eth0.service", "active", 1, 0),
    "a static address": ("networking.service", "active", 0, 2),
    "not done with its work yet": ("ufw.service", "activating", 1, 2),
    "no gatekeeper": ("postgresql.service", "active", 1, 2),
    "in no table": ("x.service", "active", 1, 2),
}


@pytest.mark.parametrize(("name", "state", "count", "tier"), REMAINING.values(), ids=REMAINING)
def test_a_oneshot_that_has_processes(name: str, state: str, count: int, tier: int) -> None:
    left = usage(name, *(process(9 + n, name="dhclient") for n in range(count)))
    unit = Unit(name, left, properties(name, type="oneshot", active_state=state))
    assert RULES.classify(unit, RAM).tier == tier


def test_a_socket_s_service_is_not_short_lived() -> None:
    unit = Unit("x.service", None, properties("x.service", triggered_by=("x.socket",)))
    assert RULES.classify(unit, RAM).tier is Tier.BUSINESS


def test_an_alias_counts_as_well() -> None:
    names = ("x.service", "redis.service")
    unit = Unit("x.service", None, properties("x.service", names=names))
    reason = RULES.classify(unit, RAM).reason
    assert str(reason) == "It is a cache: set a limit in its own configuration as well."
    assert reason.render(translations("zh_CN")) == "它是缓存：请在它自己的配置中也设置上限。"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("redis-server.service", "redis-server.service"),
        ("redis*.service", "redis-server.service"),
        ("certbot.service", "certbot.service"),
        ("session-*.scope", "session-3.scope"),
    ],
)
def test_the_configuration_goes_before_all(pattern: str, name: str) -> None:
    rules = RULES.with_config(parse_config(f'[tiers]\n"{pattern}" = 0'))
    verdict = rules.classify(Unit(name, None, properties(name, type="oneshot")), RAM)
    assert (verdict.tier, verdict.group) == (Tier.GATEKEEPER, Group.GATEKEEPERS)
    assert str(verdict.reason) == f"The configuration sets this tier ({pattern})."


def test_of_the_configuration_the_first_that_fits_counts() -> None:
    rules = RULES.with_config(parse_config('[tiers]\n"a@1.service" = 0\n"a@*.service" = 2'))
    found = [rules.classify(Unit(f"a@{n}.service", None, None), RAM).tier for n in (1, 2)]
    assert found == [Tier.GATEKEEPER, Tier.SHORT_LIVED]


BAD_CONFIG = {
    "unknown section": ("[tiers]\n[other]\n", "Line 2: section 'other' is unknown"),
    "unknown key": ("\nx = 1\n", "Line 2: section 'x' is unknown"),
    "tier 3": ('[tiers]\n"a.service" = 1\n"b.service" = 3\n', "Line 3: a tier is 0, 1 or 2, not 3"),
    "no number": ('[tiers]\n# x\n"a.service" = "1"\n', "Line 3: a tier is 0, 1 or 2, not '1'"),
    "a truth": ('[tiers]\n"a.service" = true\n', "Line 2: a tier is 0, 1 or 2, not True"),
    "no quotes": ("[tiers]\nssh.service = 0\n", "Line 2: 'ssh' is not a unit's name"),
    "a path": ('[tiers]\n"../a.service" = 0\n', "Line 2: '../a.service' is not a unit's name"),
    "no table": ("tiers = 1\n", "Line 1: write [tiers]"),
    "inline": ('tiers = {"a.service" = 5}\n', "Line 1: a tier is 0, 1 or 2"),
    "dotted": ('\ntiers."a.service" = 5\n', "Line 2: a tier is 0, 1 or 2"),
    "no TOML": ("[tiers\n", "Correct the TOML syntax: .* line 1"),
}


@pytest.mark.parametrize(("text", "message"), BAD_CONFIG.values(), ids=BAD_CONFIG)
def test_a_wrong_configuration_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_config(text)
    head, _, rest = message.partition(" .* ")
    assert str(caught.value).startswith(head) and rest in str(caught.value)


@given(st.text())
def test_any_configuration_is_read_or_refused(text: str) -> None:
    try:
        parse_config(text)
    except InvalidValueError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("a.service", "a.service", True),
        ("a.service", "b.service", False),
        ("*", "", True),
        ("a@*.service", "a@.service", True),
        ("a@*.service", "a@b.service", True),
        ("a@*.service", "a.service", False),
        ("aa*aa", "aaa", False),
        ("*b*b*", "abab", True),
        ("*b*b*", "aba", False),
        ("a[b]*", "ab", False),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


def test_the_table_is_read_without_a_toml_parser() -> None:
    blocks = classify._plain_blocks(TABLE)
    assert blocks == list(classify._toml_blocks(TABLE))


def test_the_table_knows_many_services() -> None:
    assert len(RULES.units) + sum(map(len, RULES.patterns.values())) >= 600


def test_no_name_is_in_the_table_twice() -> None:
    blocks = list(classify._toml_blocks(TABLE))
    names = [name for section, _, _, _, block in blocks if section == "units" for name in block]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[other]]\n", "'other' is unknown"),
        ("[[units]]\ntier = 5\nnames = []\n", "a tier is 0, 1 or 2, not 5"),
        ("[[units]]\ntier = 1\nnames = 3\n", "write tier, kind, reason and a list of names"),
        ('[[units]]\ntier = 1\nkind = "x"\nnames = []\n', "write tier, kind, reason and a list"),
        ("[[units]]\ntier = 1\nname = []\n", "write tier, kind, reason and a list of names"),
    ],
)
def test_a_wrong_table_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        parse_rules(text)


def test_a_table_in_any_other_form_of_toml_is_read() -> None:
    rules = parse_rules('[[units]]\nnames = ["a"] # x\ntier = 0\n')
    assert isinstance(rules, Rules)
    assert rules.classify(Unit("a.service", None, None), RAM).tier is Tier.GATEKEEPER
