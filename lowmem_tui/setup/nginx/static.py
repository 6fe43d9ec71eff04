"""Where a limit_req would refuse what one page requests: why a location is not preselected.

One page may have forty pictures: what serves them has no limit_req unless the operator selects
it. limit_req is inherited by inner locations (ngx_http_limit_req_merge_conf), checked ahead
of try_files and access rules, and counted once for a request and all its internal redirects.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lowmem_tui.model.message import msg, of_text
from lowmem_tui.setup.nginx.sites import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.model.message import Message
    from lowmem_tui.setup.nginx.config import Directive
    from lowmem_tui.setup.nginx.sites import Location


def _names(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


ENDINGS = _names(
    "css js mjs png jpg jpeg jpe gif svg svgz webp avif bmp tif tiff ico cur woff woff2 ttf",
    "ttc otf eot mp3 mp4 m4a m4v m4s m3u8 mpd ts ogg oga ogv wav flac webm mov avi mkv swf",
    "wasm webmanifest pdf zip rar gz tgz bz2 7z apk iso dmg exe doc docx xls xlsx ppt pptx",
    "txt csv htc manifest appcache webapp",
)
"""Of files that a page requests, or that are requested in pieces."""

FOLDERS = _names(
    "static statics asset assets media image images img imgs css js javascript javascripts",
    "scripts style styles stylesheets font fonts webfonts icon icons sprites picture pictures",
    "pics photo photos gallery avatar avatars thumb thumbs thumbnail thumbnails preview",
    "previews video videos audio uploads uploaded file files attachments download downloads",
    "storage public packs build dist bundle bundles _next _nuxt _astro _app themes skins",
    "vendor node_modules webjars wp-content wp-includes tiles tile maps hls dash cdn",
    "fileadmin typo3temp bower_components emoji resources resource res cover covers poster posters",
    "artwork artworks backdrop backdrops banner banners logo logos favicons screenshot screenshots",
    "system plugins cache blob blobs raw i s3 minio imgproxy thumbor ipx attachment active_storage",
)
"""Names of folders of such files."""

LOOKS = _names(
    "static statics asset assets css mjs js javascript javascripts scripts style styles",
    "stylesheets public packs build dist bundle bundles _next _nuxt _astro _app themes skins",
    "vendor node_modules webjars wp-content wp-includes bower_components resources resource res",
    "plugins cdn",
)
"""Which of them a page's style sheets and scripts have: an application whose pictures or downloads
alone are served elsewhere still serves these itself."""

THROUGH_API = _names(
    "immich photoprism photoview librephotos pigallery2 piwigo lychee damselfly",
    "jellyfin emby plex navidrome subsonic airsonic airsonic-advanced gonic ampache koel funkwhale",
    "audiobookshelf komga kavita ubooquity calibre calibre-web romm stash tautulli",
    "sonarr radarr lidarr readarr whisparr prowlarr mylar mylar3 bazarr overseerr jellyseerr ombi",
    "paperless paperless-ngx mealie tandoor grocy homebox linkwarden hoarder karakeep linkding",
    "frigate zoneminder shinobi scrypted grampsweb wger outline memos",
    "synapse dendrite conduit grafana kibana metabase superset netdata pingvin-share",
)
"""Applications whose pictures (thumbnails, covers) or panels are requested from their API."""

POLLED = _names(
    "socket.io engine.io sockjs sockjs-node signalr comet bosh http-bind poll polling",
    "longpoll long-poll longpolling ws wss websocket websockets cable livereload heartbeat",
)
"""What an open page requests repeatedly, or reconnects to."""

PIECES = _names(
    "upload tus resumable chunk chunks lfs dav webdav caldav carddav",
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
"""A page requests several of these at once: a larger burst is proposed."""

_LARGE_BODY = re.compile(r"0|[0-9]{3,9}[mM]|[0-9]{1,9}[gG]")
_SCRIPTS = _names(
    "php php5 php7 php8 phtml py cgi pl fcgi jsp aspx asp do action",
)
_PHP = _names("php php5 php7 php8 phtml")
_PART = re.compile(r"[a-z0-9]+")
_APP = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_COMMON = _names("public build dist vendor system maps i raw cache storage")
"""Which do not mean files as a part of another name."""
_NEXT = re.compile(r"\^?/_next/static")
"""Next.js serves its pictures from /_next/image: this one is for scripts alone."""
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
_SERVES = ("slice", "mp4", "flv", "image_filter", "proxy_store", "secure_link", "limit_rate")
"""What is set for files alone, be they passed on or not."""
_ON_DISK = re.compile(r"(?!.*cache).*\$(?:uri|document_uri|\{uri\}|\{document_uri\})\Z")
"""A file of the very name that is requested: not a folder's index, not a page of a cache."""
_AGE = re.compile(r"(?:max-age|s-maxage)=[\"']?[1-9][0-9]{3}|immutable", re.IGNORECASE)
"""Cached for more than a quarter of an hour."""
_DAV = re.compile(r"carddav|caldav|webdav|remote\.php|/dav\b", re.IGNORECASE)


