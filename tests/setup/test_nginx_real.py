"""What is said of nginx, held against a real one on the loopback (package nginx-light).

Forty files of one page are asked for at once, before and after the line of the step is in place.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.host.facts import LocalInspector
from lowmem_tui.setup.nginx import main as nginx_main
from lowmem_tui.setup.nginx import static as nginx_static
from lowmem_tui.setup.nginx.config import read_config
from lowmem_tui.setup.nginx.seen import edited
from lowmem_tui.setup.nginx.sites import all_locations, locations
from lowmem_tui.setup.unit_command import Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lowmem_tui.setup.nginx.config import Config

NGINX = "/usr/sbin/nginx"
FILES = 40
BURST = "burst=10 nodelay"

HEAD = """\
user root; worker_processes 1; pid nginx.pid; error_log error.log; daemon off;
events { worker_connections 256; }
http {
    access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
    uwsgi_temp_path t4; scgi_temp_path t5; root ROOT/files;
    limit_req_zone $binary_remote_addr zone=lowmem:1m rate=1r/s;
    limit_req_zone $binary_remote_addr zone=strict:1m rate=1r/m;
    server { listen unix:ROOT/app.sock; location / { return 200 app; }
        location /protected { add_header X-Accel-Redirect /real/a.css; return 200; } }
"""
APP = "proxy_pass http://unix:ROOT/app.sock;"


class Files:
    """``Files``: this machine's, for reading."""

    def read(self, path: str) -> str | None:
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None


class Nginx:
    """An nginx of its own in a folder, on a port of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.conf = root / "conf" / "nginx.conf"
        self.conf.parent.mkdir()
        for name in ("a.css", "static/a.css", "packs/a.css", "docs/a.css"):
            (root / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "files" / name).write_text("file")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def write(self, body: str) -> None:
        text = f"{HEAD}{body}}}\n".replace("APP", APP)
        text = text.replace("LISTEN", f"listen 127.0.0.1:{self.port};")
        self.conf.write_text(text.replace("ROOT", str(self.root)))

    def config(self) -> Config:
        found = read_config(str(self.conf), Files(), LocalInspector())  # type: ignore[arg-type]
        assert (found.broken, found.unread) == ([], [])
        return found

    def put(self, path: str) -> str:
        """Add our line to a location; returns why the step does not preselect it."""
        config = self.config()
        everywhere = all_locations(config)
        where = next(each for each in everywhere if each.path == path and each.passes)
        made = edited(config.texts[where.directive.file], where, BURST)
        assert made is not None
        self.root.joinpath(where.directive.file).write_text(made)
        return str(nginx_static.Cautions(everywhere).of(where) or "")

    @contextmanager
    def running(self, *options: str) -> Iterator[None]:
        words = [NGINX, "-p", str(self.root), "-c", "conf/nginx.conf", "-e", "stderr", *options]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            try:
                deadline = time.monotonic() + 20
                while not self._listens():
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                yield
            finally:
                process.terminate()
                process.wait(20)

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, path: str, host: str = "x") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    def refused(self, path: str, host: str = "x", count: int = FILES) -> int:
        """Return how many of so many requests are refused."""
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.get(path, host)[0], range(count)))
        # What auth_request is refused becomes a 500.
        assert set(answers) <= {200, 500, 503}, answers
        return len(answers) - answers.count(200)


@pytest.fixture
def nginx(tmp_path: Path) -> Nginx:
    # A socket's name has at most 107 bytes.
    return Nginx(tmp_path)


# The server, the location that gets the line, a file of a page; whether files are refused then.
CASES: dict[str, tuple[str, str, str, bool]] = {
    "an inner location inherits": (
        "location / {\nlocation ~ ^/(packs|images)/ { try_files $uri =404; }\nAPP }",
        "/",
        "/packs/a.css",
        True,
    ),
    "one of its own beside it does not": (
        "location /static/ { }\nlocation / {\nAPP }",
        "/",
        "/static/a.css",
        False,
    ),
    "the only location serves all": ("location / {\nAPP }", "/", "/static/a.css", True),
    "a pattern of endings": (
        "location / {\nAPP }\nlocation ~ \\.(css|js)$ {\nAPP }",
        "~ \\.(css|js)$",
        "/static/a.css",
        True,
    ),
    "what try_files found is not counted": (
        "location / { try_files $uri @app; }\nlocation @app {\nAPP }",
        "@app",
        "/a.css",
        False,
    ),
    "what was found for an error_page is not counted": (
        "location / { error_page 404 = @app; }\nlocation @app {\nAPP }",
        "@app",
        "/a.css",
        False,
    ),
    "an old way to test for files is": (
        "location / {\nif (!-f $request_filename) { APP }\n}",
        "/",
        "/a.css",
        True,
    ),
    "`^~` looks at no pattern": (
        "location ^~ / {\nAPP }\nlocation ~ \\.css$ { }",
        "^~ /",
        "/static/a.css",
        True,
    ),
    "a pattern of everything is ahead of a folder": (
        "location /static/ { }\nlocation ~ ^/ {\nAPP }",
        "~ ^/",
        "/static/a.css",
        True,
    ),
    "a pattern behind another is not": (
        "location ~ \\.css$ { }\nlocation ~ .* {\nAPP }",
        "~ .*",
        "/static/a.css",
        False,
    ),
    "what is asked for each request is counted": (
        "location /static/ { auth_request /check; }\nlocation /check {\nAPP }",
        "/check",
        "/static/a.css",
        True,
    ),
    "no space is needed": (
        "location =/ {\nAPP }\nlocation ~\\.css$ { }\nlocation / { }",
        "=/",
        "/a.css",
        False,
    ),
}


@pytest.mark.parametrize(("body", "path", "file", "loses"), CASES.values(), ids=CASES)
def test_what_is_not_taken_would_lose_files(
    nginx: Nginx, body: str, path: str, file: str, loses: bool
) -> None:
    nginx.write(f"server {{ LISTEN {body} }}")
    caution = nginx.put(path)
    with nginx.running():
        assert (nginx.refused(file) > 0) is loses
    assert bool(caution) is loses


def test_what_an_application_names_is_counted_once(nginx: Nginx) -> None:
    """X-Accel-Redirect: 11 requests pass, and 11 files are sent."""
    nginx.write(
        "server { LISTEN location / {\nlocation /real/ { internal; alias ROOT/files/; }\nAPP }"
        " location /static/ { } }"
    )
    assert nginx.put("/") == ""
    with nginx.running():
        assert nginx.get("/protected") == (200, "file")
        assert 0 < nginx.refused("/protected", count=16) <= 16 - 9


@pytest.mark.parametrize(
    ("within", "dry", "refused"),
    [
        ("limit_req zone=strict;", "limit_req_dry_run on;", False),
        ("limit_req zone=strict; limit_req_dry_run off;", "limit_req_dry_run on;", True),
        ("limit_req zone=strict; limit_req_dry_run ON;", "", False),
        ("limit_req zone=strict;", "", True),
        ("limit_req zone=strict; return 200;", "", False),
        ("limit_req zone=strict; satisfy any; deny all; auth_basic x;", "", True),
    ],
)
def test_what_bounds(nginx: Nginx, within: str, dry: str, refused: bool) -> None:
    """A dry run bounds nothing, nor what is answered at once; access rules come after."""
    nginx.write(f"server {{ LISTEN {dry} location / {{ {within} APP }} }}")
    with nginx.running():
        answers = [nginx.get("/")[0] for _ in range(3)]
    assert (503 in answers) is refused
    for each in locations(nginx.config()):
        assert each.bounded is refused


@pytest.mark.parametrize(
    ("server", "refused"),
    [
        ("location / { limit_req zone=strict; try_files /none @app; }", True),
        ("location / { limit_req zone=strict; error_page 418 = @app; return 418; }", False),
        ("location / { limit_req zone=strict; error_page 404 = @app; }", True),
        ("location / { try_files /none @app; }", False),
        ("limit_req zone=strict; location / { try_files /none @app; }", True),
    ],
)
def test_what_leads_to_a_named_location_bounds_it(nginx: Nginx, server: str, refused: bool) -> None:
    """limit_req is checked ahead of try_files, and once for a request."""
    nginx.write(f"server {{ LISTEN {server} location @app {{ APP }} }}")
    with nginx.running():
        answers = [nginx.get("/")[0] for _ in range(3)]
    assert (503 in answers) is refused
    (found,) = (each for each in locations(nginx.config()) if each.path == "@app")
    assert found.bounded is refused


def test_a_line_in_a_location_takes_the_place_of_the_servers(nginx: Nginx) -> None:
    """Why a snippet of two servers is left alone: 1 of 8 answered before, all 8 afterwards."""
    snippet = nginx.root / "conf" / "app.conf"
    snippet.write_text("location / {\nproxy_pass http://unix:ROOT/app.sock;\n}\n".replace(
        "ROOT", str(nginx.root)
    ))  # fmt: skip
    nginx.write(
        "server { LISTEN server_name a; include app.conf; }"
        "server { LISTEN server_name b; limit_req zone=strict; include app.conf; }"
    )
    with nginx.running():
        assert nginx.refused("/", "b", 8) == 7
    nginx.put("/")
    with nginx.running():
        assert nginx.refused("/", "b", 8) == 0


def test_an_empty_key_is_not_counted(nginx: Nginx) -> None:
    nginx.write(
        'map $http_host $bots { default ""; bot $binary_remote_addr; }'
        "limit_req_zone $bots zone=bots:1m rate=1r/m;"
        "server { LISTEN limit_req zone=bots; location / { APP } }"
    )
    with nginx.running():
        assert nginx.refused("/", "bot", 4) == 3
        assert nginx.refused("/", "someone", 4) == 0
    from lowmem_tui.setup.nginx.zones import zones_of

    assert zones_of(nginx.config())["bots"].some


def test_the_command_line_is_read_as_nginx_reads_it(nginx: Nginx) -> None:
    """``-p`` and a relative ``-c``; includes are relative to the file's folder, not to ``-p``."""
    conf = nginx.root / "conf"
    (conf / "sites").mkdir()
    (conf / "sites" / "one.conf").write_text(
        f"server {{ listen 127.0.0.1:{nginx.port}; include part?.inc; include none/*.conf; }}"
    )
    (conf / "part1.inc").write_text("location = /x { return 200 part; }")
    (conf / "sites" / ".hidden.conf").write_text("}")
    nginx.write("include sites/*.conf;")
    with nginx.running("-g", "worker_priority 0;"):
        assert nginx.get("/x") == (200, "part")
    words = (NGINX, "-p", str(nginx.root), "-qcconf/nginx.conf", "-g", "worker_processes 3;")
    found = nginx_main.started_by("nginx.service", Command(words, None))
    assert (found.main, found.ahead) == (str(nginx.conf), "worker_processes 3;")
    assert [each.path for each in all_locations(nginx.config())][-1] == "= /x"
