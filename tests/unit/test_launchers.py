"""Command lines whose work is done in another control group, and those whose work is not."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.policy.checks.launchers import (
    DOCKER,
    JOB,
    KNOWN,
    KUBERNETES,
    LXC,
    MACHINE,
    OTHER_GROUP,
    OTHER_UNIT,
    PM2,
    PODMAN,
    SCREEN,
    SESSION,
    SNAP,
    SUPERVISED,
    TMUX,
    TRANSIENT,
    Place,
    daemon,
    launch,
)
from lowmem_tui.policy.commands import commands, words_of

# the command line as it stands in ExecStart=, where its work is done, what it is called
ELSEWHERE: list[tuple[str, Place, str]] = [
    ("/usr/bin/docker run --rm --name app -p 80:80 app:latest", DOCKER, "docker run"),
    ("-/usr/bin/docker run app", DOCKER, "docker run"),
    ("/usr/bin/docker -H unix:///run/docker.sock run app", DOCKER, "docker run"),
    ("docker start -a app", DOCKER, "docker start"),
    ("docker container start app", DOCKER, "docker start"),
    ("docker exec app /srv/run", DOCKER, "docker exec"),
    ("docker stack deploy -c stack.yml app", DOCKER, "docker deploy"),
    ("docker service create app", DOCKER, "docker create"),
    ("/usr/bin/docker compose up -d", DOCKER, "docker compose"),
    ("/usr/bin/docker compose -f /srv/c.yml --env-file /srv/.env up", DOCKER, "docker compose"),
    ("/usr/local/bin/docker-compose -p app up --build", DOCKER, "docker-compose"),
    ("/usr/bin/python3 /usr/local/bin/docker-compose up", DOCKER, "docker-compose"),
    ("/bin/sh -c 'docker compose up'", DOCKER, "docker compose"),
    ("/bin/bash -lc 'cd /srv/app && exec docker compose up'", DOCKER, "docker compose"),
    ('/bin/sh -ec "cd /srv; TAG=1 docker run app | tee /tmp/log"', DOCKER, "docker run"),
    ("/usr/bin/env FOO=1 docker run app", DOCKER, "docker run"),
    ("/usr/bin/nice -n 5 ionice -c 3 docker run app", DOCKER, "docker run"),
    ("/usr/bin/flock /run/lock/a docker run app", DOCKER, "docker run"),
    ("/usr/bin/timeout 60 docker run app", DOCKER, "docker run"),
    ("/usr/bin/sudo -u app docker run app", DOCKER, "docker run"),
    ("/bin/su - app -c 'docker run app'", DOCKER, "docker run"),
    ("start-stop-daemon --start --exec /usr/bin/docker -- run app", DOCKER, "docker run"),
    ("/usr/bin/podman run --rm app", PODMAN, "podman run"),
    ("/usr/bin/podman run --cgroups=no-conmon --sdnotify=conmon app", PODMAN, "podman run"),
    ("/usr/bin/podman start app", PODMAN, "podman start"),
    ("/usr/bin/podman play kube /srv/pod.yml", PODMAN, "podman play kube"),
    ("/usr/bin/podman kube play /srv/pod.yml", PODMAN, "podman kube play"),
    ("podman-compose up", PODMAN, "podman-compose up"),
    ("/usr/bin/systemd-run --unit=app --property=A=1 /srv/app", TRANSIENT, "systemd-run"),
    ("/usr/bin/systemd-run --scope --user /srv/app", TRANSIENT, "systemd-run"),
    ("/bin/sh -c 'echo /srv/job | at now'", JOB, "at"),
    ("/bin/sh -c 'echo /srv/job | batch'", JOB, "batch"),
    ("/usr/bin/at -f /srv/job now", JOB, "at"),
    ("/usr/bin/pm2 resurrect", PM2, "pm2 resurrect"),
    ("/usr/bin/python3 -u /usr/bin/supervisorctl start app", SUPERVISED, "supervisorctl start"),
    ("@/usr/bin/at at -f /srv/job now", JOB, "at"),
    ("/usr/bin/node /usr/lib/node_modules/pm2/bin/pm2 start app.js", PM2, "pm2 start"),
    ("/home/a/.nvm/versions/node/v20/bin/pm2 start ecosystem.config.js", PM2, "pm2 start"),
    ("/usr/bin/screen -dmS mc java -jar server.jar", SCREEN, "screen"),
    ("/usr/bin/screen -d -m -S mc java", SCREEN, "screen"),
    ("/usr/bin/tmux new-session -d -s app /srv/app", TMUX, "tmux"),
    ("/usr/bin/tmux -L app new -d /srv/app", TMUX, "tmux"),
    ("/usr/bin/machinectl start web", MACHINE, "machinectl start"),
    ("/usr/bin/machinectl shell app@ /srv/app", MACHINE, "machinectl shell"),
    ("/usr/bin/systemd-nspawn -D /srv/root -b", MACHINE, "systemd-nspawn"),
    ("/usr/bin/virsh start vm", MACHINE, "virsh start"),
    ("/usr/bin/lxc-start -n web", LXC, "lxc-start"),
    ("/snap/bin/lxc start web", LXC, "lxc start"),
    ("/usr/bin/incus start web", LXC, "incus start"),
    ("/usr/bin/crictl runp pod.json", KUBERNETES, "crictl runp"),
    ("/usr/bin/sg docker -c 'docker compose up'", DOCKER, "docker compose"),
    ("/usr/bin/systemd-cat -t app docker compose up", DOCKER, "docker compose"),
    ("@/usr/bin/docker docker run app", DOCKER, "docker run"),
    ("+/usr/bin/docker run app", DOCKER, "docker run"),
    ("/usr/libexec/docker/cli-plugins/docker-compose compose up", DOCKER, "docker-compose"),
    ("/bin/login -f app", SESSION, "login"),
    ("/bin/su - app -c /srv/app/run", SESSION, "su"),
    ("/bin/su app -s /bin/sh -c '/srv/app/run --port 80'", SESSION, "su"),
    ("/sbin/runuser -l app -c /srv/app/run", SESSION, "runuser -l"),
    ("/sbin/runuser - app -c /srv/app/run", SESSION, "runuser -l"),
    ("/usr/bin/sudo -i -u app /srv/app/run", SESSION, "sudo -i"),
    ("/usr/bin/cgexec -g memory:app /srv/app", OTHER_GROUP, "cgexec"),
    ("/bin/systemctl start app.service", OTHER_UNIT, "systemctl start"),
    ("/bin/systemctl enable --now app", OTHER_UNIT, "systemctl enable"),
    ("/usr/sbin/service app start", OTHER_UNIT, "service"),
    ("/usr/bin/supervisorctl start app", SUPERVISED, "supervisorctl start"),
    ("/usr/bin/snap run app", SNAP, "snap run"),
    ("/snap/bin/app --port 80", SNAP, "app"),
    ("/usr/bin/docker attach app", DOCKER, "docker attach"),
    ("/usr/bin/xvfb-run -a docker run app", DOCKER, "docker run"),
    ("/usr/local/bin/minikube start --driver=docker", DOCKER, "minikube start"),
    ("/usr/local/bin/k3d cluster start app", DOCKER, "k3d start"),
    ("/usr/bin/distrobox enter app -- /srv/run", PODMAN, "distrobox enter"),
    ("/usr/bin/toolbox run -c app /srv/run", PODMAN, "toolbox run"),
    ("/usr/bin/npx pm2 resurrect", PM2, "pm2 resurrect"),
    ("/usr/bin/yarn pm2 start app.js", PM2, "pm2 start"),
    ("/usr/sbin/pct start 101", LXC, "pct start"),
]


@pytest.mark.parametrize(("line", "place", "name"), ELSEWHERE, ids=[e[0] for e in ELSEWHERE])
def test_its_work_is_done_elsewhere(line: str, place: Place, name: str) -> None:
    found = launch(words_of(line))
    assert found is not None
    assert (found.command, found.place.where) == (name, place.where)
    # As /proc/PID/cmdline has it, with blanks for what is between the words.
    told = launch(" ".join(words_of(line)).split())
    assert told is not None
    assert told.place.where == place.where


HERE = [
    "/usr/bin/redis-server /etc/redis/redis.conf",
    "/usr/bin/python3 -m at",
    "/usr/bin/python3 -u -m screen -dmS a",
    "/usr/bin/env A=1 /usr/bin/python3 -m batch",
    "/bin/sh -c 'exec python3 -m docker run'",
    "/usr/bin/python3 -c 'import at' at now",
    "/usr/bin/node -e 'run()' at now",
    "/usr/bin/python3 /srv/app/at now",
    "/usr/bin/ruby service app start",
    "/usr/bin/perl -pe 1 su",
    "/srv/app/at now",
    "/opt/screen/screen -dmS a",
    "/opt/app/batch --all",
    "@/opt/login/login login",
    "/usr/sbin/nginx -g 'daemon on; master_process on;'",
    "/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock",
    "/usr/bin/docker system prune -f",
    "/usr/bin/docker pull app",
    "/usr/bin/docker stop app",
    "/usr/bin/docker logs -f app",
    "/usr/bin/docker compose down",
    "/usr/bin/docker compose pull",
    "/usr/bin/podman run --cgroups=split app",
    "/usr/bin/podman run --cgroups split app",
    "/usr/bin/podman run --cgroups=disabled app",
    "/usr/bin/podman stop app",
    "/usr/bin/podman kube down /srv/pod.yml",
    "/usr/bin/podman auto-update",
    "/usr/bin/systemd-nspawn --keep-unit --boot --machine=web",
    "/sbin/runuser -u app -- /srv/app/run",
    "/usr/bin/setpriv --reuid=docker /srv/run start",
    "/usr/bin/sudo -u docker /srv/run start",
    "/usr/bin/sudo -u app /srv/app/run",
    "/usr/bin/pm2-runtime start app.js",
    "/usr/bin/pm2 start app.js --no-daemon",
    "/usr/bin/pm2 logs",
    "/usr/bin/screen -DmS mc java -jar server.jar -d64",
    "/usr/bin/screen -ls",
    "/usr/bin/tmux kill-server",
    "/usr/bin/npx next start",
    "/usr/bin/yarn start",
    "/usr/bin/xvfb-run -a /srv/app/run",
    "/usr/local/bin/minikube status",
    "/usr/bin/atq",
    "/usr/bin/at -l",
    "/bin/systemctl stop app.service",
    "/bin/systemctl --user start app.service",
    "/usr/sbin/service app stop",
    "/bin/sh /srv/start.sh docker run",
    "/bin/sh -c 'echo docker run'",
    "/srv/app --with docker run",
    "/usr/bin/kubectl get pods",
    "/usr/bin/virsh list",
    "/usr/bin/node /srv/app.js start",
    "",
    "'",
]


@pytest.mark.parametrize("line", HERE)
def test_its_work_is_done_in_the_unit_or_nothing_tells(line: str) -> None:
    assert launch(words_of(line)) is None


def test_a_target_is_named() -> None:
    targets = {
        "systemctl start other": "other",
        "service other start": "other",
        "systemd-run --unit=app /srv/app": "app",
        "systemd-run -u app.scope --scope /srv/app": "app.scope",
        "docker run app": "",
    }
    for line, target in targets.items():
        found = launch(words_of(line))
        assert found is not None
        assert found.target == target


# the unit's name without suffix, what it runs, where its containers run
DAEMONS: list[tuple[str, str, str]] = [
    ("docker", "", "docker-ID.scope"),
    ("docker", "/usr/bin/dockerd -H fd://", "docker-ID.scope"),
    ("engine", "/usr/bin/dockerd", "docker-ID.scope"),
    ("engine", "/bin/sh -c 'exec /opt/bin/dockerd --debug'", "docker-ID.scope"),
    ("engine", "/usr/bin/env HOME=/root nice dockerd", "docker-ID.scope"),
    ("snap.docker.dockerd", "/usr/bin/snap run docker.dockerd", "docker-ID.scope"),
    ("containerd", "", "nerdctl-ID.scope"),
    ("cri", "/usr/local/bin/containerd -c /etc/c.toml", "nerdctl-ID.scope"),
    ("podman", "/usr/bin/podman system service", "libpod-ID.scope"),
    ("api", "/usr/bin/podman --log-level=info system service", "libpod-ID.scope"),
    ("crio", "/usr/bin/crio", "kubepods.slice"),
    ("k3s", "/usr/local/bin/k3s server", "kubepods.slice"),
    ("k3s-agent", "/usr/local/bin/k3s agent", "kubepods.slice"),
    ("kubelet", "/usr/bin/kubelet --config=/var/lib/k", "kubepods.slice"),
    ("snap.microk8s.daemon-kubelite", "", "kubepods.slice"),
    ("snap.lxd.daemon", "/usr/bin/snap run lxd.daemon", "lxc.payload"),
    ("libvirtd", "/usr/sbin/libvirtd", "machine.slice"),
    ("nomad", "/usr/bin/nomad agent", "nomad.slice"),
]


@pytest.mark.parametrize(("stem", "line", "where"), DAEMONS)
def test_a_daemon_of_containers(stem: str, line: str, where: str) -> None:
    found = daemon(stem, [words_of(line)] if line else [])
    assert found is not None
    assert where in str(found.where)


@pytest.mark.parametrize(
    ("stem", "line"),
    [("app", "/srv/app"), ("docker-prune", "docker system prune"), ("redis", "/bin/sh -c dockerx")],
)
def test_what_is_no_daemon_of_containers(stem: str, line: str) -> None:
    assert daemon(stem, [words_of(line)]) is None


# --- any text -------------------------------------------------------------------------------------

WORDS = st.lists(
    st.one_of(
        st.sampled_from([*KNOWN, "sh", "-c", "env", "su", "-", "run", "start", ";", "&&", "("]),
        st.text(max_size=20),
    ),
    max_size=40,
)


@given(WORDS)
def test_any_words_are_read(words: list[str]) -> None:
    launch(words)
    daemon("x", [words])
    assert len(list(commands(words, KNOWN))) <= 64


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    launch(words_of(text))
    launch(["sh", "-c", text])


def test_nesting_without_end_ends() -> None:
    line = "docker run app"
    for _ in range(200):
        line = f"sh -c {shlex.quote(line)}"[:200_000]
    launch(words_of(line))
    launch(["env"] * 100_000 + ["docker", "run"])
    launch(["sh", "-c", "sh -c " * 100_000])
