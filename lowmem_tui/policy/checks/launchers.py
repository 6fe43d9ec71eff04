"""Programs that have their work done in another control group than their own; pure data and rules.

``docker run`` asks a daemon, ``systemd-run`` asks systemd, ``su`` opens a login session: what is
set for the unit that runs them does not reach what they start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.message import msg, sentences
from lowmem_tui.policy.commands import Command, commands, program_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lowmem_tui.model.message import Message


class Place(NamedTuple):
    """Where something runs, and how it is limited and scored there."""

    where: Message
    """Behind "runs"."""
    units: tuple[str, ...]
    """How the names of such units begin and end, apart by ``*``; a control group's path, too."""
    limit: Message
    """A sentence: where a limit of memory belongs."""
    score: Message
    """A sentence: where a score belongs."""
    rank: int = 0
    """Of several on a command line the least is the one that counts."""
    servers: tuple[str, ...] = ()
    """How the names of processes begin under which it runs, if it may run in the unit as well."""


class Launch(NamedTuple):
    """A command that has its work done elsewhere."""

    command: str
    """``docker compose``: what to call it."""
    place: Place
    target: str = ""
    """The unit that it names, if it does."""


DOCKER = Place(
    msg("in scopes of their own (system.slice/docker-ID.scope, or the daemon's cgroup-parent)"),
    ("docker-*.scope", "/docker/*"),
    msg(
        "Limit the container: `docker run --memory=SIZE` or `docker update --memory=SIZE`, "
        "mem_limit in a compose file; or all of them by MemoryMax on a slice that is their "
        "cgroup-parent."
    ),
    msg(
        "Set the score of the container: `docker run --oom-score-adj=N`, oom_score_adj in a "
        "compose file."
    ),
)
CONTAINERD = Place(
    msg(
        "in scopes of their own (system.slice/nerdctl-ID.scope, docker-ID.scope, or kubepods.slice)"
    ),
    ("docker-*.scope", "nerdctl-*.scope", "cri-containerd-*.scope", "/docker/*", "/default/*"),
    msg(
        "Limit the container: `docker run --memory=SIZE` or `nerdctl run --memory=SIZE`, "
        "mem_limit in a compose file; or all of them by MemoryMax on a slice that is their "
        "cgroup-parent."
    ),
    msg("Set the score of the container: `--oom-score-adj=N` of docker run or nerdctl run."),
)
PODMAN = Place(
    msg("in scopes of their own (machine.slice/libpod-ID.scope)"),
    ("libpod-*.scope",),
    msg(
        "Limit the container: `podman run --memory=SIZE`, or `podman run --cgroups=split`, "
        "which keeps it in the unit that runs it; or all of them by MemoryMax on "
        "machine.slice."
    ),
    msg("Set the score of the container: `podman run --oom-score-adj=N`."),
)
KUBERNETES = Place(
    msg("in kubepods.slice"),
    ("cri-containerd-*.scope", "crio-*.scope", "kubepods*.slice", "/kubepods/*", "/k8s.io/*"),
    msg(
        "Limit the pod: resources.limits.memory; and all of them by --kube-reserved and "
        "--system-reserved of the kubelet."
    ),
    msg("The pod's QoS class decides its score: give it resources.requests and resources.limits."),
)
LXC = Place(
    msg("in control groups of their own (lxc.payload.NAME)"),
    ("/lxc.payload.*", "/lxc.payload/*", "/lxc/*"),
    msg(
        "Limit the container: lxc.cgroup2.memory.max in its configuration, or `lxc config set "
        "NAME limits.memory=SIZE`."
    ),
    msg("Set the score inside the container, on the service that runs there."),
)
MACHINE = Place(
    msg("in machine.slice"),
    ("machine-*.scope", "systemd-nspawn@*.service"),
    msg(
        "Limit the machine itself: `systemctl set-property` or a drop-in for its own unit, "
        "`virsh setmaxmem`, or MemoryMax on machine.slice."
    ),
    msg("Set the score inside the machine, on the service that runs there."),
)
NOMAD = Place(
    msg("in nomad.slice"),
    ("nomad*.slice", "/nomad.slice/*"),
    msg("Limit the task: resources.memory of the job."),
    msg("Set the score in the job's own configuration."),
)
TRANSIENT = Place(
    msg("in a unit of its own (run-ID.service or run-ID.scope, or the one that --unit names)"),
    ("run-*.service", "run-*.scope"),
    msg(
        "Limit it there: `systemd-run --property=MemoryMax=SIZE`; or write the program into "
        "this unit's ExecStart= without systemd-run."
    ),
    msg(
        "Score it there: `systemd-run --property=OOMScoreAdjust=N`; or write the program into "
        "this unit's ExecStart= without systemd-run."
    ),
    2,
)
JOB = Place(
    msg("as a job of atd, in atd.service"),
    ("atd.service",),
    msg(
        "Start it by a timer (OnCalendar=, OnActiveSec=) with a service of its own, and limit that."
    ),
    msg(
        "Start it by a timer (OnCalendar=, OnActiveSec=) with a service of its own, and score that."
    ),
    2,
)
OTHER_GROUP = Place(
    msg("in the control group that the command names"),
    (),
    msg("Write the program into ExecStart= without it, or limit that group."),
    msg("Write OOMScoreAdjust= into a unit that runs the program in ExecStart= without it."),
    2,
)
OTHER_UNIT = Place(
    msg("in a unit of its own"),
    (),
    msg("Set the limit on that unit."),
    msg("Set the score on that unit."),
    1,
)
SUPERVISED = Place(
    msg("under supervisord, in the unit that runs that"),
    ("supervisor*.service",),
    msg("Give the program a service of its own, and limit that."),
    msg("Give the program a service of its own, and score that."),
    1,
)
SESSION = Place(
    msg(
        "in a login session (user.slice, session-ID.scope), which PAM opens where it has "
        "pam_systemd"
    ),
    ("session-*.scope",),
    msg(
        "Write User= into this unit and the program into ExecStart=, or use `setpriv` or "
        "`runuser -u USER --`, which open no session."
    ),
    msg(
        "Write User= into this unit and the program into ExecStart=, or use `setpriv` or "
        "`runuser -u USER --`, which open no session."
    ),
    4,
    ("su", "runuser", "sudo"),
)
SNAP = Place(
    msg("in a scope that snapd makes (snap.NAME.*.scope)"),
    ("snap.*.scope",),
    msg("Limit it by `snap set-quota NAME --memory=SIZE`."),
    msg("Use the snap's own service (snap.NAME.*.service), and score that."),
    2,
)


