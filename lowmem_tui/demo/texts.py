"""The demo server's unit files: what Debian's packages bring, and what its administrator wrote.

Shortened: what sandboxes a service is left out, what decides about memory and restarts is not.
"""

from __future__ import annotations

VENDOR = "/usr/lib/systemd/system"
ADMIN = "/etc/systemd/system"
TRANSIENT = "/run/systemd/transient"

MASK = "/dev/null"

LINKS = {
    f"{ADMIN}/redis.service": f"{VENDOR}/redis-server.service",
    f"{ADMIN}/sshd.service": f"{VENDOR}/ssh.service",
    f"{ADMIN}/dbus-org.freedesktop.login1.service": f"{VENDOR}/systemd-logind.service",
    f"{ADMIN}/dbus-org.freedesktop.network1.service": f"{VENDOR}/systemd-networkd.service",
    f"{ADMIN}/dbus-org.freedesktop.resolve1.service": f"{VENDOR}/systemd-resolved.service",
    f"{ADMIN}/multipathd.service": MASK,
}
"""Symbolic links: an alias, or a mask."""


def files() -> dict[str, str]:
    """Return the text of every unit file and drop-in, by path."""
    found: dict[str, str] = {}
    for block in _TEXTS.split("\n### ")[1:]:
        path, _, text = block.partition("\n")
        found[_expand(path)] = text.rstrip("\n") + "\n"
    return found


def _expand(path: str) -> str:
    kind, _, rest = path.partition("/")
    return f"{ {'lib': VENDOR, 'etc': ADMIN, 'run': TRANSIENT}[kind] }/{rest}"