class Cautions:
    """Why a limit_req for a location is not preselected."""

    def __init__(self, all_: Iterable[Location]) -> None:
        """Take all locations of a configuration."""
        sites: dict[int, list[Location]] = {}
        for each in all_:
            sites.setdefault(id(each.site), []).append(each)
        self._sites = {site: _Site(locations) for site, locations in sites.items()}

    def of(self, location: Location) -> Message | None:
        """Return why, a sentence; None where it may be preselected."""
        site = self._sites[id(location.site)]
        if found := _itself(location, site):
            return found
        for inner in site.within.get(id(location.directive), ()):
            if _inherits(inner, location, site) and (
                is_static(inner) or _serves_files(inner, site) or _many(inner, site)
            ):
                return msg(
                    "The location {path} inside it inherits limit_req, and some of its requests "
                    "would be refused: move it out first, or set a limit_req with a large burst "
                    "in it.",
                    path=of_text(inner.path, 60),
                )
        return None


class _Site:
    """The locations of one server, and what applies to all of them."""

    def __init__(self, locations: list[Location]) -> None:
        self.within: dict[int, list[Location]] = {}
        """By a location's directive: all locations within it."""
        self.own: set[int] = set()
        """The directives of those with a limit_req of their own."""
        self.wholes: set[str] = set()
        """What those that answer everything pass requests to."""
        self.asked: list[str] = []
        """What ``auth_request`` and ``mirror`` name."""
        self.named: dict[str, list[bool]] = {}
        """By a named location: whether each that leads to it checks for a file first."""
        self.dav = False
        """Whether clients of WebDAV come here: Nextcloud and the like."""
        for each in locations:
            for block in each.outer:
                self.within.setdefault(id(block), []).append(each)
            if each.own:
                self.own.add(id(each.directive))
            if each.passes and _is_whole(each):
                self.wholes.add(each.passes)
            self._note(each.directive, rooted=each.rooted)
        if locations and locations[0].site is not None:
            self._note(locations[0].site, rooted=all(each.rooted for each in locations))
        self.serving = [
            (each.match[1], each)
            for each in locations
            if _serves_files(each, self) and _has_looks(each) and not _NEXT.match(each.match[1])
        ]
        """What those match that are for many files, and they."""
        self.parts = [
            each.match[1].rstrip("/")
            for each in locations
            if each.passes and each.match[0] in {"", "^~"} and not is_static(each)
        ]
        """The paths of the parts of an application: ``/admin``."""

    def belongs_elsewhere(self, path: str) -> bool:
        """Return whether static files of a path are those of a part of the application alone."""
        return any(each and path.startswith(each) for each in self.parts)

    def _note(self, block: Directive, *, rooted: bool) -> None:
        inside = [*block.inside()]
        passes_on = any(each.name.endswith("_pass") for each in inside)
        for each in inside:
            last = each.args[-1] if each.args else ""
            if each.name in {"return", "rewrite"}:
                self.dav = self.dav or any(_DAV.search(arg[:LONGEST]) for arg in each.args)
            if each.name == "try_files":
                # Without a root of its own nginx looks where no application has its files.
                looked = rooted and any(_ON_DISK.match(arg[:LONGEST]) for arg in each.args[:-1])
                self.named.setdefault(last, []).append(looked)
            elif each.name == "error_page":
                missing = "404" in each.args[:-1]
                self.named.setdefault(last, []).append(missing and rooted and not passes_on)
            elif each.name in {"auth_request", "mirror"} and last:
                self.asked.append(each.args[0])


def burst_of_many(location: Location) -> bool:
    """Return whether a page requests several things of this location at once."""
    words, (modifier, _) = _words(location), location.match
    if words & APIS:
        return not _points_below(location)
    # All of a PHP application comes through such a pattern, the calls of its pages' scripts, too:
    # an editor or an administration page sends twenty of them at once.
    return modifier.startswith("~") and bool(words & _PHP)


