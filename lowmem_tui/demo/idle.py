"""Unneeded services of the demo server, and which units are started at boot."""

from __future__ import annotations

from lowmem_tui.demo.texts import VENDOR

DISABLED = frozenset({"rsync.service"})
"""What could be started at boot, and is not."""

INSTANCES = {
    "worker@.service": ("worker@a.service", "worker@b.service"),
    "getty@.service": ("getty@tty1.service",),
}
"""What is started at boot of a template."""

_MODEM = """\
[Unit]
Description=Modem Manager

[Service]
Type=dbus
BusName=org.freedesktop.ModemManager1
ExecStart=/usr/sbin/ModemManager
Restart=on-abort

[Install]
WantedBy=multi-user.target
"""

_UPGRADES = """\
[Unit]
Description=Unattended Upgrades Shutdown

[Service]
ExecStart=/usr/share/unattended-upgrades/unattended-upgrade-shutdown --wait-for-signal
KillMode=process
TimeoutStopSec=1800

[Install]
WantedBy=multi-user.target
"""

FILES = {
    f"{VENDOR}/ModemManager.service": _MODEM,
    f"{VENDOR}/unattended-upgrades.service": _UPGRADES,
}
