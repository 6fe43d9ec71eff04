"""Where limit_req is taken by itself, and where it would refuse what one page asks for."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowmem_tui.model.setup import Severity
from lowmem_tui.setup.nginx import static as nginx_static
from lowmem_tui.setup.nginx.config import Config, statements
from lowmem_tui.setup.nginx.sites import all_locations

from .box import Box, codes, defaults, items

SITE = "/etc/nginx/sites-available/cloudchat"
APP = "proxy_pass http://127.0.0.1:3000;"
ROOT = f"location / {{ {APP} }}"
STATIC = "location /static/ { alias /srv/static/; }"


def with_site(text: str) -> Box:
    box = Box()
    box.write(SITE, text)
    return box


def server(*parts: str) -> str:
    return "server { listen 80; " + "\n".join(parts).replace("APP", APP) + "\n}"


def taken(text: str) -> set[str]:
    """The locations that are bounded unless the operator says otherwise."""
    found = defaults(with_site(text).step("nginx").look())
    return {key.partition(" ")[2] for key in found if key != "rate"}


# What is asked for in numbers by one page: a pattern of endings, a folder, files in any other way.
FILES = [
    r"~ .*\.(gif|jpg|png|js|css)$",
    r"~* \.(?:ico|css|js|gif|jpe?g|png|woff2?)$",
    r"~*\.(css|js)$",
    r"~* ^.+\.(?:css|cur|js|jpe?g|gif|htc|ico|png|html|xml|otf|ttf|eot|woff|woff2|svg)$",
    r"~ ^/(packs|images)/",
    r"~ \.(js|css|php)$",
    r'~ "^/assets/.+-[0-9a-f]{8}\.\w+$"',
    r'~ "\.[a-z]+\.(png|webp){1}$"',
    "/static/",
    "/static",
    "^~ /assets/",
    "^~/media",
    "/wp-content/uploads/",
    "/_next/static/",
    "/app/img/",
    "/Images/",
    "= /bundle.js",
    "/thumbs/",
    "/hls/",
    "/user_media/",
    "/image-proxy",
    "/_image",
    "/covers/",
    "/s3/",
    "/lazy-static/",
    "/rails/active_storage/",
    r"~* \.(?:manifest|appcache|html?|xml|json)$",
]


@pytest.mark.parametrize("where", FILES)
def test_what_is_for_static_files_is_not_taken(where: str) -> None:
    look = with_site(server(f"location {where} {{ APP }}", ROOT)).step("nginx").look()
    item = next(i for i in look.items if i.key == f"cloudchat {where.replace(chr(34), '')}")
    assert not item.taken
    assert "static files" in str(item.why)
    assert "limit_req" in str(item.why)
    assert not [f for f in look.findings if where in str(f.text)], "it needs no bound"


APPLICATION = [
    r"~ \.php$",
    r"~ [^/]\.php(/|$)",
    r"~ ^/index\.php(/|$)",
    r"~ \.(py|cgi)$",
    r"~ ^/(?!static|media)index\.php",
    "= /",
    "= /two",
    "= /login",
    "/login",
    "/api/v1/login",
    "/api/stream",
    "/graphql",
    "/webhooks/",
]


@pytest.mark.parametrize("where", APPLICATION)
def test_what_an_application_answers_itself_is_taken(where: str) -> None:
    """None of these needs a location for static files beside it."""
    assert where in taken(server(f"location {where} {{ APP }}"))


@pytest.mark.parametrize(
    ("where", "burst"),
    [
        ("/api/", "burst=40 nodelay"),
        ("/api/v1/", "burst=40 nodelay"),
        ("/graphql", "burst=40 nodelay"),
        ("/api/login", "burst=10 nodelay"),
        ("= /api", "burst=10 nodelay"),
        ("/search", "burst=10 nodelay"),
        (r"~ \.php$", "burst=40 nodelay"),
        (r"~ ^/index\.php(/|$)", "burst=40 nodelay"),
        ("= /xmlrpc.php", "burst=10 nodelay"),
    ],
)
def test_an_api_has_room_for_what_a_page_asks_at_once(where: str, burst: str) -> None:
    look = with_site(server(f"location {where} {{ APP }}")).step("nginx").look()
    assert defaults(look)[f"cloudchat {where}"] == burst


# What stands beside `location / { proxy_pass … }`; whether that one is taken then.
BESIDE: dict[str, tuple[str, bool]] = {
    "nothing": ("", False),
    "a folder with an alias": (STATIC, True),
    "a folder below the server's root": ("root /srv; location /assets/ { }", True),
    "a pattern of endings": (r"location ~* \.(css|js|png)$ { root /srv; }", True),
    "a pattern that is handed on": (r"location ~* \.(css|js|png)$ { APP expires 30d; }", True),
    "a folder of another name, with a root": ("location /docs/ { root /srv; }", True),
    "try_files in a folder": ("location /pub/ { try_files $uri =404; }", True),
    "an icon alone": ("location = /favicon.ico { root /srv; }", False),
    "an icon and robots": (r"location ~ ^/(favicon\.ico|robots\.txt)$ { root /srv; }", False),
    "an icon by its prefix": ("location /favicon.ico { alias /srv/f.ico; }", False),
    "an error page": ("error_page 502 /50x.html; location = /50x.html { root /srv; }", False),
    "an error page by its prefix": ("location /50x.html { root /srv; }", False),
    "certificates": ("location /.well-known/acme-challenge/ { root /srv; }", False),
    "certificates, first of all": ("location ^~ /.well-known/ { root /srv; }", False),
    "what is refused": (r"location ~ /\.ht { deny all; } location ~ \.js$ { deny all; }", False),
    "a redirection": ("location /static/ { return 301 https://cdn.example.org$uri; }", False),
    "a status page": ("location /nginx_status { stub_status; }", False),
    "what is internal": ("location /files/ { internal; alias /srv/; }", False),
    "another application": ("location /pma { root /usr; location ~ \\.php$ { APP } }", False),
    "an API of the same": ("location /api/ { APP }", False),
    "pictures alone": (r"location ~* \.(jpe?g|png|gif|webp)$ { root /srv; }", False),
    "pictures that are handed on (tautulli)": ("location ~ (/tautulli)?/image { APP }", False),
    "uploads alone (whitenoise)": ("location /media/ { alias /srv/media/; }", False),
    "downloads alone (prowlarr)": (r"location ~ (/x)?(/[0-9]+)?/download { APP }", False),
    "a part's own files (ubooquity)": ("location /adm { APP } location /adm-res { APP }", False),
    "a part's own folder": ("location /adm { APP } location /adm/static/ { root /s; }", False),
    "scripts and pictures": (r"location ~* \.(js|png)$ { root /srv; }", True),
}  # fmt: skip


@pytest.mark.parametrize(("beside", "is_taken"), BESIDE.values(), ids=BESIDE)
def test_all_of_an_application_is_taken_only_without_its_static_files(
    beside: str, is_taken: bool
) -> None:
    box = with_site(server(beside, ROOT))
    look = box.step("nginx").look()
    assert "cloudchat /" in items(look), "it is offered"
    assert ("cloudchat /" in defaults(look)) is is_taken
    found = next(
        f for f in look.findings if f.code == "nginx-unbounded" and "location / " in str(f.text)
    )
    assert found.severity is (Severity.WARNING if is_taken else Severity.ADVICE)
    if not is_taken:
        item = next(i for i in look.items if i.key == "cloudchat /")
        assert "static files" in str(item.why)
        assert str(item.why).split(": ")[0] in str(found.text)
        # What is chosen all the same is done.
        assert len(box.step("nginx").plan({"cloudchat /": "burst=40 nodelay"}).files) == 2


def test_a_rate_alone_is_not_taken() -> None:
    assert defaults(with_site(server(ROOT)).step("nginx").look()) == {}


# Whole servers, and what is taken of them.
SERVERS: dict[str, tuple[str, set[str]]] = {
    "another server's static files do not count": (
        server(STATIC) + server(ROOT),
        set(),
    ),
    "files first, then the application": (
        server("root /srv; location / { try_files $uri @app; } location @app { APP }"),
        {"@app"},
    ),
    **{
        f"{looked} is no file of that name": (
            server(f"root /srv; location / {{ try_files {looked} @app; }} location @app {{ APP }}"),
            set[str](),
        )
        for looked in ("$uri/", "$uri/index.html", "$uri.html", "/cache$uri", "$request_filename")
    },
    "files first, of another folder": (
        server("root /srv; location / { try_files /public$uri @app; } location @app { APP }"),
        {"@app"},
    ),
    "files first, where no root is set": (
        server("location / { try_files $uri @app; } location @app { APP }"),
        set(),
    ),
    "an error that is none of a missing file": (
        server(
            "root /srv; location / { error_page 418 = @app; return 418; } location @app { APP }"
        ),
        set(),
    ),
    "files first, for the whole server": (
        server("root /srv; try_files $uri $uri/index.html @app; location @app { APP }"),
        {"@app"},
    ),
    "a page for the time of an update is no test for files": (
        server("location / { try_files /off.html @app; } location @app { APP }"),
        set(),
    ),
    "what is not found": (
        server("root /srv; location / { error_page 404 = @app; } location @app { APP }"),
        {"@app"},
    ),
    "what the first application failed at": (
        server("location / { APP error_page 502 = @spare; } location @spare { APP }"),
        set(),
    ),
    "an old way to test for files": (
        server("root /srv; location / { if (!-f $request_filename) { APP break; } }"),
        set(),
    ),
    "methods": (
        server(STATIC, "location /x { limit_except GET { APP } }"),
        set(),
    ),
    "a front controller": (
        server(
            "root /srv; location / { try_files $uri /index.php$is_args$args; }",
            r"location ~ ^/index\.php(/|$) { fastcgi_pass unix:/run/php.sock; internal; }",
        ),
        {r"~ ^/index\.php(/|$)"},
    ),
    "WordPress": (
        server(
            "root /srv; location / { try_files $uri $uri/ /index.php?$args; }",
            r"location ~ \.php$ { try_files $uri =404; fastcgi_pass unix:/run/php.sock; }",
            r"location ~* \.(css|js|png)$ { expires max; }",
        ),
        {r"~ \.php$"},
    ),
    "`^~` looks at no pattern": (
        server(r"location ~* \.(css|js)$ { root /srv; } location ^~ / { APP }"),
        set(),
    ),
    "a pattern of everything ahead of a folder": (server(STATIC, "location ~ ^/ { APP }"), set()),
    "a pattern of everything behind another": (
        server(r"location ~ \.(css|js)$ { root /srv; }", "location ~ .* { APP }"),
        {"~ .*"},
    ),
    "a pattern of everything ahead of another": (
        server("location ~ .* { APP }", r"location ~ \.(css|js)$ { root /srv; }"),
        set(),
    ),
    "a pattern of everything and a folder that wins": (
        server("location ^~ /static/ { root /srv; }", "location ~ ^/(.*)$ { APP }"),
        {"~ ^/(.*)$"},
    ),
    "the first page alone": (server("location ~ ^/$ { APP }", STATIC), set()),
    "an application of its own below a path": (
        server(STATIC, ROOT, "location /grafana/ { proxy_pass http://127.0.0.1:9999; }"),
        {"/"},
    ),
    "one that has its static files there": (
        server(
            "location /shop/ { APP }",
            "location /shop/static/ { alias /srv/shop/; }",
        ),
        {"/shop/"},
    ),
    "a part of the application": (server(STATIC, ROOT, "location /shop/ { APP }"), {"/", "/shop/"}),
    "websockets": (
        server(
            *(STATIC, ROOT, "location /socket.io/ { APP }", "location /ws { APP }"),
            "location /live { APP proxy_set_header Upgrade $http_upgrade; }",
        ),
        {"/"},
    ),
    "websockets on the way of all": (
        server(STATIC, "location / { APP proxy_set_header Upgrade $http_upgrade; }"),
        {"/"},
    ),
    "uploads": (
        server(
            *(STATIC, ROOT, "location /upload { APP }", "location /dav/ { APP }"),
            "location /put { APP client_max_body_size 0; }",
            "location /big { APP client_max_body_size 2G; }",
            "location /small { APP client_max_body_size 20m; }",
        ),
        {"/", "/small"},
    ),
    "polling": (server(STATIC, ROOT, "location /chat/poll { APP }"), {"/"}),
    "what nginx asks for every request": (
        server(STATIC, "location / { auth_request /check; APP }", "location = /check { APP }"),
        {"/"},
    ),
    "what nginx sends a copy to": (
        server(STATIC, "mirror /copy; location /copy { internal; APP }", ROOT),
        {"/"},
    ),
    "files that an application names": (
        server(STATIC, ROOT, "location /protected { internal; proxy_pass http://127.0.0.1:9; }"),
        {"/"},
    ),
    "a store of files": (
        server(STATIC, ROOT, "location /x/ { proxy_pass https://b.s3.amazonaws.com/; }"),
        {"/"},
    ),
    "what browsers keep": (server(STATIC, ROOT, "location /x { APP expires 1h; }"), {"/"}),
    "Next.js, whose pictures are not below /_next/static": (
        server("location /_next/static { alias /srv/.next/static; }", ROOT),
        set(),
    ),
    "Next.js with all of /_next": (server("location /_next/ { APP expires 1y; }", ROOT), {"/"}),
    "what browsers are told to keep": (
        server(
            *(STATIC, ROOT),
            'location /x { APP add_header Cache-Control "public, max-age=31536000"; }',
            "location /y { APP add_header Cache-Control no-store; }",
        ),
        {"/", "/y"},
    ),
    "what only files are served with": (
        server(STATIC, ROOT, "location /x { APP slice 1m; } location /y { APP limit_rate 1m; }"),
        {"/"},
    ),
    "an application for clients of WebDAV (Nextcloud)": (
        server(
            *("root /srv; location / { try_files $uri /index.php$request_uri; }", STATIC),
            "location = /.well-known/carddav { return 301 /remote.php/dav/; }",
            r"location ~ \.php(?:$|/) { fastcgi_pass unix:/run/php.sock; }",
        ),
        set(),
    ),
    "thumbnails through an API, by the server's name": (
        server("server_name immich.example.org;", STATIC, "location /api { APP }"),
        set(),
    ),
    "covers through an API, by a variable (reverse-proxy-confs)": (
        server(
            STATIC,
            "location ~ (/x)?/api { set $upstream_app radarr; set $upstream_port 7878; "
            "proxy_pass http://$upstream_app:$upstream_port; }",
        ),
        set(),
    ),
    "panels through an API, by its upstream": (
        server(STATIC, "location /api/ { proxy_pass http://grafana:3000; }"),
        set(),
    ),
    "the login of such an application": (
        server(STATIC, "location = /api/login { proxy_pass http://grafana:3000; }"),
        {"= /api/login"},
    ),
    "an application of an ordinary name": (
        server("server_name shop.example.org;", STATIC, "location /api { APP }"),
        {"/api"},
    ),
    "large files of git": (server(STATIC, "location ~ (/git)?/(api|info/lfs) { APP }"), set()),
    "what browsers do not keep": (
        server(STATIC, ROOT, "location /x { APP expires -1; }"),
        {"/", "/x"},
    ),
    "what is answered at once": (
        server(STATIC, "location / { return 301 https://$host$uri; APP }"),
        set(),
    ),
    "a server that is answered at once": (server("return 404;", STATIC, ROOT), set()),
    "one that refuses everybody": (server(STATIC, "location / { deny all; APP }"), set()),
    "one that lets some in": (
        server(STATIC, "location / { allow 10.0.0.0/8; deny all; APP }"),
        {"/"},
    ),
    "one that asks for a password": (
        server(STATIC, "location / { satisfy any; deny all; auth_basic x; APP }"),
        {"/"},
    ),
}


@pytest.mark.parametrize(("text", "these"), SERVERS.values(), ids=SERVERS)
def test_what_is_taken_of_a_server(text: str, these: set[str]) -> None:
    assert taken(text) == these


# What stands within `location / { … proxy_pass … }` beside STATIC; whether the outer is taken.
WITHIN: dict[str, tuple[str, bool]] = {
    "files by a pattern": ("location ~ ^/(packs|images)/ { try_files $uri =404; }", False),
    "files by a root": ("location /docs/ { root /srv; }", False),
    "files that are handed on": ("location /img/ { APP }", False),
    "deeper": ("location /a/ { location /a/css/ { root /srv; } APP }", False),
    "deeper, with a bound between": (
        "location /a/ { limit_req zone=z; location /a/css/ { root /srv; } APP }",
        True,
    ),
    "files with a bound of their own": ("location /img/ { limit_req zone=z burst=99; APP }", True),
    "uploads": ("location /upload { APP }", False),
    "one file": ("location = /favicon.ico { root /srv; }", True),
    "what is refused": (r"location ~ /\.(css|js) { deny all; }", True),
    "another part of it": ("location /admin { APP }", True),
    "a redirection": ("location /old { return 301 /new; }", True),
    "what an application names": ("location /files/ { internal; alias /srv/; }", True),
}


@pytest.mark.parametrize(("inner", "is_taken"), WITHIN.values(), ids=WITHIN)
def test_inner_locations_inherit(inner: str, is_taken: bool) -> None:
    zone = "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s;\n"
    box = with_site(zone + server(STATIC, f"location / {{\n{inner}\nAPP }}"))
    look = box.step("nginx").look()
    item = next(i for i in look.items if i.key == "cloudchat /")
    assert item.taken is is_taken
    if not is_taken:
        assert "inherits limit_req" in str(item.why)


def test_static_files_within_do_not_take_them_off_the_outer_one() -> None:
    inner = r"location ~ \.(css|js)$ { root /srv; }"
    assert taken(server(f"location / {{ {inner} APP }}")) == set()


def test_the_demo_server() -> None:
    look = Box().step("nginx").look()
    assert list(defaults(look)) == ["rate", "cloudchat /", "cloudchat /api/stream"]
    assert codes(look) == ["nginx-unbounded"] * 2


_NAME = st.text("/.~^=*$()|?\\[]{}abcjs @-", max_size=30).filter(lambda t: t.strip())


@settings(deadline=None)
@given(st.lists(st.lists(_NAME, min_size=1, max_size=2), min_size=1, max_size=5))
def test_any_location_is_judged(rows: list[list[str]]) -> None:
    quoted = [" ".join(f"'{w}'" for w in row).replace("\\", "") for row in rows]
    body = "".join(f"location {row} {{ {APP} }}\n" for row in quoted)
    found, wrong = statements(f"http {{ server {{ {body} }} }}")
    assert not wrong
    every = all_locations(Config(top=found))
    assert len(every) == len(rows)
    for each in every:
        assert str(nginx_static.Cautions(every).of(each)).isprintable()


def test_a_hostile_pattern_is_judged_in_no_time() -> None:
    name = "(?!" * 5000 + "\\." * 5000 + "a-" * 5000
    found, _ = statements(f"http {{ server {{ location ~ '{name}' {{ {APP} }} }} }}")
    (location,) = all_locations(Config(top=found))
    assert nginx_static.Cautions([location]).of(location)


def test_a_thousand_locations_are_judged_in_no_time() -> None:
    rows = "".join(
        f"location /a{n}/ {{ {APP} location /a{n}/b {{ root /x; }} }}\n"
        f"location /b{n}/ {{ root /x; client_max_body_size 1 2; }}\n"
        for n in range(1000)
    )
    found, _ = statements(f"http {{ server {{ {rows} }} }}")
    every = all_locations(Config(top=found))
    began = time.process_time()
    cautions = nginx_static.Cautions(every)
    assert all(cautions.of(each) for each in every if each.passes)
    assert time.process_time() - began < 10
