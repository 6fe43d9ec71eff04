"""What is promised, what there is, and which limit to advise."""

from __future__ import annotations

from typing import Any

import pytest

from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import INFINITY, Tier
from lowmem_tui.policy.budget import Verdict, advise, budget, in_words, need, reserve
from tests.catalogs import translations

from .servers import M, process, service, snapshot, usage

TIERS = {"gate": Tier.GATEKEEPER, "job": Tier.SHORT_LIVED}


@pytest.mark.parametrize(("ram", "kept"), [(512, 192), (1024, 384), (2048, 768), (8192, 768)])
def test_the_reserve_is_the_guide_s_400_of_1024_scaled(ram: int, kept: int) -> None:
    assert reserve(ram * M) == kept * M


def of(name: str, held: int, limit: int | None = None, **memory: Any) -> Unit:  # noqa: ANN401
    memory["anon"] = held * M
    if limit is not None:
        memory["max"] = limit * M
    return service(f"{name}.service", process(hash(name) % 9999 + 9, held * M), memory=memory)


# limits in MiB, swap → verdict, what it says
BUDGETS: dict[str, tuple[list[int], int, Verdict, str]] = {
    "none": ([], 1024, Verdict.FITS, "No unit has a MemoryMax: of 1G of RAM 384M is the reserve"),
    "fits": ([300, 100], 1024, Verdict.FITS, "fit into 1G of RAM; 240M can still be assigned."),
    "the guide's own": ([600, 256], 1024, Verdict.SWAPS, "are 216M more than 1G of RAM"),
    "without swap": (
        [600, 256],
        0,
        Verdict.KILLS,
        "memory runs out, and the kernel kills a process.",
    ),
    "far too much": ([2000], 1024, Verdict.KILLS, "1G of swap is not enough, and the kernel kills"),
}


