"""Where the name of a unit tells nothing, what it runs does."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.cli.rules import load_rules
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import Tier, UnitProperties
from lowmem_tui.policy import commands, programs
from lowmem_tui.policy.classify import Kind
from lowmem_tui.policy.names import bare, is_agent

from .servers import M, process, properties, unit

RULES = load_rules(config=None)
RAM = 1 << 30
GATE, SHORT = (Tier.GATEKEEPER, None), (Tier.SHORT_LIVED, None)
STORE = (Tier.BUSINESS, Kind.STORE)
APPLICATION = (Tier.BUSINESS, Kind.APPLICATION)
HELPER = (Tier.BUSINESS, Kind.HELPER)


def names(text: str) -> list[str]:
    return text.split()


def judged(one: Unit) -> tuple[Tier | None, Kind | None]:
    tier = RULES.classify(one, RAM).tier
    return tier, RULES.kind(one) if tier is Tier.BUSINESS else None


def judged_by(
    command: str, name: str = "x.service", **changes: object
) -> tuple[Tier | None, Kind | None]:
    """What a unit is by its ExecStart=, which systemd splits."""
    return judged(unit(name, exec_start=tuple(shlex.split(command)), **changes))


COMMANDS = {
    GATE: """
/usr/local/bin/cloudflared tunnel run
/usr/local/bin/cloudflared --config /etc/cloudflared/config.yml tunnel run
/opt/cloudflared-linux-amd64 tunnel --no-autoupdate run --token abc
/usr/sbin/openvpn --config /etc/openvpn/x.conf
/usr/sbin/tailscaled --tun=userspace-networking
/snap/tailscale/112/bin/tailscaled --state=/x
/usr/bin/snap run tailscale.tailscaled
/usr/bin/netbird service run
/sbin/netclient daemon
/usr/bin/rathole /etc/rathole/client.toml
/opt/rathole/rathole-x86_64-unknown-linux-gnu -c client.toml
/opt/frp_0.61.0_linux_amd64/frpc -c frpc.toml
/root/frpc_linux_amd64 -c frpc.toml
/usr/local/bin/easytier-core -w me
/usr/bin/npc -server=1.2.3.4:8024 -vkey=x
/usr/local/bin/ngrok start --all
/usr/sbin/zerotier-one
/usr/bin/nebula -config /etc/nebula/config.yml
/usr/bin/autossh -M 0 -N -R 2222:localhost:22 relay
/usr/bin/ssh -N -R 2222:localhost:22 relay
/usr/bin/ssh -NTR 2222:localhost:22 relay
/usr/bin/ssh -N -o RemoteForward=2222 relay
/usr/sbin/sshd -D -p 2222
/usr/sbin/dropbear -F
/usr/sbin/nginx -g "daemon off;"
/usr/local/openresty/nginx/sbin/nginx -c /x.conf
/usr/bin/caddy run --config /etc/caddy/Caddyfile
/opt/traefik --configFile=/x
/usr/sbin/haproxy -Ws -f /etc/haproxy.cfg
/usr/sbin/dnsmasq -k
/usr/sbin/unbound -d
/usr/bin/qemu-ga
/usr/local/bin/vultr-guest-agent
/usr/sbin/charon-systemd
/usr/sbin/tincd -n home
nice -n 5 /usr/sbin/openvpn --config x
sh -c "sleep 20; exec /usr/sbin/openvpn --config 'my vpn.conf'"
/bin/bash -lc "cd /opt && ./frpc -c frpc.toml"
/usr/bin/env GODEBUG=x cloudflared tunnel run
/usr/bin/flock -n /run/x.lock /usr/bin/tailscaled
/usr/bin/proxychains4 -q /usr/bin/frpc -c x
sudo -u frp /usr/bin/frpc -c x
""",
    STORE: """
