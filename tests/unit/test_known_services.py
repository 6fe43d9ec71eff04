"""The table knows what a Debian or Ubuntu server commonly runs: each name with its tier."""

from __future__ import annotations

import pytest

from lowmem_tui.cli.rules import load_rules
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import Tier
from lowmem_tui.policy.classify import Kind

RULES = load_rules(config=None)

GATEKEEPERS = """
ssh sshd@sshd-keygen dropbear getty@tty1 serial-getty@ttyS0 console-getty systemd-logind sssd nscd
systemd-userdbd systemd-journald systemd-udevd systemd-machined systemd-oomd dbus dbus-broker
systemd-networkd NetworkManager networking ifup@eth0 dhcpcd wpa_supplicant watchdog
openvpn-server@a wg-quick@wg0 strongswan firewalld nftables ufw netfilter-persistent
systemd-resolved unbound dnsmasq bind9 named pdns knot nginx haproxy caddy traefik lighttpd stunnel4
openresty earlyoom zramswap polkit tailscaled cloudflared zerotier-one qemu-guest-agent
walinuxagent google-guest-agent amazon-ssm-agent droplet-agent open-vm-tools multipathd iscsid
keepalived frr bird openvswitch-switch dm-event conntrackd autofs tinc@home ocserv xl2tpd frpc
autossh hv-vss-daemon hv-fcopy-daemon hyperv-daemons.hv-kvp-daemon lxd-agent incus-agent
aliyun AssistDaemon tat_agent corosync
netbird netclient easytier@home rathole ratholec@home npc ngrok openvpnas warp-svc chisel-client
google-guest-compat-manager vultr-guest-agent jcs-agent-core ifritd CloudResetPwdAgent frpc@home
snap.tailscale.tailscaled snap.amazon-ssm-agent.amazon-ssm-agent wg-quick@wg0 innernet@home
yggdrasil debug-shell cloudResetPwdAgent
cloudResetPwdUpdateAgent n2n wg-quick@wg1 cloudflared-2 tailscaled@work
"""

STORES = """
postgresql postgresql@15-main mysql mariadb mongod influxdb clickhouse-server couchdb etcd consul
redis-server redis-server@a valkey-server memcached rabbitmq-server mosquitto varnish squid
beanstalkd pgbouncer neo4j cassandra apt-cacher-ng
redis_6379 redis6 postgresql-16 mysqld-8.0 mysql8 proxysql rqlite snap.redis.server
"""

APPLICATIONS = """
gunicorn uwsgi php8.2-fpm php8.3-fpm celery puma sidekiq node tomcat10 jetty9 odoo apache2 httpd
fcgiwrap lsws elasticsearch opensearch solr meilisearch gitea forgejo gitlab-runsvdir vaultwarden
matrix-synapse ejabberd prosody coturn asterisk freeradius slapd keycloak jitsi-videobridge2
home-assistant nodered minecraft isc-dhcp-server6 pihole-FTL AdGuardHome webmin cockpit code-server
tor@default my-own-app something@1
x-ui 3x-ui s-ui h-ui marzban sing-box sing-box@a v2ray xray XrayR hysteria-server hysteria-server@a
trojan-go tuic-server naive mihomo clash-meta gost realm nps frps frps@a snell shadow-tls headscale
wg-easy shadowsocks-libev shadowsocks-rust@a 1panel 1panel-core 1panel-agent bt btpanel amh-start
hestia vesta lscpd directadmin psa sw-cp-server cpanel wdcp mw casaos-gateway php-fpm-74 tomcat9
"""

