"""Settings that do not count: systemd ignores them, or another file overrides them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.policy.checks.ignored import SETTINGS, Ignored, ignored, overridden
from tests.catalogs import translations

UNIT = "app.service"
PATH = f"/etc/systemd/system/{UNIT}"

VERIFIED = """\
MemoryHigh=1G
[Unit]
StartLimitIntervalSec=0
StartLimitInterval=0
StartLimitBurst=3
MemoryMax=1G
[Service]
ExecStart=/bin/true
StartLimitBurst=3
StartLimitInterval=3
StartLimitIntervalSec=3
MemoryMax=512MB
MemoryMax=1G # x
MemoryLimit=1G
Memorymax=1G
Memory-Max=1G
MemoryMax = 1G
OOMScoreAdjust=5000
RestartSteps=3
RestartMaxDelaySec=3
Restart=allways
Restart=always ; x
RestartSec=5 # x
RestartSec=
Restart=
OOMPolicy=
MemoryMax="1G"
OOMScoreAdjust="100"
MemoryMax=120%
MemoryMax=0
MemorySwapMax=0
MemoryHigh=0
Environment=A=1
Foo
[X-Foo]
MemoryMax=1
[Service]
MemoryMin=0
MemoryLow=0
DefaultMemoryMin=1G
MemoryAccounting=maybe
ManagedOOMPreference=foo
ManagedOOMMemoryPressureLimit=200%
ManagedOOMMemoryPressure=foo
MemoryMax=18446744073709551615
MemoryMax=infinity
MemoryMax=
OOMScoreAdjust=
OOMScoreAdjust=010
MemoryMax=1 G
RestartSec=1min 30s
MemoryMax=٣
StartLimitBurst=4294967296
StartLimitBurst=-0
[Install]
MemoryMax=1G
"""
LINES = (
    *(1, 6, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32),
    *(41, 42, 43, 44, 45, 52, 53, 56),
)
"""What `systemd-analyze verify` of systemd 252 has a word on, but for the line without a =."""


def found(
    text: str, unit: str = UNIT, systemd: int | None = 257, path: str = PATH
) -> list[Ignored]:
    return list(ignored([UnitFile(path, text)], unit, systemd))


def test_it_is_what_systemd_says_itself() -> None:
    assert [each.line for each in found(VERIFIED, systemd=252)] == list(LINES)


# What the file has; the line, a part of the reason, what to write instead.
WRONG: dict[str, tuple[str, int, str, str]] = {
    "a unit that systemd does not have": (
        "[Service]\nMemoryMax=512MB\n",
        *(2, "MemoryMax=512MB is not a value that systemd takes.", "write MemoryMax=512M"),
    ),
    "small letters": ("[Service]\nMemoryMax=512m\n", 2, "MemoryMax", "write MemoryMax=512M"),
    "a comment behind a value": (
        "[Service]\nMemoryMax=1G # enough\n",
        *(2, "the comment", "write MemoryMax=1G, and the comment on a line of its own"),
    ),
    "a comment behind a word": ("[Service]\nRestart=always ;x\n", 2, "comment", "Restart=always"),
    "a comment behind a tab": ("[Service]\nOOMScoreAdjust=5\t#x\n", 2, "comment", "=5,"),
    "a comment behind nonsense": (
        "[Service]\nRestart=x # y\n",
        2,
        "is not a value",
        "one of no, on-",
    ),
    "quotes": ("[Service]\nMemoryMax='1G'\n", 2, "no quotes", "write MemoryMax=1G"),
    "another section": ("[Unit]\nMemoryMax=1G\n", 2, "[Unit], only in [Service]", "[Service]"),
    "the last section": ("[Install]\nRestart=always\n", 2, "[Install]", "below [Service]"),
    "a section of another kind": ("[Slice]\nMemoryMax=1G\n", 2, "[Slice]", "below [Service]"),
    "a section in small letters": ("[service]\nMemoryMax=1G\n", 2, "[service]", "below [Service]"),
    "no section": ("MemoryMax=1G\n[Service]\n", 1, "ahead of any section", "[Service]"),
    "the start limit": (
        "[Service]\nStartLimitIntervalSec=0\n",
        *(2, "StartLimitIntervalSec= does not count in [Service]", "below [Unit]"),
    ),
    "the start limit without a section": ("StartLimitBurst=5\n", 1, "[Unit]", "[Unit]"),
    "small letters in a name": ("[Service]\nMemorymax=1G\n", 2, "Memorymax", "write MemoryMax="),
    "large letters in a name": ("[Service]\nMEMORYMAX=1G\n", 2, "MEMORYMAX", "write MemoryMax="),
    "a letter too few": ("[Service]\nMemorMax=1G\n", 2, "MemorMax", "write MemoryMax="),
    "half a name": ("[Service]\nOOMScoreAdj=5\n", 2, "OOMScoreAdj=", "write OOMScoreAdjust="),
    "less than half": ("[Service]\nOOMScore=5\n", 2, "OOMScore=", "write OOMScoreAdjust="),
    "a name of D-Bus": ("[Service]\nRestartUSec=5\n", 2, "RestartUSec=", "write RestartSec="),
    "out of range": ("[Service]\nOOMScoreAdjust=1001\n", 2, "OOMScoreAdjust=1001", "-1000 to 1000"),
    "nothing": ("[Service]\nOOMPolicy=\n", 2, "may not be empty", "one of continue"),
    "a limit of nothing": ("[Service]\nMemoryMax=0\n", 2, "MemoryMax=0", "at least 1M"),
    "no word of it": ("[Service]\nOOMPolicy=kil\n", 2, "OOMPolicy=kil", "continue, stop, kill"),
    "too much": ("[Service]\nMemoryHigh=101%\n", 2, "MemoryHigh=101%", "25%"),
    "what is behind a broken line": (
        "[Service]\n[Broken\nMemoryMax=1G\nRestart=no\n",
        *(2, "ignores what is below it: MemoryMax=, Restart=.", "correct this line"),
    ),
    "what is behind a line that is no text": (
        "[Service]\nDescription=\udcff\nMemoryMax=1G\n",
        *(2, "MemoryMax=", "correct this line"),
    ),
    "a line that goes on": ("[Service]\nMemoryMax=\\\n  512MB\n", 3, "MemoryMax", "=512M"),
}


@pytest.mark.parametrize(("text", "line", "why", "instead"), WRONG.values(), ids=WRONG)
def test_what_systemd_ignores(text: str, line: int, why: str, instead: str) -> None:
    (one,) = found(text)
    assert (one.path, one.line) == (PATH, line)
    assert why in str(one.why)
    assert instead in str(one.instead)
    assert any(name in str(one.why) for name in SETTINGS)


def test_what_to_write_is_rendered_in_the_operator_s_language() -> None:
    chinese = translations("zh_CN")
    (size,) = found("[Service]\nMemoryMax=512MB\n")
    assert size.why.render(chinese) == "MemoryMax=512MB 不是 systemd 接受的值。"
    assert size.instead.render(chinese) == "写 MemoryMax=512M"
    (word,) = found("[Service]\nRestart=x\n")
    assert word.instead.render(chinese).startswith("请使用 no、on-success")
    (score,) = found("[Service]\nOOMScoreAdjust=x\n")
    assert str(score.instead) == "write a whole number from -1000 to 1000"


RIGHT = {
    "sizes": "[Service]\nMemoryMax=1.5G\nMemoryHigh=50%\nMemorySwapMax=0\n"
    "MemoryMin=0\nMemoryMax=\n",
    "the score": "[Service]\nOOMScoreAdjust=-1000\nOOMScoreAdjust=\n",
    "restarts": "[Service]\nRestart=on-failure\nRestartSec=1min 30s\nRestartSteps=5\n",
    "the start limit of old": "[Service]\nStartLimitBurst=5\nStartLimitInterval=10\n",
    "the start limit": "[Unit]\nStartLimitBurst=5\nStartLimitIntervalSec=10\n",
    "sections of others": "[X-Theirs]\nMemoryMax=nonsense\n[Service]\nX-MemoryMax=5\n",
    "settings of others": "[Service]\nMemoryDenyWriteExecute=yes\nRestartPreventExitStatus=1\n"
    "MemoryKSM=yes\nMemoryPressureWatch=auto\nRestartKillSignal=9\nMemoryTHP=x\n",
    "what is none of ours": "[Service]\nExecStart=/bin/x --memory-max=1GB # y\nType=nonsense\n",
    "a comment": "[Service]\n# MemoryMax=512MB\n; Restart=x\n",
    "no equals sign": "[Service]\nMemoryMax\n",
    "nothing": "",
    "what is behind a broken line is none of ours": "[Service]\n[Broken\nExecStart=/x\n",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_what_systemd_takes(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("unit", "text", "why"),
    [
        ("a.slice", "[Slice]\nMemoryMax=1G\n", ""),
        ("a.slice", "[Service]\nMemoryMax=1G\n", "[Service], only in [Slice]"),
        ("a.slice", "[Slice]\nOOMScoreAdjust=1\n", "Units of type slice have no OOMScoreAdjust=."),
        ("a.socket", "[Socket]\nOOMScoreAdjust=1\n", ""),
        ("a.socket", "[Socket]\nRestart=always\n", "Units of type socket have no Restart=."),
        ("a.scope", "[Scope]\nOOMPolicy=kill\n", ""),
        ("a.timer", "[Timer]\nMemoryMax=1G\n", "Units of type timer have no MemoryMax=."),
        ("a.mount", "[Mount]\nMemoryMax=1GB\n", "MemoryMax=1GB"),
    ],
)
def test_other_units(unit: str, text: str, why: str) -> None:
    assert [why in str(each.why) for each in found(text, unit)] == ([True] if why else [])


# A setting, the version of systemd, whose file; whether it is ignored, or old.
@pytest.mark.parametrize(
    ("text", "systemd", "path", "is_found", "old"),
    [
        ("RestartSteps=5", 252, PATH, True, False),
        ("RestartSteps=5", 254, PATH, False, False),
        ("RestartSteps=5", None, PATH, False, False),
        ("RestartMaxDelaySec=5", 253, PATH, True, False),
        ("MemoryZSwapMax=5M", 252, PATH, True, False),
        ("RestartSteps=5", 252, "/usr/lib/systemd/system/app.service", False, False),
        ("MemoryLimit=1G", 252, PATH, True, True),
        ("MemoryLimit=1G", 257, PATH, True, True),
        ("MemoryLimit=1G", 258, PATH, True, False),
        ("MemoryLimit=1G", 257, "/usr/lib/systemd/system/app.service", False, False),
        ("MemoryMax=1GB", 257, "/usr/lib/systemd/system/app.service", True, False),
    ],
)
def test_versions(text: str, systemd: int | None, path: str, is_found: bool, old: bool) -> None:
    made = found(f"[Service]\n{text}\n", systemd=systemd, path=path)
    assert [each.old for each in made] == [old] * is_found
    if made and not old:
        assert text.partition("=")[0] in str(made[0].why)


DROP_IN = f"{PATH}.d"
ETC = "/etc/systemd/system"
TRIAL = f"/run/systemd/system/{UNIT}.d/zzz-lowmem-tui-trial.conf"
CONTROL = f"/etc/systemd/system.control/{UNIT}.d/50-MemoryMax.conf"
VENDOR = "/usr/lib/systemd/system/app.service"

# Files in systemd's order, path → text below [Service]; (key, file, line, winner, its line).
OVERRIDES: dict[str, tuple[dict[str, str], list[tuple[str, str, int, str, int]]]] = {
    "one file": ({PATH: "MemoryMax=1G"}, []),
    "a drop-in": (
        {PATH: "MemoryMax=1G", f"{DROP_IN}/override.conf": "Restart=no\nMemoryMax=2G"},
        [("MemoryMax", PATH, 2, f"{DROP_IN}/override.conf", 3)],
    ),
    "two drop-ins": (
        {f"{DROP_IN}/a.conf": "MemoryMax=1G", f"{DROP_IN}/b.conf": "MemoryMax="},
        [("MemoryMax", f"{DROP_IN}/a.conf", 2, f"{DROP_IN}/b.conf", 2)],
    ),
    "twice in a file": ({PATH: "Restart=no\nRestart=always"}, [("Restart", PATH, 2, PATH, 3)]),
    "three times": (
        {PATH: "MemoryMax=1G", f"{DROP_IN}/a.conf": "MemoryMax=2G\nMemoryMax=3G"},
        [
            ("MemoryMax", PATH, 2, f"{DROP_IN}/a.conf", 3),
            ("MemoryMax", f"{DROP_IN}/a.conf", 2, f"{DROP_IN}/a.conf", 3),
        ],
    ),
    "the same value": ({PATH: "MemoryMax=1G", f"{DROP_IN}/a.conf": "MemoryMax=1024M"}, []),
    "the same time": ({PATH: "RestartSec=60", f"{DROP_IN}/a.conf": "RestartSec=1min"}, []),
    "a package's value": ({VENDOR: "MemoryMax=1G", f"{DROP_IN}/a.conf": "MemoryMax=2G"}, []),
    "by us": ({PATH: "MemoryMax=1G", f"{DROP_IN}/zz-lowmem-tui.conf": "MemoryMax=2G"}, []),
    "by a trial of ours": (
        {PATH: "MemoryMax=1G", TRIAL: "MemoryMax=2G"},
        [],
    ),
    "ours": (
        {f"{DROP_IN}/zz-lowmem-tui.conf": "MemoryMax=1G", f"{DROP_IN}/zzz.conf": "MemoryMax=2G"},
        [("MemoryMax", f"{DROP_IN}/zz-lowmem-tui.conf", 2, f"{DROP_IN}/zzz.conf", 2)],
    ),
    "what systemd set": (
        {PATH: "MemoryMax=1G", CONTROL: "MemoryMax=2G"},
        [("MemoryMax", PATH, 2, CONTROL, 2)],
    ),
    "a default for all services": (
        {f"{ETC}/service.d/a.conf": "MemoryMax=1G", f"{DROP_IN}/b.conf": "MemoryMax=2G"},
        [],
    ),
    "a default for some": (
        {f"{ETC}/app-.service.d/a.conf": "MemoryMax=1G", f"{DROP_IN}/b.conf": "MemoryMax=2G"},
        [],
    ),
    "a template": (
        {f"{ETC}/app@.service": "MemoryMax=1G", f"{ETC}/app@x.service.d/a.conf": "MemoryMax=2G"},
        [],
    ),
    "by a value that is none": ({PATH: "MemoryMax=1G", f"{DROP_IN}/a.conf": "MemoryMax=2GB"}, []),
    "what adds up": ({PATH: "Environment=A=1\nEnvironment=B=2"}, []),
}


@pytest.mark.parametrize(("files", "these"), OVERRIDES.values(), ids=OVERRIDES)
def test_what_another_file_overrides(
    files: dict[str, str], these: list[tuple[str, str, int, str, int]]
) -> None:
    given_ = [UnitFile(path, f"[Service]\n{text}\n") for path, text in files.items()]
    made = [(o.key, o.path, o.line, o.winner, o.winner_line) for o in overridden(given_, UNIT)]
    assert made == these


_LINE = st.one_of(
    st.builds(
        "{}={}".format, st.sampled_from([*SETTINGS, "Memorymax", "OOM"]), st.text(max_size=8)
    ),
    st.sampled_from(["[Service]", "[Unit]", "[X-a]", "[b", "\udcff", "a\\", ""]),
    st.text(max_size=12),
)


@given(st.lists(_LINE, max_size=12).map("\n".join), st.sampled_from(["a.service", "b.slice", "c"]))
def test_any_file_is_judged(text: str, unit: str) -> None:
    for each in found(text, unit):
        assert each.line <= text.count("\n") + text.count("\r") + 2 + text.count("\0")
        assert str(each.why).isprintable()
        assert each.text.isprintable()
        assert str(each.instead).isprintable()
    list(overridden([UnitFile(PATH, text), UnitFile(DROP_IN, text)], unit))
