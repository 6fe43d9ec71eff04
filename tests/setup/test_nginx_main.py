"""Which nginx there is, which files it reads, and what is said where that is not known."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.setup.nginx import config as nginx_config
from lowmem_tui.setup.nginx.config import MAIN, read_config
from lowmem_tui.setup.nginx.main import started_by
from lowmem_tui.setup.nginx.sites import all_locations
from lowmem_tui.setup.unit_command import Command

from .box import Box, codes, defaults, items

if TYPE_CHECKING:
    from collections.abc import Callable

DROP_IN = "/etc/systemd/system/nginx.service.d/their.conf"
SITE = "/etc/nginx/sites-available/cloudchat"
LOCATION = "location /login { proxy_pass http://127.0.0.1:3000; }"
OPENRESTY = "/usr/local/openresty/nginx/conf/nginx.conf"

COMMANDS = {
    "/usr/sbin/nginx": MAIN,
    "/usr/sbin/nginx -g 'daemon on; master_process on;'": MAIN,
    "/usr/sbin/nginx -c /etc/nginx/nginx.conf -q": MAIN,
    "/usr/sbin/nginx-debug -c /etc/nginx/nginx.conf": MAIN,
    "/usr/sbin/nginx-debug": MAIN,
    "/usr/sbin/nginx -c/srv/x.conf": "/srv/x.conf",
    "/usr/sbin/nginx -qc /srv/x.conf": "/srv/x.conf",
    "/usr/sbin/nginx -c /srv/x.conf -c /srv/y.conf": "/srv/y.conf",
    "/usr/sbin/nginx -p /srv/n -c x.conf": "/srv/n/x.conf",
    "/usr/sbin/nginx -p /srv/n/": MAIN,
    "/usr/local/nginx/sbin/nginx": "/usr/local/nginx/conf/nginx.conf",
    "/usr/local/nginx/sbin/nginx -c conf/x.conf": "/usr/local/nginx/conf/x.conf",
    "/usr/local/nginx/sbin/nginx -p /srv/n": "/srv/n/conf/nginx.conf",
    "/opt/tengine/sbin/nginx -e /var/log/x": "/opt/tengine/conf/nginx.conf",
    "/www/server/nginx/sbin/nginx": "/www/server/nginx/conf/nginx.conf",
    "/usr/local/openresty/nginx/sbin/nginx": OPENRESTY,
    "/usr/local/openresty/bin/openresty -g 'daemon off;'": OPENRESTY,
    "/usr/sbin/angie -c /etc/angie/angie.conf": "/etc/angie/angie.conf",
    # What cannot be told.
    "/usr/local/bin/nginx": "",
    "/usr/local/sbin/nginx": "",
    "/usr/sbin/nginx -c x.conf": "",
    "/opt/bin/nginx -p n -c x.conf": "",
    "/usr/sbin/nginx -c": "",
    "/usr/sbin/nginx -c ''": "",
    "/usr/sbin/nginx start": "",
    "/usr/sbin/nginx -Z": "",
    "nginx": "",
    "/bin/sh -c nginx": "",
    "/usr/bin/docker run nginx": "",
    "/etc/init.d/nginx start": "",
}


@pytest.mark.parametrize(("line", "main"), COMMANDS.items(), ids=list(COMMANDS))
def test_the_main_file(line: str, main: str) -> None:
    from shlex import split

    found = started_by("nginx.service", Command(tuple(split(line)), None))
    assert (found.main, bool(found.unknown)) == (main, not main)
    assert not found.unknown or "limit_req" in str(found.unknown)


@given(st.lists(st.one_of(st.text(max_size=6), st.from_regex("-[pcgestTvqh]{0,4}")), max_size=8))
def test_any_command_line_is_read(words: list[str]) -> None:
    found = started_by("nginx.service", Command(("/usr/sbin/nginx", *words), None))
    assert bool(found.main) is not bool(found.unknown)


def started(line: str, *more: str) -> Box:
    box = Box()
    box.write(DROP_IN, "\n".join(["[Service]", *more, "ExecStart=", f"ExecStart={line}", ""]))
    return box


KNOWN: dict[str, tuple[str, list[str], dict[str, str]]] = {
    "the maker's package": (
        "/usr/sbin/nginx -c ${CONFFILE}",
        ["Environment='CONFFILE=/etc/nginx/nginx.conf'", "EnvironmentFile=-/etc/default/nginx"],
        {},
    ),
    "its file of variables": (
        "/usr/sbin/nginx -c ${CONFFILE}",
        ["EnvironmentFile=-/etc/default/nginx"],
        {"/etc/default/nginx": '# x\nCONFFILE="/etc/nginx/nginx.conf"\n'},
    ),
    "options in one variable": (
        "/usr/sbin/nginx $OPTS",
        ['Environment="OPTS=-c /etc/nginx/nginx.conf -q"'],
        {},
    ),
    "a variable that is not set": ("/usr/sbin/nginx $NONE", [], {}),
}


@pytest.mark.parametrize(("line", "more", "files"), KNOWN.values(), ids=KNOWN)
def test_variables_are_filled_in(line: str, more: list[str], files: dict[str, str]) -> None:
    box = started(line, *more)
    for path, text in files.items():
        box.write(path, text)
    look = box.step("nginx").look()
    assert look.absent == ""
    assert "cloudchat /" in defaults(look)


UNKNOWN = {
    "a variable of a file that is not there": (
        "/usr/sbin/nginx -c ${CONFFILE}",
        ["EnvironmentFile=/etc/default/none"],
    ),
    "a variable of the manager": (
        "/usr/sbin/nginx -c ${CONFFILE}",
        ["PassEnvironment=CONFFILE"],
    ),
    "a variable that is empty": ("/usr/sbin/nginx -c ${CONFFILE}", []),
    "a shell": ("/bin/sh -c 'exec nginx'", []),
    "a container": ("/usr/bin/docker run --rm nginx", []),
}


@pytest.mark.parametrize(("line", "more"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_determined_is_reported_and_nothing_proposed(
    line: str, more: list[str]
) -> None:
    look = started(line, *more).step("nginx").look()
    assert "cannot be determined" in str(look.absent)
    assert "limit_req" in str(look.absent)
    assert (look.items, look.findings) == ((), ())


OTHER = """
worker_processes 1;
events { }
http { include sites/*.conf; }
"""


@pytest.mark.parametrize(
    ("line", "main"),
    [
        ("/usr/local/nginx/sbin/nginx", "/usr/local/nginx/conf/nginx.conf"),
        ("/usr/sbin/nginx -c /srv/x/nginx.conf", "/srv/x/nginx.conf"),
        ("/usr/sbin/nginx -c /etc/nginx/other.conf", "/etc/nginx/other.conf"),
    ],
)
def test_another_configuration_is_looked_at_and_left_alone(line: str, main: str) -> None:
    box = started(line)
    box.write(main, OTHER)
    box.write(f"{main.rpartition('/')[0]}/sites/a.conf", f"server {{\n{LOCATION}\n}}")
    look = box.step("nginx").look()
    assert main in str(look.facts[0])
    assert look.items == ()
    (found,) = look.findings
    assert found.code == "nginx-unbounded"
    assert str(found.remedy).startswith("by hand: limit_req_zone $binary_remote_addr zone=lowmem:")


def test_openresty_has_a_unit_of_its_own() -> None:
    box = Box()
    box.write("/etc/systemd/system/openresty.service", (
        "[Service]\nExecStart=/usr/local/openresty/nginx/sbin/nginx -g 'daemon on;'\n"
    ))  # fmt: skip
    box.remove("/usr/lib/systemd/system/nginx.service")
    box.remove("/etc/systemd/system/nginx.service.d/override.conf")
    box.write(OPENRESTY, f"events {{ }} http {{ server {{ {LOCATION} }} }}")
    look = box.step("nginx").look()
    assert codes(look) == ["nginx-unbounded"]
    assert "openresty.service" in str(look.facts[0])


def test_a_link_is_what_it_leads_to() -> None:
    box = started("/usr/sbin/nginx")
    box.server.disk.links["/usr/sbin/nginx"] = "/usr/local/nginx/sbin/nginx"
    look = box.step("nginx").look()
    assert "/usr/local/nginx/conf/nginx.conf: which configuration" in str(look.absent)


def test_a_global_directive_of_the_command_line_counts() -> None:
    box = started("/usr/sbin/nginx -g 'worker_processes 7;'")
    assert any("7 workers" in str(fact) for fact in box.step("nginx").look().facts)


def config(files: dict[str, str]) -> nginx_config.Config:
    box = Box()
    for path, text in files.items():
        box.write(path, text)
    return read_config("/t/nginx.conf", box.server.files, box.server.inspector)


PATTERNS: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "of files": ("conf.d/*.conf", {"conf.d/b.conf": "/b", "conf.d/a.conf": "/a"}, ["/a", "/b"]),
    "of another ending": ("conf.d/*.conf", {"conf.d/a.txt": "/a"}, []),
    "hidden ones": ("conf.d/*", {"conf.d/.a": "/a", "conf.d/b": "/b"}, ["/b"]),
    "none at all": ("none/*.conf", {}, []),
    "of folders": ("*/site", {"x/site": "/x", "y/other": "/y", "z/site": "/z"}, ["/x", "/z"]),
    "of folders and files": ("s?/*.conf", {"s1/a.conf": "/1", "s2/b.conf": "/2"}, ["/1", "/2"]),
    "one of a set": ("[ab].conf", {"a.conf": "/a", "c.conf": "/c"}, ["/a"]),
    "an absolute one": ("/t/x/*", {"x/a": "/a"}, ["/a"]),
    "a name": ("x/a", {"x/a": "/a"}, ["/a"]),
}