def _server(name: str, foreground: Message, *processes: str) -> Place:
    return Place(
        msg(
            "under {name}'s server: if that was started from a login, in that session, not here",
            name=name,
        ),
        (),
        sentences(foreground, msg("Then limit that service.")),
        sentences(foreground, msg("Then score that service.")),
        3,
        processes,
    )


_ONE_EACH = msg("Give each program a service of its own with ExecStart= in the foreground.")
SCREEN = _server("screen", _ONE_EACH, "screen", "SCREEN")
TMUX = _server("tmux", _ONE_EACH, "tmux")
PM2 = _server(
    "pm2",
    msg(
        "Give each program a service of its own with ExecStart= in the foreground "
        "(`pm2-runtime`, or node itself)."
    ),
    "PM2 v",
    "pm2",
)


# --- which command is one of them -----------------------------------------------------------------

_RUNS = frozenset({"run", "start", "restart", "create", "exec", "build", "unpause", "runp"})
_DOCKER = _RUNS | {"up", "deploy", "update", "attach"}


def _verbs(words: Sequence[str], verbs: Iterable[str]) -> str:
    """Return the first of these words that is none of an option's."""
    found = frozenset(verbs)
    return next((word for word in words[:16] if word in found), "")


def _docker(command: Command) -> Launch | None:
    words, program = command[1:], program_of(command[0])
    if program.endswith("-compose") or "compose" in words[:8]:
        verb = _verbs(words, {"up", "run", "start", "restart", "create", "exec", "watch"})
        name = program if program.endswith("-compose") else f"{program} compose"
    else:
        objects = {"container", "service", "stack", "buildx", "builder", "image", "pod"}
        others = {"stop", "rm", "rmi", "pull", "push", "kill", "logs", "wait", "events", "system"}
        verb = _verbs(words, {*_DOCKER, *objects, *others, "ps", "network", "volume", "inspect"})
        if verb in objects:
            verb = _verbs(words[words.index(verb) + 1 :], _DOCKER)
        name = f"{program} {verb}"
    if verb not in _DOCKER | {"watch"}:
        return None
    return Launch(name, CONTAINERD if program == "nerdctl" else DOCKER)