def is_static(location: Location) -> bool:
    """Return whether a location is for files that a page requests many of at once."""
    modifier, text = location.match
    words = _words(location)
    if modifier.startswith("~") and words & _SCRIPTS and not words & ENDINGS:
        return False
    if _ending(text) in ENDINGS or words & (ENDINGS if modifier == "=" else FOLDERS | ENDINGS):
        return True
    return bool(location.passes) and (
        bool(_STORES.search(location.passes)) or (not _is_whole(location) and _kept(location))
    )


def _itself(location: Location, site: _Site) -> Message | None:
    if is_static(location):
        return msg(
            "{path} is for static files: one page requests many of them at once, and limit_req "
            "would refuse those beyond its burst.",
            path=of_text(location.path, 60),
        )
    return _many(location, site) or _all_of_it(location, site)


def _many(location: Location, site: _Site) -> Message | None:
    """Return why a location gets many requests at once."""
    if not location.passes:
        return None
    words, whole = _words(location), _is_whole(location)
    if words & POLLED or (not whole and _upgrades(location)):
        return msg(
            "An open page sends requests here repeatedly, or reconnects: limit_req would refuse "
            "some of them."
        )
    if words & PIECES or any(
        _LARGE_BODY.fullmatch(args[0]) and (args[0] == "0" or not whole)
        for args in location.values("client_max_body_size")
        if args
    ):
        return msg(
            "Files are uploaded here, often in pieces of one request each: if limit_req refuses "
            "one piece, the upload fails."
        )
    if site.dav and (whole or words & _SCRIPTS):
        return msg(
            "WebDAV clients (Nextcloud and the like) send one request for each file here: "
            "limit_req would refuse some of them."
        )
    if app := _app_of_pictures(location):
        return msg(
            "{name} sends thumbnails, covers or the panels of a page through its API: one page "
            "requests many of them at once, and limit_req would refuse those beyond its burst.",
            name=of_text(app, 60),
        )
    if _is_asked_for_others(location, site):
        return msg(
            "nginx sends a request here for each request to other locations (auth_request, "
            "mirror): limit_req would refuse pictures and style sheets as well."
        )
    if location.conditional:
        return msg(
            "Only requests that a condition in it selects go to the application; nginx answers "
            "the others itself, files among them, and limit_req would count all of them."
        )
    if location.has("internal") and not location.passes.startswith(("fastcgi", "uwsgi", "scgi")):
        return msg(
            "It is internal: other locations may send requests for files to it "
            "(X-Accel-Redirect), many for one page."
        )
    return None


def _all_of_it(location: Location, site: _Site) -> Message | None:
    """Return why a location may serve the application's static files, too."""
    modifier, text = location.match
    words = _words(location)
    if modifier == "=" or (modifier.startswith("~") and words & _SCRIPTS) or words & POINTS:
        return None
    looked = site.named.get(location.path, ()) if modifier == "@" else ()
    if looked and all(looked):
        return None  # try_files $uri @app
    whole = _is_whole(location) or location.passes in site.wholes
    prefix = "" if whole else text.lstrip("^").rstrip("/")
    if any(
        matched.lstrip("^").startswith(prefix)
        and _shields(each, location)
        and not (whole and site.belongs_elsewhere(matched))
        for matched, each in site.serving
    ):
        return None
    if _is_whole(location):
        return msg(
            "No location of this server is for static files, so the application serves them "
            "through this one: of a page with thirty pictures limit_req would refuse half. First "
            "let nginx serve them in a location of their own, or select this with a large burst."
        )
    return msg(
        "No location below {path} is for static files, so the application serves them through "
        "this one: of a page with thirty pictures limit_req would refuse half. First let nginx "
        "serve them in a location of their own, or select this with a large burst.",
        path=of_text(text, 60),
    )


def _is_whole(location: Location) -> bool:
    """Return whether a location answers all that no other one does."""
    modifier, text = location.match
    if modifier == "@":
        return True
    if not modifier.startswith("~"):
        return text == "/" and modifier != "="
    return bool(_EVERYTHING.match(text)) and not text.endswith(("/$", "^$"))


def _shields(static: Location, location: Location) -> bool:
    """Return whether a location answers static files that another one would answer, too."""
    modifier, theirs = static.match[0], location.match[0]
    if any(each is location.directive for each in static.outer):
        return False  # it inherits
    if theirs == "^~" and modifier.startswith("~"):
        return False  # patterns are not matched then
    # A pattern that matches everything comes ahead of all but `^~` and patterns before it.
    if theirs.startswith("~") and _is_whole(location):
        return modifier == "^~" or (modifier.startswith("~") and _before(static, location))
    return True


