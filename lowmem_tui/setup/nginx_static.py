"""Where a limit_req would refuse what one page asks for: why a location is not taken by itself.

One page may have forty pictures: what serves them is left without a bound unless the operator says
otherwise. limit_req is inherited by inner locations (ngx_http_limit_req_merge_conf), checked ahead
of try_files and access rules, and counted once for a request and all its internal redirects.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowmem_tui.setup.nginx_config import Directive
    from lowmem_tui.setup.nginx_sites import Location


def _names(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


ENDINGS = _names(
    "css js mjs png jpg jpeg jpe gif svg svgz webp avif bmp tif tiff ico cur woff woff2 ttf",
    "ttc otf eot mp3 mp4 m4a m4v m4s m3u8 mpd ts ogg oga ogv wav flac webm mov avi mkv swf",
    "wasm webmanifest pdf zip rar gz tgz bz2 7z apk iso dmg exe doc docx xls xlsx ppt pptx",
    "txt csv htc",
)
"""Of files that a page asks for, or that are asked for in pieces."""

FOLDERS = _names(
    "static statics asset assets media image images img imgs css js javascript javascripts",
    "scripts style styles stylesheets font fonts webfonts icon icons sprites picture pictures",
    "pics photo photos gallery avatar avatars thumb thumbs thumbnail thumbnails preview",
    "previews video videos audio uploads uploaded file files attachments download downloads",
    "storage public packs build dist bundle bundles _next _nuxt _astro _app themes skins",
    "vendor node_modules webjars wp-content wp-includes tiles tile maps hls dash cdn",
    "fileadmin typo3temp bower_components emoji resources",
)
"""Names of folders of such files."""

POLLED = _names(
    "socket.io engine.io sockjs sockjs-node signalr comet bosh http-bind poll polling",
    "longpoll long-poll longpolling ws wss websocket websockets cable livereload heartbeat",
)
"""What a page that is open asks again and again, or opens anew."""

PIECES = _names(
    "upload tus resumable chunk chunks dav webdav caldav carddav",
)
"""What is sent in many requests, one for each piece or file."""

POINTS = _names(
    "api rest rpc graphql ajax login logout signin signup register oauth oauth2 token search",
    "stream events sse webhook webhooks hook hooks callback submit contact comment comments",
    "checkout cgi-bin health status metrics",
)
"""Names of what an application answers itself."""

APIS = _names(
    "api rest rpc graphql ajax",
)
"""Of these a page asks several at once: a larger burst is proposed."""

_LARGE_BODY = re.compile(r"0|[0-9]{3,9}[mM]|[0-9]{1,9}[gG]")
_SCRIPTS = _names(
    "php php5 php7 php8 phtml py cgi pl fcgi jsp aspx asp do action",
)
_SINGLE = re.compile(
    r"favicon\\?\.ico|robots\\?\.txt|ads\\?\.txt|sitemap[\w.*-]*\\?\.xml|apple-touch-icon[\w.*-]*"
)
_LOOK_AROUND = re.compile(r"\(\?<?![^()]*(?:\([^()]*\)[^()]*)*\)")
_ESCAPED = re.compile(r"\\[A-Za-z]|[\\?]")
_WORD = re.compile(r"[a-z0-9_.-]*[a-z0-9_]")
_EVERYTHING = re.compile(r"\^?/?(?:\(?(?:\?<\w+>)?\.[*+]\??\)?)?\$?\Z")
_STORES = re.compile(
    r"amazonaws\.com|storage\.googleapis|digitaloceanspaces|aliyuncs|myqcloud|minio|imgproxy"
    r"|thumbor|[/.]cdn[.-]"
)
_FILES = ("root", "alias", "expires", "autoindex", "gzip_static", "try_files")
_ON_DISK = re.compile(r"\$(?:uri|document_uri|request_filename|request_uri)\b")


def caution(location: Location, all_: Sequence[Location]) -> str:
    """Return why a location is not bounded unless the operator says so; "" if it may be.

    ``all_`` are all locations of the configuration.
    """
    peers = [each for each in all_ if each.site is location.site]
    if found := _itself(location, peers):
        return found
    for inner in peers:
        if _inherits(inner, location, peers) and (
            is_static(inner) or _serves_files(inner, peers) or _hold(inner, peers)
        ):
            return (
                f"The location {plain(inner.path, 60)} within it inherits limit_req, and would "
                "lose requests to it: move that one out of it first, or give it a limit_req with a "
                "large burst of its own."
            )
    return ""


def burst_of_many(location: Location) -> bool:
    """Tell whether a page asks several things of this location at once."""
    return bool(_words(location) & APIS) and not _points_below(location)


def is_static(location: Location) -> bool:
    """Tell whether a location is for files that a page asks many of at once."""
    modifier, text = location.match
    words = _words(location)
    if modifier.startswith("~") and words & _SCRIPTS and not words & ENDINGS:
        return False
    if _ending(text) in ENDINGS or words & (ENDINGS if modifier == "=" else FOLDERS | ENDINGS):
        return True
    return bool(location.passes) and (
        bool(_STORES.search(location.passes)) or (not _is_whole(location) and _kept(location))
    )


def _itself(location: Location, peers: Sequence[Location]) -> str:
    shown = plain(location.path, 60)
    if is_static(location):
        return (
            f"{shown} is for static files: one page asks for many of them at once, and limit_req "
            "would refuse what is over its burst."
        )
    return _hold(location, peers) or _all_of_it(location, peers)


def _hold(location: Location, peers: Sequence[Location]) -> str:
    """Return why the requests of a location come in numbers."""
    if not location.passes:
        return ""
    words, whole = _words(location), _is_whole(location)
    if words & POLLED or (not whole and _upgrades(location)):
        return (
            "A page that is open asks here again and again, or connects anew: limit_req would "
            "refuse some of it."
        )
    if words & PIECES or any(
        _LARGE_BODY.fullmatch(size) and (size == "0" or not whole)
        for (size,) in location.values("client_max_body_size")
    ):
        return (
            "Files are sent here, often in pieces of one request each: an upload that limit_req "
            "refuses in the middle is lost."
        )
    if _is_asked_for_others(location, peers):
        return (
            "nginx asks here for each request of other locations (auth_request, mirror): limit_req "
            "would refuse pictures and style sheets, too."
        )
    if location.conditional:
        return (
            "Only what a condition within it picks is handed on, the rest is answered here, too, "
            "files among it: limit_req would count all of it."
        )
    if location.has("internal") and not location.passes.startswith(("fastcgi", "uwsgi", "scgi")):
        return (
            "It is internal: what other locations hand to it may be files (X-Accel-Redirect), many "
            "for one page."
        )
    return ""


def _all_of_it(location: Location, peers: Sequence[Location]) -> str:
    """Return why a location may serve the application's static files, too; or ""."""
    modifier, text = location.match
    words = _words(location)
    if modifier == "=" or (modifier.startswith("~") and words & _SCRIPTS) or words & POINTS:
        return ""
    if modifier == "@" and _after_files(location, peers):
        return ""
    whole = _is_whole(location) or any(
        _is_whole(each) and each.passes and each.passes == location.passes for each in peers
    )
    if any(_serves_files(each, peers) and _shields(each, location, whole=whole) for each in peers):
        return ""
    where = "of this server" if _is_whole(location) else f"below {plain(text, 60)}"
    return (
        f"No location {where} is for static files, so the application sends them through this one: "
        "a page with thirty pictures would lose half of them to limit_req. Have nginx serve them "
        "in a location of their own first, or take this with a large burst."
    )


