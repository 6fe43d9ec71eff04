"""What is inside the lab's server: packages, files and the script that sets it up.

The cache is keyed by what is said here, so any change of it builds a new image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGES: Final = (
    *("systemd", "systemd-sysv", "libpam-systemd", "dbus", "udev", "kmod", "polkitd", "sudo"),
    *("linux-image-cloud-amd64", "initramfs-tools", "e2fsprogs", "util-linux", "iproute2"),
    *("procps", "openssh-server", "cron", "logrotate", "tmux", "ncurses-term"),
    *("python3", "python3-venv", "python3-pydbus", "python3-flask", "python3-gevent"),
    *("gunicorn", "nginx-light", "redis-server"),
)

EXCLUDED: Final = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")
"""Documentation and translations: a third of the files, and nothing here reads them."""

SWAP_SIZE_MIB: Final = 512

VENV: Final = "/opt/lowmem-tui"
VENV_PYDBUS: Final = "/opt/lowmem-tui-pydbus"

DEFAULT_DEPENDENCIES: Final = ("textual", "psutil", "rich", "jeepney")
"""Used until a pyproject.toml names the program's own."""
TEST_DEPENDENCIES: Final = ("pytest", "pytest-asyncio")

COMMON: Final[Mapping[str, str]] = {
    "etc/fstab": ("LABEL=root / ext4 rw,noatime 0 1\nLABEL=swap none swap sw,nofail 0 0\n"),
    "etc/hostname": "lab\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 lab\n::1 localhost\n",
    "etc/machine-id": "",
    # trixie makes the second a link to the first while it boots.
    "etc/locale.conf": "LANG=C.UTF-8\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/systemd/journald.conf.d/lab.conf": (
        "[Journal]\nStorage=persistent\nSystemMaxUse=64M\nRateLimitIntervalSec=0\n"
    ),
    "etc/ssh/sshd_config.d/lab.conf": (
        "UseDNS no\nMaxSessions 200\nMaxStartups 200\nPermitRootLogin prohibit-password\n"
    ),
    "etc/initramfs-tools/conf.d/lab": "MODULES=list\nBUSYBOX=auto\nCOMPRESS=gzip\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\ncrc32c\n",
    "srv/cloudchat/cloudchat.py": """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "hello\\n"
""",
    "etc/systemd/system/cloudchat.service": """\
[Unit]
Description=Cloudchat, a small web application
After=network.target

[Service]
User=www-data
WorkingDirectory=/srv/cloudchat
ExecStart=/usr/bin/gunicorn --worker-class gevent --workers 2 --bind 127.0.0.1:8000 cloudchat:app
Restart=always

[Install]
WantedBy=multi-user.target
""",
    "etc/systemd/system/backup.service": """\
[Unit]
Description=Nightly backup

[Service]
Type=oneshot
Nice=10
ExecStart=/bin/sh -c 'tar -cf /var/backups/srv.tar -C /srv .'
""",
    "etc/systemd/system/backup.timer": """\
[Unit]
Description=Nightly backup

[Timer]
OnCalendar=*-*-* 03:00:00

[Install]
WantedBy=timers.target
""",
    "etc/systemd/system/worker@.service": """\
[Unit]
Description=Background worker %I

[Service]
User=op
ExecStart=/bin/sleep infinity
Restart=on-failure

[Install]
WantedBy=multi-user.target
""",
}

FILES: Final[Mapping[str, str]] = {
    **COMMON,
    "etc/systemd/network/10-lab.network": "[Match]\nName=en*\n\n[Network]\nDHCP=yes\n",
    "etc/systemd/system/certbot.service": """\
[Unit]
Description=Certbot

[Service]
Type=oneshot
ExecStart=/usr/bin/true
PrivateTmp=true
""",
    "etc/systemd/system/certbot.timer": """\
[Unit]
Description=Run certbot twice daily

[Timer]
OnCalendar=*-*-* 00,12:00:00
RandomizedDelaySec=43200

[Install]
WantedBy=timers.target
""",
}

