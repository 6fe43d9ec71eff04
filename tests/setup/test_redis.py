"""The step `redis`: what a server starts with and runs with, and what is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError, ManagerError, RefusedError
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.model.unit import INFINITY
from lowmem_tui.setup import unit_text
from lowmem_tui.setup.redis import config as redis_config
from lowmem_tui.setup.redis import seen as redis_seen
from lowmem_tui.setup.redis.config import address, bytes_of, config_of

from .box import Box, codes, defaults, goes_through, items

if TYPE_CHECKING:
    from collections.abc import Callable

UNIT = "redis-server.service"
CONF = "/etc/redis/redis.conf"
OURS = f"/etc/systemd/system/{UNIT}.d/zz-lowmem-tui-redis.conf"
VENDOR = f"/usr/lib/systemd/system/{UNIT}"
START = "/usr/bin/redis-server /etc/redis/redis.conf --supervised systemd --daemonize no"
MAX, POLICY, KEEP = (f"{UNIT} {key}" for key in ("maxmemory", "maxmemory-policy", "persistence"))


def start(text: str) -> str:
    return f"[Service]\nExecStart=\nExecStart={text}\n"


def ours_starts(box: Box) -> str:
    text = box.read(OURS)
    assert text is not None
    return text.splitlines()[-1].removeprefix("ExecStart=")


def value(box: Box, name: str) -> str:
    return box.server.system.get(ActionKind.REDIS, f"{UNIT} {name}")


def test_the_demo_server_goes_through() -> None:
    box = Box()
    plan = goes_through(box, "redis")
    assert [file.path for file in plan.files] == [OURS]
    text = plan.files[0].after or ""
    assert text.endswith(f"\nExecStart=\nExecStart={START} --maxmemory 96mb\n")
    assert [(a.what, a.after) for a in plan.actions] == [(MAX, str(96 << 20))]
    assert "redis-refuses" in [w.code for w in plan.warnings]
    assert not any(w.lost for w in plan.warnings)
    assert (value(box, "maxmemory"), value(box, "maxmemory-policy")) == ("0", "noeviction")


def test_a_policy_that_is_chosen_is_set_ahead_of_the_bound() -> None:
    """No write is refused between the two."""
    plan = Box().step("redis").plan({MAX: "96mb", POLICY: "allkeys-lru"})
    assert (plan.files[0].after or "").endswith(
        f"\nExecStart=\nExecStart={START} --maxmemory 96mb --maxmemory-policy allkeys-lru\n"
    )
    assert [(a.what, a.after) for a in plan.actions] == [
        (POLICY, "allkeys-lru"),
        (MAX, str(96 << 20)),
    ]
    assert "redis-evicts" in [w.code for w in plan.warnings if w.lost]


def test_what_was_chosen_once_stays_so() -> None:
    box = Box()
    box.backend.apply(box.step("redis").plan({MAX: "96mb", POLICY: "allkeys-lru"}))
    look = box.step("redis").look()
    assert defaults(look) == {MAX: "96mb", POLICY: "allkeys-lru"}
    assert box.step("redis").plan(defaults(look)).empty


def test_it_is_never_proposed_to_keep_nothing_or_to_throw_out() -> None:
    box = Box()
    assert set(defaults(box.step("redis").look())) == {MAX}
    plan = box.step("redis").plan({KEEP: "off"})
    assert (plan.files[0].after or "").endswith(f'{START} --save ""\n')
    assert [a.what for a in plan.actions] == [f"{UNIT} save"]
    assert "redis-not-kept" in [w.code for w in plan.warnings]
    box.backend.apply(plan)
    assert items(box.step("redis").look())[KEEP] == "off"
    assert box.step("redis").plan({KEEP: "off"}).empty
    # What is there of ours stays when more is wished for.
    box.backend.apply(box.step("redis").plan({MAX: "32mb"}))
    assert ours_starts(box) == f'{START} --maxmemory 32mb --save ""'


def test_an_alias_is_its_unit() -> None:
    plan = Box().step("redis").plan({"redis.service maxmemory": "32mb"})
    assert [file.path for file in plan.files] == [OURS]


def test_no_redis() -> None:
    box = Box()
    box.write(f"/etc/systemd/system/{UNIT}.d/x.conf", start("/bin/sleep 1"))
    box.server.connect().stop_unit(UNIT)
    box.now += 5
    assert box.step("redis").look().absent == "There is no Redis."
    assert box.step("redis").plan({}).empty
    with pytest.raises(InvalidValueError, match="nothing can be set in this section"):
        box.step("redis").plan({MAX: "64mb"})


def test_a_newer_command_that_is_hidden_is_found_and_mended() -> None:
    box = Box()
    box.backend.apply(box.step("redis").plan({MAX: "32mb", POLICY: "volatile-lru"}))
    newer = START.replace("--daemonize no", "--daemonize no --new yes")
    box.write(VENDOR, (box.read(VENDOR) or "").replace(START, newer))
    look = box.step("redis").look()
    assert "redis-command-hidden" in codes(look)
    assert not any(item.done for item in look.items if item.key in {MAX, POLICY})
    box.backend.apply(box.step("redis").plan({MAX: "32mb"}))
    assert ours_starts(box) == f"{newer} --maxmemory 32mb --maxmemory-policy volatile-lru"
    assert "redis-command-hidden" not in codes(box.step("redis").look())


def test_a_bound_in_redis_conf_is_one() -> None:
    box = Box()
    box.write(CONF, (box.read(CONF) or "") + "maxmemory 48mb\nmaxmemory-policy volatile-ttl\n")
    box.server.system.put(ActionKind.REDIS, MAX, str(48 << 20), lambda: None)
    box.server.system.put(ActionKind.REDIS, POLICY, "volatile-ttl", lambda: None)
    look = box.step("redis").look()
    assert codes(look) == []
    assert [item.done for item in look.items] == [True, True, False]
    assert defaults(look) == {MAX: "48mb"}
    assert box.step("redis").plan(defaults(look)).empty


def test_a_bound_that_a_restart_forgets_is_none() -> None:
    box = Box()
    box.server.system.put(ActionKind.REDIS, MAX, str(48 << 20), lambda: None)
    look = box.step("redis").look()
    assert codes(look) == ["redis-unbounded"]
    assert "after its next start" in look.findings[0].text
    plan = box.step("redis").plan({MAX: "48mb"})
    assert (len(plan.files), plan.actions) == (1, ())


def test_a_fork_must_fit_into_the_limit() -> None:
    box = Box()
    box.server.system.put(ActionKind.REDIS, MAX, str(200 << 20), lambda: None)
    look = box.step("redis").look()
    assert "redis-fork-over-limit" in codes(look)
    choices = next(item.choices for item in look.items if item.key == MAX)
    assert all((bytes_of(each) or 0) * 2 + (16 << 20) <= 256 << 20 for each in choices)


@pytest.mark.parametrize(
    ("used", "limit", "proposed", "taken"),
    [
        (1, 256, "64mb", True),
        (42, 256, "64mb", True),
        (50, 256, "96mb", True),  # half as much again as it holds has room
        (64, 256, "96mb", True),
        (70, 256, "96mb", False),  # nothing larger would fit
        (70, 400, "128mb", True),
        (70, 64, "24mb", False),
        (8, 64, "24mb", True),
        (1, 24, "8mb", False),  # a fork of that does not fit
    ],
)
def test_what_is_proposed(used: int, limit: int, proposed: str, taken: bool) -> None:
    box = Box()
    box.server.system.put(ActionKind.REDIS, f"{UNIT} used_memory", str(used << 20), lambda: None)
    box.write(f"/etc/systemd/system/{UNIT}.d/x.conf", f"[Service]\nMemoryMax={limit}M\n")
    box.server.kernel.set_limit(f"/system.slice/{UNIT}", "memory.max", limit << 20)
    item = next(item for item in box.step("redis").look().items if item.key == MAX)
    assert (item.value, item.taken) == (proposed, taken)


def bounded(size: str, limit: str, *, saves: bool) -> Box:
    """A server that starts and runs with this bound."""
    box = Box()
    box.write(f"/etc/systemd/system/{UNIT}.d/x.conf", f"[Service]\nMemoryMax={limit}\n")
    kernel = INFINITY if limit == "infinity" else int(limit.removesuffix("M")) << 20
    box.server.kernel.set_limit(f"/system.slice/{UNIT}", "memory.max", kernel)
    keeps = "" if saves else 'save ""\n'
    box.write(CONF, f"{box.read(CONF)}maxmemory {size}\nmaxmemory-policy volatile-lru\n{keeps}")
    box.server.system.put(ActionKind.REDIS, MAX, str(bytes_of(size)), lambda: None)
    box.server.system.put(ActionKind.REDIS, POLICY, "volatile-lru", lambda: None)
    if not saves:
        box.server.system.put(ActionKind.REDIS, f"{UNIT} save", "", lambda: None)
    return box


BOUNDS = {
    "the guide's": ("64mb", "256M", True, []),
    "a fork does not fit": ("121mb", "256M", True, ["redis-fork-over-limit"]),
    "no fork": ("121mb", "256M", False, []),
    "it fits, but no process beside it": ("250mb", "256M", False, ["redis-over-limit"]),
    "absurd": ("900mb", "256M", False, ["redis-over-limit"]),
    "a quarter": ("240mb", "infinity", True, []),
    "more than a quarter": ("300mb", "infinity", False, ["redis-over-share"]),
    "a limit that is none": ("300mb", "4096M", True, ["redis-over-share"]),
}


@pytest.mark.parametrize(("size", "limit", "saves", "found"), BOUNDS.values(), ids=BOUNDS)
def test_a_bound_that_is_none_is_found(
    size: str, limit: str, saves: bool, found: list[str]
) -> None:
    assert codes(bounded(size, limit, saves=saves).step("redis").look()) == found


@pytest.mark.parametrize(("size", "limit", "saves", "found"), BOUNDS.values(), ids=BOUNDS)
def test_a_bound_that_is_none_is_warned_about(
    size: str, limit: str, saves: bool, found: list[str]
) -> None:
    plan = bounded("8mb", limit, saves=saves).step("redis").plan({MAX: size})
    warned = [w.code for w in plan.warnings if w.code != "redis-command-repeated"]
    assert warned == found


@pytest.mark.parametrize("size", ["967mb", "900gb"])
def test_a_bound_of_all_ram_is_refused(size: str) -> None:
    with pytest.raises(RefusedError, match=f"maxmemory {size} limits nothing, because RAM is 967M"):
        Box().step("redis").plan({MAX: size})


EVICTIONS = {
    "the proposal": ("noeviction", "allkeys-lru", True),
    "any key for those with an expiry": ("volatile-lru", "allkeys-lfu", True),
    "another of its kind": ("allkeys-lru", "allkeys-lfu", False),
    "only those with an expiry": ("noeviction", "volatile-lru", False),
}


@pytest.mark.parametrize(("now", "then", "warned"), EVICTIONS.values(), ids=EVICTIONS)
def test_what_undo_does_not_restore_is_warned_about(now: str, then: str, warned: bool) -> None:
    box = Box()
    box.server.system.put(ActionKind.REDIS, POLICY, now, lambda: None)
    codes_ = [w.code for w in box.step("redis").plan({POLICY: then}).warnings]
    assert ("redis-evicts" in codes_) is warned


def test_one_that_logs_every_write_keeps_its_policy() -> None:
    box = Box()
    box.write(CONF, f"{box.read(CONF)}appendonly yes\n")
    box.server.system.put(ActionKind.REDIS, f"{UNIT} appendonly", "yes", lambda: None)
    look = box.step("redis").look()
    assert POLICY not in defaults(look)
    assert "AOF" in items(look)[KEEP]


def test_the_reason_is_of_what_is_proposed() -> None:
    look = bounded("900mb", "256M", saves=False).step("redis").look()
    why = next(item.why for item in look.items if item.key == MAX)
    assert "96mb is 10 % of RAM. MemoryMax (256M) has room for twice 96mb" in why


def test_the_line_to_write_by_hand_fits_the_server() -> None:
    box = Box()
    HINDERED["a later drop-in"](box)
    box.server.kernel.set_limit(f"/system.slice/{UNIT}", "memory.max", 48 << 20)
    assert "maxmemory 16mb" in box.step("redis").look().by_hand[0]


def test_what_is_evicted_is_warned_about() -> None:
    box = Box()
    step = box.step("redis")
    warned = {w.code: w.text for w in step.plan({MAX: "32mb", POLICY: "allkeys-lru"}).warnings}
    assert "evicted" in warned["redis-over-bound"]
    warned = {w.code: w.text for w in step.plan({MAX: "32mb"}).warnings}
    assert "refused" in warned["redis-over-bound"]


def test_one_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box()

    def refuse(kind: ActionKind, what: str) -> str:
        raise ManagerError("redis-server.service does not do `CONFIG GET maxmemory` (NOAUTH).")

    monkeypatch.setattr(box.server.system, "get", refuse)
    look = box.step("redis").look()
    assert any("NOAUTH" in fact for fact in look.facts)
    # What it holds is more than RAM has room for twice, by its RSS.
    assert defaults(look) == {}
    plan = box.step("redis").plan({MAX: "96mb"})
    assert (len(plan.files), plan.actions) == (1, ())
    assert "redis-not-asked" in [w.code for w in plan.warnings]


HINDERED: dict[str, Callable[[Box], None]] = {
    "a later drop-in": lambda box: box.write(
        f"/etc/systemd/system/{UNIT}.d/zzz.conf", start(START)
    ),
    "two commands": lambda box: box.write(
        f"/etc/systemd/system/{UNIT}.d/x.conf", f"[Service]\nExecStart={START}\n"
    ),
}


@pytest.mark.parametrize("case", HINDERED)
def test_what_cannot_be_done_is_reported(case: str) -> None:
    box = Box()
    HINDERED[case](box)
    look = box.step("redis").look()
    assert look.items == ()
    assert look.by_hand
    assert look.findings[0].remedy.startswith("by hand")
    with pytest.raises(RefusedError, match="ExecStart"):
        box.step("redis").plan({MAX: "64mb"})


WRONG = {
    "a key": ({"maxmemory": "64mb"}, "has no key 'maxmemory'"),
    "a unit": ({"nginx.service maxmemory": "64mb"}, "has no key"),
    "no size": ({MAX: "much"}, "cannot be 'much'"),
    "nothing": ({MAX: "0"}, "cannot be '0'"),
    "options": ({MAX: "64mb --loadmodule /tmp/x"}, "cannot be"),
    "a line break": ({MAX: "64mb\nUser=root"}, "cannot be"),
    "a policy": ({POLICY: "all"}, "one of allkeys-lru"),
    "on": ({KEEP: "on"}, "write off"),
}


@pytest.mark.parametrize(("wishes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_wishes(wishes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Box().step("redis").plan(wishes)


BOX = Box()


def configured(text: str, *options: str) -> redis_config.RedisConfig:
    box = BOX
    box.write(CONF, text)
    box.write("/etc/redis/more.conf", "maxmemory 5mb\n")
    return config_of(["/usr/bin/redis-server", CONF, *options], box.server.files)


ADDRESSES = {
    "": "",
    "port 6380": " -p 6380",
    "bind 127.0.0.1 -::1": "",
    "bind 10.0.0.5": " -h 10.0.0.5",
    "bind * -::*": "",
    "bind ::1\nport 7000": " -h ::1 -p 7000",
    "port 0\nunixsocket /run/redis/redis.sock": " -s /run/redis/redis.sock",
    "port 0": None,
    "port 0\nunixsocket '/run/a b.sock'": None,
    "port 0\ntls-port 6379": None,
    "port 6379\ntls-port 6380": "",
    "port x": None,
    # A name is not looked up: the file is the redis user's own.
    "bind other.example.org": None,
    "bind --eval": None,
    "include /none": None,
    "include /none\nport 7000\nbind 127.0.0.1\nunixsocket ''": " -p 7000",
    "requirepass x": f" @ {CONF}",
    "requirepass x\nport 6380": f" -p 6380 @ {CONF}",
    'requirepass ""': "",
    "user default on >x ~* +@all": f" @ {CONF}",
    "rename-command CONFIG abc": f" @ {CONF}",
}


@pytest.mark.parametrize(("text", "where"), ADDRESSES.items())
def test_where_it_is_asked(text: str, where: str | None) -> None:
    assert address(configured(text)) == where


TITLES = {
    "/usr/bin/redis-server 127.0.0.1:6379": "",
    "/usr/bin/redis-server 127.0.0.1:7000       ": " -p 7000",
    "redis-server *:7000 [cluster]": " -p 7000",
    "redis-server ::1:7000": " -h ::1 -p 7000",
    "redis-server unixsocket:/tmp/x": None,
    "redis-server 10.0.0.5:6379": None,
    "redis-server evil.example.org:6379": None,
    "redis-server *:0": None,
    "redis-server *:123456": None,
    f"/usr/bin/redis-server {CONF}": None,
    "": None,
}


@pytest.mark.parametrize(("title", "where"), TITLES.items())
def test_where_a_running_one_says_that_it_listens(title: str, where: str | None) -> None:
    assert redis_config.title_port(title) == where


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_configuration_is_read(text: str) -> None:
    config = configured(text)
    assert str(config.trouble or "").isprintable()
    address(config)


_VALUE = st.sampled_from(["64mb", "allkeys-lru", "", "no", "5mb"])


@given(
    st.sampled_from([START, f"{START} --maxmemory 9mb", "-/usr/bin/redis-server", '!/a "b c"']),
    st.dictionaries(st.sampled_from(redis_seen.OPTIONS), _VALUE, min_size=1),
)
def test_our_drop_in_is_read_back(base: str, options: dict[str, str]) -> None:
    text = redis_seen.render(base, options)
    assert redis_seen._options(text, base) == (options, False)
    assert redis_seen._options(text, f"{base} --new yes")[1]
    assert redis_seen._options(text, f"{base} --new yes")[0].items() >= options.items()


def test_the_order_of_drop_ins() -> None:
    box = Box()
    files = box.backend.situation([UNIT]).units[UNIT].files
    names = [f.path.rpartition("/")[2] for f in unit_text.with_file(files, OURS, "[Service]\n")]
    assert names == [UNIT, "override.conf", "zz-lowmem-tui-redis.conf"]
