"""`lowmem-tui show`: one unit in full, as text and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from lowmem_tui.cli import show
from lowmem_tui.cli.backend import ServerBackend
from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.exit import Exit
from lowmem_tui.cli.main import run_command
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model import language
from lowmem_tui.model.cells import cells
from lowmem_tui.model.errors import ManagerGoneError
from tests import catalogs

if TYPE_CHECKING:
    from collections.abc import Iterator

Capture = pytest.CaptureFixture[str]

REDIS = "redis-server.service"
EARLY = f"/etc/systemd/system/{REDIS}.d/10-a.conf"
DECIDES = "/etc/systemd/system/redis.service.d/override.conf"
HIDDEN = "/usr/lib/systemd/system/redis.service.d/override.conf"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> DemoServer:
    """Return the demo server that `show` works on, with more files for redis."""
    server = DemoServer(0, lambda: 0.0)
    monkeypatch.setattr(show, "open_backend", lambda _, **__: serve(server, read_only=True))
    evil = "\x1b[2J" * 40
    server.files.write(EARLY, f"[Service]\nMemoryMax=1G\nMemoryHigh={evil}\n")
    server.files.write(HIDDEN, "[Service]\nMemoryMax=3G\n")
    server.connect().reload()
    return server


@pytest.fixture
def chinese() -> Iterator[None]:
    language.use("zh_CN", catalogs.translations("zh_CN"))
    yield
    language.use(language.ENGLISH, None)


def text(capsys: Capture, *words: str) -> str:
    assert run_command(["--demo", "show", *words]) == Exit.DONE
    return capsys.readouterr().out


def document(capsys: Capture, *words: str) -> Any:  # noqa: ANN401
    return json.loads(text(capsys, "--json", *words))


@pytest.mark.usefixtures("server")
def test_the_page_is_in_80_columns_and_says_everything(capsys: Capture) -> None:
    page = text(capsys, "redis")
    assert "\x1b" not in page
    assert max(cells(line) for line in page.splitlines() if "/" not in line) <= 80
    words = " ".join(page.split())
    for wanted in (
        f"{REDIS}: Advanced key-value store.",
        "Tier 1, business.",
        "It uses 63.6M RSS",
        "If it is killed for memory now: restarts in",
        "SETTING FILES SYSTEMD KERNEL EFFECTIVE",
        "MemoryMax 256M 256M 256M 256M",
        f"not read 3G {HIDDEN}:2",
        f"overridden 1G {EARLY}:2",
        f"decides 256M {DECIDES}:3",
        "ignored",
        f"{HIDDEN} (not read by systemd)",
    ):
        assert wanted in words


@pytest.mark.usefixtures("chinese")
def test_the_page_in_chinese(server: DemoServer) -> None:
    page = "\n".join(show.page(shown(server))).replace(" ", "")
    for wanted in ("被覆盖1G", "生效256M", "未读取3G", "内核"):
        assert wanted in page


def shown(server: DemoServer) -> show.Shown:
    from lowmem_tui.cli.rules import load_rules

    backend = serve(server, read_only=True)
    try:
        backend.wait_ready()
        (found,), notice = show._look(backend, ["redis"], load_rules(config=None))
    finally:
        backend.close()
    assert notice is None
    return found


@pytest.mark.usefixtures("server")
def test_json_is_as_the_contract_has_it(capsys: Capture) -> None:
    found = document(capsys, "redis")
    assert found["unit"]["name"] == REDIS
    assert found["unit"]["settings"]["MemoryMax"]["source"] == DECIDES
    assert [file["path"] for file in found["files"]] == [
        HIDDEN,
        f"/usr/lib/systemd/system/{REDIS}",
        EARLY,
        DECIDES,
    ]
    assert [file["loaded"] for file in found["files"]] == [False, True, True, True]
    limit = found["settings"]["MemoryMax"]
    assert limit["declared"] == "256M"
    assert limit["loaded"] == limit["kernel"] == limit["effective"] == 256 << 20
    assert [(s["file"], s["line"], s["value"], s["wins"]) for s in limit["sources"]] == [
        (HIDDEN, 2, "3G", False),
        (EARLY, 2, "1G", False),
        (DECIDES, 3, "256M", True),
    ]
    assert found["settings"]["Restart"]["kernel"] is None
    assert found["protection"].keys() == {"min", "low", "effective_min", "effective_low"}
    assert found["after_kill"]["outcome"] == "restarts"
    assert found["after_kill"]["at_every_start"]["outcome"] in {"start limit", "restarts"}


def test_several_units_and_a_pattern(capsys: Capture) -> None:
    units = document(capsys, "worker@*", "ssh", "system.slice")["units"]
    names = [each["unit"]["name"] for each in units]
    assert names[-2:] == ["ssh.service", "system.slice"]
    assert len(names) > 3
    assert units[-1]["after_kill"] is None
    assert units[-1]["protection"]["low"] == 64 << 20


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("redis-servr", f"There is no unit redis-servr.service; the nearest name is {REDIS}:"),
        ("qqqqqq.timer", "There is no unit qqqqqq.timer: see `lowmem-tui --demo list`."),
        ("nosuch*", "No loaded unit fits the pattern 'nosuch*'"),
        ("a/b\x1b", "is not a unit's name"),
    ],
)
def test_a_unit_that_there_is_not_is_one_sentence(
    word: str, sentence: str, capsys: Capture
) -> None:
    assert run_command(["--demo", "show", word]) == Exit.USAGE
    found = capsys.readouterr()
    assert sentence in found.err
    assert "\x1b" not in found.err
    assert found.out == ""


def test_without_systemd_settings_are_unknown(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> NoReturn:
        raise ManagerGoneError("systemd does not answer: try again.")

    monkeypatch.setattr(ServerBackend, "situation", gone)
    assert run_command(["--demo", "show", REDIS, "--json"]) == Exit.DONE
    found = capsys.readouterr()
    assert "Until then settings are unknown." in found.err
    assert json.loads(found.out)["settings"] is None
    assert json.loads(found.out)["protection"]["min"] is None
    assert run_command(["--demo", "show", "no-such"]) == Exit.ROLLED_BACK
    assert "systemd does not answer" in capsys.readouterr().err
