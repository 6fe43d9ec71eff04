"""What each service's settings should be by its tier: the user's table, and its exceptions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.model.plan import Edit
from lowmem_tui.model.unit import INFINITY, Key, Tier
from lowmem_tui.policy.classify import Kind, parse_rules
from lowmem_tui.policy.plan import plan
from lowmem_tui.policy.protect import IDLE, Proposal, Role, largest, limits_advised, proposals
from tests.catalogs import translations

from .servers import M, known, process, service, situation

ADJ, MAX, RESTART, SEC, POLICY = (
    Key.OOM_SCORE_ADJUST,
    Key.MEMORY_MAX,
    Key.RESTART,
    Key.RESTART_SEC,
    Key.OOM_POLICY,
)
LIMITS = {"start_limit_interval_usec": 10_000_000, "start_limit_burst": 5}


def role(
    name: str,
    tier: int,
    kind: Kind = Kind.HELPER,
    *,
    rss: int = 5,
    workers: int = 0,
    enabled: bool = True,
    adj: int = 0,
    **changes: Any,  # noqa: ANN401 - fields of UnitProperties
) -> Role:
    """A running service of so many MiB; with ``workers`` of the same name as its main process."""
    processes = [process(7, rss * M, name="main", oom_score_adj=adj)]
    processes += [process(8 + n, rss * M, name="main") for n in range(workers)]
    fields = LIMITS | {"memory_max": INFINITY, "main_pid": 7} | changes
    unit = service(name, *processes, memory={"anon": rss * M * (1 + workers)}, **fields)
    assert unit.properties is not None
    return Role(known(unit), unit.properties, Tier(tier), kind, enabled)


def proposed(*roles: Role) -> list[Proposal]:
    return proposals(roles, situation(*(r.known for r in roles)))


def changes(*roles: Role) -> dict[str, dict[Key, str]]:
    """What would be changed, by unit."""
    found: dict[str, dict[Key, str]] = {}
    for each in proposed(*roles):
        if not each.done:
            found.setdefault(each.unit, {})[each.key] = each.value
    return found


CASES: dict[str, tuple[Role, dict[Key, str]]] = {
    "a gatekeeper": (role("nginx.service", 0), {ADJ: "-200", RESTART: "on-failure", SEC: "3s"}),
    "what PID 1 needs": (
        role("systemd-logind.service", 0, restart="always"),
        {ADJ: "-500", SEC: "3s"},
    ),
    "a gatekeeper that is guarded enough": (
        role("nginx.service", 0, oom_score_adjust=-250, restart="always"),
        {SEC: "3s"},
    ),
    "a gatekeeper that is never given up": (
        role("nginx.service", 0, oom_score_adjust=-250, restart="always", restart_usec=2_500_000),
        {},
    ),
    "what the bus starts again": (
        role(
            *("systemd-logind.service", 0),
            names=("systemd-logind.service", "dbus-org.freedesktop.login1.service"),
            restart="always",
        ),
        {ADJ: "-500"},
    ),
    "the bus, which its socket starts again": (
        role("dbus.service", 0, triggered_by=("dbus.socket",)),
        {ADJ: "-500"},
    ),
    "the bus by its newer program": (
        role(
            *("dbus-broker.service", 0),
            names=("dbus-broker.service", "dbus.service"),
            triggered_by=("dbus.socket",),
            oom_score_adjust=-900,
        ),
        {},
    ),
    "a gatekeeper that a request starts again": (
        role("x.service", 0, type="dbus", oom_score_adjust=-200),
        {RESTART: "on-failure", SEC: "3s"},
    ),
    "a gatekeeper without a start limit": (
        role("x.service", 0, oom_score_adjust=-200, start_limit_burst=0),
        {RESTART: "on-failure", SEC: "3s"},
    ),
    "a start limit that 3 s would still hit at once": (
        role(
            *("x.service", 0),
            oom_score_adjust=-200,
            start_limit_burst=3,
            start_limit_interval_usec=60_000_000,
        ),
        {RESTART: "on-failure", SEC: "30s"},
    ),
    "a start limit of a day is somebody's purpose": (
        role(
            *("x.service", 0),
            oom_score_adjust=-200,
            start_limit_burst=3,
            start_limit_interval_usec=86_400_000_000,
        ),
        {RESTART: "on-failure", SEC: "3s"},
    ),
    "ssh, whose socket fails with it": (
        role("ssh.service", 0, restart="on-failure", triggered_by=("ssh.socket",)),
        {SEC: "3s"},
    ),
    "it keeps the killer off by itself": (
        role("multipathd.service", 0, adj=-1000, restart="always", restart_usec=3_000_000),
        {},
    ),
    "its score was lowered by hand": (
        role("multipathd.service", 0, adj=-900, restart="always", restart_usec=3_000_000),
        {ADJ: "-200"},
    ),
    "-100 is too weak": (
        role("x.service", 0, oom_score_adjust=-100, restart="on-failure", type="dbus"),
        {ADJ: "-200"},
    ),
    "its maker's -1000 stays": (
        role(
            *("systemd-udevd.service", 0),
            oom_score_adjust=-1000,
            restart="always",
            triggered_by=("systemd-udevd-kernel.socket",),
        ),
        {},
    ),
    "ssh gets no score": (role("ssh.service", 0), {RESTART: "on-failure", SEC: "3s"}),
    "ssh by another name, with sessions": (
        role("sshd@a.service", 0, workers=3, restart="on-failure"),
        {SEC: "3s"},
    ),
    "dropbear protects itself not": (
        role("dropbear.service", 0, restart="always"),
        {ADJ: "-200", SEC: "3s"},
    ),
    "a login by dropbear gets no score": (
        role("dropbear@1-a.service", 0, restart="always"),
        {SEC: "3s"},
    ),
    "a console gets no score, and no wait": (role("getty@tty1.service", 0, restart="always"), {}),
    "a oneshot that has left a process": (
        role("networking.service", 0, type="oneshot", main_pid=0),
        {ADJ: "-200"},
    ),
    "a slow restart needs no time": (
        role("x.service", 0, oom_score_adjust=-300, restart_usec=10_000_000),
        {RESTART: "on-failure"},
    ),
    "a gatekeeper with workers": (
        role("nginx.service", 0, oom_score_adjust=-200, restart="on-failure", workers=2),
        {SEC: "3s", POLICY: "continue"},
    ),
    "workers that go on": (
        role(
            *("nginx.service", 0),
            oom_score_adjust=-200,
            restart="on-failure",
            restart_usec=3_000_000,
            workers=2,
            oom_policy="continue",
        ),
        {},
    ),
    "short-lived ones are left alone": (role("backup.service", 2, rss=200, workers=2), {}),
    "a small helper": (role("x.service", 1), {RESTART: "always", SEC: "3s"}),
    "a helper on demand": (
        role("x.service", 1, enabled=False),
        {RESTART: "on-failure", SEC: "3s"},
    ),
    "a helper behind a socket": (
        role("x.service", 1, triggered_by=("x.socket",)),
        {RESTART: "on-failure", SEC: "3s"},
    ),
    "a helper that is given up": (role("cron.service", 1, restart="on-failure"), {SEC: "3s"}),
    "a helper without a start limit": (
        role("x.service", 1, restart="on-failure", start_limit_burst=0),
        {},
    ),
    "always, but at once": (role("x.service", 1, restart="always"), {SEC: "3s"}),
    "after an abort alone": (role("x.service", 1, restart="on-abort"),
                             {RESTART: "always", SEC: "3s"}),
    "a helper protected like a gatekeeper": (
        role("snapd.service", 1, restart="always", restart_usec=5_000_000, oom_score_adjust=-900),
        {ADJ: "0"},
    ),
    "a parent that guards itself alone": (
        role("postgresql@15-main.service", 1, Kind.HELPER, restart="always",
             restart_usec=5_000_000, oom_score_adjust=-900),
        {},
    ),
    "a helper that is out of reach": (
        role("x.service", 1, restart="always", restart_usec=3_000_000, oom_score_adjust=-1000),
        {},
    ),
    "a large helper": (
        role("x.service", 1, rss=60, restart="on-failure"),
        {MAX: "640M", SEC: "3s"},
    ),
    "the one application": (
        role("app.service", 1, Kind.APPLICATION, rss=200, workers=1, restart="no"),
        {ADJ: "100", MAX: "640M", RESTART: "always", SEC: "3s", POLICY: "continue"},
    ),
    "an application with a limit": (
        role(
            *("app.service", 1, Kind.APPLICATION),
            restart="always",
            restart_usec=3_000_000,
            memory_max=600 * M,
            oom_score_adjust=50,
        ),
        {},
    ),
    "containers": (
        role("docker.service", 1, rss=90, restart="always", restart_usec=3_000_000, delegate=True),
        {},
    ),
    "containers, protected by their maker": (
        role(
            *("docker.service", 1),
            restart="always",
            restart_usec=3_000_000,
            delegate=True,
            oom_score_adjust=-500,
        ),
        {},
    ),
    "nothing is known": (
        role("x.service", 1, oom_score_adjust=None, restart=None, memory_max=None, oom_policy=None),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "wanted"), CASES.values(), ids=CASES)
def test_one_unit(given: Role, wanted: dict[Key, str]) -> None:
    assert changes(given) == ({given.name: wanted} if wanted else {})


def settled(name: str, kind: Kind, **fields: Any) -> Role:  # noqa: ANN401
    return role(name, 1, kind, restart="always", restart_usec=3_000_000, **fields)


def test_the_largest_application_goes_first_and_a_store_after_it() -> None:
    app = settled("app.service", Kind.APPLICATION, rss=90)
    small = settled("worker.service", Kind.APPLICATION, rss=10)
    redis = settled("redis-server.service", Kind.STORE, rss=100)
    assert largest([redis, small, app]) == "app.service"
    assert changes(app, small, redis) == {
        "app.service": {ADJ: "100", MAX: "180M"},
        "worker.service": {MAX: "70M"},
        "redis-server.service": {ADJ: "-100", MAX: "390M"},
    }


def test_all_limits_and_the_reserve_fit_into_ram() -> None:
    apps = [settled(f"a{n}.service", Kind.APPLICATION, rss=20 + n) for n in range(12)]
    store = settled("redis-server.service", Kind.STORE, rss=8)
    sizes = [int(v[MAX].rstrip("M")) for v in changes(*apps, store).values()]
    assert len(sizes) == 13
    assert sum(sizes) <= 640
    assert min(sizes) >= 10


def test_a_store_is_given_room_for_a_fork_before_it_has_grown() -> None:
    app = settled("app.service", Kind.APPLICATION, rss=60)
    store = settled("redis-server.service", Kind.STORE, rss=5)
    assert changes(app, store) == {
        "app.service": {ADJ: "100", MAX: "480M"},
        "redis-server.service": {ADJ: "-100", MAX: "160M"},
    }


def test_a_database_alone_is_the_largest() -> None:
    store = settled("mariadb.service", Kind.STORE, rss=150)
    assert changes(store) == {"mariadb.service": {ADJ: "100", MAX: "640M"}}


def test_limits_that_are_there_stay_and_the_others_share_what_is_left() -> None:
    app = settled("app.service", Kind.APPLICATION, rss=300, memory_max=600 * M)
    other = settled("other.service", Kind.APPLICATION, rss=40)
    assert changes(app, other) == {
        "app.service": {ADJ: "100"},
        "other.service": {MAX: "80M"},
    }


def test_what_is_made_so_is_content() -> None:
    app = settled("a.service", Kind.APPLICATION, rss=60, oom_score_adjust=100, memory_max=480 * M)
    store = settled("r.service", Kind.STORE, rss=5, oom_score_adjust=-100, memory_max=160 * M)
    assert changes(app, store) == {}
    shown = {(p.unit, p.key): p.value for p in proposed(app, store)}
    assert shown["a.service", MAX] == "480M"
    assert shown["r.service", ADJ] == "-100"


def test_every_proposal_is_among_its_choices_or_done() -> None:
    made = proposed(
        settled("a.service", Kind.APPLICATION, rss=200, workers=2),
        role("nginx.service", 0),
        role("r.service", 1, Kind.STORE),
    )
    assert all(each.done or each.value in each.choices for each in made)
    assert all(str(each.why).endswith(".") for each in made)


def test_of_dropbear_it_is_shown_that_logins_inherit() -> None:
    (score, *_) = proposed(role("dropbear.service", 0))
    assert str(score.why) == (
        "dropbear does not protect itself, as sshd does. Every login, and every program started "
        "from it, inherits its OOMScoreAdjust: -200 is enough to keep logins possible."
    )


TABLE = """
[[units]]
tier = 1
kind = "store"
reason = "a store"
names = [
  "r",
]
"""
ADVISED: dict[str, tuple[tuple[Role, ...], dict[str, int]]] = {
    "what has a limit keeps it": (
        (
            settled("a.service", Kind.APPLICATION, rss=300, memory_max=500 * M),
            settled("r.service", Kind.STORE, rss=5),
        ),
        {"r.service": 140},
    ),
    "the largest gets the rest": (
        (
            settled("a.service", Kind.APPLICATION, rss=60),
            settled("r.service", Kind.STORE, rss=5),
        ),
        {"a.service": 480, "r.service": 160},
    ),
    "containers are bounded by what runs them": (
        (settled("a.service", Kind.APPLICATION, rss=60, delegate=True),),
        {},
    ),
    "what idles has its share, and no advice": (
        (
            settled("a.service", Kind.APPLICATION, rss=60),
            settled("snapd.service", Kind.HELPER, rss=50),
        ),
        {"a.service": 540},
    ),
    "limits beyond all there is: what fits in their place": (
        (
            settled("a.service", Kind.APPLICATION, rss=60, memory_max=4000 * M),
            settled("r.service", Kind.STORE, rss=5, memory_max=500 * M),
        ),
        {"a.service": 480, "r.service": 160},
    ),
}


@pytest.mark.parametrize(("roles", "limits"), ADVISED.values(), ids=ADVISED)
def test_whatif_advises_what_the_set_up_proposes(
    roles: tuple[Role, ...], limits: dict[str, int]
) -> None:
    server = situation(*(r.known for r in roles)).snapshot
    tiers: dict[str, Tier | None] = {r.name: r.tier for r in roles}
    found = limits_advised(server, tiers, parse_rules(TABLE))
    assert {a.unit: (a.limit or 0) // M for a in found} == limits
    if all(r.properties.memory_max is INFINITY for r in roles):
        made = {p.unit: int(p.value.rstrip("M")) for p in proposed(*roles) if p.key is MAX}
        assert {unit: size for unit, size in made.items() if unit not in IDLE} == limits


def test_the_reason_goes_with_the_figure_that_is_proposed() -> None:
    app = settled("a.service", Kind.APPLICATION, rss=90)
    small = settled("b.service", Kind.APPLICATION, rss=20, memory_high=64 * M)
    (made,) = (p for p in proposed(app, small) if p.key is MAX and p.unit == "b.service")
    assert made.value == "70M"
    assert str(made.why).startswith("It has needed up to 20M so far. MemoryMax must be above its")


def test_reasons_are_rendered_in_the_operator_s_language() -> None:
    found = {p.key: p.why for p in proposed(role("nginx.service", 0))}
    assert str(found[ADJ]) == (
        "A gatekeeper must be killed last: OOMScoreAdjust from -200 to -500 protects it, and -100 "
        "is often not enough."
    )
    assert str(found[SEC]) == (
        "With a shorter RestartSec, 5 failed starts within 10s hit the start limit, and it stays "
        "down until somebody starts it."
    )
    chinese = translations("zh_CN")
    assert found[ADJ].render(chinese) == (
        "守门服务必须最后才被终止：OOMScoreAdjust 取 -200 到 -500 可以保护它，-100 往往不够。"
    )
    assert found[RESTART].render(chinese) == "OOM 终止或其他故障之后，systemd 会重启它。"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("docker.service", ()),
        ("engine.service", ("/usr/bin/dockerd",)),
        ("app.service", ("/usr/bin/docker", "compose", "up")),
        ("app.service", ("/bin/su", "-", "app", "-c", "/srv/run")),
    ],
)
def test_no_limit_is_proposed_where_it_would_hold_nothing(
    name: str, arguments: tuple[str, ...]
) -> None:
    kinds = set(changes(role(name, 1, Kind.APPLICATION, exec_start=arguments)).get(name, ()))
    assert MAX not in kinds
    assert RESTART in kinds


def test_the_reason_names_the_units_own_start_limit() -> None:
    made = proposed(
        role("nginx.service", 0, start_limit_burst=4, start_limit_interval_usec=12_000_000)
    )
    (delay,) = (each for each in made if each.key is SEC)
    assert "4 failed starts within 12s" in str(delay.why)


NAMES = ["nginx.service", "dbus.service", "ssh.service", "getty@tty1.service", "x.service"]


@settings(max_examples=400)
@given(
    st.sampled_from(NAMES),
    st.sampled_from([0, 1]),
    st.sampled_from(["no", "on-success", "on-abnormal", "on-abort", "on-failure", "always"]),
    st.sampled_from(["simple", "notify", "dbus", "forking", "oneshot"]),
    st.sampled_from([0, 100_000, 2_000_000, 3_000_000, 30_000_000]),
    st.sampled_from([0, 1_000_000, 10_000_000, 60_000_000, 3_600_000_000]),
    st.integers(0, 30),
    st.sampled_from([(), ("x.socket",), ("x.timer",), ("x.path",)]),
)
def test_no_check_warns_of_a_restart_that_is_proposed(
    name: str,
    tier: int,
    word: str,
    kind: str,
    delay: int,
    window: int,
    burst: int,
    triggers: tuple[str, ...],
) -> None:
    given_ = role(
        name,
        tier,
        restart=word,
        type=kind,
        restart_usec=delay,
        start_limit_interval_usec=window,
        start_limit_burst=burst,
        triggered_by=triggers,
    )
    server = situation(given_.known)
    edits = [
        Edit(each.unit, each.key, each.value)
        for each in proposals([given_], server)
        if not each.done and not plan([Edit(each.unit, each.key, each.value)], server).refusals
    ]
    made = plan(edits, server, {name: Tier(tier)})
    assert not made.refusals
    assert [n.code for n in made.warnings] == []
