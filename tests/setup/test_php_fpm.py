"""PHP-FPM: all its pools add up, as FPM itself reads them; what is not found is not guessed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowmem_tui.model.snapshot import UnitFile, UnitSituation
from lowmem_tui.setup.gunicorn import php_fpm
from lowmem_tui.setup.gunicorn import step as gunicorn
from tests import english
from tests.setup.tree import Tree
from tests.unit.servers import M, process, service, situation, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.english import Look

POOLS = """\
[shop]
pm = ondemand
pm.max_children = 8
pm.max_requests = 500
[blog]
pm = ondemand
pm.max_children = 6
pm.max_requests = 500
"""
DEBIAN = "/usr/sbin/php-fpm8.3 --nodaemonize --fpm-config /etc/php/8.3/fpm/php-fpm.conf"
OWN = "/usr/local/php/sbin/php-fpm --nodaemonize"


@dataclass
class Fpm:
    """A unit, its configuration, and so many workers of 60M that run."""

    root: Path
    command: str
    files: dict[str, str] = field(default_factory=dict)
    name: str = "php-fpm.service"
    lines: str = ""
    workers: int = 6
    title: str = "php-fpm: master process"

    def look(self) -> Look:
        tree = Tree(self.root)
        for path, text in self.files.items():
            tree.write(path, text)
        one = service(
            self.name,
            process(100, 20 * M, command=self.title),
            *(process(101 + i, 60 * M, ppid=100, command="x") for i in range(self.workers)),
            exec_start=tuple(self.command.split()),
        )
        text = f"[Service]\n{self.lines}\nExecStart={self.command}\n"
        files = (UnitFile(f"/etc/systemd/system/{self.name}", text),) if self.lines else ()
        known = UnitSituation(self.name, one, files, {}, None)
        ground = replace(
            tree.ground(),
            snapshot=lambda: snapshot(one),
            situation=lambda names: situation(*([known] if self.name in set(names) else [])),
        )
        return english.look(gunicorn.make(ground).look())


def text_of(look: Look) -> str:
    return " ".join([*look.facts, *look.by_hand, *(f.text for f in look.findings)])


PLACES = {
    "Debian's, in one file": (DEBIAN, {"/etc/php/8.3/fpm/pool.d/sites.conf": POOLS}),
    "Debian's, included": (
        DEBIAN,
        {
            "/etc/php/8.3/fpm/php-fpm.conf": "[global]\ninclude=/etc/php/8.3/fpm/pool.d/*.conf\n",
            "/etc/php/8.3/fpm/pool.d/a.conf": POOLS[: POOLS.index("[blog]")],
            "/etc/php/8.3/fpm/pool.d/b.conf": POOLS[POOLS.index("[blog]") :],
            "/etc/php/8.3/fpm/pool.d/c.conf.off": "[x]\npm.max_children = 90\n",
            "/etc/php/8.3/fpm/pool.d/.c.conf": "[x]\npm.max_children = 90\n",
        },
    ),
    "named": (f"{OWN} --fpm-config /srv/fpm.conf", {"/srv/fpm.conf": POOLS}),
    "named, short": (f"{OWN} -y/srv/fpm.conf", {"/srv/fpm.conf": POOLS}),
    "named, with an equals sign": (f"{OWN} --fpm-config=/srv/fpm.conf", {"/srv/fpm.conf": POOLS}),
    "beside a program of one's own": (OWN, {"/usr/local/php/etc/php-fpm.conf": POOLS}),
    "in a container's image": ("/usr/local/sbin/php-fpm", {"/usr/local/etc/php-fpm.conf": POOLS}),
    "of Fedora": (
        "/usr/sbin/php-fpm --nodaemonize",
        {
            "/etc/php-fpm.conf": "include=/etc/php-fpm.d/*.conf\n[global]\npid = x\n",
            "/etc/php-fpm.d/www.conf": POOLS,
        },
    ),
    "of Remi": (
        "/opt/remi/php83/root/usr/sbin/php-fpm --nodaemonize",
        {"/etc/opt/remi/php83/php-fpm.conf": POOLS},
    ),
    "of Red Hat's collections": (
        "/opt/rh/rh-php73/root/usr/sbin/php-fpm --nodaemonize",
        {"/etc/opt/rh/rh-php73/php-fpm.conf": POOLS},
    ),
    "of cPanel": (
        "/opt/cpanel/ea-php82/root/usr/sbin/php-fpm --nodaemonize",
        {"/opt/cpanel/ea-php82/root/etc/php-fpm.conf": POOLS},
    ),
    "of Arch": ("/usr/bin/php-fpm --nodaemonize", {"/etc/php/php-fpm.conf": POOLS}),
    "by a prefix": (
        "/usr/sbin/php-fpm -p /srv/php",
        {"/srv/php/etc/php-fpm.conf": "include=pools/*.conf\n", "/srv/php/pools/a.conf": POOLS},
    ),
    "of a panel, by an init script": (
        "/etc/init.d/php-fpm-74 start",
        {"/www/server/php/74/etc/php-fpm.conf": POOLS},
    ),
    "of an init script": (
        "/etc/init.d/php-fpm start",
        {"/usr/local/php/etc/php-fpm.conf": POOLS},
    ),
    "a size for each of two, quoted and commented": (
        OWN,
        {
            "/usr/local/php/etc/php-fpm.conf": (
                '[a] ; x\n; pm.max_children = 90\nPM.max_children = "8" ; no 90\npm = static\n'
                "[b]\npm.max_children = 2\n[B]\npm.max_children=6;7\nlisten = /run/$pool.sock\n"
            )
        },
    ),
}


@pytest.mark.parametrize(("command", "files"), PLACES.values(), ids=PLACES)
def test_all_pools_add_up(tmp_path: Path, command: str, files: dict[str, str]) -> None:
    """Two pools: 14 children, and there is room for 9 of 60M."""
    look = Fpm(tmp_path, command, files).look()
    (finding,) = (f for f in look.findings if f.code == "php-children")
    assert "can start 14 workers" in finding.text
    assert "pm.max_children 14 in all" in text_of(look)


def test_process_max_bounds_all(tmp_path: Path) -> None:
    text = f"[global]\nprocess.max = 7\n{POOLS}"
    look = Fpm(tmp_path, OWN, {"/usr/local/php/etc/php-fpm.conf": text}).look()
    assert look.findings == ()
    assert "pm.max_children 7 in all, process.max 7" in text_of(look)


def test_a_number_of_the_environment(tmp_path: Path) -> None:
    text = "[a]\npm.max_children = ${KIDS}\n"
    files = {"/usr/local/php/etc/php-fpm.conf": text}
    look = Fpm(tmp_path, OWN, files, lines="Environment=KIDS=14").look()
    assert "can start 14 workers" in text_of(look)
    look = Fpm(tmp_path, OWN, files, lines="PassEnvironment=KIDS").look()
    assert "cannot be determined" in text_of(look)


UNKNOWN = {
    "no file": ({}, OWN, "php-fpm: master process"),
    "two that may be": (
        {"/etc/php-fpm.conf": POOLS, "/usr/local/php/etc/php-fpm.conf": POOLS},
        "/etc/init.d/php-fpm start",
        "php-fpm: master process",
    ),
    "a title that says another": (
        {"/usr/local/php/etc/php-fpm.conf": POOLS, "/srv/mine.conf": POOLS},
        OWN,
        "php-fpm: master process (/srv/mine.conf)",
    ),
    "a file that is gone": (
        {"/usr/local/php/etc/php-fpm.conf": "[a]\npm.max_children=1\n"},
        f"{OWN} -y /none.conf",
        "php-fpm: master process",
    ),
    "a relative file": ({"/x.conf": POOLS}, f"{OWN} -y x.conf", "php-fpm: master process"),
    "a value that is none": (
        {"/usr/local/php/etc/php-fpm.conf": "[a]\npm.max_children = 2|4\n"},
        OWN,
        "php-fpm: master process",
    ),
    "an unknown variable": (
        {"/usr/local/php/etc/php-fpm.conf": "[a]\npm.max_children=${X}\n"},
        OWN,
        "php-fpm: master process",
    ),
    "a pattern of folders": (
        {"/usr/local/php/etc/php-fpm.conf": f"{POOLS}include=/etc/*/x.conf\n"},
        OWN,
        "php-fpm: master process",
    ),
    "fewer than run": (
        {"/usr/local/php/etc/php-fpm.conf": "[a]\npm.max_children=2\n"},
        OWN,
        "php-fpm: master process",
    ),
    "includes without end": (
        {"/usr/local/php/etc/php-fpm.conf": f"{POOLS}include=/usr/local/php/etc/php-fpm.conf\n"},
        OWN,
        "php-fpm: master process",
    ),
    "includes of somebody else": (
        {
            "/usr/local/php/etc/php-fpm.conf": f"{POOLS}include=/home/u/pool.conf\n",
            "/home/u/pool.conf": "include=/etc/secret\n",
            "/etc/secret": "[x]\npm.max_children=90\n",
        },
        OWN,
        "php-fpm: master process",
    ),
}


@pytest.mark.parametrize(("files", "command", "title"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_is_not_guessed(
    tmp_path: Path, files: dict[str, str], command: str, title: str
) -> None:
    look = Fpm(tmp_path, command, files, title=title).look()
    assert "cannot be determined" in text_of(look)
    assert look.findings == ()


def test_what_runs_is_found_too_many_without_any_file(tmp_path: Path) -> None:
    look = Fpm(tmp_path, OWN, workers=20).look()
    (finding,) = look.findings
    assert "runs 20 workers (pm.max_children) and has room for 9" in finding.text


def test_the_title_chooses_among_the_usual_places(tmp_path: Path) -> None:
    files = {"/etc/php-fpm.conf": POOLS, "/usr/local/php/etc/php-fpm.conf": "[a]\n"}
    title = "php-fpm: master process (/etc/php-fpm.conf)"
    look = Fpm(tmp_path, "/etc/init.d/php-fpm start", files, title=title).look()
    assert "can start 14 workers" in text_of(look)


def test_a_script_of_another_name_that_runs_fpm(tmp_path: Path) -> None:
    look = Fpm(tmp_path, "/etc/init.d/lnmp start", {"/etc/php-fpm.conf": POOLS}).look()
    assert "php-fpm.service (PHP-FPM) runs 6 workers" in text_of(look)


def test_endless_pools_are_named(tmp_path: Path) -> None:
    text = POOLS + "[forum]\npm.max_children = 1\n"
    look = Fpm(tmp_path, OWN, {"/usr/local/php/etc/php-fpm.conf": text}).look()
    assert any("pm.max_requests = 500 in forum of" in line for line in look.by_hand)


def test_names_of_pools_are_harmless_to_show(tmp_path: Path) -> None:
    text = "[\x1b[31m" + "x" * 5000 + "]\npm.max_children=14\n"
    look = Fpm(tmp_path, OWN, {"/usr/local/php/etc/php-fpm.conf": text}).look()
    assert text_of(look).isprintable()
    assert len(text_of(look)) < 2000


KINDS = {
    "uvicorn": "/srv/x/venv/bin/python /srv/x/venv/bin/uvicorn app:app --workers 4",
    "uvicorn as a module": "/srv/x/venv/bin/python3 -m uvicorn app:app --workers 4",
    "hypercorn": "/srv/x/venv/bin/hypercorn -w 4 app:app",
    "puma": "/usr/bin/bundle exec puma -C config/puma.rb",
    "unicorn": "/usr/local/bin/unicorn -c u.rb",
    "granian": "/srv/x/venv/bin/granian --workers 4 app:app",
}


@pytest.mark.parametrize("command", KINDS.values(), ids=KINDS)
def test_other_servers_with_workers(tmp_path: Path, command: str) -> None:
    look = Fpm(tmp_path, command, name="web.service", title="x", workers=20).look()
    assert look.findings[0].code.endswith("-workers")
    assert "by hand" in look.findings[0].remedy
    assert "runs 20 workers" in text_of(look)


# As FPM itself says

_FPM = next((found for v in range(20, 0, -1) if (found := shutil.which(f"php-fpm8.{v}"))), None)
_LINE = st.one_of(
    st.builds("[{}]".format, st.sampled_from(["a", "B", "b", "A", "global", "'a'", '"c"'])),
    st.builds("pm.max_children = {}".format, st.sampled_from(["1", "12", "007", '"5"', "'6';x"])),
    st.builds("  PM.Max_Requests={} ; y".format, st.sampled_from(["0", "500", "${REQUESTS}"])),
    st.builds("process.max={}".format, st.sampled_from(["0", "3"])),
    st.sampled_from(["; pm.max_children = 99", "", "include=pool.d/*.conf", "include = none.conf"]),
)


@pytest.mark.skipif(_FPM is None, reason="php-fpm is not installed")
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_LINE, max_size=8), st.lists(_LINE, max_size=4))
def test_pools_as_fpm_reads_them(tmp_path: Path, main: list[str], pool: list[str]) -> None:
    root = tmp_path / "php"
    tree = Tree(tmp_path)
    (root / "pool.d").mkdir(parents=True, exist_ok=True)
    usual = "listen = /run/$pool.sock\nuser = nobody\npm = ondemand\npm.max_children = 2\n"
    head = "[global]\nerror_log = /dev/null\n" + "".join(f"[{n}]\n{usual}" for n in "abc")
    tree.write("/php/php-fpm.conf", "\n".join([head, *main, ""]))
    tree.write("/php/pool.d/x.conf", "\n".join(p for p in pool if "include" not in p))
    command = [_FPM or "", "-tt", "-p", str(root), "-y", str(root / "php-fpm.conf")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"REQUESTS": "7"}, check=False
    )
    if done.returncode:  # it would not start
        return
    said: dict[str, dict[str, str]] = {}
    section = ""
    for line in done.stderr.splitlines():
        if named := re.search(r"NOTICE: \[(.+)\]", line):
            section = named[1]
        elif value := re.search(r"NOTICE:\s+([\w.]+) = (.*)", line):
            said.setdefault(section, {})[value[1]] = value[2]
    made = php_fpm.read(tree.ground(), "/php/php-fpm.conf", "/php", {"REQUESTS": "7"})
    assert made.trouble == ""
    assert str(made.most) == said.pop("global")["process.max"]
    assert {p.name: (str(p.children), str(p.requests)) for p in made.pools.values()} == {
        name: (values["pm.max_children"], values["pm.max_requests"])
        for name, values in said.items()
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.one_of(st.sampled_from("[]=;\"'${}pm.max_children \n0123"), st.characters()))
)
def test_any_configuration_is_read(tmp_path: Path, text: str) -> None:
    tree = Tree(tmp_path)
    tree.write("/etc/php-fpm.conf", text.encode("utf-8", "replace").decode())
    made = php_fpm.read(tree.ground(), "/etc/php-fpm.conf", "/usr", {})
    assert made.children is None or made.children >= 0
