"""Who runs on the demo server: its processes, and how big they are."""

from __future__ import annotations

from typing import NamedTuple

from lowmem_tui.model.cgroup import ROOT_SLICE

KIB = 1 << 10
MIB = 1 << 20

HOSTNAME = "web-1"
RAM = 990_208 * KIB
SWAP = 2_097_148 * KIB
RESERVED = 104 * MIB
"""What the kernel and nobody in particular holds, beside the groups."""

BOOTED = 1_768_776_780.0
"""Seconds since 1970: 2026-01-18 22:53 UTC."""
UPTIME = 1_051_620.0
"""Seconds that the server was up when the demo began: 2026-01-31 03:00 UTC."""


class Program(NamedTuple):
    """One process of a unit. Sizes in MiB."""

    name: str
    command: str
    anon: float
    """At its start."""
    file: float
    """Resident pages of files."""
    uid: int = 0
    pid: int = 0
    """The pid it has when the demo begins; 0 for the next free one."""
    grown: float | None = None
    """Its anonymous memory in RAM when the demo begins, if not as at its start."""
    swap: float = 0.0
    """And what of it is swapped out."""
    hot: float = 0.0
    """What it touches too often for it to be swapped out; 0 for half of what it starts with."""
    below: str = ""
    """The control group below the unit's own."""
    adj: int | None = None
    """The oom_score_adj that the program sets for itself."""


class Crew(NamedTuple):
    """What a service runs: its main process first."""

    programs: tuple[Program, ...]
    cache: float = 0.5
    """MiB of page cache charged to the group when the demo begins."""
    peak: float = 0.0
    """MiB that it held at most before the demo began."""
    shmem: float = 0.0
    lasts: float = 0.0
    """Seconds after which a oneshot has done its work; 0 for a daemon."""
    running: bool = True
    """When the demo begins."""


CLOUDCHAT = "cloudchat.service"
REDIS = "redis-server.service"

_GUNICORN = (
    "/srv/cloudchat/venv/bin/python /srv/cloudchat/venv/bin/gunicorn --worker-class gevent "
    "--workers 2 --worker-connections 50 --bind unix:/run/cloudchat/http.sock cloudchat.wsgi"
)
_WORKER = "/srv/cloudchat/venv/bin/python -m cloudchat.worker --queue "
_GUNICORN_WORKER = Program("gunicorn", _GUNICORN, 62, 8.5, uid=998)