@pytest.mark.parametrize(("pattern", "files", "found"), PATTERNS.values(), ids=PATTERNS)
def test_includes_by_pattern(pattern: str, files: dict[str, str], found: list[str]) -> None:
    made = config(
        {f"/t/{path}": f"location {name} {{ }}" for path, name in files.items()}
        | {"/t/nginx.conf": f"http {{ server {{ include {pattern}; }} }}"}
    )
    assert (made.broken, made.unread) == ([], [])
    assert [each.path for each in all_locations(made)] == found


def test_an_include_within_an_include_is_relative_to_the_main_file() -> None:
    made = config(
        {
            "/t/nginx.conf": "http { include sites/one; }",
            "/t/sites/one": "server { include part; }",
            "/t/part": "location /right { }",
            "/t/sites/part": "location /wrong { }",
        }
    )
    assert [each.path for each in all_locations(made)] == ["/right"]


TOO_MUCH: dict[str, Callable[[], dict[str, str]]] = {
    "files": lambda: {
        "/t/nginx.conf": "http { include s/*; }",
        **{f"/t/s/{n}": f"# {n}" for n in range(nginx_config.MOST + 2)},
    },
    "bytes": lambda: {
        "/t/nginx.conf": "http { include s/*; }",
        **{f"/t/s/{n}": "#" * (1 << 20) for n in range(5)},
    },
    "includes that double": lambda: {
        "/t/nginx.conf": "http { include /t/0; }",
        **{f"/t/{n}": f"include /t/{n + 1}; include /t/{n + 1};" for n in range(14)},
        "/t/14": "a b;" * 100,
    },
    "blocks": lambda: {
        "/t/nginx.conf": "http { server { include /t/0; } }",
        **{f"/t/{n}": "location / {" * 9 + f"include /t/{n + 1};" + "}" * 9 for n in range(12)},
        "/t/12": "a b;",
    },
}