_TEXTS = """
### etc/cloudchat.service
[Unit]
Description=Cloudchat (gunicorn with gevent)
After=network-online.target redis-server.service
Wants=redis-server.service

[Service]
Type=notify
User=cloudchat
WorkingDirectory=/srv/cloudchat
ExecStart=/srv/cloudchat/venv/bin/gunicorn --worker-class gevent --workers 2 \\
    --worker-connections 50 --bind unix:/run/cloudchat/http.sock cloudchat.wsgi
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=3
MemoryMax=600M
MemorySwapMax=200M
TimeoutStopSec=15

[Install]
WantedBy=multi-user.target
### etc/worker@.service
[Unit]
Description=Cloudchat's queue %i
After=redis-server.service

[Service]
User=cloudchat
ExecStart=/srv/cloudchat/venv/bin/python -m cloudchat.worker --queue %i
Restart=on-failure
RestartSec=5
MemoryHigh=64M

[Install]
WantedBy=multi-user.target
### etc/worker@b.service.d/override.conf
[Service]
OOMScoreAdjust=50
### etc/cloudchat-backup.service
[Unit]
Description=Dump of Cloudchat's data

[Service]
Type=oneshot
User=cloudchat
Nice=10
ExecStart=/srv/cloudchat/bin/backup --keep 7
### etc/cloudchat-backup.timer
[Unit]
Description=Dump of Cloudchat's data, several times an hour

[Timer]
OnCalendar=*:3/8
### etc/nginx.service.d/override.conf
# The way in stays open.
[Service]
OOMScoreAdjust=-200
Restart=on-failure
MemoryLow=16M
### etc/system.slice.d/protect.conf
# What the services' own MemoryLow= share.
[Slice]
MemoryLow=64M
MemoryMin=32M
### etc/redis.service.d/override.conf
# redis.service is another name of redis-server.service: this counts, too.
[Service]
MemoryMax=256M
OOMScoreAdjust=-100
### lib/redis-server.service
[Unit]
Description=Advanced key-value store
After=network.target

[Service]
Type=notify
ExecStart=/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd --daemonize no
TimeoutStopSec=0
Restart=always
User=redis

[Install]
WantedBy=multi-user.target
Alias=redis.service
### lib/nginx.service
[Unit]
Description=A high performance web server and a reverse proxy server
After=network-online.target

[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStart=/usr/sbin/nginx -g "daemon on; master_process on;"
ExecReload=/usr/sbin/nginx -g "daemon on; master_process on;" -s reload
TimeoutStopSec=5
KillMode=mixed

[Install]
WantedBy=multi-user.target
### lib/ssh.service
[Unit]
Description=OpenBSD Secure Shell server
After=network.target

[Service]
EnvironmentFile=-/etc/default/ssh
ExecStart=/usr/sbin/sshd -D $SSHD_OPTS
KillMode=process
Restart=on-failure
RestartPreventExitStatus=255
Type=notify

[Install]
WantedBy=multi-user.target
Alias=sshd.service
### lib/certbot.service
[Unit]
Description=Certbot

[Service]
Type=oneshot
ExecStart=/usr/bin/certbot -q renew --no-random-sleep-on-renew
PrivateTmp=true
### lib/certbot.timer
[Unit]
Description=Run certbot now and then

[Timer]
OnCalendar=*:1/11
Persistent=true

[Install]
WantedBy=timers.target
### lib/cron.service
[Unit]
Description=Regular background program processing daemon

[Service]
EnvironmentFile=-/etc/default/cron
ExecStart=/usr/sbin/cron -f $EXTRA_OPTS
KillMode=process
Restart=on-failure

[Install]
WantedBy=multi-user.target
### lib/dbus.service
[Unit]
Description=D-Bus System Message Bus
Requires=dbus.socket

[Service]
Type=notify
ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation
OOMScoreAdjust=-900
User=messagebus
### lib/dbus.socket
[Unit]
Description=D-Bus System Message Bus Socket

[Socket]
ListenStream=/run/dbus/system_bus_socket
### lib/getty@.service
[Unit]
Description=Getty on %I

[Service]
ExecStart=-/sbin/agetty -o '-- \\\\u' --noreset --noclear - $TERM
Type=idle
Restart=always
RestartSec=0
Slice=system-getty.slice

[Install]
WantedBy=getty.target
### lib/snapd.service
[Unit]
Description=Snap Daemon

[Service]
ExecStart=/usr/lib/snapd/snapd
Nice=-5
OOMScoreAdjust=-900
Restart=always
Type=notify

[Install]
WantedBy=multi-user.target
### lib/systemd-journald.service
[Unit]
Description=Journal Service

[Service]
ExecStart=/usr/lib/systemd/systemd-journald
OOMScoreAdjust=-250
Restart=always
RestartSec=0
Type=notify
WatchdogSec=3min
### lib/systemd-logind.service
[Unit]
Description=User Login Management

[Service]
BusName=org.freedesktop.login1
ExecStart=/usr/lib/systemd/systemd-logind
Restart=always
RestartSec=0
Type=notify
WatchdogSec=3min
### lib/systemd-networkd.service
[Unit]
Description=Network Configuration

[Service]
BusName=org.freedesktop.network1
ExecStart=/usr/lib/systemd/systemd-networkd
Restart=on-failure
RestartSec=0
Type=notify-reload
User=systemd-network
WatchdogSec=3min

[Install]
WantedBy=multi-user.target
### lib/systemd-resolved.service
[Unit]
Description=Network Name Resolution

[Service]
BusName=org.freedesktop.resolve1
ExecStart=/usr/lib/systemd/systemd-resolved
Restart=always
RestartSec=0
Type=notify
User=systemd-resolve
WatchdogSec=3min

[Install]
WantedBy=multi-user.target
### lib/systemd-udevd.service
[Unit]
Description=Rule-based Manager for Device Events and Files

[Service]
Delegate=pids
ExecStart=/usr/lib/systemd/systemd-udevd
OOMScoreAdjust=-1000
Restart=always
RestartSec=0
Type=notify-reload
### lib/systemd-sysctl.service
[Unit]
Description=Apply Kernel Variables

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/systemd/systemd-sysctl
TimeoutSec=90s
### lib/user@.service
[Unit]
Description=User Manager for UID %i

[Service]
User=%i
Type=notify
ExecStart=/usr/lib/systemd/systemd --user
Slice=user-%i.slice
Delegate=pids memory cpu
TasksMax=infinity
TimeoutStopSec=120s
OOMScoreAdjust=100
### lib/user-.slice.d/10-defaults.conf
[Unit]
Description=User Slice of UID %j

[Slice]
TasksMax=33%
### lib/user.slice
[Unit]
Description=User and Session Slice
### lib/multipathd.service
[Unit]
Description=Device-Mapper Multipath Device Controller

[Service]
Type=notify
ExecStart=/sbin/multipathd -d -s
### lib/logrotate.service
[Unit]
Description=Rotate log files

[Service]
Type=oneshot
ExecStart=/usr/sbin/logrotate /etc/logrotate.conf
Nice=19
### lib/logrotate.timer
[Unit]
Description=Daily rotation of log files

[Timer]
OnCalendar=daily
### lib/man-db.service
[Unit]
Description=Daily man-db regeneration

[Service]
Type=oneshot
User=man
ExecStart=/usr/bin/mandb --quiet
### lib/man-db.timer
[Unit]
Description=Daily man-db regeneration

[Timer]
OnCalendar=daily
### lib/apt-daily.service
[Unit]
Description=Daily apt download activities

[Service]
Type=oneshot
ExecStart=/usr/lib/apt/apt.systemd.daily update
### lib/apt-daily.timer
[Unit]
Description=Daily apt download activities

[Timer]
OnCalendar=*-*-* 6,18:00
### lib/fstrim.service
[Unit]
Description=Discard unused blocks on filesystems from /etc/fstab

[Service]
Type=oneshot
ExecStart=/sbin/fstrim --listed-in /etc/fstab:/proc/self/mountinfo --verbose
### lib/fstrim.timer
[Unit]
Description=Discard unused filesystem blocks once a week

[Timer]
OnCalendar=weekly
### lib/rsync.service
[Unit]
Description=fast remote file copy program daemon

[Service]
ExecStart=/usr/bin/rsync --daemon --no-detach
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
### lib/multi-user.target
[Unit]
Description=Multi-User System
### run/session-3.scope
# This is a transient unit file, created programmatically via the systemd API. Do not edit.
[Scope]
Slice=user-1000.slice
CollectMode=inactive-or-failed

[Unit]
Description=Session 3 of User ada
"""