/etc/init.d/redis_6379 start
/usr/bin/redis6-server /etc/redis6/redis6.conf
/usr/bin/redis-server /etc/redis/cache.conf
/usr/bin/redis-server-7.2 --port 1
/snap/redis/12/usr/bin/redis-server
/usr/local/bin/redis-server *:6379
/usr/bin/valkey-server /etc/valkey.conf
/usr/bin/keydb-server /etc/keydb.conf
/usr/bin/memcached -m 64
/usr/sbin/mariadbd
/usr/sbin/mysqld
/usr/local/mysql/bin/mysqld_safe --datadir=/x
/usr/sbin/mysqld-8.0 --basedir=/usr
/usr/lib/postgresql/16/bin/postgres -D /x
/opt/postgres/16/bin/postgres-16
/usr/bin/mongod --config /etc/mongod.conf
/usr/bin/clickhouse-server --config=/x
/usr/sbin/rabbitmq-server
/opt/nats-server -c x
/usr/bin/influxd
/usr/sbin/mosquitto -c /x
/usr/bin/java -Xmx512m -cp /opt/kafka/libs/* kafka.Kafka config/server.properties
/usr/bin/java -cp /x org.apache.zookeeper.server.quorum.QuorumPeerMain zoo.cfg
/usr/bin/java -cp x org.apache.cassandra.service.CassandraDaemon
env LD_PRELOAD=/x/libjemalloc.so nice redis-server /x
/usr/bin/taskset -c 0 /usr/sbin/mariadbd
/usr/bin/numactl --interleave=all mongod
chpst -u redis /usr/bin/redis-server
su - postgres -c "/usr/lib/postgresql/16/bin/postgres -D /x"
runuser -u redis -- redis-server /x
start-stop-daemon --start --exec /usr/bin/redis-server
""",
    APPLICATION: """
/usr/bin/python3 /srv/app.py
/usr/bin/python3 -m uvicorn app:app
/usr/bin/python3.11 nginx.py
/usr/bin/python3 /srv/redis/app.py
/usr/bin/node server.js
/usr/bin/node /srv/shop/server.js
/usr/bin/npm start
/usr/bin/java -jar /srv/x.jar
/srv/venv/bin/gunicorn app:app
/usr/bin/poetry run gunicorn app:app
/usr/bin/uv run uvicorn app:app
/usr/bin/bundle exec puma -C config/puma.rb
/usr/bin/ruby /srv/bin/puma
/usr/sbin/php-fpm8.3 --nodaemonize
/usr/local/php/sbin/php-fpm-8.2 -F
/usr/bin/php /srv/artisan queue:work
/usr/bin/docker compose up
/usr/bin/podman run --name db postgres
/usr/bin/rclone mount drive: /mnt --vfs-cache-mode full
/usr/bin/rclone --config /etc/rclone.conf serve webdav drive:
/usr/bin/rclone rcd --rc-web-gui
/usr/bin/rclone --vfs-cache-mode=full --config /x mount drive: /mnt
/usr/bin/rclone nfsmount drive: /mnt
/usr/bin/pgbackrest server
/usr/bin/wal-g daemon /tmp/x
/usr/bin/mydumper --daemon -o /srv
/opt/kafka-ui
/usr/bin/python3 -m watchdog
/usr/bin/rest-server --path /srv
/usr/bin/restic -r /srv/repo mount /mnt
/usr/bin/borg serve --restrict-to-path /srv
/usr/bin/python3 /usr/bin/borg mount /srv/repo /mnt
/usr/bin/kopia server start --insecure
/usr/bin/rsync --daemon --no-detach
/usr/bin/s3fs bucket /mnt
/usr/local/x-ui/x-ui
/usr/local/bin/xray run -config /x
/root/xray-linux-amd64 -c x
/usr/local/bin/sing-box run -c x
/usr/bin/hysteria-linux-amd64 server
/root/gost -L tcp://:1/2.2.2.2:3
/root/tuic-server-1.0.0-x86_64-unknown-linux-gnu -c x
/usr/bin/mihomo -d /etc/mihomo
/usr/local/bin/ss-server -c /x
/usr/bin/frps -c /etc/frps.toml
/usr/bin/1panel-core
/www/server/panel/pyenv/bin/python3 /www/server/panel/BT-Panel
/usr/bin/gitea web --config /etc/gitea/app.ini
/usr/bin/jupyter-lab
/usr/bin/java -cp x org.elasticsearch.bootstrap.Elasticsearch
/usr/sbin/apache2 -k start
/opt/unknown-thing
/opt/agent-portal/agent-portal
/srv/ai-agent
""",
    HELPER: """
/usr/bin/dockerd -H fd://
/usr/bin/node_exporter-1.7.0.linux-amd64
/usr/bin/redis_exporter
/usr/bin/kafka_exporter
/opt/nezha/agent/nezha-agent
/opt/nezha/nezha-agent-linux-amd64 -c x
/opt/komari/agent -e https://x -t y
/usr/bin/python3 /opt/x/agent.py
/usr/bin/python3 -m foo_agent
/opt/vendor/bin/agentd
/usr/bin/nice -n 10 /opt/foo/foo-agent --daemon
/usr/bin/java -jar /opt/jenkins/agent.jar
/usr/bin/node /opt/uptime-kuma/server/server.js
/usr/bin/python3 /usr/bin/supervisord -n
/usr/bin/python3 /usr/bin/fail2ban-server -xf start
/usr/local/aegis/aegis_client/AliYunDun
/usr/local/qcloud/YunJing/YDLive/YDLive
/opt/microsoft/mdatp/sbin/wdavdaemon
/usr/sbin/crond -n
/usr/bin/prometheus --config.file=/x
/usr/bin/litestream replicate
/usr/bin/ssh -N -L 5432:localhost:5432 db
/usr/bin/syncthing serve
/usr/bin/minio server /srv
/usr/bin/alist server
/usr/bin/redis-sentinel /etc/sentinel.conf
/usr/lib/systemd/systemd-timesyncd
""",
    SHORT: """
/usr/bin/restic backup /srv
/usr/bin/restic -r /srv/repo backup --tag mount /home
/usr/bin/rclone sync /srv drive:
/usr/bin/rclone copy drive:mount /srv --log-file serve
/usr/bin/tar czf /srv/x.tgz web
/usr/bin/mysqldump -u root web
/usr/bin/pg_dump server
/usr/bin/rsync -a server host:
/usr/local/bin/backup.sh web
/usr/bin/timeout 3600 restic backup /srv
/usr/bin/borg create ::x /srv
/usr/bin/rsync -a /srv host:/srv
/usr/bin/certbot -q renew
/usr/bin/python3 /usr/bin/certbot renew
/usr/bin/snap run certbot.renew
/root/.acme.sh/acme.sh --cron
/usr/local/bin/backup.sh
/usr/local/bin/backup-databases.sh
sh -c "mysqldump --all-databases | gzip > /x"
/bin/sh -c "pg_dump db > x && restic backup x"
/usr/bin/cloudflared update
/usr/bin/gitea dump
/usr/sbin/nginx -s reload
""",
}


@pytest.mark.parametrize(
    ("command", "expected"),
    [(line, what) for what, text in COMMANDS.items() for line in text.strip().splitlines()],
)
def test_what_a_command_line_runs_tells_what_an_unknown_unit_is(
    command: str, expected: tuple[Tier, Kind | None]
) -> None:
    assert judged_by(command) == expected


@pytest.mark.parametrize("start", [("/opt/x/start.sh",), ()], ids=["a script", "nothing"])
def test_what_its_main_process_runs_counts_where_exec_start_tells_nothing(
    start: tuple[str, ...],
) -> None:
    small = process(7, 1, command="/root/frpc_linux_amd64 -c frpc.toml")
    large = process(8, 9 * M, command="/opt/x")
    assert judged(unit("x.service", small, large, main_pid=7, exec_start=start)) == GATE
    assert judged(unit("x.service", small, large, main_pid=8, exec_start=start)) == APPLICATION


def test_a_title_that_a_process_has_given_itself_counts() -> None:
    for title, expected in {
        "nginx: master process /usr/sbin/nginx -g daemon on;": GATE,
        "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups": GATE,
        "php-fpm: master process (/etc/php-fpm.conf)": APPLICATION,
        "postgres: checkpointer": STORE,
        "redis-server *:6379": STORE,
    }.items():
        assert judged(unit("x.service", process(command=title))) == expected


# name, command → what it is: a unit that merely begins like one of the table is what it runs
ALIKE = {
    ("immich-redis", "/usr/bin/redis-server"): STORE,
    ("laravel-db", "/usr/sbin/mariadbd"): STORE,
    ("laravel-worker", "/usr/bin/php artisan queue:work"): APPLICATION,
    ("snap.rocketchat-server.rocketchat-mongo", "/snap/r/1/bin/mongod"): STORE,
    ("snap.foo.bar", "/snap/foo/1/bar"): HELPER,
    ("restic", "/usr/bin/rest-server"): APPLICATION,
    ("kopia", "/usr/bin/kopia server start"): APPLICATION,
    ("kopia", "/usr/bin/kopia snapshot create /srv"): SHORT,
    ("backup-server", "/opt/x"): APPLICATION,
    ("backup", "/usr/bin/python3 /srv/b.py"): SHORT,
    ("nginx", "/opt/x"): GATE,
    ("redis-server", "/bin/sh -c 'sleep 1; x'"): STORE,
    ("my-agent", "/usr/bin/redis-server"): STORE,
    ("my-agent", "/usr/bin/frpc"): GATE,
    ("my-agent", "/usr/bin/python3 /opt/my/main.py"): HELPER,
}


@pytest.mark.parametrize(("named", "expected"), ALIKE.items(), ids=map(" ".join, ALIKE))
def test_the_name_or_the_program(
    named: tuple[str, str], expected: tuple[Tier, Kind | None]
) -> None:
    assert judged_by(named[1], f"{named[0]}.service") == expected


# --- timers ---------------------------------------------------------------------------------------

DAEMONS = [
    "tailscaled",
    "nginx",
    "docker",
    "minecraft",
    "redis-server",
    "postgresql@15-main",
    "php8.3-fpm",
    "sing-box",
    "x-ui",
    "jellyfin",
    "gitea",
    "cloudflared",
    "ollama",
    "home-assistant",
    "tomcat9",
    "frpc@home",
    "redis_6379",
    "mysql8",
    "k3s",
    "mysqld-8.0",
]


@pytest.mark.parametrize("name", DAEMONS)
def test_a_known_daemon_that_a_timer_starts_late_is_what_the_table_says(name: str) -> None:
    late = unit(f"{name}.service", triggered_by=(f"{name}.timer",))
    assert RULES.classify(late, RAM) == RULES.classify(unit(f"{name}.service"), RAM)
    assert RULES.classify(late, RAM).tier is not Tier.SHORT_LIVED


# name, command, Restart= → what it is with a timer
TIMED = {
    ("x", "/opt/x", "no"): SHORT,
    ("x", "/opt/x", "on-failure"): SHORT,
    ("x", "/opt/x", "always"): APPLICATION,
    ("x", "/usr/bin/python3 /srv/job.py", "no"): SHORT,
    ("x", "/usr/bin/php /srv/artisan schedule:run", "no"): SHORT,
    ("x", "/usr/bin/docker system prune -f", "no"): SHORT,
    ("x", "/usr/bin/cloudflared tunnel run", "no"): GATE,
    ("x", "/usr/sbin/nginx -s reload", "no"): SHORT,
    ("cloudflared-update", "/usr/bin/cloudflared update", "no"): SHORT,
    ("rsync", "/usr/bin/rsync -a /srv host:", "no"): SHORT,
    ("rsync", "/usr/bin/rsync --daemon --no-detach", "no"): HELPER,
    ("gitea", "/usr/bin/gitea dump", "no"): SHORT,
    ("gitlab-clean", "/opt/x", "no"): SHORT,
    ("nextcloud-cron", "/usr/bin/php /srv/cron.php", "no"): SHORT,
    ("laravel-schedule", "/usr/bin/php artisan schedule:run", "no"): SHORT,
    ("certbot", "/usr/bin/certbot renew", "no"): SHORT,
    ("logrotate", "/usr/sbin/logrotate /etc/logrotate.conf", "no"): SHORT,
    ("my-agent", "/opt/my-agent", "no"): SHORT,
}


@pytest.mark.parametrize(("one", "expected"), TIMED.items(), ids=map(" ".join, TIMED))
def test_what_a_timer_starts(one: tuple[str, str, str], expected: tuple[Tier, Kind | None]) -> None:
    name, command, restart = one
    timers = ("x.socket", f"{name}.timer")
    assert judged_by(command, f"{name}.service", triggered_by=timers, restart=restart) == expected


def test_the_timer_is_named() -> None:
    one = unit("x.service", triggered_by=("x.socket", "x.timer"))
    assert str(RULES.classify(one, RAM).reason) == "x.timer starts it."


def test_a_oneshot_that_has_left_a_tunnel_is_a_gatekeeper() -> None:
    left = process(command="/usr/bin/frpc -c frpc.toml")
    assert judged(unit("rc-local.service", left, type="oneshot")) == GATE
    assert judged_by("/usr/bin/redis-server", type="oneshot") == SHORT


# --- agents ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "google-osconfig-agent",
        "oracle-cloud-agent",
        "oracle-cloud-agent-updater",
        "nezha-agent",
        "komari-agent",
        "YDLive",
        "uniagent",
        "mdatp",
        "acme-corp-agent",
        "foo_agent",
        "fooagent",
        "FooAgentCore",
        "osquery-agent@1",
        "agentd",
        "backhaul-agent-2",
        "CmsGoAgent",
        "beszel-agent",
        "newrelic-agent",
        "vendor-agent-watchdog",
        "elastic-agent",
    ],
)
def test_an_agent_is_a_helper(name: str) -> None:
    assert judged(unit(f"{name}.service")) == HELPER


@pytest.mark.parametrize(
    "name",
    [
        "agent-portal",
        "my-agent-app",
        "ai-agent",
        "trading-agent",
        "chat-agent",
        "voice-agent",
        "estate-agent-web",
        "agents",
        "reagent",
        "user-agent-parser",
        "langgraph-agent",
    ],
)
def test_what_only_speaks_of_agents_is_an_application(name: str) -> None:
    assert judged(unit(f"{name}.service")) == APPLICATION
    assert not is_agent(name)


# --- names ----------------------------------------------------------------------------------------

BARE = {
    "redis6-server": "redis-server",
    "redis_6379": "redis",
    "php-fpm8.3": "php-fpm",
    "postgresql-16": "postgresql",
    "frpc_linux_amd64": "frpc",
    "gost-linux-amd64-2.11.5": "gost",
    "node_exporter-1.7.0.linux-amd64": "node_exporter",
    "x.jar": "x",
    "v2ray": "v2ray",
    "1panel-core": "1panel-core",
    "k3s": "k3s",
    "s3fs": "s3fs",
    "nginx": "nginx",
    "2": "2",
    "": "",
}


@pytest.mark.parametrize(("name", "plainer"), BARE.items())
def test_a_name_without_version_platform_and_suffix(name: str, plainer: str) -> None:
    assert [name, *bare(name)][-1] == plainer


@given(st.lists(st.text(max_size=40), max_size=12), st.text(min_size=1, max_size=40))
def test_any_command_line_is_judged(words: list[str], stem: str) -> None:
    one = unit(f"{stem}.service", exec_start=tuple(words))
    verdict = RULES.classify(one, RAM)
    assert str(verdict.reason).isprintable() and RULES.kind(one) in Kind


def test_a_hostile_command_line_is_judged_at_once() -> None:
    long = "1." * 60_000
    for words in (
        (long, long),
        ("/bin/sh", "-c", '"' * 60_000),
        ("java", "-jar", f"/{long}/server"),
        ("/x/" + "server/" * 20_000 + "server",),
        tuple("nice" for _ in range(100_000)),
    ):
        told_of = RULES.classify(Unit("x.service", None, _started(words)), RAM)
        assert told_of.tier is Tier.BUSINESS


def _started(words: tuple[str, ...]) -> UnitProperties:
    return properties("x.service", exec_start=words)


def test_what_is_kept_of_command_lines_is_bounded() -> None:
    rules = load_rules(config=None)
    for n in range(3 * programs._MOST_KEPT):
        rules.classify(unit("x.service", exec_start=(f"/opt/p{n}x",)), RAM)
    assert len(rules.programs._lines) <= programs._MOST_KEPT
    assert len(rules.programs._kept) <= programs._MOST_KEPT


# --- a shell's text -------------------------------------------------------------------------------


def _by_shlex(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        return text.split()


@settings(max_examples=500)
@given(st.text(alphabet="ab/ ;&|()'\"\\-=$\t", max_size=14))
def test_a_shell_s_text_is_split_as_shlex_does(text: str) -> None:
    signs = {";", "&", "&&", "|", "||", "(", ")", ";;", "{", "}"}
    assert commands._parts(text) == list(commands._split_at(_by_shlex(text), signs))
