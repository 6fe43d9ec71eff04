"""Limits at which a kill frees nothing: nobody may be killed, or what is held outlives it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from lowmem_tui.model.snapshot import Situation, Unit
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.plan import parse_set, plan

from .servers import M, known, process, properties, service, situation, unit, usage

S = 1_000_000
STALLS, IN_PART = "limit-on-unkillable", "limit-partly-unkillable"


def guard(*scores: int, declared: int = 0, name: str = "guard.service") -> Situation:
    """A unit with processes of these scores, 20M each."""
    processes = [process(5 + n, 20 * M, oom_score_adj=adj) for n, adj in enumerate(scores)]
    one = service(
        name,
        *processes,
        memory={"anon": 20 * M * len(scores)},
        oom_score_adjust=declared,
        restart="always",
        restart_usec=3 * S,
    )
    return situation(known(one))


def at_rest(declared: int) -> Situation:
    one = Unit("guard.service", None, properties("guard.service", oom_score_adjust=declared))
    return situation(known(one))


def in_slice(*scores: int) -> Situation:
    """app.slice with one unit for each score."""
    units = [
        Unit(
            f"u{n}.service",
            usage(
                *(f"u{n}.service", process(50 + n, 20 * M, oom_score_adj=adj)),
                cgroup=f"/app.slice/u{n}.service",
            ),
            properties(f"u{n}.service", oom_score_adjust=adj),
        )
        for n, adj in enumerate(scores)
    ]
    one = Unit("app.slice", usage("app.slice", cgroup="/app.slice"), properties("app.slice"))
    return situation(known(one), others=tuple(units))


class Case(NamedTuple):
    server: Situation
    sets: tuple[str, ...]
    code: str
    words: str
    better: str


LIMIT = "guard:MemoryMax=200M"
BOTH = "'guard.service:OOMScoreAdjust=-500'"

CASES = {
    "all at -1000, by the unit's file": Case(
        guard(-1000, -1000, declared=-1000),
        *((LIMIT,), STALLS, "it stalls indefinitely", BOTH),
    ),
    "by itself": Case(
        guard(-1000),
        (LIMIT,),
        STALLS,
        "The only process of guard.service, p5 (pid 5), set",
        "Set no MemoryMax",
    ),
    "all by themselves": Case(
        guard(-1000, -1000),
        (LIMIT,),
        STALLS,
        "All 2 processes of guard.service, such as p5 (pid 5)",
        "limit what it serves",
    ),
    "by the file of what does not run": Case(
        at_rest(-1000), (LIMIT,), STALLS, "the kernel can kill nothing in it", BOTH
    ),
    "a part by itself": Case(
        guard(-1000, 0, 0),
        *(
            (LIMIT,),
            IN_PART,
            "1 of 3 processes of guard.service, p5 (pid 5), has",
            "a unit of its own",
        ),
    ),
    "several of more": Case(
        guard(-1000, -1000, 0),
        *(
            (LIMIT,),
            IN_PART,
            "2 of 3 processes of guard.service, such as p5 (pid 5), have",
            "Set no MemoryMax",
        ),
    ),
    "by a file that it has not been started with yet": Case(
        guard(0, declared=-1000), (LIMIT,), IN_PART, "after its next start", BOTH
    ),
    "sshd, which guards its listener alone": Case(
        guard(-1000, name="ssh.service"),
        *(("ssh:MemoryMax=200M",), IN_PART, "kill the logins that begin in it", "Set no MemoryMax"),
    ),
    "a slice of which all is out of reach": Case(
        in_slice(-1000, -1000),
        *(
            ("app.slice:MemoryMax=200M",),
            STALLS,
            "All 2 processes of app.slice, such as p50 (pid 50)",
            "Set no MemoryMax",
        ),
    ),
    "a slice of which one is out of reach": Case(
        in_slice(-1000, 0, 100),
        *(
            ("app.slice:MemoryMax=200M",),
            IN_PART,
            "1 of 3 processes of app.slice, p50 (pid 50), has",
            "its own",
        ),
    ),
    "lifted of what declares it, but not of who took it": Case(
        guard(-1000, 0, declared=0),
        *((LIMIT, "guard:OOMScoreAdjust=-500"), IN_PART, "p5 (pid 5)", "Set no MemoryMax"),
    ),
    "to be lifted at the next start only": Case(
        guard(-1000, declared=-1000),
        *((LIMIT,), STALLS, "OOMScoreAdjust=-1000", BOTH),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_limit_where_the_kernel_may_kill_nobody(case: Case) -> None:
    made = plan([parse_set(text) for text in case.sets], case.server)
    found = {n.code: n for n in (*made.refusals, *made.warnings)}
    assert set(found) & {STALLS, IN_PART} == {case.code}
    notice = found[case.code]
    assert "OOMScoreAdjust" in notice.text or "MemoryMax" in notice.text
    assert case.words in notice.text
    assert case.better in notice.text
    assert (notice in made.refusals) is (case.code == STALLS)
    # It can be forced, and is not said to be killed beside.
    assert made.files
    assert "memory-max-below-use" not in found


FINE: dict[str, tuple[Situation, tuple[str, ...]]] = {
    "nobody is out of reach": (guard(0, -999, -500), (LIMIT,)),
    "no limit": (guard(-1000, declared=-1000), ("guard:MemoryMax=infinity",)),
    "another limit": (guard(-1000, declared=-1000), ("guard:MemorySwapMax=200M",)),
    "the score is lifted with it": (
        guard(-1000, -1000, declared=-1000),
        (LIMIT, "guard:OOMScoreAdjust=-500"),
    ),
    "of what does not run, too": (at_rest(-1000), (LIMIT, "guard:OOMScoreAdjust=-900")),
}


@pytest.mark.parametrize(("server", "sets"), FINE.values(), ids=FINE)
def test_where_somebody_can_be_killed(server: Situation, sets: tuple[str, ...]) -> None:
    made = plan([parse_set(text) for text in sets], server)
    assert {n.code for n in (*made.refusals, *made.warnings)} & {STALLS, IN_PART} == set()


# --- what outlives a kill -------------------------------------------------------------------------

# anon, shmem, limit in MiB, whether it is told
SHARED: dict[str, tuple[int, int, int, bool]] = {
    "a database's buffers in a limit": (50, 120, 300, True),
    "a quarter": (10, 64, 256, True),
    "less than a quarter": (100, 63, 256, False),
    "little": (1, 15, 30, False),
    "none": (200, 0, 300, False),
    "more than the limit": (10, 400, 500, True),
}


@pytest.mark.parametrize(("anon", "shmem", "limit", "told"), SHARED.values(), ids=SHARED)
def test_shared_memory_outlives_a_kill(anon: int, shmem: int, limit: int, told: bool) -> None:
    one = service(
        "a.service",
        process(9, anon * M),
        memory={"anon": anon * M, "shmem": shmem * M, "file": shmem * M},
        restart="always",
        restart_usec=3 * S,
    )
    made = plan([parse_set(f"a:MemoryMax={limit}M")], situation(known(one)))
    texts = [n.text for n in made.warnings if n.code == "shmem-outlives-kill"]
    assert len(texts) == told
    for text in texts:
        assert f"uses {shmem}M of shared memory" in text
        assert "/dev/shm, /run, /tmp" in text
        assert "size= of the tmpfs mount" in text


@pytest.mark.parametrize("name", ["tmp.mount", "dev-shm.mount"])
def test_a_limit_on_a_mount_holds_no_files(name: str) -> None:
    made = plan([parse_set(f"{name}:MemoryMax=64M")], situation(known(unit(name))))
    (notice,) = [n for n in made.warnings if n.code == "limit-on-mount"]
    assert "size=" in notice.text


# --- scores that are inherited --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["user@1000.service", "user@0.service"])
@pytest.mark.parametrize("score", [-500, 50])
def test_a_user_s_manager_passes_its_score_on(name: str, score: int) -> None:
    made = plan(
        [parse_set(f"{name}:{Key.OOM_SCORE_ADJUST}={score}")],
        situation(known(unit(name, oom_score_adjust=100, delegate=True))),
    )
    (notice,) = made.warnings
    assert notice.code == "user-services-inherit"
    assert f"OOMScoreAdjust={score}" in notice.text
    assert "may raise it but not lower it" in notice.text
    assert made.files