def _is_whole(location: Location) -> bool:
    """Tell whether a location answers all that no other one does."""
    modifier, text = location.match
    if modifier == "@":
        return True
    if not modifier.startswith("~"):
        return text == "/" and modifier != "="
    return bool(_EVERYTHING.match(text)) and not text.endswith(("/$", "^$"))


def _shields(static: Location, location: Location, *, whole: bool) -> bool:
    """Tell whether a location takes static files off another one that would answer them, too."""
    modifier, text = static.match
    if any(each is location.directive for each in static.outer):
        return False  # it inherits
    theirs, prefix = location.match
    if not whole and not text.lstrip("^").startswith(prefix.lstrip("^").rstrip("/")):
        return False
    if theirs == "^~" and modifier.startswith("~"):
        return False  # patterns are not tried then
    # A pattern that matches everything comes ahead of all but `^~` and patterns before it.
    if theirs.startswith("~") and _is_whole(location):
        return modifier == "^~" or (modifier.startswith("~") and _before(static, location))
    return True


def _before(one: Location, other: Location) -> bool:
    """Tell whether one stands before the other; of two files that is not known."""
    here, there = one.directive, other.directive
    return here.file == there.file and here.line < there.line


def _serves_files(location: Location, peers: Iterable[Location]) -> bool:
    """Tell whether a location is for many files, by its name or by what stands in it."""
    modifier, text = location.match
    if modifier in {"=", "@"} or ".well-known" in text or _is_whole(location):
        return False
    if not modifier.startswith("~") and "." in text.rpartition("/")[2]:
        return False  # one file
    if _SINGLE.sub("", text).strip("/^$()|\\") == "" and len(text) > 1:
        return False
    if location.has("return", "deny", "internal", "stub_status"):
        return False
    if is_static(location):
        return True
    inner = (each for each in peers if any(b is location.directive for b in each.outer))
    return not location.passes and location.has(*_FILES) and not any(i.passes for i in inner)


