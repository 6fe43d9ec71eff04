"""The step `nginx`: what it reads, what it puts where, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.model.errors import (
    InvalidValueError,
    ManagerError,
    RefusedError,
    RolledBackError,
)
from lowmem_tui.model.plan import ActionKind
from lowmem_tui.setup.nginx import edit as nginx_edit
from lowmem_tui.setup.nginx.config import MAIN, Directive, flat, read_config, statements
from lowmem_tui.setup.nginx.sites import locations

from .box import Box, codes, defaults, goes_through, items, offered

if TYPE_CHECKING:
    from collections.abc import Callable

SITE = "/etc/nginx/sites-available/cloudchat"
OURS = "/etc/nginx/conf.d/zz-lowmem-tui.conf"
LINE = "limit_req zone=lowmem burst=10 nodelay;"


def with_site(text: str) -> Box:
    box = Box()
    box.write(SITE, text)
    return box


def test_the_demo_server_goes_through() -> None:
    plan = goes_through(Box(), "nginx")
    assert [file.path for file in plan.files] == [OURS, SITE]
    assert [action.kind for action in plan.actions] == [ActionKind.TEST, ActionKind.SERVICE]
    site = plan.files[1]
    assert site.before is not None
    assert site.after is not None
    assert site.after.replace(f"\t\t{LINE}\n", "") == site.before
    assert [warning.code for warning in plan.warnings] == ["nginx-their-file"]


def test_a_location_can_be_left_out() -> None:
    box = Box()
    step = box.step("nginx")
    wishes = defaults(step.look())
    del wishes["cloudchat /api/stream"]
    (_, site) = step.plan(wishes).files
    assert site.after is not None
    assert site.after.count(LINE) == 1


def test_a_selected_location_alone_adds_the_zone() -> None:
    (zone, site) = Box().step("nginx").plan({"cloudchat /": "burst=7"}).files
    assert "zone=lowmem:10m rate=5r/s;" in (zone.after or "")
    assert "limit_req zone=lowmem burst=7;\n" in (site.after or "")


def test_a_bound_of_ours_can_be_changed() -> None:
    box = Box()
    box.backend.apply(box.step("nginx").plan({"cloudchat /": "burst=7", "rate": "5r/s"}))
    plan = box.step("nginx").plan({"cloudchat /": "burst=20 nodelay", "rate": "2r/s"})
    (zone, site) = plan.files
    assert "rate=2r/s;" in (zone.after or "")
    assert (site.after or "") == (site.before or "").replace("burst=7;", "burst=20 nodelay;")
    box.backend.apply(plan)
    assert items(box.step("nginx").look())["cloudchat /"] == "burst=20 nodelay"


ABSENT = {
    "no nginx": lambda box: box.remove(MAIN),
    "another file": lambda box: box.write(
        "/etc/systemd/system/nginx.service.d/x.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/nginx -c /srv/nginx.conf\n",
    ),
}


@pytest.mark.parametrize("case", ABSENT)
def test_where_there_is_nothing_to_do(case: str) -> None:
    box = Box()
    ABSENT[case](box)
    look = box.step("nginx").look()
    assert str(look.absent)
    assert not look.items
    assert not look.findings
    with pytest.raises(InvalidValueError, match="nginx"):
        box.step("nginx").plan({"rate": "5r/s"})


def zoned(zones: str, limits: str) -> Box:
    return with_site(
        f"{zones}\nserver {{ listen 80; {limits}\n location / {{ proxy_pass http://a; }} }}"
    )


ADDRESS = "limit_req_zone $binary_remote_addr zone=a:10m rate={};"
SERVER = "limit_req_zone {} zone=s:10m rate=100r/s;"
ZONES: dict[str, tuple[str, str, list[str]]] = {
    "the guide's": (ADDRESS.format("5r/s"), "limit_req zone=a;", []),
    "slow enough": (ADDRESS.format("50r/s"), "limit_req zone=a;", []),
    "by the minute": (ADDRESS.format("300r/m"), "limit_req zone=a;", []),
    "no bound": (ADDRESS.format("1000r/s"), "limit_req zone=a;", ["nginx-zone-fast"]),
    "no bound by the minute": (ADDRESS.format("9000r/m"), "limit_req zone=a;", ["nginx-zone-fast"]),
    "all together": (SERVER.format("$server_name"), "limit_req zone=s;", ["nginx-zone-shared"]),
    "a constant": (SERVER.format("all"), "limit_req zone=s;", ["nginx-zone-shared"]),
    "a variable of theirs": (SERVER.format("$their_map"), "limit_req zone=s;", ["nginx-zone-fast"]),
    "and an address": (
        SERVER.format("$host$remote_addr"),
        "limit_req zone=s;",
        ["nginx-zone-fast"],
    ),
    "one that is a bound beside it": (
        ADDRESS.format("5r/s") + SERVER.format("$server_name"),
        "limit_req zone=a; limit_req zone=s;",
        [],
    ),
    "one that bounds nothing": (
        ADDRESS.format("5r/s") + SERVER.format("$server_name"),
        "limit_req zone=a;",
        [],
    ),
}


@pytest.mark.parametrize(("zones", "limits", "found"), ZONES.values(), ids=ZONES)
def test_a_zone_that_is_no_bound_is_found(zones: str, limits: str, found: list[str]) -> None:
    look = zoned(zones, limits).step("nginx").look()
    assert codes(look) == found
    assert all(str(f.remedy).startswith("by hand: limit_req_zone $binary") for f in look.findings)


def test_a_zone_of_ours_that_is_no_bound_is_mended_by_the_step() -> None:
    box = Box()
    step = box.step("nginx")
    box.backend.apply(step.plan({**defaults(step.look()), "rate": "1000r/s"}))
    (found,) = step.look().findings
    assert (found.code, str(found.remedy)) == (
        "nginx-zone-fast",
        "sudo lowmem-tui setup --step nginx",
    )


BROKEN = {
    "a brace too many": ("server { } }", "unexpected"),
    "a brace too few": ("server { location / { proxy_pass http://x; }", "expecting"),
    "no end": ("server { listen 80", "expecting"),
    "half a statement": ("listen 80", "ends within"),
    "an open quote": ("server { server_name 'x; }", "expecting"),
    "deep": ("{" * 5000, "cloudchat"),
    "nested": ("a { " * 60 + "} " * 60, "nested"),
    "includes itself": ("include /etc/nginx/sites-enabled/*;", "includes itself"),
    "includes nothing": (
        "include /etc/nginx/none.conf;",
        "/etc/nginx/none.conf is included, and does not exist",
    ),
    "escapes": ("server \x1b[31m { } }", "unexpected"),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_already_is_not_touched(text: str, why: str) -> None:
    box = with_site(text)
    look = box.step("nginx").look()
    assert codes(look) == ["nginx-broken"]
    assert why in str(look.findings[0].text)
    assert "\x1b" not in str(look.findings[0].text)
    assert look.items == ()
    with pytest.raises(RefusedError, match="broken already"):
        box.step("nginx").plan({"rate": "5r/s"})


def test_what_nginx_itself_says_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box()
    said = 'unknown directive "bla" in /etc/nginx/nginx.conf:3'
    monkeypatch.setattr(box.server.system, "get", lambda kind, what: said)
    look = box.step("nginx").look()
    assert codes(look) == ["nginx-broken"]
    assert said in str(look.findings[0].text)


PROXY = "proxy_pass http://127.0.0.1:1;"

PUT = {
    "own line": ("server {\n  location / {\n    X\n  }\n}\n", "    L\n    X"),
    "one line": ("server { location / { X } }\n", "{ L X }"),
    "no space": ("server{location / {X}}", "{L X}"),
    "no newline at the end": ("server { location / {\nX } }", "{\nL\nX }"),
    "CR LF": ("server {\r\nlocation / {\r\n\tX\r\n}\r\n}\r\n", "\tL\r\n\tX\r\n"),
    "brace below": ("server\n{\nlocation /\n{\n\tX\n}\n}", "\tL\n\tX"),
    "a comment that lies": (
        "server {\n location / { # X\n  # X\n  X\n }\n}",
        "  # X\n  L\n  X",
    ),
    "a quote that lies": (
        "server { location / {\n set $a 'X'; X\n } }",
        "{\n L\n set $a 'X'; X",
    ),
    "the named one": ("server { location @app {\n X\n } }", "{\n L\n X"),
    "one of several on a line": (
        "server { location /static/ { root /x; } location /b { set $a 1; } location / { X } }",
        "location / { L X }",
    ),
    "a pattern": ("server { location ~ \\.(py|cgi)$ {\n X\n } }", "{\n L\n X"),
    "a quoted pattern": ('server { location ~ "^/a{2}" {\n X\n } }', "{\n L\n X"),
    "an include first": (
        "server { location / {\n include proxy_params;\n X\n } }",
        " L\n include proxy_params;\n X",
    ),
    "within if": ("server { location / {\n if ($a) { X }\n } }", " L\n if ($a) { X }"),
    "bytes": ("server { location / {\n set $a \udcff;\n X\n } }", " L\n set $a \udcff;"),
    "wide": ("# 漢字\u2028\x0b\nserver { location / {\n X\n } }", "{\n L\n X"),
    "Lua": (
        "server { location / {\n access_by_lua_block { x = '}' }\n X\n } }",
        " L\n access_by_lua_block",
    ),
}


@pytest.mark.parametrize(("text", "there"), PUT.values(), ids=PUT)
def test_where_the_line_goes(text: str, there: str) -> None:
    text = text.replace("X", PROXY)
    there = there.replace("X", PROXY).replace("L", LINE)
    box = with_site(text)
    wishes = offered(box.step("nginx").look())
    (_, site) = box.step("nginx").plan(wishes).files
    assert site.after is not None
    assert there in site.after
    assert site.before == text
    assert _taken_out(site.after) == text
    goes_through(box, "nginx", wishes)


def test_several_of_a_line_are_changed_each_in_its_place() -> None:
    text = f"server {{ location = /one {{ {PROXY} }} location /two {{ {PROXY} }} }}"
    box = with_site(text)
    wishes = {"cloudchat = /one": "burst=1", "cloudchat /two": "burst=2"}
    site = goes_through(box, "nginx", wishes).files[1]
    assert site.after == (
        f"server {{ location = /one {{ limit_req zone=lowmem burst=1; {PROXY} }} "
        f"location /two {{ limit_req zone=lowmem burst=2; {PROXY} }} }}"
    )


def _taken_out(text: str) -> str:
    at = text.index(LINE)
    end = at + len(LINE)
    begin = max(text.rfind("\n", 0, at) + 1, 0)
    if text[begin:at].strip():
        return text[:at] + text[end + 1 :]
    newline = text.index("\n", end) + 1
    return text[:begin] + text[newline:]


BOUNDED = {
    "in the location": "server { location / { limit_req zone=z burst=5; X } }",
    "in the server": "server { limit_req zone=z; location / { X } }",
    "in http": "limit_req zone=z; server { location / { X } }",
    "in the location around": "server { location / { limit_req zone=z; location /a { X } } }",
    "by an include": "server { include snippet; location / { X } }",
}


@pytest.mark.parametrize("text", BOUNDED.values(), ids=BOUNDED)
def test_a_bound_of_theirs_is_enough(text: str) -> None:
    zone = "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s;\n"
    box = with_site(zone + text.replace("X", PROXY))
    box.write("/etc/nginx/snippet", "limit_req zone=z;\n")
    look = box.step("nginx").look()
    assert not look.items
    assert not look.findings
    assert any("limit_req_zone z with 1r/s" in str(fact) for fact in look.facts)


NOT_PROXIED = ["", "server { location / { root /srv; } }", "server { return 301 https://x; }"]


@pytest.mark.parametrize("text", NOT_PROXIED)
def test_static_files_need_no_bound(text: str) -> None:
    look = with_site(text).step("nginx").look()
    assert not look.items
    assert not look.findings


def test_a_file_elsewhere_is_left_to_its_owner() -> None:
    box = Box()
    box.server.disk.links["/etc/nginx/sites-enabled/cloudchat"] = "/srv/app/nginx.conf"
    box.write("/srv/app/nginx.conf", f"server {{ location / {{ {PROXY} }} }}")
    look = box.step("nginx").look()
    assert codes(look) == ["nginx-unbounded"]
    zone = "limit_req_zone $binary_remote_addr zone=lowmem:10m rate=5r/s;"
    assert look.findings[0].remedy == f"by hand: {zone} in http, and {LINE} there"
    assert look.items == ()
    assert "outside of /etc/nginx" in str(look.by_hand[0])
    with pytest.raises(RefusedError, match="outside"):
        box.step("nginx").plan({"nginx.conf /": "burst=5"})


def test_where_conf_d_is_not_included() -> None:
    box = Box()
    text = box.read(MAIN) or ""
    box.write(MAIN, text.replace("include /etc/nginx/conf.d/*.conf;", ""))
    look = box.step("nginx").look()
    assert look.items == ()
    assert any("conf.d" in str(line) for line in look.by_hand)
    with pytest.raises(RefusedError, match="does not include"):
        box.step("nginx").plan({"rate": "5r/s"})


def test_a_zone_of_that_name_is_used() -> None:
    box = with_site(
        "limit_req_zone $binary_remote_addr zone=lowmem:5m rate=9r/s;\n"
        f"server {{ location / {{ {PROXY} }} }}"
    )
    assert list(items(box.step("nginx").look())) == ["cloudchat /"]
    plan = goes_through(box, "nginx", {"cloudchat /": "burst=10 nodelay"})
    assert [file.path for file in plan.files] == [SITE]


def test_locations_of_the_same_name_have_keys_of_their_own() -> None:
    server = f"server {{ location / {{ {PROXY} }} }}\n"
    box = with_site(server * 2)
    assert list(items(box.step("nginx").look())) == ["rate", "cloudchat /", "cloudchat / #2"]


def test_a_file_included_twice_is_one() -> None:
    box = Box()
    box.server.disk.links["/etc/nginx/sites-enabled/again"] = SITE
    assert len(box.step("nginx").look().items) == 3


WRONG = {
    "a key": ({"nonsense": "1"}, "has no key 'nonsense'"),
    "a location": ({"cloudchat /no": "burst=5"}, "has no key 'cloudchat /no'"),
    "a rate": ({"rate": "fast"}, "'rate' cannot be 'fast'"),
    "no rate": ({"rate": "0r/s"}, "cannot be"),
    "a burst": ({"cloudchat /": "burst=5; root /"}, "cannot be 'burst=5; root /'"),
    "a line break": ({"cloudchat /": "burst=5\nroot /"}, "cannot be"),
}


@pytest.mark.parametrize(("wishes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_wishes(wishes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Box().step("nginx").plan(wishes)


@pytest.mark.parametrize("wishes", [{}, {"rate": ""}, {"cloudchat /": "", "rate": " "}])
def test_no_wish_is_no_plan(wishes: dict[str, str]) -> None:
    assert Box().step("nginx").plan(wishes).empty


def test_workers_that_may_take_all_memory() -> None:
    box = Box()
    text = (box.read(MAIN) or "").replace("worker_connections 768", "worker_connections 65535")
    box.write(MAIN, text)
    look = box.step("nginx").look()
    assert "nginx-connections" in codes(look)
    assert any("worker_connections" in str(line) for line in look.by_hand)


# Whatever is in a file: it is told broken, or the line goes in and nothing else changes.

_WORD = st.sampled_from(
    ["location", "/", "server", "proxy_pass", "http://x", "~", "a", "if", "include", "set", "$x"]
)
_PIECE = st.one_of(
    _WORD,
    st.sampled_from(
        ["{", "}", ";", " ", "\n", "\t", "\r\n", "'", '"', "\\", "#", "{ ", " }\n", "location / {"]
    ),
    st.text(max_size=3),
)


@settings(deadline=None)
@given(st.lists(_PIECE, max_size=40).map("".join))
def test_any_text_is_read_or_reported_as_broken(text: str) -> None:
    found, wrong = statements(text, "/etc/nginx/x")
    if wrong is not None:
        assert found == ()
        assert str(wrong).isprintable()


_BLOCKS = st.recursive(
    st.sampled_from(["proxy_pass http://a;", "root /x;", "set $a 'b c';", "# proxy_pass x;\n"]),
    lambda inner: st.builds(
        lambda name, space, parts: f"{name}{space}{{{space}{space.join(parts)}{space}}}",
        st.sampled_from(["location /", "location ~ \\.a$", "if ($a)", "location /b"]),
        st.sampled_from([" ", "\n", "\n\t", "\r\n  "]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(_BLOCKS, min_size=1, max_size=3).map("\n".join))
def test_a_line_put_in_changes_nothing_else(body: str) -> None:
    text = f"server {{\n{body}\n}}\n"
    found, wrong = statements(text)
    assert not wrong
    for location in _locations(found):
        first = next(iter(location.block or ()), None)
        if first is None:
            continue
        made = nginx_edit.inserted(text, location, first, LINE)
        if made is not None:
            assert made.count(LINE) == 1
            assert len(made) > len(text)
            assert _taken_out(made) == text


def _locations(block: tuple[Directive, ...]) -> list[Directive]:
    found = []
    for each in block:
        if each.name == "location":
            found.append(each)
        found += _locations(each.block or ())
    return found


def test_includes_are_followed_by_pattern() -> None:
    box = Box()
    box.write("/etc/nginx/conf.d/b.conf", "server { location /b { include /etc/nginx/p?ss; } }")
    box.write("/etc/nginx/conf.d/.hidden.conf", "}")
    box.write("/etc/nginx/pass", "fastcgi_pass unix:/run/php.sock;")
    config = read_config(MAIN, box.server.files, box.server.inspector)
    assert config.broken == []
    assert [each.path for each in locations(config)] == ["/b", "/", "/api/stream"]
    assert "http" in {each.name for each in flat(config.top)}
    assert "cloudchat /b" not in items(box.step("nginx").look())
    assert "b.conf /b" in items(box.step("nginx").look())


@pytest.mark.parametrize("still_broken", [False, True])
def test_all_is_rolled_back_if_nginx_refuses_it(
    monkeypatch: pytest.MonkeyPatch, still_broken: bool
) -> None:
    box = Box()
    before = box.files()
    done: list[tuple[str, str]] = []
    put = box.server.system.put

    def refuse(kind: ActionKind, what: str, value: str, check: Callable[[], None]) -> None:
        done.append((kind, what))
        if kind is ActionKind.TEST and (still_broken or box.read(OURS)):
            raise ManagerError("`nginx -t -q` failed: [emerg] no.")
        put(kind, what, value, check)

    plan = box.step("nginx").plan({"cloudchat /": "burst=5"})
    monkeypatch.setattr(box.server.system, "put", refuse)
    with pytest.raises(RolledBackError, match="everything has its previous value"):
        box.backend.apply(plan)
    assert box.files() == before
    assert done == [(ActionKind.TEST, "nginx")]


# Files that are included more than once.

BOUNDS = (
    "limit_req_zone $binary_remote_addr zone=strict:1m rate=1r/s;\n"
    "limit_req_zone $binary_remote_addr zone=loose:1m rate=9r/s;\n"
)
SHARED: dict[str, tuple[str, str, bool]] = {
    # The servers; the snippet's location is bounded everywhere, somewhere or nowhere; taken.
    "nobody's bound": ("server { include S; }\nserver { include S; }", "", True),
    "one server's": (
        "server { include S; }\nserver { limit_req zone=strict; include S; }",
        "b",
        False,
    ),
    "one server's, the first": (
        "server { limit_req zone=strict; include S; }\nserver { include S; }",
        "b",
        False,
    ),
    "both servers'": (
        "server { limit_req zone=loose; include S; }\nserver { limit_req zone=strict; include S; }",
        "",
        False,
    ),
    "one location's": (
        "server { location /a { include S; }\nlocation /b { limit_req zone=strict; include S; } }",
        "b",
        False,
    ),
    "a dry run of one": (
        "server { include S; }\nserver { limit_req_dry_run on; include S; }",
        "b",
        False,
    ),
}


@pytest.mark.parametrize(("servers", "by_hand", "is_taken"), SHARED.values(), ids=SHARED)
def test_a_shared_file_weakens_nobodys_bound(servers: str, by_hand: str, is_taken: bool) -> None:
    box = with_site(BOUNDS + servers.replace("S", "/etc/nginx/app"))
    box.write("/etc/nginx/app", f"location /login {{ {PROXY} }}")
    step = box.step("nginx")
    look = step.look()
    assert ("app /login" in defaults(look)) is is_taken
    assert ("app /login" in items(look)) is is_taken
    assert any("app" in str(line) for line in look.by_hand) is bool(by_hand)
    if by_hand:
        assert codes(look) in (["nginx-unbounded"], ["nginx-dry-run"], ["nginx-unbounded"] * 2)
        with pytest.raises(RefusedError, match="limit_req"):
            step.plan({"app /login": "burst=5"})
    elif is_taken:
        goes_through(box, "nginx")


def test_a_shared_file_is_taken_only_where_all_can_bear_it() -> None:
    box = with_site(
        "server { location /static/ { root /srv; }\ninclude app; }\nserver { include app; }"
    )
    box.write("/etc/nginx/app", f"location / {{ {PROXY} }}")
    look = box.step("nginx").look()
    assert "app /" in items(look)
    assert "app /" not in defaults(look)


def test_two_of_a_name_on_one_line_are_two() -> None:
    box = with_site(f"server {{ location = /a {{ {PROXY} }} }} " * 2)
    look = box.step("nginx").look()
    # Which of them a line is put into cannot be told.
    assert codes(look) == ["nginx-unbounded"] * 2
    assert len(look.by_hand) == 4


DRY = "limit_req_dry_run on;"
DRY_RUNS: dict[str, tuple[str, bool]] = {
    "in the server": (f"server {{ {DRY} limit_req zone=strict; location /x {{ P }} }}", True),
    "in http": (f"{DRY} server {{ limit_req zone=strict; location /x {{ P }} }}", True),
    "in the location": (f"server {{ location /x {{ {DRY} limit_req zone=strict; P }} }}", True),
    "the limit in the location": (
        f"server {{ {DRY} location /x {{ limit_req zone=strict; P }} }}",
        True,
    ),
    "a dry run of nothing": (f"server {{ {DRY} location /x {{ P }} }}", True),
    "switched off again": (
        f"server {{ {DRY} location /x {{ limit_req_dry_run off; limit_req zone=strict; P }} }}",
        False,
    ),
    "off": ("server { limit_req_dry_run off; limit_req zone=strict; location /x { P } }", False),
}


@pytest.mark.parametrize(("text", "dry"), DRY_RUNS.values(), ids=DRY_RUNS)
def test_a_dry_run_is_no_bound(text: str, dry: bool) -> None:
    box = with_site(BOUNDS + text.replace("P", PROXY))
    look = box.step("nginx").look()
    assert codes(look) == ["nginx-dry-run"] * dry
    assert look.items == ()
    if dry:
        assert "limit_req_dry_run" in str(look.findings[0].text)
        assert SITE in str(look.findings[0].remedy)
        assert "without an effective limit_req" in str(look.facts[0])
        with pytest.raises(RefusedError, match="limit_req_dry_run"):
            box.step("nginx").plan({"cloudchat /x": "burst=5"})


def test_a_dry_run_of_ours_is_found() -> None:
    box = Box()
    step = box.step("nginx")
    box.backend.apply(step.plan(defaults(step.look())))
    box.write("/etc/nginx/conf.d/dry.conf", DRY)
    assert codes(step.look()) == ["nginx-dry-run"] * 2


MAPS: dict[str, tuple[str, str]] = {
    "bots alone": ('map $http_user_agent $k { default ""; ~bot $binary_remote_addr; }', "some"),
    "no default": ("map $http_user_agent $k { ~bot $binary_remote_addr; }", "some"),
    "some addresses": ("geo $k { 10.0.0.0/8 1; }", "some"),
    "all but some": (
        'geo $ok { default 0; 10.0.0.0/8 1; } map $ok $k { 1 ""; 0 $binary_remote_addr; }',
        "",
    ),
    "all but some, by a default": (
        'geo $ok { default 0; 10.0.0.0/8 1; } map $ok $k { 1 ""; default $binary_remote_addr; }',
        "",
    ),
    "the other way round": (
        'geo $ok { default 0; 10.0.0.0/8 1; } map $ok $k { 0 ""; 1 $binary_remote_addr; }',
        "some",
    ),
    "all together": ("map $http_x $k { default $server_name; }", "shared"),
    "a variable in a geo is its name alone": (
        'geo $k { default $binary_remote_addr; 10.0.0.0/8 ""; }',
        "shared",
    ),
    "a map of such a geo": (
        "geo $ip { default $binary_remote_addr; } map $ip $k { default $binary_remote_addr; }",
        "",
    ),
    "a circle": ("map $k $k { default $k; }", ""),
    "a circle of two": ("map $a $k { default $a; } map $k $a { default $k; }", ""),
    "a long way": (
        "".join(f"map $m{n + 1} $m{n} {{ default $m{n + 1}; }}" for n in range(500))
        + "map $m0 $k { default $m0; }",
        "",
    ),
    "a wide way": (
        "".join(f"map $x $w{n} {{ default {f'$w{n + 1}' * 300}; }}" for n in range(9))
        + "map $x $k { default $w0; }",
        "",
    ),
}


@pytest.mark.parametrize(("maps", "code"), MAPS.values(), ids=MAPS)
def test_whom_a_zone_counts(maps: str, code: str) -> None:
    zone = f"{maps} limit_req_zone $k zone=z:1m rate=5r/s;\n"
    box = with_site(f"{zone} server {{ limit_req zone=z; location / {{ {PROXY} }} }}")
    assert codes(box.step("nginx").look()) == ([f"nginx-zone-{code}"] if code else [])


def test_what_is_done_by_hand_includes_its_zone() -> None:
    """nginx refuses a limit_req whose zone is not set, and nothing else sets it there."""
    box = Box()
    unit = "/etc/systemd/system/nginx.service.d/own.conf"
    box.write(unit, "[Service]\nExecStart=\nExecStart=/opt/nginx/sbin/nginx -p /opt/nginx\n")
    site = f"server {{ listen 80; location /login {{ {PROXY} }} }}"
    box.write("/opt/nginx/conf/nginx.conf", f"events {{}} http {{ {site} }}")
    look = box.step("nginx").look()
    zone = "limit_req_zone $binary_remote_addr zone=lowmem:10m rate=5r/s;"
    assert any(zone in line for line in look.by_hand)
    assert all(zone in found.remedy for found in look.findings if found.code == "nginx-unbounded")
    box.write("/opt/nginx/conf/nginx.conf", f"events {{}} http {{ {zone} {site} }}")
    look = box.step("nginx").look()
    assert codes(look) == ["nginx-unbounded"]
    assert not any(zone in line for line in look.by_hand)


NO_ZONE = {
    "in a server, where nginx refuses it": (
        "server { limit_req_zone $binary_remote_addr zone=api:1m rate=1r/s; limit_req zone=api; "
        "location / { P } }"
    ),
    "without a rate, which nginx refuses": (
        "limit_req_zone $binary_remote_addr zone=api:1m; "
        "server { location / { limit_req zone=api; P } }"
    ),
    "nowhere": "server { location / { limit_req zone=api burst=9; P } }",
    "of another name": (
        "limit_req_zone $binary_remote_addr zone=apis:1m rate=1r/s; "
        "server { location / { limit_req zone=api; P } }"
    ),
}


@pytest.mark.parametrize("text", NO_ZONE.values(), ids=NO_ZONE)
def test_a_zone_that_is_not_set_is_no_bound(text: str) -> None:
    look = with_site(text.replace("P", PROXY)).step("nginx").look()
    assert codes(look) == ["nginx-broken"]
    assert "limit_req names the zone api" in look.findings[0].text
    assert defaults(look) == {}


def test_the_status_of_refused_requests_is_reported() -> None:
    box = Box()
    box.write("/etc/nginx/conf.d/status.conf", "limit_req_status 429;")
    assert any("answered with 429" in str(fact) for fact in box.step("nginx").look().facts)


def test_each_finding_names_limit_req() -> None:
    texts = [f"server {{ location /x {{ {PROXY} }} }}", "}", *(t for t, _ in DRY_RUNS.values())]
    for text in texts:
        for found in with_site(BOUNDS + text.replace("P", PROXY)).step("nginx").look().findings:
            assert "limit_req" in str(found.text)