def _podman(command: Command) -> Launch | None:
    words, program = command[1:], program_of(command[0])
    text = " ".join(words)
    if any(f"--cgroups{sign}{how}" in text for sign in "= " for how in ("split", "disabled")):
        return None  # it stays in the unit's own control group
    verb = _verbs(words, {*_RUNS, "up", "play", "kube", "system", "stop", "rm", "pull", "kill"})
    if verb == "kube" or verb == "play":
        verb = f"{verb} {_verbs(words, {'play', 'kube'} - {verb})}".strip()
        good = "down" not in words
    else:
        good = verb in _RUNS | {"up"}
    return Launch(f"{program} {verb}", PODMAN) if good and verb else None


def _systemctl(command: Command) -> Launch | None:
    words = command[1:]
    verb = _verbs(words, {"start", "restart", "try-restart", "reload-or-restart", "isolate"})
    if not verb and "--now" in words and "enable" in words:
        verb = "enable"
    if not verb or "--user" in words:
        return None
    behind = [w for w in words[words.index(verb) + 1 :] if not w.startswith("-")]
    return Launch(f"systemctl {verb}", OTHER_UNIT, behind[0] if behind else "")


def _service(command: Command) -> Launch | None:
    words = [word for word in command[1:] if not word.startswith("-")]
    if len(words) < 2 or words[1] not in {"start", "restart"}:
        return None
    return Launch("service", OTHER_UNIT, words[0])


def _runuser(command: Command) -> Launch | None:
    login = any(
        word in {"-", "--login"} or (word[:1] == "-" and word[1:2] != "-" and "l" in word)
        for word in command[1:4]
    )
    return Launch("runuser -l", SESSION) if login else None


def _sudo(command: Command) -> Launch | None:
    login = any(word in {"-i", "--login"} for word in command[1:6])
    return Launch("sudo -i", SESSION) if login else None


def _at(command: Command) -> Launch | None:
    lists = {"-l", "-r", "-d", "-c", "-V"}
    return None if lists & set(command[1:]) else Launch(program_of(command[0]), JOB)


def _transient(command: Command) -> Launch | None:
    target = ""
    for at, word in enumerate(command[1:], 1):
        if word.startswith(("--unit=", "-u=")):
            target = word.partition("=")[2]
        elif word in {"--unit", "-u"}:
            target = "".join(command[at + 1 : at + 2])
    return Launch("systemd-run", TRANSIENT, target)


def _nspawn(command: Command) -> Launch | None:
    inside = {"--keep-unit", "--register=no"} & set(command[1:])
    return None if inside else Launch("systemd-nspawn", MACHINE)


def _screen(command: Command) -> Launch | None:
    letters, others = "", 0
    for word in command[1:]:
        others += word[:1] != "-"
        if others > 1:
            break  # the program's own options follow
        letters += word if word[:1] == "-" else ""
    # -D -m stays in the foreground.
    return Launch("screen", SCREEN) if "d" in letters and "D" not in letters else None


def _tmux(command: Command) -> Launch | None:
    verbs = {"new", "new-session", "start", "start-server", "new-window", "neww", "send-keys"}
    return Launch("tmux", TMUX) if _verbs(command[1:], verbs) else None


def _pm2(command: Command) -> Launch | None:
    if "--no-daemon" in command:
        return None
    verb = _verbs(command[1:], {"start", "resurrect", "restart", "reload", "startOrRestart"})
    return Launch(f"pm2 {verb}", PM2) if verb else None


def _when(place: Place, *verbs: str) -> Callable[[Command], Launch | None]:
    """Return a rule: the program with one of these words, or with any where there are none."""

    def rule(command: Command) -> Launch | None:
        verb = _verbs(command[1:], verbs) if verbs else ""
        if verbs and not verb:
            return None
        return Launch(f"{program_of(command[0])} {verb}".strip(), place)

    return rule


