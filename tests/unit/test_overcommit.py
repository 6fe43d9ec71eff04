"""What is promised too much: which limit to lower, and to what; the set-up promises no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.model.amount import format_size
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import parse_value
from lowmem_tui.model.snapshot import Situation, Snapshot, Unit
from lowmem_tui.model.unit import INFINITY, Key, Tier
from lowmem_tui.policy.budget import Verdict, budget, need
from lowmem_tui.policy.checks.overcommit import overcommitted
from lowmem_tui.policy.classify import Kind
from lowmem_tui.policy.forecast import whatif
from lowmem_tui.policy.plan import plan
from lowmem_tui.policy.protect import Role, proposals

from .servers import M, known, process, properties, situation, snapshot, usage

PIDS = iter(range(1000, 10_000_000, 7))


def of(
    name: str,
    holds: int,
    limit: int | None = None,
    *,
    peak: int = 0,
    cgroup: str = "",
    transient: bool = False,
    **memory: Any,  # noqa: ANN401
) -> Unit:
    """A unit of so many MiB with a limit, or none."""
    pid = next(PIDS)
    bound = INFINITY if limit is None else limit * M
    group = usage(
        *(name, process(pid, holds * M)),
        cgroup=cgroup,
        **({"anon": holds * M, "peak": max(peak, holds) * M, "max": bound} | memory),
    )
    return Unit(name, group, properties(name, memory_max=bound, main_pid=pid, transient=transient))


def lowered(server: Snapshot) -> dict[str, int]:
    found = overcommitted(server)
    return {one.unit: one.to // M for one in found.lower} if found else {}


A, B = "a.service", "b.service"

# RAM 1024M, reserve 384M, so 640M for limits: units, swap → what is to be lowered, what is missing
LOWER: dict[str, tuple[list[Unit], int, dict[str, int], int]] = {
    "all fits": ([of(A, 100, 400), of(B, 100, 240)], 1024, {}, 0),
    "no limit": ([of(A, 900)], 1024, {}, 0),
    "what is least needed": ([of(A, 100, 600), of(B, 100, 240)], 1024, {A: 400}, 0),
    "one alone is enough": ([of(A, 300, 400), of(B, 10, 400)], 1024, {B: 240}, 0),
    "as far as it has needed": ([of(A, 100, 700, peak=500), of(B, 90, 100)], 0, {A: 550}, 10),
    "both": ([of(A, 100, 700, peak=500), of(B, 10, 150)], 0, {A: 550, B: 90}, 0),
    "what it needs is not lowered where it would swap": ([of(A, 100, 700, peak=650)], 1024, {}, 60),
    "nor where it needs less, but more than is left": (
        [of(A, 100, 700, peak=600)],
        *(1024, {A: 660}, 20),
    ),
    "page cache needs no room": ([of(A, 100, 700, peak=650, file=300 * M)], 1024, {A: 640}, 0),
    "it is there": ([of(A, 700, 710)], 1024, {}, 70),
    "above its MemoryHigh": ([of(A, 100, 700, high=660 * M)], 1024, {A: 670}, 30),
    "what somebody made by hand comes first": (
        [of("docker-a.scope", 50, 500, transient=True), of(A, 100, 300)],
        *(1024, {A: 140}, 0),
    ),
    "what a program made": (
        [of("docker-a.scope", 50, 900, transient=True)],
        *(1024, {"docker-a.scope": 640}, 0),
    ),
}


@pytest.mark.parametrize(("units", "swap", "lower", "missing"), LOWER.values(), ids=LOWER)
def test_the_limit_to_lower_is_named(
    units: list[Unit], swap: int, lower: dict[str, int], missing: int
) -> None:
    server = snapshot(*units, swap_total=swap * M, swap_free=swap * M)
    found = overcommitted(server)
    assert lowered(server) == lower
    assert (found.missing // M if found else 0) == missing
    if found is None:
        assert budget(server).verdict is Verdict.FITS
        return
    said = str(found.sentences)
    assert said.startswith("Overcommitted: MemoryMax of all units (")
    assert ") and the reserve (384M) are " in said
    for name, size in lower.items():
        assert f"{name} from " in said
        assert f" to {size}M" in said
    if missing:
        assert f"{format_size(found.missing)} too much" in said
        assert "fewer workers" in said
        assert "move a service to another server" in said
        assert "or add RAM to the server" in said
        assert ("add swap" in said) is (not swap)
    assert said.isprintable()


def test_no_limit_is_lowered_below_what_the_configuration_needs() -> None:
    server = snapshot(of(A, 100, 600), of(B, 100, 240))
    found = overcommitted(server, needs={A: 500 * M})
    assert found is not None
    assert {one.unit: one.to // M for one in found.lower} == {A: 530, B: 110}
    (alone,) = overcommitted(server).lower  # type: ignore[union-attr]
    assert (alone.unit, alone.to) == (A, 400 * M)


def test_without_swap_a_worker_is_left_room_to_be_replaced() -> None:
    workers = [process(pid, 100 * M, name="gunicorn") for pid in (7, 8, 9)]
    group = usage("w.service", *workers, anon=300 * M, peak=300 * M, max=700 * M)
    unit = Unit("w.service", group, properties("w.service", memory_max=700 * M, main_pid=7))
    for swap, least in ((0, 400), (1024, 330)):
        server = snapshot(unit, of(B, 600, 700), swap_total=swap * M, swap_free=swap * M)
        assert lowered(server)["w.service"] == least


def test_of_a_unit_that_was_just_restarted_nothing_is_known() -> None:
    """Its control group is new, and memory.peak with it."""
    old, new = of(A, 100, 600), of(B, 100, 240)
    assert new.usage is not None
    (young,) = new.usage.processes
    ticks = 100 * 3600 * 9
    new = replace(new, usage=new.usage._replace(processes=(young._replace(start=ticks),)))
    for uptime, lower in ((9 * 3600 + 3599, {A: 400}), (9 * 3600 + 3601, {A: 400})):
        server = snapshot(old, new, uptime=float(uptime))
        assert lowered(server) == lower
    server = snapshot(of(A, 380, 400), new, of("c.service", 200, 220), uptime=9 * 3600 + 60.0)
    found = overcommitted(server)
    assert found is not None
    assert B not in {one.unit for one in found.lower}
    assert f"what they need is not known yet: {B}." in str(found.sentences)
    later = replace(server, host=server.host._replace(uptime=9 * 3600 + 3700.0))
    assert B in lowered(later)


def test_the_command_lowers_what_is_ours_to_set() -> None:
    found = overcommitted(snapshot(of(A, 100, 600), of(B, 100, 240)))
    assert found is not None
    assert found.commands == (f"sudo lowmem-tui apply --set {A}:MemoryMax=400M",)
    found = overcommitted(snapshot(of("docker-a.scope", 50, 900, transient=True)))
    assert found is not None
    assert found.commands == ("docker-a.scope was made by a program: limit it there to 640M.",)


def test_a_staged_limit_counts() -> None:
    server = snapshot(of(A, 100, 300), of(B, 100))
    assert overcommitted(server) is None
    found = overcommitted(server, {B: 500 * M})
    assert found is not None
    assert [(one.unit, one.to // M) for one in found.lower] == [(B, 340)]


# --- any server -----------------------------------------------------------------------------------

SIZES = st.integers(1, 1500)
LIMITS = st.none() | st.integers(5, 2000)
KINDS = st.sampled_from([*Kind])


@st.composite
def servers(draw: st.DrawFn) -> tuple[Snapshot, list[Role]]:
    """A server: business units and gatekeepers, and limits of slices and containers beside them."""
    ram = draw(st.integers(256, 4096))
    swap = draw(st.sampled_from([0, 0, 128, 1024, 4096]))
    outer = draw(LIMITS)
    units: list[Unit] = []
    if outer is not None:
        units.append(
            Unit(
                "x.slice",
                usage("x.slice", cgroup="/x.slice", max=outer * M, anon=min(outer, 50) * M),
                properties("x.slice"),
            )
        )
    for n in range(draw(st.integers(0, 3))):
        name = f"docker-{n}.scope"
        units.append(of(name, draw(st.integers(1, 200)), draw(LIMITS), transient=True))
    roles = []
    for n in range(draw(st.integers(0, 6))):
        name, kind = f"u{n}.service", draw(KINDS)
        tier = draw(st.sampled_from([Tier.BUSINESS, Tier.BUSINESS, Tier.GATEKEEPER]))
        inside = draw(st.booleans()) and outer is not None
        size = draw(SIZES)
        unit = of(
            *(name, size, draw(LIMITS)),
            peak=size + draw(st.integers(0, 300)),
            cgroup=f"/x.slice/{name}" if inside else "",
            high=draw(st.sampled_from([INFINITY, INFINITY, 64 * M, 700 * M])),
        )
        if draw(st.booleans()) and draw(st.booleans()):
            assert unit.properties is not None
            unit = Unit(name, None, unit.properties)
        units.append(unit)
        assert unit.properties is not None
        roles.append(Role(known(unit), unit.properties, tier, kind, enabled=True))
    used = draw(st.integers(0, swap))
    server = snapshot(
        *units,
        mem_total=ram * M,
        mem_available=ram * M // 3,
        swap_total=swap * M,
        swap_free=(swap - used) * M,
    )
    return server, roles


def ticked(server: Snapshot, roles: list[Role]) -> dict[str, dict[Key, Any]]:
    """What the step `units` sets by default: what is proposed, fits, and no check refuses."""
    where = Situation(server, {r.name: r.known for r in roles}, server.host.swap_total > 0)
    wanted: dict[str, dict[Key, Any]] = {}
    for each in proposals(roles, where):
        if each.done or not each.fits:
            continue
        if plan([Edit(each.unit, each.key, each.value)], where).refusals:
            continue
        value = parse_value(each.key, each.value, server.host.mem_total)
        wanted.setdefault(each.unit, {})[each.key] = value
    return wanted


@settings(max_examples=150)
@given(servers())
def test_after_the_set_up_all_fits_or_the_limit_to_lower_is_named(
    made: tuple[Snapshot, list[Role]],
) -> None:
    server, roles = made
    before = overcommitted(server)
    wanted = ticked(server, roles)
    then = whatif.after(server, wanted)
    found = overcommitted(then)
    # The set-up itself never promises more than there is.
    if before is None:
        assert found is None
        assert budget(then).verdict is Verdict.FITS
    if found is None:
        assert budget(then).free >= 0 or not budget(then).parts
        return
    said = str(found.sentences)
    named = {one.unit for one in found.lower} or {found.budget.parts[0].unit}
    assert all(name in said for name in named)
    assert "M" in said.partition("Lower")[2] or found.missing
    # Lowered as it says, it fits; or it says how much is missing.
    limits = {one.unit: {Key.MEMORY_MAX: one.to} for one in found.lower}
    later = budget(whatif.after(then, limits))
    assert -later.free <= found.missing
    # Nobody is told to set what would be refused, or is below what the unit has needed.
    for one in found.lower:
        assert need(then.units[one.unit]) <= one.to < one.limit
        set_ = [Edit(one.unit, Key.MEMORY_MAX, f"{one.to // M}M")]
        where = situation(*(known(u) for u in then.units.values()))
        planned = plan(set_, where)
        codes = {n.code for n in (*planned.refusals, *planned.warnings)}
        assert not codes & {"memory-max-below-use", "memory-max-below-peak"}
    for role in roles:
        if (limit := wanted.get(role.name, {}).get(Key.MEMORY_MAX)) is not None:
            assert limit >= min(need(role.unit), outer_limit(server, role.unit))


def outer_limit(server: Snapshot, unit: Unit) -> int:
    """The limit of the slice above, in bytes; a large number for none."""
    outer = server.units.get("x.slice")
    inside = unit.usage is not None and unit.usage.cgroup.startswith("/x.slice/")
    return outer.limit if outer and inside and isinstance(outer.limit, int) else 1 << 60


def test_a_limit_that_does_not_fit_is_offered_and_not_ticked() -> None:
    a, b = of(A, 100, 600), of(B, 60)
    roles = [
        Role(known(u), u.properties, Tier.BUSINESS, Kind.APPLICATION, enabled=True)
        for u in (a, b)
        if u.properties
    ]
    made = proposals(roles, situation(*(r.known for r in roles)))
    (found,) = [p for p in made if p.unit == B and p.key is Key.MEMORY_MAX]
    assert not found.fits
    assert str(found.why).endswith(
        "It does not fit beside the other limits, so it is not preselected."
    )