CREWS: dict[str, Crew] = {
    "init.scope": Crew((Program("systemd", "/sbin/init", 4.2, 8.1, pid=1, grown=3.8, swap=0.4),)),
    "systemd-journald.service": Crew(
        (Program("systemd-journal", "/usr/lib/systemd/systemd-journald", 2.1, 15.2, pid=241),),
        cache=18,
    ),
    "systemd-udevd.service": Crew(
        (
            Program(
                "systemd-udevd", "/usr/lib/systemd/systemd-udevd", 2.4, 5.1, pid=268, grown=1.2,
                swap=1.1,
            ),
        )
    ),
    "systemd-networkd.service": Crew(
        (
            Program(
                "systemd-network", "/usr/lib/systemd/systemd-networkd", 2.2, 6.0, uid=997, pid=412
            ),
        )
    ),
    "systemd-resolved.service": Crew(
        (
            Program(
                "systemd-resolve", "/usr/lib/systemd/systemd-resolved", 4.4, 6.6, uid=996, pid=418,
                grown=3.3, swap=1.1,
            ),
        )
    ),
    "dbus.service": Crew(
        (
            Program(
                "dbus-daemon",
                "/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile "
                "--systemd-activation",
                1.2, 3.1, uid=101, pid=533,
            ),
        )
    ),
    "systemd-logind.service": Crew(
        (Program("systemd-logind", "/usr/lib/systemd/systemd-logind", 1.5, 5.6, pid=541),)
    ),
    "cron.service": Crew((Program("cron", "/usr/sbin/cron -f", 0.3, 2.0, pid=536),)),
    "snapd.service": Crew(
        (Program("snapd", "/usr/lib/snapd/snapd", 24, 9.2, pid=545, grown=6.1, swap=17.8),),
        cache=6, peak=83,
    ),
    "getty@tty1.service": Crew(
        (
            Program(
                "agetty", "/sbin/agetty -o -- \\u --noreset --noclear - linux", 0.2, 1.5, pid=560
            ),
        )
    ),
    "ssh.service": Crew(
        (
            # sshd takes itself out of the killer's reach (OpenSSH, port-linux.c).
            Program(
                "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", 1.5, 6.6,
                pid=640, adj=-1000,
            ),
        )
    ),
    "nginx.service": Crew(
        (
            Program(
                "nginx",
                'nginx: master process /usr/sbin/nginx -g daemon on; master_process on;',
                1.3, 1.6, pid=702,
            ),
            Program("nginx", "nginx: worker process", 4.2, 5.3, uid=33, pid=703),
        ),
        cache=11,
    ),
    REDIS: Crew(
        (
            Program(
                "redis-server", "/usr/bin/redis-server 127.0.0.1:6379", 9, 4.6, uid=106, pid=845,
                grown=59, swap=20, hot=33,
            ),
        ),
        cache=2, peak=94,
    ),
    CLOUDCHAT: Crew(
        (
            Program(
                "gunicorn", _GUNICORN, 24, 9, uid=998, pid=908, grown=17, swap=10.5
            ),
            _GUNICORN_WORKER._replace(pid=912, grown=228, swap=104),
            _GUNICORN_WORKER._replace(pid=913, grown=141, swap=65.5),
        ),
        cache=4, peak=571,
    ),
    "worker@a.service": Crew(
        (Program("python", _WORKER + "a", 21, 7.4, uid=998, pid=951, grown=16, swap=5),)
    ),
    "worker@b.service": Crew(
        (Program("python", _WORKER + "b", 19, 7.4, uid=998, pid=954, grown=15, swap=4),)
    ),
    "user@1000.service": Crew(
        (
            Program(
                "systemd", "/usr/lib/systemd/systemd --user", 2.4, 8.2, uid=1000, pid=21877,
                below="init.scope",
            ),
            Program("(sd-pam)", "(sd-pam)", 1.6, 0.6, uid=1000, pid=21879, below="init.scope"),
        )
    ),
    "session-3.scope": Crew(
        (
            Program("sshd-session", "sshd-session: ada [priv]", 1.9, 7.1, pid=21871),
            Program("sshd-session", "sshd-session: ada@pts/0", 1.1, 5.0, uid=1000, pid=21895),
            Program("bash", "-bash", 1.8, 3.3, uid=1000, pid=21896),
            Program("journalctl", "journalctl -f", 0.9, 9.3, uid=1000, pid=22410),
        ),
        cache=2,
    ),
    "systemd-sysctl.service": Crew(()),
    "certbot.service": Crew(
        (Program("certbot", "/usr/bin/python3 /usr/bin/certbot -q renew", 8, 11),),
        lasts=24, running=False,
    ),
    "cloudchat-backup.service": Crew(
        (
            Program("backup", "/bin/sh /srv/cloudchat/bin/backup --keep 7", 0.3, 1.3, uid=998),
            Program("zstd", "zstd -T1 -10", 11, 1.8, uid=998),
        ),
        lasts=31, running=False,
    ),
}  # fmt: skip

TIMERS: dict[str, tuple[str, float, float]] = {
    "certbot.timer": ("certbot.service", 75.0, 660.0),
    "cloudchat-backup.timer": ("cloudchat-backup.service", 300.0, 480.0),
    "logrotate.timer": ("logrotate.service", 0.0, 0.0),
    "man-db.timer": ("man-db.service", 0.0, 0.0),
    "apt-daily.timer": ("apt-daily.service", 0.0, 0.0),
    "fstrim.timer": ("fstrim.service", 0.0, 0.0),
}
"""What each timer starts, first after how many seconds of the demo, then every how many; 0: not
within anybody's patience."""

SLICES = (
    ROOT_SLICE,
    "system.slice",
    "user.slice",
    "user-1000.slice",
    "system-getty.slice",
    "system-worker.slice",
)

OTHERS = {"multi-user.target": "active", "dbus.socket": "running"}
"""Units without processes, and their sub state."""

KNOWN = (
    "multipathd.service",
    "logrotate.service",
    "man-db.service",
    "apt-daily.service",
    "fstrim.service",
)
"""Services that do not run but are loaded: something refers to them."""

DEFAULT_CREW = Crew((Program("sh", "/bin/sh -c true", 0.4, 1.4),), lasts=4, running=False)
"""For a service that nobody thought would be started here."""


def slice_path(name: str) -> str:
    """Return the control group of a slice: ``a-b.slice`` is in ``a.slice``."""
    if name == ROOT_SLICE:
        return "/"
    parts = name.removesuffix(".slice").split("-")
    return "".join(f"/{'-'.join(parts[:n])}.slice" for n in range(1, len(parts) + 1))