_RULES: dict[str, Callable[[Command], Launch | None]] = {
    **dict.fromkeys(("docker", "docker-compose", "nerdctl"), _docker),
    **dict.fromkeys(("podman", "podman-compose", "podman-remote"), _podman),
    **dict.fromkeys(("kind", "k3d", "minikube"), _when(DOCKER, "start", "create")),
    **dict.fromkeys(("toolbox", "distrobox"), _when(PODMAN, "run", "enter", "create")),
    "distrobox-enter": _when(PODMAN),
    "pct": _when(LXC, "start", "exec", "restore"),
    "ctr": _when(CONTAINERD, "run", "start", "exec"),
    "crictl": _when(KUBERNETES, "run", "runp", "start", "create", "exec"),
    "kubectl": _when(KUBERNETES, "run", "apply", "create", "scale", "rollout", "exec"),
    **dict.fromkeys(("lxc-start", "lxc-execute", "lxc-attach", "lxc-autostart"), _when(LXC)),
    **dict.fromkeys(("lxc", "incus"), _when(LXC, "start", "launch", "restart", "exec")),
    "machinectl": _when(MACHINE, "start", "shell", "login", "enable"),
    "virsh": _when(MACHINE, "start", "create"),
    "systemd-nspawn": _nspawn,
    "systemd-run": _transient,
    **dict.fromkeys(("at", "batch"), _at),
    **dict.fromkeys(("cgexec", "cgclassify"), _when(OTHER_GROUP)),
    "systemctl": _systemctl,
    **dict.fromkeys(("service", "invoke-rc.d", "rc-service"), _service),
    "supervisorctl": _when(SUPERVISED, "start", "restart"),
    **dict.fromkeys(("su", "login"), _when(SESSION)),
    "runuser": _runuser,
    "sudo": _sudo,
    "screen": _screen,
    **dict.fromkeys(("tmux", "byobu"), _tmux),
    "pm2": _pm2,
    "snap": _when(SNAP, "run"),
}

KNOWN = frozenset(_RULES)

_SCRIPTS = frozenset({"docker-compose", "podman-compose", "supervisorctl", "pm2", "byobu"})
"""Of them those that an interpreter may run; the others are compiled, and a script of that name is
somebody's own."""

_COMMON = frozenset({"at", "batch", "login", "service", "screen", "snap", "lxc", "incus"})
"""Names that programs of quite another sort have: they count where the system's are alone."""
_FOLDERS = frozenset({"", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/snap/bin"})


def _is_systems(word: str) -> bool:
    """Tell whether a word names the system's own program, by its folder."""
    folder = word.rpartition("/")[0].lstrip("@-:+!|")
    return program_of(word) not in _COMMON or folder in _FOLDERS


def launch(words: Sequence[str]) -> Launch | None:
    """Return what a command line starts in another control group; None for nothing known."""
    found: list[Launch] = []
    for command in commands(words, KNOWN, _SCRIPTS):
        if not _is_systems(command[0]):
            continue
        if command[0].startswith("/snap/bin/"):
            name = program_of(command[0]).partition(".")[0]
            rule = _RULES.get(name, _when(SNAP))
        elif (known := _RULES.get(program_of(command[0]))) is not None:
            rule = known
        else:
            continue
        if (made := rule(command)) is not None:
            found.append(made)
    return min(found, key=lambda each: each.place.rank, default=None)


# --- daemons that start others' work --------------------------------------------------------------

_DAEMONS: dict[str, Place] = {
    **dict.fromkeys(("dockerd", "balenad", "balena-engine-daemon"), DOCKER),
    "containerd": CONTAINERD,
    "crio": KUBERNETES,
    **dict.fromkeys(("kubelet", "k3s", "k0s", "rke2", "kubelite", "hyperkube"), KUBERNETES),
    **dict.fromkeys(("lxd", "incusd"), LXC),
    **dict.fromkeys(("libvirtd", "virtqemud", "virtlxcd", "virtxend"), MACHINE),
    "nomad": NOMAD,
}

_NAMES: dict[str, Place] = {
    **_DAEMONS,
    "docker": DOCKER,
    "balena": DOCKER,
    **dict.fromkeys(("podman", "podman-restart", "podman-auto-update"), PODMAN),
    **dict.fromkeys(("cri-o", "k3s-agent", "rke2-server", "rke2-agent"), KUBERNETES),
    **dict.fromkeys(("k0scontroller", "k0sworker"), KUBERNETES),
    "incus": LXC,
    "snap.docker.dockerd": DOCKER,
    "snap.lxd.daemon": LXC,
    "snap.microk8s.daemon-containerd": KUBERNETES,
    "snap.microk8s.daemon-kubelite": KUBERNETES,
    "snap.k8s.containerd": KUBERNETES,
    "snap.k8s.kubelet": KUBERNETES,
}
"""Units by their names without suffix, where their commands tell nothing."""


def daemon(stem: str, lines: Iterable[Sequence[str]]) -> Place | None:
    """Return where a daemon's containers run; None for what is none.

    ``stem`` is the unit's name without suffix, ``lines`` the words of what it runs.
    """
    for words in lines:
        for command in commands(words, (*_DAEMONS, "podman"), ()):
            program = program_of(command[0])
            if program in _DAEMONS:
                return _DAEMONS[program]
            if program == "podman" and "system" in command and "service" in command:
                return PODMAN
    return _NAMES.get(stem)