@pytest.mark.parametrize("case", TOO_MUCH)
def test_there_is_a_bound_to_what_is_read(case: str) -> None:
    began = time.process_time()
    made = config(TOO_MUCH[case]())
    all_locations(made)
    assert time.process_time() - began < 20
    assert made.broken == []
    assert len(made.unread) == 1
    assert "more files and lines" in str(made.unread[0])


def test_a_snippet_of_every_site_is_read_once() -> None:
    sites = {f"/t/s/{n}": f"server {{ {'include /t/part;' * 9} }}" for n in range(300)}
    made = config({"/t/nginx.conf": "http { include s/*; }", "/t/part": "location / { }", **sites})
    assert (made.broken, made.unread) == ([], [])
    assert len(all_locations(made)) == 2700


def test_what_cannot_be_read_may_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box()
    box.write("/etc/nginx/conf.d/theirs.conf", "limit_req zone=x;")
    read = box.server.files.read

    def refuse(path: str) -> str | None:
        if path.endswith("theirs.conf"):
            raise OSError(errno.EFBIG, "File too large", path)
        return read(path)

    monkeypatch.setattr(box.server.files, "read", refuse)
    look = box.step("nginx").look()
    assert defaults(look) == {}
    assert "cloudchat /" in items(look)
    assert codes(look) == []
    assert any("A part of the configuration is unknown" in str(fact) for fact in look.facts)
    item = next(each for each in look.items if each.key == "cloudchat /")
    assert "A limit_req may be set in a part of the configuration that is unknown" in str(item.why)