@pytest.mark.parametrize(("limits", "swap", "verdict", "words"), BUDGETS.values(), ids=BUDGETS)
def test_budgets(limits: list[int], swap: int, verdict: Verdict, words: str) -> None:
    units = [of(f"u{i}", 50, limit) for i, limit in enumerate(limits)]
    found = budget(snapshot(*units, swap_total=swap * M, swap_free=swap * M))
    assert found.verdict is verdict
    assert words in str(in_words(found))
    assert [p.allowed // M for p in found.parts] == sorted(limits, reverse=True)
    assert {p.used for p in found.parts} <= {50 * M}


@pytest.mark.parametrize("swap_max", [None, 1024, 0])
@pytest.mark.parametrize(
    ("limit", "verdict"), [(800, Verdict.SWAPS), (1000, Verdict.SWAPS), (1100, Verdict.KILLS)]
)
def test_what_may_not_swap_is_killed(swap_max: int | None, limit: int, verdict: Verdict) -> None:
    most = INFINITY if swap_max is None else swap_max * M
    found = budget(snapshot(of("a", 50, limit, swap_max=most)))
    assert found.verdict is (verdict if swap_max == 0 else Verdict.SWAPS)
    swap_is_bounded = "of swap that may be used" in str(in_words(found))
    assert swap_is_bounded is (found.verdict is Verdict.KILLS)


def test_a_top_slice_bounds_what_is_below_it() -> None:
    system = Unit("system.slice", usage("system.slice", cgroup="/system.slice", max=300 * M), None)
    found = budget(snapshot(of("a", 50, 600), of("b", 50, 100), system))
    assert [(p.unit, p.allowed // M) for p in found.parts] == [
        ("a.service", 300),
        ("b.service", 100),
    ]


def test_a_staged_limit_is_counted() -> None:
    found = budget(snapshot(of("a", 50)), {"a.service": 100 * M})
    assert [(p.unit, p.allowed) for p in found.parts] == [("a.service", 100 * M)]


def test_what_was_needed_is_the_peak_without_page_cache() -> None:
    assert need(of("a", 50, peak=200 * M, file=80 * M, shmem=10 * M)) == 130 * M
    assert need(of("a", 50)) == 50 * M


# RAM, what each unit has needed → MemoryMax advised, MiB
ADVICE: dict[str, tuple[int, dict[str, int], dict[str, int]]] = {
    "the guide's server": (1024, {"app": 500}, {"app": 640}),
    "with redis": (1024, {"app": 400, "redis": 60}, {"app": 550, "redis": 90}),
    "512 MiB": (512, {"app": 200}, {"app": 320}),
    "2 GiB": (2048, {"app": 500, "redis": 100}, {"app": 1080, "redis": 200}),
    "too small a box": (512, {"app": 400}, {"app": 440}),
    "room for all": (1024, {"app": 200, "b": 37}, {"app": 560, "b": 80}),
    "what is small lives in the reserve": (1024, {"app": 400, "b": 31}, {"app": 640}),
    "others get none": (1024, {"gate": 900, "job": 900, "app": 40}, {"app": 640}),
    "nobody": (1024, {}, {}),
}


@pytest.mark.parametrize(("ram", "needs", "limits"), ADVICE.values(), ids=ADVICE)
def test_advice(ram: int, needs: dict[str, int], limits: dict[str, int]) -> None:
    server = snapshot(*(of(n, held) for n, held in needs.items()), mem_total=ram * M)
    tiers = {f"{n}.service": TIERS.get(n, Tier.BUSINESS) for n in needs}
    found = advise(server, tiers)
    assert {a.unit: (a.limit or 0) // M for a in found} == {
        f"{n}.service": limit for n, limit in limits.items()
    }


def test_advice_says_why() -> None:
    server = snapshot(of("app", 400), of("redis", 60))
    tiers: dict[str, Tier | None] = dict.fromkeys(server.units, Tier.BUSINESS)
    app, redis = (a.words for a in advise(server, tiers))
    assert str(app) == (
        "app.service: 550M. It is the largest and gets what remains of 1G of RAM; the reserve is "
        "384M, and 1 other unit gets 90M. It has needed up to 400M so far."
    )
    assert str(redis) == (
        "redis.service: 90M. It has needed up to 60M so far. A fork or a reload needs more."
    )
    assert redis.render(translations("zh_CN")) == (
        "redis.service：90M。迄今最多需要 60M。fork 或重新加载时需要更多。"
    )


def test_advice_counts_the_limits_that_stay() -> None:
    server = snapshot(of("app", 300), of("b", 20, 100))
    tiers: dict[str, Tier | None] = dict.fromkeys(server.units, Tier.BUSINESS)
    (app,) = advise(server, tiers, None, {"b.service": 100 * M, "c.service": 0})
    assert "the reserve is 384M, and 1 other unit gets 100M." in str(app.why)
    (alone,) = advise(snapshot(of("app", 300)), {"app.service": Tier.BUSINESS})
    assert "of 1G of RAM; the reserve is 384M. It has" in str(alone.why)


LEAST: dict[str, tuple[dict[str, int], dict[str, int], dict[str, int], str]] = {
    "room for all of it": (
        {"app": 200, "b": 20},
        {},
        {"app": 560, "b": 80},
        "It has needed up to 20M so far. It gets at least 80M, because it may have been small",
    ),
    "no room: its need alone": (
        {"app": 200, "b": 20},
        {"app": 900},
        {"b": 40},
        "It has needed up to 20M so far. A fork or a reload needs more.",
    ),
    "it does not run, and there is room": (
        {"app": 200, "b": 0},
        {},
        {"app": 560, "b": 80},
        "It does not run now. It gets at least 80M, because it may have been small until now.",
    ),
    "it does not run, and there is no room": ({"app": 200, "b": 0}, {"app": 900}, {}, ""),
}


@pytest.mark.parametrize(("needs", "kept", "limits", "why"), LEAST.values(), ids=LEAST)
def test_the_least_is_given_where_there_is_room_with_the_reason(
    needs: dict[str, int], kept: dict[str, int], limits: dict[str, int], why: str
) -> None:
    server = snapshot(*(of(n, held) for n, held in needs.items()))
    tiers: dict[str, Tier | None] = dict.fromkeys(server.units, Tier.BUSINESS)
    fixed = {f"{n}.service": limit * M for n, limit in kept.items()}
    found = advise(server, tiers, {"b.service": 80 * M}, fixed)
    assert {a.unit: (a.limit or 0) // M for a in found} == {
        f"{n}.service": limit for n, limit in limits.items()
    }
    assert why in (str(found[-1].why) if found else "")


def test_the_largest_keeps_room_though_others_need_more_than_their_share() -> None:
    """A server with MariaDB, gunicorn, PHP, Redis and two workers: floors give way, not the store.

    MariaDB's buffers fill only with time: with the least room of all (160M) it would be the first
    at its limit.
    """
    needs = {"mariadb": 127, "cloudchat": 64, "php": 12, "redis": 7, "w1": 2, "w2": 2}
    server = snapshot(*(of(n, held) for n, held in needs.items()), mem_total=968 * M)
    tiers: dict[str, Tier | None] = dict.fromkeys(server.units, Tier.BUSINESS)
    least = {"mariadb": 160, "cloudchat": 70, "php": 70, "redis": 160, "w1": 70, "w2": 70}
    found = advise(server, tiers, {f"{n}.service": size * M for n, size in least.items()})
    limits = {a.unit.partition(".")[0]: (a.limit or 0) // M for a in found}
    assert limits["mariadb"] >= 1.7 * needs["mariadb"]
    assert limits["cloudchat"] == 130
    assert all(limits[name] > 3 * needs[name] for name in ("php", "redis", "w1", "w2"))
    assert sum(limits.values()) <= 968 - 363


# MemoryHigh of app and of b, limits that stay → MemoryMax advised (MiB), what is said of each
ABOVE: dict[str, tuple[int | None, int | None, dict[str, int], dict[str, int], list[str]]] = {
    "of a lesser one": (
        *(None, 100, {}, {"app": 530, "b": 110}),
        ["530M. It is the largest", "MemoryMax must be above its MemoryHigh of 100M."],
    ),
    "below what it gets anyway": (
        *(None, 60, {}, {"app": 560, "b": 80}),
        ["560M. It is the largest", "A fork or a reload needs more."],
    ),
    "of the largest": (
        *(700, None, {}, {"app": 710, "b": 80}),
        ["710M. MemoryMax must be above its MemoryHigh of 700M.", "needs more."],
    ),
    "and no room": (
        *(None, 100, {"app": 600}, {"b": 110}),
        ["With the limits that are set now this is more than RAM: lower one of them too."],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("app", "b", "kept", "limits", "words"), ABOVE.values(), ids=ABOVE)
def test_advice_stands_above_memory_high(
    app: int | None, b: int | None, kept: dict[str, int], limits: dict[str, int], words: list[str]
) -> None:
    highs = [None if high is None else high * M for high in (app, b)]
    server = snapshot(of("app", 200, high=highs[0]), of("b", 40, high=highs[1]))
    tiers: dict[str, Tier | None] = dict.fromkeys(server.units, Tier.BUSINESS)
    found = advise(server, tiers, None, {f"{n}.service": size * M for n, size in kept.items()})
    assert {a.unit.removesuffix(".service"): (a.limit or 0) // M for a in found} == limits
    assert all(word in str(each.words) for word, each in zip(words, found, strict=True))


def test_advice_stays_within_the_slice() -> None:
    inner = usage("app.service", process(9), cgroup="/x.slice/app.service", anon=400 * M)
    outer = usage("x.slice", cgroup="/x.slice", max=200 * M, anon=400 * M)
    server = snapshot(*(Unit(u.name, u, None) for u in (inner, outer)))
    (found,) = advise(server, {"app.service": Tier.BUSINESS})
    assert found.limit == 200 * M
    assert str(found.words).startswith("app.service: 200M. x.slice above it allows no more.")


def test_what_may_not_swap_would_be_killed_at_what_remains() -> None:
    (found,) = advise(snapshot(of("app", 900, swap_max=0)), {"app.service": Tier.BUSINESS})
    assert "Only 640M remains for it, and with that as its limit it would be killed." in str(
        found.why
    )


@pytest.mark.parametrize(("swap", "words"), [(0, "it would be killed"), (1024, "it would swap")])
def test_no_limit_below_the_need_is_advised_and_what_helps_is_shown(swap: int, words: str) -> None:
    server = snapshot(of("app", 900), swap_total=swap * M, swap_free=swap * M)
    (found,) = advise(server, {"app.service": Tier.BUSINESS})
    assert f"with that as its limit {words}. Run fewer workers" in str(found.why)
    assert ("add swap" in str(found.why)) is (not swap)
    assert (found.limit, found.fits) == (990 * M, False)
