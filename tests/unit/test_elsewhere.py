"""A limit or a score on a unit whose work is done in another control group."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from lowmem_tui.model.snapshot import Situation, Unit, UnitSituation
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.checks.elsewhere import elsewhere
from lowmem_tui.policy.plan import parse_set, plan

from .servers import M, known, process, properties, service, situation, snapshot, usage

S = 1_000_000
DOCKER_SCOPE = "docker-" + "ab" * 32 + ".scope"
BESIDE, PAYLOAD = "containers-elsewhere", "payload-elsewhere"


def svc(name: str, *processes: Any, files: dict[str, str] | None = None, **changes: Any) -> Any:  # noqa: ANN401
    """A running service that comes back when it is killed."""
    usual = {"restart": "always", "restart_usec": 3 * S, "oom_policy": "continue"}
    made = processes or (process(9, 20 * M),)
    memory = {"anon": 10 * M, "current": 20 * M}
    return known(service(name, *made, memory=memory, **(usual | changes)), files=files)


def runs(line: str, *processes: Any, name: str = "app.service", **changes: Any) -> UnitSituation:  # noqa: ANN401
    """A service whose file has this ExecStart=."""
    files = {f"/etc/systemd/system/{name}": f"ExecStart={line}"}
    made: UnitSituation = svc(name, *processes, files=files, **changes)
    return made


def beside(name: str, cgroup: str, *processes: Any) -> Unit:  # noqa: ANN401
    return Unit(name, usage(name, *processes, cgroup=cgroup), properties(name, transient=True))


CONTAINER = beside(DOCKER_SCOPE, f"/system.slice/{DOCKER_SCOPE}", process(77, 300 * M, ppid=70))
CHILD = beside(DOCKER_SCOPE, f"/system.slice/{DOCKER_SCOPE}", process(77, 300 * M, ppid=9))
GROUP = beside("/docker/abab", "/docker/abab", process(77, 300 * M))
SESSION = beside(
    "session-c1.scope",
    "/user.slice/user-1000.slice/session-c1.scope",
    process(78, 250 * M, ppid=9, name="java"),
)
SCREEN = beside(
    "session-3.scope",
    "/user.slice/user-1000.slice/session-3.scope",
    process(79, 5 * M, name="tmux: server"),
    process(80, 90 * M, ppid=79, name="node"),
)
POD = beside("/kubepods/pod1", "/kubepods/pod1", process(81, 200 * M))


class Case(NamedTuple):
    one: UnitSituation
    others: tuple[Unit, ...]
    code: str
    where: str
    limit: str
    score: str


CASES = {
    "docker": Case(
        svc("docker.service", delegate=True, oom_score_adjust=-500),
        *((CONTAINER,), BESIDE, "docker-abab", "docker run --memory", "--oom-score-adj"),
    ),
    "docker that nothing runs in": Case(
        svc("docker.service", delegate=True),
        *(
            (),
            BESIDE,
            "system.slice/docker-ID.scope",
            "cgroup-parent",
            "oom_score_adj in a compose",
        ),
    ),
    "docker without systemd's driver": Case(
        svc("docker.service"), (GROUP,), BESIDE, "/docker/abab (300M)", "mem_limit", "--oom-sc"
    ),
    "docker by another name": Case(
        runs("/usr/bin/dockerd", name="engine.service"),
        *((CONTAINER,), BESIDE, "docker-abab", "docker run --memory", "--oom-score-adj"),
    ),
    "docker of a snap": Case(
        runs("/usr/bin/snap run docker.dockerd", name="snap.docker.dockerd.service"),
        *((CONTAINER,), BESIDE, "docker-abab", "docker run --memory", "--oom-score-adj"),
    ),
    "docker seen in /proc alone": Case(
        svc("engine.service", process(9, 60 * M, command="/opt/dockerd --debug"), main_pid=9),
        *((CONTAINER,), BESIDE, "docker-abab", "docker run --memory", "--oom-score-adj"),
    ),
    "containerd": Case(
        svc("containerd.service", delegate=True, oom_score_adjust=-999),
        *((CHILD,), BESIDE, "docker-abab", "docker run --memory", "--oom-score-adj"),
    ),
    "k3s": Case(
        runs("/usr/local/bin/k3s server", name="k3s.service", delegate=True),
        *((POD,), BESIDE, "/kubepods/pod1", "resources.limits.memory", "QoS class"),
    ),
    "a unit that runs a container": Case(
        runs("/usr/bin/docker run --rm app"),
        *((CONTAINER,), PAYLOAD, "docker-abab", "docker run --memory", "--oom-score-adj"),
    ),
    "compose in a shell": Case(
        runs("/bin/sh -c 'cd /srv && exec docker compose up'", type="oneshot"),
        *((CONTAINER,), PAYLOAD, "docker-abab", "mem_limit", "oom_score_adj"),
    ),
    "what systemd tells": Case(
        svc("app.service", exec_start=("/usr/bin/docker", "start", "-a", "app")),
        *((CONTAINER,), PAYLOAD, "docker-abab", "docker run --memory", "--oom-score-adj"),
    ),
    "a wrapper, by what it runs": Case(
        runs("/srv/start.sh", process(9, 9 * M, command="docker compose up")),
        *((CONTAINER,), PAYLOAD, "docker-abab", "docker run --memory", "--oom-score-adj"),
    ),
    "podman": Case(
        runs("/usr/bin/podman run app"),
        *((), PAYLOAD, "machine.slice/libpod-ID.scope", "--cgroups=split", "--oom-score-adj"),
    ),
    "a transient unit": Case(
        runs("/usr/bin/systemd-run --unit=job /srv/job"),
        *((), PAYLOAD, "is job.service", "--property=MemoryMax", "--property=OOMScoreAdjust"),
    ),
    "a job of atd": Case(
        runs("/bin/sh -c 'echo /srv/job | at now'"),
        *((), PAYLOAD, "atd.service", "OnCalendar=", "OnCalendar="),
    ),
    "another unit": Case(
        runs("/bin/systemctl start worker.service"),
        *((), PAYLOAD, "is worker.service", "Set the limit on that", "Set the score on that"),
    ),
    "a session": Case(
        runs("/bin/su - app -c /srv/run", process(9, 2 * M, name="su")),
        *((SESSION,), PAYLOAD, "session-c1.scope (250M)", "Write User=", "open no session"),
    ),
    "tmux that was started from a login": Case(
        runs("/usr/bin/tmux new -d /srv/run", process(9, 2 * M)),
        *((SCREEN,), PAYLOAD, "session-3.scope", "ExecStart= in the foreground", "foreground"),
    ),
    "screen of which nothing is seen": Case(
        runs("/usr/bin/screen -dmS mc java"),
        *((), PAYLOAD, "if that was started from a login", "of its own", "of its own"),
    ),
    "pm2 of which nothing is seen": Case(
        runs("/usr/bin/pm2 resurrect", name="pm2-app.service"),
        *((), PAYLOAD, "under pm2's server", "pm2-runtime", "pm2-runtime"),
    ),
    "a main process that was moved away": Case(
        runs("/usr/bin/kiosk", process(10, 1 * M, name="(sd-pam)"), main_pid=78),
        *((SESSION,), PAYLOAD, "session-c1.scope (250M)", "Set it on those", "Set it on those"),
    ),
}


def notices(case: Case, sets: str) -> dict[str, str]:
    server = situation(case.one, others=case.others)
    made = plan([parse_set(f"{case.one.unit.name}:{sets}")], server)
    return {n.code: n.text for n in (*made.refusals, *made.warnings)}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("sets", ["MemoryMax=400M", "MemoryHigh=400M", "MemorySwapMax=0"])
def test_a_limit_does_not_hold_it(case: Case, sets: str) -> None:
    found = notices(case, sets)
    text = found[case.code]
    assert case.where in text
    assert sets in text.replace("400.0M", "400M")
    assert "does not limit them" in text
    assert case.limit in text
    assert "share this limit" not in " ".join(found.values())
    assert text.isprintable()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("score", [-300, 300])
def test_a_score_does_not_reach_it(case: Case, score: int) -> None:
    text = notices(case, f"OOMScoreAdjust={score}")[case.code]
    assert case.where in text
    assert f"OOMScoreAdjust={score}" in text
    assert case.score in text


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("sets", ["MemoryMax=infinity", "Restart=on-failure", "RestartSec=9s"])
def test_what_limits_nothing_is_not_warned_of(case: Case, sets: str) -> None:
    assert {BESIDE, PAYLOAD} & set(notices(case, sets)) == set()


def in_unit(pid: int, cgroup: str, **changes: Any) -> Any:  # noqa: ANN401
    return process(pid, 100 * M, cgroup=cgroup, **changes)


INSIDE: dict[str, UnitSituation] = {
    "an ordinary service": runs("/usr/bin/node /srv/app.js"),
    "podman that splits": runs("/usr/bin/podman run --cgroups=split app", delegate=True),
    "podman that once was told to": runs(
        "/usr/bin/podman start app", in_unit(9, "libpod-payload-abab"), delegate=True
    ),
    "containers seen in the daemon's own group": runs(
        "/usr/bin/dockerd", in_unit(9, "docker/abab"), name="engine.service", delegate=True
    ),
    "pm2 in the unit": runs(
        "/usr/bin/pm2 resurrect",
        process(9, 20 * M, name="PM2 v5.3.0: God"),
        process(10, 90 * M, name="node", ppid=9),
    ),
    "tmux in the unit": runs(
        "/usr/bin/tmux new -d /srv/run",
        process(9, 4 * M, name="tmux: server"),
        process(10, 90 * M, name="node", ppid=9),
    ),
    "su that opened no session": runs(
        "/bin/su app -c /srv/run", process(9, name="su"), process(10, name="run", ppid=9)
    ),
    "a login service": svc("ssh.service", process(9, 5 * M)),
    "a user's services, docker without root among them": svc(
        "user@1000.service",
        in_unit(9, "app.slice/docker.service", command="dockerd"),
        in_unit(10, "user.slice/docker-abab.scope"),
        delegate=True,
    ),
    "a snap's own service": runs("/usr/bin/snap run app.web", name="snap.app.web.service"),
    "what starts itself anew": runs("/bin/systemctl restart app.service"),
}


@pytest.mark.parametrize("one", INSIDE.values(), ids=INSIDE)
def test_what_runs_in_the_unit_is_held(one: UnitSituation) -> None:
    server: Situation = situation(one, others=(SESSION,) if "ssh" in one.asked else ())
    made = plan([parse_set(f"{one.unit.name}:MemoryMax=400M")], server)
    codes = {n.code for n in (*made.refusals, *made.warnings)}
    assert {BESIDE, PAYLOAD} & codes == set()
    assert ("delegated" in codes) is bool(one.unit.properties and one.unit.properties.delegate)


def test_only_a_service_starts_things() -> None:
    for name in ("app.slice", "docker.socket", "init.scope"):
        one = known(Unit(name, usage(name, process(9)), properties(name)))
        assert elsewhere(one, snapshot(one.unit)) is None


def test_a_unit_of_which_nothing_is_known_is_let_be() -> None:
    one = known(Unit("app.service", None, None))
    assert elsewhere(one, snapshot(one.unit, CONTAINER)) is None


def test_names_of_others_are_made_harmless() -> None:
    one = runs("/usr/bin/systemd-run --unit='\x1b[31mred' /srv/job")
    made = plan([parse_set("app:MemoryMax=400M")], situation(one))
    (text,) = [n.text for n in made.warnings if n.code == PAYLOAD]
    assert text.isprintable()
    assert Key.MEMORY_MAX in text


@pytest.mark.parametrize("edit", ["MemoryMax=64M", "MemoryHigh=64M", "MemorySwapMax=0"])
def test_a_limit_on_a_socket_holds_nothing(edit: str) -> None:
    """What answers at ssh.socket is ssh.service."""
    socket = known(Unit("ssh.socket", None, properties("ssh.socket", triggers=("ssh.service",))))
    there = Situation(snapshot(), {"ssh.socket": socket}, swap=True)
    (told,) = (
        notice
        for notice in plan([parse_set(f"ssh.socket:{edit}")], there).warnings
        if notice.code == "socket-only-listens"
    )
    assert f"which {edit} does not reach. Set it on ssh.service." in told.text