SETUP: Final = r"""
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
useradd --create-home --shell /bin/bash op
mkdir -p /var/log/journal
for home in /root /home/op; do
    mkdir -p -m 0700 $home/.ssh
    cp /lab/authorized_keys $home/.ssh/authorized_keys
    chmod 0600 $home/.ssh/authorized_keys
done
chown -R op:op /home/op/.ssh

systemctl enable systemd-networkd.service ssh.service cron.service nginx.service \
    redis-server.service cloudchat.service certbot.timer backup.timer \
    worker@alpha.service 'worker@a\x2db.service'
systemctl mask e2scrub_all.timer e2scrub_reap.service getty@tty1.service
. /lab/own
update-initramfs -u -k all
mv /boot/vmlinuz-* /lab/vmlinuz
mv /boot/initrd.img-* /lab/initrd
rm -f /vmlinuz /vmlinuz.old /initrd.img /initrd.img.old

/usr/bin/python3 -m venv /opt/lowmem-tui
/usr/bin/python3 -m venv --system-site-packages /opt/lowmem-tui-pydbus
for venv in /opt/lowmem-tui /opt/lowmem-tui-pydbus; do
    $venv/bin/python -m pip install --quiet --no-index --no-deps --compile \
        --disable-pip-version-check --root-user-action=ignore \
        /lab/wheels/*.whl
done
/usr/bin/python3 -m compileall -q /srv/cloudchat
journalctl --update-catalog
# Last: it notes that /etc and /var are as new as /usr, which the first boot would else see to.
# Debian 12 does without.
[ ! -x /usr/lib/systemd/systemd-update-done ] || /usr/lib/systemd/systemd-update-done
"""

INSTALL: Final = r"""
set -eu
for venv in /opt/lowmem-tui /opt/lowmem-tui-pydbus; do
    $venv/bin/python -m pip install --quiet --no-index --no-deps --force-reinstall --compile \
        --disable-pip-version-check --root-user-action=ignore /lab/*.whl
done
ln -sfn /opt/lowmem-tui/bin/lowmem-tui /usr/local/bin/lowmem-tui
ln -sfn /opt/lowmem-tui-pydbus/bin/lowmem-tui /usr/local/bin/lowmem-tui-pydbus
"""


SETUP_OWN: Final = """
systemctl mask apt-daily.timer apt-daily-upgrade.timer systemd-networkd-wait-online.service
"""
"""In the suites that are nothing but Debian: nothing waits for a network, nothing fetches."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One of the lab's servers."""

    release: str
    """Debian's name of it."""
    python: str
    """The version of its Python."""
    packages: tuple[str, ...] = PACKAGES
    files: Mapping[str, str] = field(default_factory=lambda: FILES)
    own: str = SETUP_OWN
    """What its setup does besides that of all the others: a script for the shell."""
    disk_size: str = "4G"

    @property
    def ingredients(self) -> tuple[object, ...]:
        """All that an image of it depends on."""
        return (
            *(self.release, self.python, self.packages, EXCLUDED, self.disk_size),
            *(sorted(self.files.items()), SETUP, self.own),
        )


SEED_PACKAGES: Final = (
    *PACKAGES,
    *("snapd", "squashfs-tools", "cloud-init", "netplan.io", "networkd-dispatcher"),
    *("systemd-resolved", "systemd-timesyncd", "dbus-user-session", "apparmor"),
    *("multipath-tools", "open-iscsi", "lvm2", "udisks2", "fwupd", "modemmanager", "packagekit"),
    *(
        "unattended-upgrades",
        "needrestart",
        "rsyslog",
        "ufw",
        "iptables",
        "sysstat",
        "uuid-runtime",
    ),
    *("fail2ban", "python3-systemd", "certbot", "php-fpm", "mariadb-server"),
)
"""What Ubuntu's server image brings by itself, as far as Debian has it; then what is put on it."""

