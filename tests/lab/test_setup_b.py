"""The set-up's steps for programs, with the real ones: nginx, gunicorn, Redis, session files.

One machine for each suite, to itself. Each test undoes what it did and finds /etc byte for byte
as it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import recipe
from .etc import etc
from .image import Image, LabError
from .machine import Machine
from .test_setup_a import words

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.long

GUEST = Path(__file__).parent / "guest" / "steps.py"
SITE = "/etc/nginx/sites-available/cloudchat"
ZONE = "/etc/nginx/conf.d/zz-lowmem-tui.conf"
REDIS = "redis-server.service"
CHAT = "cloudchat.service"
REDIS_DROP_IN = f"/etc/systemd/system/{REDIS}.d/zz-lowmem-tui-redis.conf"
CHAT_DROP_IN = f"/etc/systemd/system/{CHAT}.d/zz-lowmem-tui-gunicorn.conf"
SESSIONS = "/srv/cloudchat/flask_session"
GUNICORN = ["gunicorn-no-end", "gunicorn-worker-connections", "gunicorn-max-requests-jitter"]
LINE = "limit_req zone=lowmem burst=10 nodelay;"

SITE_TEXT = """\
server {
\tlisten 127.0.0.1:8080;   # the lab's
\tserver_name chat.example.org;
\tlocation /static/ {
\t\talias /srv/cloudchat/static/;
\t}
\tlocation / { proxy_pass http://127.0.0.1:8000; }
\tlocation = /two {
\t\t# within "a comment": location / { }
\t\tproxy_set_header Host "{ $host; }";
\t\tproxy_pass http://127.0.0.1:8000/;
\t}
}
"""

BURST = """\
import json, socket, sys, time
port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ask = f"GET {path} HTTP/1.0\\r\\nHost: chat.example.org\\r\\n\\r\\n".encode()
many = [socket.create_connection(("127.0.0.1", port), 300) for _ in range(count)]
began = time.monotonic()
for each in many:
    each.sendall(ask)
answers = [each.makefile("rb").readline().split() for each in many]
taken = time.monotonic() - began
print(json.dumps([sorted(int(a[1]) if len(a) > 1 else 0 for a in answers), taken]))
"""

FILL = """\
import sys
value = b"x" * 100_000
for number in range(int(sys.argv[1])):
    key = b"key:%d" % number
    for word in (b"*3", b"$3", b"SET", b"$%d" % len(key), key, b"$%d" % len(value), value):
        sys.stdout.buffer.write(word + b"\\r\\n")
"""

BROKEN_MEANWHILE = """\
from lowmem_tui.cli.local import local_backend
from lowmem_tui.model.errors import LowmemError
backend = local_backend("jeepney")
step = next(step for step in backend.steps() if step.name == "nginx")
plan = step.plan({"cloudchat /": "burst=10 nodelay"})
with open("/etc/nginx/conf.d/their.conf", "w") as file:
    file.write("no_such_directive on;\\n")
try:
    backend.apply(plan)
except LowmemError as error:
    print(type(error).__name__, error)
backend.close()
"""


def drive(machine: Machine, *arguments: str) -> dict[str, Any]:
    """Do one command of guest/steps.py, and return what came of it."""
    (made,) = drive_all(machine, *arguments)
    return made


def drive_all(machine: Machine, *arguments: str) -> list[dict[str, Any]]:
    """Do several, with a ``+`` between: starting the program is what takes long."""
    done = machine.run(words(*arguments), timeout=1800)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def server(ready_image: Image) -> Generator[Machine, None, None]:
    """A machine with a site that passes requests to the application."""
    try:
        machine = Machine.boot(ready_image)
    except LabError as error:
        pytest.fail(str(error), pytrace=False)
    machine.put(GUEST, "/root/steps.py")
    for name, text in (("burst", BURST), ("fill", FILL), ("meanwhile", BROKEN_MEANWHILE)):
        machine.write(f"/root/{name}.py", text)
    machine.write(SITE, SITE_TEXT)
    machine.run(
        f"chgrp www-data {SITE}; chmod 640 {SITE}; "
        f"ln -s {SITE} /etc/nginx/sites-enabled/; mkdir -p /srv/cloudchat/static; "
        "echo static > /srv/cloudchat/static/a; systemctl reload nginx"
    )
    machine.wait_for("systemctl is-active nginx redis-server cloudchat && redis-cli ping")
    _answers(machine)
    yield machine
    machine.close()


def _answers(machine: Machine) -> None:
    machine.wait_for(
        "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8000/\", timeout=60)'"
    )


def burst(
    machine: Machine, path: str, count: int = 30, port: int = 8080
) -> tuple[list[int], float]:
    """Return the status of each of many requests that are sent at once, and the seconds taken."""
    done = machine.run(f"python3 /root/burst.py 8080 {path} {count}", timeout=600)
    statuses, seconds = json.loads(done.stdout)
    return statuses, seconds


def redis(machine: Machine, command: str) -> str:
    return machine.run(f"redis-cli {command}").stdout.strip()


def info(machine: Machine, name: str) -> int:
    lines = redis(machine, "INFO").splitlines()
    return int(next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:")))


def test_nginx_bounds_the_application_alone(server: Machine) -> None:
    before = etc(server)
    assert set(burst(server, "/")[0]) == {200}
    found, done = drive_all(server, "look", "nginx", "+", "apply", "nginx")
    look = found["nginx"]
    assert list(look["items"]) == ["rate", "cloudchat /", "cloudchat = /two"]
    assert look["findings"] == ["nginx-unbounded"] * 2
    assert done["files"] == [ZONE, SITE]
    assert done["again"]
    assert done["findings"] == []
    text = server.get(SITE)
    assert f"location / {{ {LINE} proxy_pass" in text
    assert text.count(LINE) == 2
    statuses, seconds = burst(server, "/")
    passed = statuses.count(200)
    assert 11 <= passed <= 12 + 5 * seconds
    assert set(statuses) == {200, 503}
    assert set(burst(server, "/static/a")[0]) == {200}

    drive(server, "undo")
    assert etc(server) == before
    assert set(burst(server, "/")[0]) == {200}


def test_what_nginx_refuses_is_rolled_back(server: Machine) -> None:
    before = etc(server)
    pid = server.get("/run/nginx.pid")
    said = server.run(f"{recipe.VENV}/bin/python /root/meanwhile.py", timeout=900).stdout
    assert said.startswith("RolledBackError")
    assert "no_such_directive" in said
    assert "everything has its previous value" in said
    # And what is broken already is not touched, nor tried.
    wish = ("apply", "nginx", "cloudchat /=burst=10 nodelay")
    found, refused = drive_all(server, "look", "nginx", "+", *wish)
    look = found["nginx"]
    assert look["findings"] == ["nginx-broken"]
    assert any("no_such_directive" in fact for fact in look["facts"])
    assert refused["kind"] == "RefusedError"
    assert "broken already" in refused["error"]
    server.run("rm /etc/nginx/conf.d/their.conf")
    assert etc(server) == before
    assert server.get("/run/nginx.pid") == pid
    assert set(burst(server, "/")[0]) == {200}


def test_gunicorn_gets_its_options_and_workers_end(server: Machine) -> None:
    before = etc(server)
    found, done = drive_all(server, "look", "gunicorn", "+", "apply", "gunicorn")
    look = found["gunicorn"]
    assert look["findings"] == GUNICORN
    assert any("PSS" in fact for fact in look["facts"])
    assert f"{CHAT} workers" not in look["items"]  # the command line's
    assert done["files"] == [CHAT_DROP_IN]
    assert done["again"]
    assert done["findings"] == []
    arguments = "--worker-connections 50 --max-requests 1000 --max-requests-jitter 50"
    pid = server.run(["systemctl", "show", "-P", "MainPID", CHAT]).stdout.strip()
    environment = server.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").stdout
    assert f"GUNICORN_CMD_ARGS={arguments}\n" in environment
    _answers(server)

    drive(server, "apply", "gunicorn", f"{CHAT} max-requests=20", f"{CHAT} max-requests-jitter=1")
    _answers(server)
    first = workers(server)
    server.wait_for(
        "for n in 1 2 3; do python3 /root/burst.py 8000 / 30 >/dev/null || true; done; "
        f"new=$(pgrep -P $(systemctl show -P MainPID {CHAT})); "
        f'[ -n "$new" ] && for old in {" ".join(first)}; do '
        'echo "$new" | grep -qx $old && exit 1; done; true'
    )
    assert server.run(["systemctl", "show", "-P", "MainPID", CHAT]).stdout.strip() != pid
    wish = ("apply", "gunicorn", f"{CHAT} workers=5")
    *_, refused = drive_all(server, "undo", "+", "undo", "+", *wish)
    assert "its command line sets this option" in refused["error"]
    assert etc(server) == before
    _answers(server)


def workers(machine: Machine) -> list[str]:
    script = f"pgrep -P $(systemctl show -P MainPID {CHAT}); true"
    return machine.run(script).stdout.split()


def test_redis_stays_within_its_bound(server: Machine) -> None:
    before = etc(server)
    assert redis(server, "CONFIG GET maxmemory").split() == ["maxmemory", "0"]
    pid = server.run(["systemctl", "show", "-P", "MainPID", REDIS]).stdout
    # What evicts data is chosen, never proposed.
    (look,) = drive(server, "look", "redis").values()
    assert look["items"][f"{REDIS} maxmemory-policy"] == ["noeviction", "noeviction", True]
    chosen = (f"{REDIS} maxmemory=64mb", f"{REDIS} maxmemory-policy=allkeys-lru")
    done = drive(server, "apply", "redis", *chosen)
    assert done["files"] == [REDIS_DROP_IN]
    assert done["again"]
    assert done["findings"] == []
    # At once, and without a restart.
    assert server.run(["systemctl", "show", "-P", "MainPID", REDIS]).stdout == pid
    assert redis(server, "CONFIG GET maxmemory").split()[1] == str(64 << 20)
    server.run("python3 /root/fill.py 1500 | redis-cli --pipe", timeout=900)
    assert 32 << 20 < info(server, "used_memory") <= 64 << 20
    assert info(server, "evicted_keys") > 500
    # And after one.
    redis(server, "FLUSHALL")
    server.run(f"systemctl restart {REDIS}")
    server.wait_for("redis-cli ping | grep -q PONG")
    assert redis(server, "CONFIG GET maxmemory").split()[1] == str(64 << 20)
    assert redis(server, "CONFIG GET maxmemory-policy").split()[1] == "allkeys-lru"

    drive(server, "undo")
    assert etc(server) == before
    assert redis(server, "CONFIG GET maxmemory").split()[1] == "0"
    assert redis(server, "CONFIG GET maxmemory-policy").split()[1] == "noeviction"


def test_redis_with_a_password_elsewhere_and_a_newer_command(server: Machine) -> None:
    conf = "/etc/redis/redis.conf"
    server.run(f"cp -a {conf} /root/redis.conf")
    server.run(f"printf 'port 6380\\nrequirepass \"a b\"\\n' >> {conf}; systemctl restart {REDIS}")
    server.wait_for("REDISCLI_AUTH='a b' redis-cli -p 6380 ping | grep -q PONG")
    before = etc(server)
    done = drive(server, "apply", "redis")
    assert done["again"]
    ask = "REDISCLI_AUTH='a b' redis-cli -p 6380 CONFIG GET maxmemory"
    assert server.run(ask).stdout.split()[1] == str(64 << 20)
    assert "a b" not in server.run("cat /var/lib/lowmem-tui/*.json").stdout

    # A package's newer command is hidden by the drop-in: found, and mended by the step.
    unit = server.run(["systemctl", "show", "-P", "FragmentPath", REDIS]).stdout.strip()
    server.run(f"cp -a {unit} /root/unit; sed -i 's/--daemonize no/--daemonize no --hz 5/' {unit}")
    server.run("systemctl daemon-reload")
    found, mended = drive_all(server, "look", "redis", "+", "apply", "redis")
    assert "redis-command-hidden" in found["redis"]["findings"]
    assert mended["findings"] == []
    assert "--hz 5 --maxmemory 64mb" in server.get(REDIS_DROP_IN)
    drive(server, "undo")
    server.run(f"cp -a /root/unit {unit}; systemctl daemon-reload")
    drive(server, "undo")
    assert etc(server) == before
    assert server.run(ask).stdout.split()[1] == "0"
    server.run(f"cp -a /root/redis.conf {conf}; systemctl restart {REDIS}")
    server.wait_for("redis-cli ping | grep -q PONG")


def test_no_nginx_and_no_redis(server: Machine) -> None:
    before = etc(server)
    server.run(
        "mv /etc/nginx /root/nginx.away; mkdir -p /run/systemd/system/redis-server.service.d; "
        "printf '[Service]\\nExecStart=\\nExecStart=/bin/sleep 1\\n' "
        "> /run/systemd/system/redis-server.service.d/x.conf; systemctl daemon-reload; "
        f"systemctl stop {REDIS}"
    )
    look = drive(server, "look", "nginx", "redis")
    assert "nginx" in look["nginx"]["absent"]
    assert look["redis"]["absent"] == "There is no Redis."
    assert look["nginx"]["findings"] == look["redis"]["findings"] == []
    server.run(
        "mv /root/nginx.away /etc/nginx; rm -r /run/systemd/system/redis-server.service.d; "
        f"systemctl daemon-reload; systemctl start {REDIS}"
    )
    server.wait_for("redis-cli ping | grep -q PONG")
    assert etc(server) == before


def test_an_ordinary_user_may_look(server: Machine) -> None:
    server.run("cp /root/steps.py /home/op/steps.py")
    done = server.run(
        f"{recipe.VENV}/bin/python /home/op/steps.py look nginx gunicorn redis sessions",
        user="op",
        timeout=900,
    )
    (look,) = json.loads(done.stdout)
    # The site's file is not for everybody: nothing is claimed of it.
    assert look["nginx"]["findings"] == []
    assert any("what it says is not known" in fact for fact in look["nginx"]["facts"])
    assert look["gunicorn"]["findings"] == GUNICORN
    # Its configuration is not for everybody either: what runs has no bound.
    assert look["redis"]["findings"] == ["redis-unbounded"]


def test_old_sessions_are_removed_by_their_age(server: Machine) -> None:
    """The last one: it moves the clock."""
    server.run(
        f"mkdir -p {SESSIONS}; cd {SESSIONS}; touch a b c; chown -R www-data: /srv/cloudchat; "
        "touch -d '-90 days' a b c"
    )
    before = etc(server)
    found, done = drive_all(server, "look", "sessions", "+", "apply", "sessions")
    assert found["sessions"]["findings"] == ["sessions-unbounded"]
    assert done["again"]
    assert done["findings"] == []
    server.run("systemd-tmpfiles --clean")
    # They were changed (ctime) just now: nothing is removed before its time.
    assert server.run(f"ls {SESSIONS}").stdout.split() == ["a", "b", "c"]
    server.run(f"date -s '+32 days'; touch {SESSIONS}/new")
    server.run("systemd-tmpfiles --clean")
    assert server.run(f"ls {SESSIONS}").stdout.split() == ["new"]
    drive(server, "undo")
    assert etc(server) == before
