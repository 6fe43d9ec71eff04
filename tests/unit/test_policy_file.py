"""A policy file becomes edits, or an error that names the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.unit import Key, Tier
from lowmem_tui.policy.files.policy_file import PolicyFile, parse_policy

REDIS = "redis-server.service"
NAMES = {n: n for n in (REDIS, "w@.service", "w@1.service", "w@2.service", "w.timer")} | {
    "redis.service": REDIS
}


def test_a_whole_file() -> None:
    text = """\
schema = 1
[units."redis-server.service"]
OOMScoreAdjust = -100
MemoryMax = "256M"
RestartSec = 3
[units."w@*.service"]
Restart = "always"
[units."w@2.service"]
Restart = ""
[tiers]
"redis-server.service" = 1
"""
    redis = REDIS
    assert parse_policy(text, NAMES) == PolicyFile(
        (
            Edit(redis, Key.OOM_SCORE_ADJUST, "-100"),
            Edit(redis, Key.MEMORY_MAX, "256M"),
            Edit(redis, Key.RESTART_SEC, "3"),
            Edit("w@1.service", Key.RESTART, "always"),
            Edit("w@2.service", Key.RESTART, None),
        ),
        ((redis, Tier.BUSINESS),),
    )


def test_sections_of_the_steps_become_wishes() -> None:
    text = 'schema = 1\n[swap]\nsize = 1\n"a b" = "x"\n[journal]\n'
    made = parse_policy(text, NAMES, frozenset({"swap", "journal", "nginx"}))
    assert made == PolicyFile((), (), {"swap": {"size": "1", "a b": "x"}, "journal": {}})


WRONG_WISHES = {
    "a truth": ("[swap]\nsize = true\n", "Line 3: write the value of size"),
    "a float": ("[swap]\n\nsize = 1.5\n", "Line 4: write the value of size"),
    "a list": ("[swap]\nsize = [1]\n", "Line 3: write the value of size"),
    "no quotes": ("[swap]\nvm.swappiness = 1\n", "Line 3: write the name in quotes"),
    "no table": ("swap = 1\n", "Line 2: write [swap] with lines"),
}


@pytest.mark.parametrize(("text", "message"), WRONG_WISHES.values(), ids=WRONG_WISHES)
def test_wrong_wishes_are_named_with_their_line(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_policy("schema = 1\n" + text, NAMES, frozenset({"swap"}))
    assert str(caught.value).startswith(message)


# the name in the file → the units
NAMED = {
    "redis-server.service": [REDIS],
    "redis-server": [REDIS],
    "redis": ["redis.service"],
    "w@1": ["w@1.service"],
    "w@*": ["w@1.service", "w@2.service"],
    "w@*.service": ["w@1.service", "w@2.service"],
    "w*": ["w@1.service", "w@2.service"],
    "redis*": [REDIS],
    "w@7.service": ["w@7.service"],
    "w.timer": ["w.timer"],
}


@pytest.mark.parametrize(("name", "units"), NAMED.items(), ids=NAMED)
def test_names(name: str, units: list[str]) -> None:
    made = parse_policy(f'schema = 1\n[units."{name}"]\nOOMScoreAdjust = 5\n', NAMES)
    assert [e.unit for e in made.edits] == units


def test_tiers_by_names_without_suffix() -> None:
    made = parse_policy('schema = 1\n[tiers]\nredis = 0\n"w@*" = 2\n', NAMES)
    assert made.tiers == (("redis.service", Tier.GATEKEEPER), ("w@*.service", Tier.SHORT_LIVED))


# sections [units."NAME"] with their MemoryMax → what each unit gets
TWICE = {
    "a name before a pattern": ({"w@1": "1G", "w@*": "2G"}, {"w@1": "1G", "w@2": "2G"}),
    "a name after a pattern": ({"w@*": "2G", "w@1": "1G"}, {"w@1": "1G", "w@2": "2G"}),
    "the same by two names": (
        {"redis": "1G", "redis-server": "1G"},
        {"redis": "1G", "redis-server": "1G"},
    ),
    "the same by two patterns": ({"w@*": "1G", "w*": "1G"}, {"w@1": "1G", "w@2": "1G"}),
}


def asking(wishes: dict[str, str]) -> str:
    return "schema = 1\n" + "".join(
        f'[units."{name}"]\nMemoryMax = "{value}"\n' for name, value in wishes.items()
    )


@pytest.mark.parametrize(("wishes", "made"), TWICE.values(), ids=TWICE)
def test_a_name_counts_before_a_pattern(wishes: dict[str, str], made: dict[str, str]) -> None:
    edits = parse_policy(asking(wishes), NAMES).edits
    assert {e.unit.removesuffix(".service"): e.value for e in edits} == made


CONTRADICTIONS = {
    "an alias": (
        {"redis": "1G", "redis-server": "2G"},
        (
            "Line 5: redis-server.service has MemoryMax=2G here and MemoryMax=1G in "
            '[units."redis"], line 3: keep one of them.'
        ),
    ),
    "two patterns": ({"w@*": "1G", "w*": "2G"}, "Line 5: w@1.service has MemoryMax=2G here"),
    "a drop": (
        {"w@1": "", "w@1.service": "1G"},
        "Line 5: w@1.service has MemoryMax=1G here and MemoryMax= in",
    ),
}


@pytest.mark.parametrize(("wishes", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_contradicts_itself_is_named_with_both_lines(
    wishes: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_policy(asking(wishes), NAMES)
    assert str(caught.value).startswith(message)


HEAD = 'schema = 1\n\n[units."redis-server.service"]\n'
BAD = {
    "no schema": ("", "begin the file with 'schema = 1'"),
    "another schema": ("\nschema = 2", "Line 2: begin the file with 'schema = 1'"),
    "schema true": ("schema = true", "Line 1: begin the file"),
    "unknown section": ("schema = 1\n[swap]\n", "Line 2: section 'swap' is unknown"),
    "unknown unit": (HEAD + '[units."x.service"]\n', "Line 4: there is no unit x.service"),
    "nothing fits": ('schema = 1\n[units."x*"]\n', "Line 2: there is no unit x*"),
    "an instance of nothing": ('schema = 1\n[units."v@1"]\n', "Line 2: there is no unit v@1"),
    "no name": ('schema = 1\n[units."../x"]\n', "Line 2: there is no unit ../x"),
    "no quotes": ("schema = 1\n[units.redis-server.service]\n", "Line 2: write the name in quotes"),
    "unknown key": (HEAD + "Nice = 5\n", "Line 4: 'Nice' is not a setting"),
    "wrong value": (HEAD + '\nMemoryMax = "banana"\n', "Line 5: 'banana' is not a limit"),
    "wrong number": (HEAD + "OOMScoreAdjust = 5000\n", "Line 4: '5000' is not an OOMScoreAdjust"),
    "a truth": (HEAD + "Restart = true\n", "Line 4: write the value of Restart"),
    "a list": (HEAD + "Restart = []\n", "Line 4: write the value of Restart"),
    "the same key twice": (HEAD + "Restart = 1\nRestart = 2\n", "Correct the TOML syntax"),
    "units no table": ("schema = 1\nunits = 5\n", "Line 2: write a section"),
    "a unit no table": ('schema = 1\n[units]\n"a.service" = 5\n', 'Line 3: write [units."a.serv'),
    "inline": ('schema = 1\nunits = {"redis-server.service" = {Nice = 1}}\n', "Line 2: 'Nice'"),
    "a wrong tier": ('schema = 1\n[tiers]\n"a.service" = 4\n', "Line 3: a tier is 0, 1 or 2"),
    "a tier of nothing": ('schema = 1\n[tiers]\n"a.service" = 1\n', "Line 3: there is no unit a"),
    "tiers no table": ("schema = 1\ntiers = 1\n", "Line 2: write [tiers]"),
    "the first of several": ("schema = 1\n[journal]\n[swap]\n", "Line 2: section 'journal'"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_policy(text, NAMES)
    assert str(caught.value).startswith(message)


@given(st.text(st.sampled_from('schema=1units[]."w@*service\n{}# é\x1b\\')))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_policy("schema = 1\n" + text, NAMES)
    except InvalidValueError as error:
        assert str(error).isprintable()