_SOME_DAY: Final = "[Timer]\nOnCalendar=\nOnCalendar=*-02-29\nPersistent=no\n"
"""For timers that fetch: they wait as on any server, but nothing starts in the middle of a test."""

_SNAP: Final = """\
[Unit]
Description=Mount unit for {name}, revision {revision}
After=snapd.mounts-pre.target
Before=snapd.mounts.target

[Mount]
What=/var/lib/snapd/snaps/{name}_{revision}.snap
Where=/snap/{name}/{revision}
Type=squashfs
Options=nodev,ro,x-gdu.hide,x-gvfs-hide
LazyUnmount=yes

[Install]
WantedBy=snapd.mounts.target
WantedBy=multi-user.target
"""
SEED_SNAPS: Final = {"core22": 1748, "snapd": 23545}
"""Snaps that an image brings and nobody uses, by what snapd leaves of them: a mount for each."""

SEED_FILES: Final[Mapping[str, str]] = {
    **COMMON,
    "etc/netplan/50-cloud-init.yaml": """\
network:
  version: 2
  ethernets:
    lab:
      match: {name: "en*"}
      dhcp4: true
""",
    "etc/cloud/cloud.cfg.d/99-lab.cfg": """\
datasource_list: [NoCloud, None]
network: {config: disabled}
apt: {preserve_sources_list: true}
preserve_hostname: true
disable_root: false
users: []
locale: false
ssh_deletekeys: false
no_ssh_fingerprints: true
ssh: {emit_keys_to_console: false}
""",
    "var/lib/cloud/seed/nocloud/meta-data": "instance-id: lab\n",
    "var/lib/cloud/seed/nocloud/user-data": "#cloud-config\n{}\n",
    # Ubuntu's, to the letter (openssh 1:9.6p1-3ubuntu13); Debian's has no RequiredBy=.
    "usr/lib/systemd/system/ssh.socket": """\
[Unit]
Description=OpenBSD Secure Shell server socket
Before=sockets.target ssh.service
ConditionPathExists=!/etc/ssh/sshd_not_to_be_run

[Socket]
ListenStream=0.0.0.0:22
ListenStream=[::]:22
BindIPv6Only=ipv6-only
Accept=no
FreeBind=yes

[Install]
WantedBy=sockets.target
RequiredBy=ssh.service
""",
    **{
        f"etc/systemd/system/{name}.timer.d/lab.conf": _SOME_DAY
        for name in ("apt-daily", "apt-daily-upgrade", "fwupd-refresh", "certbot")
    },
    **{
        f"etc/systemd/system/snap-{name}-{revision}.mount": _SNAP.format(
            name=name, revision=revision
        )
        for name, revision in SEED_SNAPS.items()
    },
}

SEED_OWN: Final = """
chmod 0600 /etc/netplan/50-cloud-init.yaml
systemctl disable ssh.service
systemctl enable ssh.socket
mkdir -p /lab/snap/meta
for snap in NAMES; do
    mksquashfs /lab/snap /var/lib/snapd/snaps/$snap.snap -quiet -no-progress
    mkdir -p /snap/$(echo $snap | tr _ /)
    systemctl enable snap-$(echo $snap | tr _ -).mount
done
""".replace("NAMES", " ".join(f"{name}_{revision}" for name, revision in SEED_SNAPS.items()))

SUITES: Final[Mapping[str, Recipe]] = {
    "trixie": Recipe("trixie", "3.13"),
    "bookworm": Recipe("bookworm", "3.11"),
    "seed": Recipe("trixie", "3.13", SEED_PACKAGES, SEED_FILES, SEED_OWN, "6G"),
}
"""The lab's servers; `seed` is as near to Ubuntu 24.04 as Debian's archive allows."""
