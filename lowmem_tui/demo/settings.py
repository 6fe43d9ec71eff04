"""The demo server's files of settings, apart from its units."""

from __future__ import annotations

FILES = {
    "/etc/fstab": """\
# / was on /dev/vda1 during installation
UUID=2c2bd23a-6a4c-4dfd-9c0e-4f1a5c0a3f10 / ext4 errors=remount-ro 0 1
/dev/vda2 none swap sw 0 0
""",
    "/etc/sysctl.d/10-cloudchat.conf": """\
# More connections waiting to be accepted.
net.core.somaxconn = 1024
""",
    "/usr/lib/sysctl.d/50-default.conf": """\
kernel.sysrq = 0x01b6
-net.ipv4.conf.all.promote_secondaries = 1
""",
    "/etc/systemd/journald.conf": """\
#  This file is part of systemd.

[Journal]
#Storage=auto
#SystemMaxUse=
#RuntimeMaxUse=
#MaxRetentionSec=0
""",
    "/usr/lib/systemd/journald.conf.d/syslog.conf": """\
[Journal]
ForwardToSyslog=yes
""",
}