HELPERS = """
docker containerd podman libvirtd k3s lxd lxcfs snap.lxd.daemon postfix postfix@- exim4 dovecot
opendkim rspamd spamassassin clamav-daemon amavis fail2ban prometheus prometheus-node-exporter
node_exporter grafana-server telegraf collectd netdata zabbix-agent zabbix-agent2 monit munin-node
nagios-nrpe-server icinga2 filebeat fluent-bit vector crowdsec auditd smartd smartmontools snmpd
vnstat atop cron atd gitlab-runner jenkins supervisor salt-minion puppet systemd-timesyncd chrony
ntp ntpsec rsyslog syslog-ng smbd nmbd nfs-server nfs-mountd rpcbind vsftpd proftpd minio syncthing
transmission-daemon jellyfin snapd ModemManager irqbalance thermald acpid haveged rng-tools-debian
cups avahi-daemon bluetooth xrdp landscape-client uuidd do-agent networkd-dispatcher xinetd inetd
openbsd-inetd lldpd nut-server nut-driver@ups apcupsd bacula-fd bareos-fd zabbix-proxy ddclient
kerneloops redis-sentinel varnishncsa cloudmonitor YDService
google-osconfig-agent oracle-cloud-agent oracle-cloud-agent-updater unified-monitoring-agent
snap.oracle-cloud-agent.oracle-cloud-agent azuremonitoragent mdsd mdatp omid awsagent
amazon-cloudwatch-agent aegis argusagent sysak YDLive YunJing barad_agent sgagent stargate uniagent
hostguard hostwatch ces-uniagent telescoped cloud-monitor-agent jdog_service uma hosteye bcm-agent
nezha-agent nezha-agent-2 nezha-dashboard komari komari-agent serverstatus vmagent pmcd pmlogger
mysqld_exporter kafka-exporter redis-exporter@a
alist openlist filebrowser restic-rest-server ttyd gotty rustdesk ilogtaild webssh
linode-longview serverstatus-client
"""

SHORT_LIVED = """
certbot snap.certbot.renew acme borgmatic backup nightly-backup restic-backup logrotate man-db
fstrim apt-daily apt-daily-upgrade apt-news esm-cache unattended-upgrades packagekit fwupd
fwupd-refresh motd-news apport update-notifier-download dpkg-db-backup e2scrub_all
phpsessionclean sysstat-collect plocate-updatedb popularity-contest cloud-init cloud-final
plymouth-start lxd-installer@0 passim
rkhunter aide systemd-hostnamed systemd-timedated systemd-tmpfiles-clean user-runtime-dir@0
modprobe@drm udisks2 upower accounts-daemon needrestart NetworkManager-dispatcher
cloudflared-update google-startup-scripts hibinit-agent ec2-instance-connect
"""


def names(text: str) -> list[str]:
    return [f"{name}.service" for name in text.split()]


KNOWN = {
    **dict.fromkeys(names(GATEKEEPERS), (Tier.GATEKEEPER, None)),
    **dict.fromkeys(names(STORES), (Tier.BUSINESS, Kind.STORE)),
    **dict.fromkeys(names(APPLICATIONS), (Tier.BUSINESS, Kind.APPLICATION)),
    **dict.fromkeys(names(HELPERS), (Tier.BUSINESS, Kind.HELPER)),
    **dict.fromkeys(names(SHORT_LIVED), (Tier.SHORT_LIVED, None)),
}
UNKNOWN = {"my-own-app.service", "something@1.service"}


@pytest.mark.parametrize("name", KNOWN)
def test_a_well_known_service(name: str) -> None:
    unit = Unit(name, None, None)
    tier, kind = KNOWN[name]
    verdict = RULES.classify(unit, 1 << 30)
    assert verdict.tier is tier
    assert kind is None or RULES.kind(unit) is kind
    unknown = str(verdict.reason).startswith("It is not in the table of known services")
    assert unknown is (name in UNKNOWN)


def test_at_least_150_are_assigned_on_purpose_each_with_a_reason() -> None:
    assert len(set(KNOWN) - UNKNOWN) >= 150
    assert len(RULES.units) >= 500
    rules = [*RULES.units.values(), *(r for each in RULES.patterns.values() for _, r in each)]
    sentences = {str(rule.reason) for rule in rules}
    assert [s for s in sentences if not (len(s) > 10 and s[0].isupper() and s[-1] == ".")] == []


REASONS = {
    "ModemManager": "modems",
    "irqbalance": "interrupts",
    "acpid": "hardware",
    "corosync": "cluster",
    "qemu-guest-agent": "provider",
    "waagent": "provider",
    "getty@tty1": "console",
    "cloud-final": "boot",
    "ntpdate": "clock",
    "anacron": "missed",
    "popularity-contest": "packages",
    "sysstat": "figures",
    "squid": "proxy",
    "vault": "secrets",
    "consul": "settings",
    "memcached": "a cache",
    "rabbitmq-server": "a queue",
    "dovecot": "mailboxes",
    "fail2ban": "intruders",
    "watchdog": "reboots",
}


@pytest.mark.parametrize(("name", "word"), REASONS.items())
def test_the_reason_is_this_service_s_own(name: str, word: str) -> None:
    assert word in str(RULES.classify(Unit(f"{name}.service", None, None), 1 << 30).reason)