def _before(one: Location, other: Location) -> bool:
    """Return whether one is before the other; of two files that is unknown."""
    here, there = one.directive, other.directive
    return here.file == there.file and here.line < there.line


def _serves_files(location: Location, site: _Site) -> bool:
    """Return whether a location is for many files, by its name or by what is set in it."""
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
    inner = site.within.get(id(location.directive), ())
    return not location.passes and location.has(*_FILES) and not any(i.passes for i in inner)


def _has_looks(location: Location) -> bool:
    """Return whether a location for files is for style sheets and scripts as well.

    One of an unknown name may be for anything.
    """
    words = _words(location)
    return not words & (FOLDERS | ENDINGS) or not words.isdisjoint(LOOKS)


def _app_of_pictures(location: Location) -> str:
    """Return which of ``THROUGH_API`` a location passes requests to; "" for none of them."""
    if location.match[0] == "=" or not (_is_whole(location) or _words(location) & APIS):
        return ""
    texts = [location.match[1], location.passes[:LONGEST]]
    texts += [args[-1][:LONGEST] for args in location.values("set") if args]
    for each in location.site.inside() if location.site else ():
        if each.name == "server_name":
            texts += [name[:LONGEST] for name in each.args]
    words = {word for text in texts for word in _APP.findall(text.lower())}
    return min(THROUGH_API & words, default="")


def _is_asked_for_others(location: Location, site: _Site) -> bool:
    modifier, text = location.match
    if modifier not in {"", "=", "^~"}:
        return False
    below = modifier != "=" and text != "/"
    return any(each == text or (below and each.startswith(text)) for each in site.asked)


def _inherits(inner: Location, location: Location, site: _Site) -> bool:
    """Return whether a limit_req in a location applies to one inside it, too."""
    at = next((i for i, each in enumerate(inner.outer) if each is location.directive), None)
    # One file is not many; what is refused or answered at once, or what the application names
    # (counted already), is not refused.
    if at is None or inner.match[0] == "=" or inner.has("return", "deny", "internal"):
        return False
    between = [*inner.outer[at + 1 :], inner.directive]
    return not any(id(each) in site.own for each in between)


def _points_below(location: Location) -> bool:
    modifier, text = location.match
    last = text.rstrip("/").rpartition("/")[2].lower()
    return modifier == "=" or (last not in APIS and not re.fullmatch(r"v[0-9]{1,3}", last))


def _kept(location: Location) -> bool:
    """Return whether what is set here is set for files: above all that browsers cache them."""
    if location.has(*_SERVES):
        return True
    if any(
        len(args) > 1 and args[0].lower() == "cache-control" and _AGE.search(args[1][:LONGEST])
        for args in location.values("add_header")
    ):
        return True
    return any(
        args[-1] not in {"off", "epoch", "0"} and args[-1][:1] not in {"-", "$"}
        for args in location.values("expires")
        if args
    )


def _upgrades(location: Location) -> bool:
    """Return whether connections become websockets here."""
    return any(args[0].lower() == "upgrade" for args in location.values("proxy_set_header") if args)


def _ending(text: str) -> str:
    last = text.rpartition("/")[2].lower()
    return last.rpartition(".")[2] if "." in last else ""


def _words(location: Location) -> frozenset[str]:
    """Return the names in what a location matches: of folders, and of endings in a pattern."""
    modifier, text = location.match
    text = text.lower()
    if modifier.startswith("~"):
        text = _ESCAPED.sub(_plain_escape, _LOOK_AROUND.sub("", text))
        found = [part for word in _WORD.findall(text) for part in (word, *word.split("."))]
    else:
        found = text.split("/")
    return frozenset((*found, *_parts(found)))


def _parts(names: Iterable[str]) -> Iterator[str]:
    """Yield the folder names in names of several parts: ``user_media``, ``image-proxy``."""
    for name in names:
        parts = _PART.findall(name)
        if len(parts) > 1 and "." not in name and POINTS.isdisjoint(parts):
            yield from FOLDERS.difference(_COMMON).intersection(parts)
        elif name[:1] in {"_", "-"}:
            yield from FOLDERS.intersection(parts)


def _plain_escape(found: re.Match[str]) -> str:
    return " " if len(found[0]) > 1 else ""
