"""The step `redis` on servers as they are: nothing is taken by itself that can lose data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lowmem_tui.model.setup import Severity
from lowmem_tui.setup.redis.config import bytes_of
from tests.setup.redis_server import UNIT, Answers, Silent, item, see, taken
from tests.unit.servers import M, process, service

if TYPE_CHECKING:
    from pathlib import Path

    from lowmem_tui.model.snapshot import Unit

# What is taken by itself


def test_a_bound_is_taken_where_it_is_known_to_fit(tmp_path: Path) -> None:
    look = see(tmp_path).look()
    assert taken(look) == {"maxmemory": "64mb"}
    assert len(item(look, "maxmemory").choices) >= 3
    assert item(look, "maxmemory-policy").value == "noeviction"


@pytest.mark.parametrize("used", [1, 40, 60, 100, 150, 200, 400])
def test_a_bound_that_is_taken_has_room_for_half_as_much_again(tmp_path: Path, used: int) -> None:
    bound = taken(see(tmp_path, system=Answers(used * M)).look()).get("maxmemory")
    assert bound is None or used * M * 1.5 <= (bytes_of(bound) or 0) <= 256 * M
    assert (bound is None) is (used > 170)


SILENT = {
    "a password": ("requirepass x\n", 400, False),
    "a list of users": ("aclfile /etc/redis/users.acl\n", 400, False),
    "no CONFIG": ('rename-command CONFIG ""\n', 400, False),
    "it could be all of a bound": ("port 6379\n", 60, True),
    "and it has room": ("port 6379\n", 30, True),
    "too little room": ("port 6379\n", 180, False),
}


@pytest.mark.parametrize(("conf", "rss", "fits"), SILENT.values(), ids=SILENT)
def test_of_a_silent_one_its_rss_counts(tmp_path: Path, conf: str, rss: int, fits: bool) -> None:
    look = see(tmp_path, conf, Silent(), rss=rss).look()
    bound = taken(look).get("maxmemory")
    assert (bound is not None) is fits
    assert bound is None or (bytes_of(bound) or 0) >= rss * M * 1.5
    assert any(f"{rss}M of RAM" in fact for fact in look.facts)


def test_one_that_reports_its_data_and_not_its_settings(tmp_path: Path) -> None:
    system = Answers(10 * M)
    del system.values["maxmemory"]
    look = see(tmp_path, system=system, rss=400).look()
    assert taken(look) == {"maxmemory": "64mb"}
    assert any("has 10M of data" in fact for fact in look.facts)


NOT_KNOWN: dict[str, dict[str, Any]] = {
    "it does not run": {"rss": 0, "changes": {"active_state": "inactive"}},
    "it loads its data": {"system": Silent("LOADING Redis is loading the dataset in memory")},
    "its configuration includes what is not there": {"conf": "include /none\n"},
    "its configuration has an open quote": {"conf": 'requirepass "x\n'},
    "a variable that systemd's manager has": {
        "start": "/usr/bin/redis-server $OPTIONS",
        "lines": "PassEnvironment=OPTIONS\n",
    },
    "a file of variables that is not there": {
        "start": "/usr/bin/redis-server $OPTIONS",
        "lines": "EnvironmentFile=/etc/sysconfig/redis\n",
    },
    "standard input": {"start": "/usr/bin/redis-server - --port 6379"},
    "a root folder of its own": {"lines": "RootDirectory=/srv/root\n"},
}


@pytest.mark.parametrize("case", NOT_KNOWN.values(), ids=NOT_KNOWN)
def test_what_is_not_known_is_not_bounded_by_default(tmp_path: Path, case: dict[str, Any]) -> None:
    look = see(tmp_path, **case).look()
    assert taken(look) == {}
    assert look.items
    assert item(look, "maxmemory").value


def test_what_cannot_be_seen_is_reported_as_undetermined(tmp_path: Path) -> None:
    look = see(tmp_path, "include /none\n", Silent()).look()
    assert item(look, "maxmemory").now == "cannot be determined"
    assert item(look, "maxmemory-policy").now == "cannot be determined"
    assert [f.code for f in look.findings] == []
    assert any("/none does not exist" in fact for fact in look.facts)


def test_what_runs_counts_where_the_rest_is_not_known(tmp_path: Path) -> None:
    system = Answers(maxmemory=str(64 << 20))
    look = see(tmp_path, "include /none\n", system, command="redis-server 127.0.0.1:6379").look()
    assert item(look, "maxmemory").now == "64M; cannot be determined after its next start"
    assert taken(look) == {}
    assert [f.code for f in look.findings] == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
@pytest.mark.parametrize("where", ["running", "file"])
def test_with_a_policy_that_evicts_a_bound_is_chosen(
    tmp_path: Path, policy: str, where: str
) -> None:
    system = Answers(maxmemory_policy=policy) if where == "running" else Answers()
    conf = f"maxmemory-policy {policy}\n" if where == "file" else "port 6379\n"
    look = see(tmp_path, conf, system).look()
    assert taken(look) == {}
    # It keeps its own.
    assert item(look, "maxmemory-policy").value == (policy if where == "running" else "noeviction")


@pytest.mark.parametrize("running", ["0", str(900 << 20), str(40 << 20)])
def test_a_bound_of_the_administrators_own_is_not_changed_by_default(
    tmp_path: Path, running: str
) -> None:
    look = see(tmp_path, "maxmemory 600mb\n", Answers(maxmemory=running)).look()
    assert "maxmemory" not in taken(look)


def test_a_bound_that_only_runs_is_kept_for_the_next_start(tmp_path: Path) -> None:
    step = see(tmp_path, system=Answers(maxmemory=str(48 << 20)))
    assert taken(step.look()) == {"maxmemory": "48mb"}
    plan = step.plan({f"{UNIT} maxmemory": "48mb"})
    assert (len(plan.files), plan.actions) == (1, ())


def test_persistence_is_never_switched_off_by_default(tmp_path: Path) -> None:
    step = see(tmp_path)
    assert not item(step.look(), "persistence").taken
    (warned,) = (w for w in step.plan({f"{UNIT} persistence": "off"}).warnings if w.lost)
    assert warned.code == "redis-not-kept"


# Queues

QUEUES = {
    "celery.service": "/srv/venv/bin/celery -A shop worker",
    "shop.service": "/srv/venv/bin/python -m celery -A shop worker",
    "sidekiq.service": "/usr/bin/bundle exec sidekiq",
    "worker.service": "/srv/venv/bin/rq worker high low",
    "django.service": "/srv/venv/bin/python manage.py rqworker",
    "jobs.service": "/usr/bin/rake resque:work",
    "node.service": "/usr/bin/node /srv/app/node_modules/bullmq/worker.js",
    "bull.service": "/usr/bin/node /srv/app/bull.js",
    "laravel.service": "/usr/bin/php artisan queue:work redis",
    "horizon.service": "/usr/bin/php /srv/app/artisan horizon",
    "huey.service": "/srv/venv/bin/huey_consumer app.huey",
    "actors.service": "/srv/venv/bin/dramatiq app",
    "async.service": "/srv/venv/bin/arq app.Worker",
    "go.service": "/usr/local/bin/asynq-server",
    "mail-queue.service": "/srv/mail/run",
    "php.service": "/usr/bin/php bin/console messenger:consume async",
    "user@1000.service": "sidekiq 7.2.4 shop [0 of 5 busy]",
    "photos.service": "/usr/bin/node /opt/immich/dist/main microservices",
    "errors.service": "/srv/venv/bin/sentry run worker",
    "later.service": "/usr/bin/bundle exec rake jobs:work",
}


def worker(name: str, command: str) -> Unit:
    return service(name, process(200, 60 * M, command=command), exec_start=tuple(command.split()))


@pytest.mark.parametrize("name", QUEUES)
def test_a_worker_of_a_queue_is_the_reason_for_noeviction(tmp_path: Path, name: str) -> None:
    look = see(tmp_path, others=(worker(name, QUEUES[name]),)).look()
    assert taken(look) == {"maxmemory": "64mb"}
    why = item(look, "maxmemory-policy").why
    assert name in why
    assert "noeviction" in why


def test_a_worker_in_a_session_or_behind_another_program_is_one(tmp_path: Path) -> None:
    one = worker("session-3.scope", "/usr/bin/tmux")
    usage = one.usage
    assert usage is not None
    more = process(201, M, command="/srv/venv/bin/celery -A shop worker")
    one = service("session-3.scope", *usage.processes, more)
    look = see(tmp_path, others=(one,)).look()
    assert "session-3.scope (celery)" in item(look, "maxmemory-policy").why


@pytest.mark.parametrize("name", ["postfix@-.service", "cups.service", "barq.service"])
def test_what_is_no_such_worker_is_none(tmp_path: Path, name: str) -> None:
    command = "/usr/sbin/barq --queue x" if "barq" not in name else "/usr/bin/barq serve"
    look = see(tmp_path, others=(worker(name, command),)).look()
    assert name not in item(look, "maxmemory-policy").why


OWN: dict[str, dict[str, Any]] = {
    "its unit": {"unit": "bench-redis-queue.service"},
    "its instance": {"unit": "redis-server@queue.service"},
    "its data": {"conf": 'dbfilename "queue.rdb"\n'},
    "its folder": {"conf": "dir /srv/Queues\n"},
    "its file": {
        "start": "/usr/bin/redis-server /etc/redis/queue.conf",
        "files": {"/etc/redis/queue.conf": "port 6379\n"},
    },
}


@pytest.mark.parametrize("case", OWN.values(), ids=OWN)
def test_one_that_is_called_a_queue_evicts_nothing(tmp_path: Path, case: dict[str, Any]) -> None:
    look = see(tmp_path, **case).look()
    assert taken(look).get("maxmemory-policy", "noeviction") == "noeviction"
    assert "ueue" in item(look, "maxmemory-policy").why.partition("may contain a queue")[2]


def test_a_queue_that_is_evicted_is_a_warning(tmp_path: Path) -> None:
    conf = "maxmemory 64mb\nmaxmemory-policy allkeys-lru\n"
    system = Answers(maxmemory=str(64 * M), maxmemory_policy="allkeys-lru")
    look = see(tmp_path, conf, system, unit="jobs-queue.service").look()
    (found,) = look.findings
    assert (found.code, found.severity) == ("redis-queue-evicts", Severity.WARNING)
    assert "maxmemory-policy" in found.text
    # A worker may have its queue elsewhere.
    look = see(tmp_path, conf, system, others=(worker("celery.service", "/x/celery"),)).look()
    assert [f.severity for f in look.findings] == [Severity.NOTE]


def test_what_a_choice_loses_is_warned_about_with_the_queue(tmp_path: Path) -> None:
    step = see(tmp_path, unit="jobs-queue.service")
    plan = step.plan({"jobs-queue.service maxmemory-policy": "allkeys-lru"})
    (warned,) = (w for w in plan.warnings if w.lost)
    assert warned.code == "redis-evicts"
    assert "jobs-queue.service" in warned.text.partition("contain a queue")[2]


REPLICAS = {
    "a replica": ("replicaof 10.0.0.5 6379\n", True),
    "by its old name": ("slaveof 10.0.0.5 6379\n", True),
    "no longer one": ("replicaof no one\n", False),
    "one that keeps to its bound": (
        "replicaof 10.0.0.5 6379\nreplica-ignore-maxmemory no\n",
        False,
    ),
    "one that keeps to it, by the old name": (
        "slaveof 10.0.0.5 6379\nslave-ignore-maxmemory no\n",
        False,
    ),
}


@pytest.mark.parametrize(("conf", "is_one"), REPLICAS.values(), ids=REPLICAS)
def test_a_replica_is_bounded_by_its_master(tmp_path: Path, conf: str, is_one: bool) -> None:
    """Redis 5 and later: a replica does not keep to its own maxmemory."""
    look = see(tmp_path, conf).look()
    assert ("maxmemory" in taken(look)) is not is_one
    assert ("replica-ignore-maxmemory" in item(look, "maxmemory").why) is is_one
    (finding,) = look.findings
    assert finding.code == ("redis-replica-unbounded" if is_one else "redis-unbounded")
    assert "10.0.0.5:6379" in finding.remedy if is_one else finding.severity is Severity.WARNING


def test_one_that_listens_with_tls_alone_is_not_asked(tmp_path: Path) -> None:
    """The port in its title is the one with TLS then."""
    system = Answers()
    conf = "port 0\ntls-port 6379\n"
    look = see(tmp_path, conf, system, rss=300, command="redis-server 127.0.0.1:6379").look()
    assert system.asked == []
    assert any("tls-port" in fact for fact in look.facts)
    assert taken(look) == {}