def _after_files(location: Location, peers: Iterable[Location]) -> bool:
    """Tell whether a named location gets only what is no file: ``try_files $uri @app``."""
    name = location.path
    blocks = [each.directive for each in peers]
    blocks += [location.site] if location.site else []
    named: list[bool] = []
    for block in blocks:
        hands_on = any(each.name.endswith("_pass") for each in block.inside())
        for each in block.inside():
            if each.name == "try_files" and each.args[-1:] == (name,):
                named.append(any(_ON_DISK.search(arg) for arg in each.args[:-1]))
            elif each.name == "error_page" and each.args[-1:] == (name,):
                named.append(not hands_on)
    return bool(named) and all(named)


def _is_asked_for_others(location: Location, peers: Iterable[Location]) -> bool:
    modifier, text = location.match
    if modifier not in {"", "=", "^~"}:
        return False
    blocks: list[Directive] = [each.directive for each in peers]
    blocks += [location.site] if location.site else []
    asked = [
        each.args[0]
        for block in blocks
        for each in block.inside()
        if each.name in {"auth_request", "mirror"} and each.args
    ]
    below = modifier != "=" and text != "/"
    return any(each == text or (below and each.startswith(text)) for each in asked)


def _inherits(inner: Location, location: Location, peers: Iterable[Location]) -> bool:
    """Tell whether a limit_req put into a location holds for one within it, too."""
    at = next((i for i, each in enumerate(inner.outer) if each is location.directive), None)
    # One file is not many; what is refused or answered at once, or what the application names
    # (counted already), loses nothing.
    if at is None or inner.match[0] == "=" or inner.has("return", "deny", "internal"):
        return False
    between = [*inner.outer[at + 1 :], inner.directive]
    return not any(each.own and any(each.directive is b for b in between) for each in peers)


def _points_below(location: Location) -> bool:
    modifier, text = location.match
    last = text.rstrip("/").rpartition("/")[2].lower()
    return modifier == "=" or (last not in APIS and not re.fullmatch(r"v[0-9]{1,3}", last))


def _kept(location: Location) -> bool:
    """Tell whether browsers are told to keep what comes from here."""
    return any(
        args[-1] not in {"off", "epoch", "0"} and args[-1][:1] not in {"-", "$"}
        for args in location.values("expires")
        if args
    )


def _upgrades(location: Location) -> bool:
    """Tell whether connections become websockets here."""
    return any(args[0].lower() == "upgrade" for args in location.values("proxy_set_header") if args)


def _ending(text: str) -> str:
    last = text.rpartition("/")[2].lower()
    return last.rpartition(".")[2] if "." in last else ""


def _words(location: Location) -> frozenset[str]:
    """Return the names in what a location matches: of folders, and of endings in a pattern."""
    modifier, text = location.match
    text = text[:2000].lower()
    if modifier.startswith("~"):
        text = _ESCAPED.sub(_plain_escape, _LOOK_AROUND.sub("", text))
        return frozenset(part for word in _WORD.findall(text) for part in (word, *word.split(".")))
    return frozenset(text.split("/"))


def _plain_escape(found: re.Match[str]) -> str:
    return " " if len(found[0]) > 1 else ""
