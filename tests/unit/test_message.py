"""Messages: data with English in it, harmless when shown, the same when it has travelled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model import errors, language
from lowmem_tui.model.message import (
    Kind,
    Message,
    Value,
    as_message,
    msg,
    of_bytes,
    of_command,
    of_limit,
    of_list,
    of_path,
    of_seconds,
    of_setting,
    of_span,
    of_text,
    of_unit,
    plural,
    sentences,
    verbatim,
)
from lowmem_tui.model.message_data import as_data, bare_values, fields, from_data
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import INFINITY

if TYPE_CHECKING:
    from collections.abc import Iterator

# What is made up here is not the program's and is not to be translated.
made_up, counted = msg, plural

MIB = 1 << 20


class Shouting:
    """A catalog that translates everything into capitals, and lists as a Chinese does."""

    def gettext(self, message: str) -> str:
        return {
            "{first} {second}": "{first}{second}",
            "{first}, {second}": "{first}、{second}",
        }.get(message, "".join(_upper(message)))

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"{n}: {self.gettext(msgid2)}"


def _upper(template: str) -> Iterator[str]:
    inside = False
    for char in template:
        inside = (inside or char == "{") and char != "}"
        yield char if inside else char.upper()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (of_bytes(123 * MIB + 12345), "123M"),
        (of_limit(100 * MIB), "100M"),
        (of_limit(INFINITY), "infinity"),
        (of_seconds(0.44), "0.4s"),
        (of_seconds(90), "1min 30s"),
        (of_span(1_500_000), "1.5s"),
        (of_span(INFINITY), "infinity"),
        (of_unit("ssh.service"), "ssh.service"),
        (of_path("/etc/\x1b[31mx"), "/etc/·[31mx"),
        (of_setting("MemoryMax", "100M"), "MemoryMax=100M"),
        (of_setting("MemoryMax"), "MemoryMax"),
        (of_command("systemctl stop x"), "systemctl stop x"),
        (of_text("a process", 5), "a pr…"),
        (of_unit("redis.service", 6), "redis…"),
        (of_list(["a", of_bytes(1024), made_up("c{x}", x=1)]), "a, 1K, c1"),
        (of_list([]), ""),
        (made_up("inside {x}", x=7), "inside 7"),
        (-1000, "-1000"),
        ("words of others\n", "words of others·"),
    ],
)
def test_a_value_is_shown_by_its_kind(value: Value | Message | str | int, shown: str) -> None:
    assert str(made_up("<{x}>", x=value)) == f"<{shown}>"


def test_counting_takes_the_form_that_fits() -> None:
    def counted_units(n: int) -> Message:
        return counted("{n} unit of {whose}", "{n} units of {whose}", n, whose="x")

    assert str(counted_units(1)) == "1 unit of x"
    assert str(counted_units(0)) == "0 units of x"
    assert counted_units(3).render(Shouting()) == "3: 3 UNITS OF x"


def test_a_message_in_another_language_has_the_same_values() -> None:
    inner = made_up("it has {held}", held=of_bytes(MIB))
    text = sentences(made_up("{a} is so: {why}.", a=of_list(["x", "y"]), why=inner), None, inner)
    assert text.render(Shouting()) == "x、y IS SO: IT HAS 1M.IT HAS 1M"
    assert str(text) == "x, y is so: it has 1M. it has 1M"
    assert sentences(inner) is inner
    assert as_message(inner) is inner


@pytest.mark.parametrize(
    ("template", "value", "shown"),
    [
        ("{x} 没有上限", "（整机）", "（整机）没有上限"),
        ("达到 {x} 时", "上限", "达到上限时"),
        ("达到 {x} 时", "600M", "达到 600M 时"),
        ("MemoryMax {x}", "上限", "MemoryMax 上限"),
        ("{x} no limit", "（", "（no limit"),
    ],
)
def test_no_blank_stands_between_chinese_words(template: str, value: str, shown: str) -> None:
    class Chinese(Shouting):
        def gettext(self, _: str) -> str:
            return template

    assert made_up("{x} has no limit", x=value).render(Chinese()) == shown


def test_phrases_are_joined_otherwise_than_names() -> None:
    class Chinese(Shouting):
        def gettext(self, message: str) -> str:
            known = {"{first}, {second}": "{first}、{second}", "{first}, {rest}": "{first}，{rest}"}
            return known.get(message, message)

    names, phrases = of_list(["a", "b", "c"]), of_list([made_up("d"), made_up("e")])
    assert made_up("{x}: {y}", x=names, y=phrases).render(Chinese()) == "a、b、c: d，e"


def test_a_value_that_is_missing_takes_nothing_else_down() -> None:
    assert str(Message("{a} and {b}", (("a", Value(Kind.NUMBER, 1)),))) == "1 and {b}"
    assert str(Message("{a!x} \x07{", (("a", Value(Kind.NUMBER, 1)),))) == "{a!x} ·{ 1"


def test_words_of_others_obey_no_template() -> None:
    assert str(made_up("{a}", a="{a.__class__} {0} \x1b[2J")) == "{a.__class__} {0} ·[2J"
    assert str(verbatim("{x} \x07")) == "{x} ·"


def test_an_error_carries_a_message_and_is_its_english() -> None:
    error = errors.RefusedError(
        made_up("{unit} is masked.", unit=of_unit("x.service")), way="force"
    )
    assert str(error) == "x.service is masked."
    assert error.message.render(Shouting()) == "x.service IS MASKED."
    assert error.way == "force"
    assert str(errors.LowmemError("As it was.").message) == "As it was."
    assert str(errors.LowmemError().message) == ""


def test_the_operators_language_is_used_where_words_are_made() -> None:
    found = made_up("{n} left", n=2)
    assert language.say(found) == "2 left"
    language.use("xx", Shouting())
    try:
        assert (language.name(), language.say(found)) == ("xx", "2 LEFT")
        assert language.say("plain words") == "plain words"
        assert language.tr("quit") == "QUIT"
        assert language.tr("quit {x}", x="it") == "QUIT it"
    finally:
        language.use(language.ENGLISH, None)
    assert language.tr("quit") == "quit"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sudo lowmem-tui apply --set x", "lowmem-tui --demo apply --set x"),
        ("see `lowmem-tui setup --step swap`", "see `lowmem-tui --demo setup --step swap`"),
        ("look up its name with 'lowmem-tui list'.", None),
        ("/etc/lowmem-tui/config.toml", "/etc/lowmem-tui/config.toml"),
        ("lowmem-tui --demo check", "lowmem-tui --demo check"),
        ("use `lowmem-tui --plain` here", "use `lowmem-tui --demo --plain` here"),
        ("a file that lowmem-tui did not write", "a file that lowmem-tui did not write"),
        ("lowmem-tui checks that file", "lowmem-tui checks that file"),
        ("sudo systemctl daemon-reload", "sudo systemctl daemon-reload"),
    ],
)
def test_commands_are_named_for_the_server_that_is_shown(text: str, shown: str | None) -> None:
    ways = (language.say, language.english, language.tr)
    assert [way(text) for way in ways] == [text] * 3
    language.use_demo(demo=True)
    expected = shown or "look up its name with 'lowmem-tui --demo list'."
    assert [way(text) for way in ways] == [expected] * 3
    apply = made_up("Try `{command}`.", command=of_command("sudo lowmem-tui apply --set x"))
    assert language.say(apply) == "Try `lowmem-tui --demo apply --set x`."
    assert str(apply) == "Try `sudo lowmem-tui apply --set x`."


# --- as data -------------------------------------------------------------------------------------

NAMES = st.sampled_from(("unit", "held", "limit", "why", "n"))
TEXTS = st.text(st.characters(codec=None), max_size=30)
LEAVES = st.one_of(
    st.builds(of_text, TEXTS),
    st.builds(of_unit, TEXTS),
    st.builds(of_path, TEXTS),
    st.builds(of_setting, TEXTS, TEXTS),
    st.builds(of_command, TEXTS),
    st.builds(of_bytes, st.integers(0, 2**64 - 1)),
    st.builds(of_limit, st.integers(0, 2**64 - 1) | st.just(INFINITY)),
    st.builds(of_span, st.integers(0, 2**64 - 1) | st.just(INFINITY)),
    st.builds(of_seconds, st.floats(0, 1e9)),
    st.integers(-(2**63), 2**63).map(lambda n: Value(Kind.NUMBER, n)),
)


def _messages(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Message]:
    def build(named: dict[str, Value], words: str, many: bool) -> Message:
        template = f"{words} " + " ".join(f"{{{name}}}" for name in named)
        if many:
            named["n"] = Value(Kind.NUMBER, 2)
        return Message(template, tuple(named.items()), f"many {template}" if many else "")

    words = st.text(st.sampled_from("abc 内存.…"), max_size=10)
    return st.builds(build, st.dictionaries(NAMES, values, max_size=4), words, st.booleans())


def _nested(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    messages = _messages(values).map(lambda m: Value(Kind.MESSAGE, m))
    flat = values.filter(lambda v: v.kind not in {Kind.LIST, Kind.SENTENCES})
    return st.one_of(
        messages,
        st.lists(flat, max_size=3).map(lambda found: Value(Kind.LIST, tuple(found))),
        st.lists(messages, max_size=3).map(lambda found: Value(Kind.SENTENCES, tuple(found))),
    )


MESSAGES = _messages(LEAVES | _nested(LEAVES | _nested(LEAVES)))


@given(MESSAGES)
def test_a_message_is_the_same_when_it_has_travelled(message: Message) -> None:
    text = json.dumps(as_data(message))
    assert from_data(json.loads(text)) == message
    json.dumps(bare_values(message))


@given(MESSAGES)
def test_what_is_shown_is_harmless(message: Message) -> None:
    assert plain(str(message)) == str(message)
    assert plain(message.render(Shouting()))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*Kind, "{x}", "{"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("template", "many", "values", "kind", "value", "x", "n")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    JSON | st.fixed_dictionaries({"template": st.sampled_from(["{x}", "{n} a"]), "values": JSON})
)
def test_foreign_data_is_a_message_or_refused_by_our_own_error(made: object) -> None:
    try:
        message = from_data(made)
    except errors.InvalidValueError as error:
        assert "cannot be read" in str(error)
        return
    assert plain(str(message)) == str(message)
    assert from_data(as_data(message)) == message


def _nest(depth: int) -> object:
    made: object = {"template": "x"}
    for _ in range(depth):
        made = {"template": "{a}", "values": {"a": {"kind": "message", "value": made}}}
    return made


HOSTILE = {
    "an attribute": {"template": "{a.__class__}", "values": {"a": {"kind": "text", "value": ""}}},
    "a format": {"template": "{a:>999999999}", "values": {"a": {"kind": "text", "value": ""}}},
    "a conversion": {"template": "{a!r}", "values": {"a": {"kind": "text", "value": ""}}},
    "a position": {"template": "{0}"},
    "no name": {"template": "{}"},
    "a brace": {"template": "}"},
    "an open brace": {"template": "{a"},
    "an escape": {"template": "\x1b[2J"},
    "a line break": {"template": "a\nb"},
    "a long template": {"template": "a" * 2001},
    "nothing": {"template": ""},
    "a missing value": {"template": "{a}"},
    "a value too many": {"template": "a", "values": {"a": {"kind": "text", "value": ""}}},
    "an unknown kind": {"template": "{a}", "values": {"a": {"kind": "html", "value": ""}}},
    "a long text": {"template": "{a}", "values": {"a": {"kind": "text", "value": "x" * 8193}}},
    "a truth as a number": {"template": "{a}", "values": {"a": {"kind": "number", "value": True}}},
    "a huge number": {"template": "{a}", "values": {"a": {"kind": "bytes", "value": 10**400}}},
    "a negative size": {"template": "{a}", "values": {"a": {"kind": "bytes", "value": -1}}},
    "no number": {"template": "{a}", "values": {"a": {"kind": "seconds", "value": float("nan")}}},
    "an endless size": {"template": "{a}", "values": {"a": {"kind": "bytes", "value": "infinity"}}},
    "a count without a number": {"template": "a", "many": "b"},
    "an unknown field": {"template": "a", "html": "<b>"},
    "too deep": _nest(7),
    "a list in a list": {
        "template": "{a}",
        "values": {"a": {"kind": "list", "value": [{"kind": "list", "value": []}]}},
    },
    "words among sentences": {
        "template": "{a}",
        "values": {"a": {"kind": "sentences", "value": [{"kind": "text", "value": "x"}]}},
    },
    "many values": {
        "template": "".join(f"{{a{i}}}" for i in range(40)),
        "values": {f"a{i}": {"kind": "text", "value": ""} for i in range(40)},
    },
    "a long list": {
        "template": "{a}",
        "values": {"a": {"kind": "list", "value": [{"kind": "number", "value": 1}] * 257}},
    },
}


@pytest.mark.parametrize("made", HOSTILE.values(), ids=HOSTILE)
def test_hostile_data_is_refused(made: object) -> None:
    with pytest.raises(errors.InvalidValueError, match="cannot be read"):
        from_data(made)


def test_data_that_would_render_to_too_much_is_refused() -> None:
    made: dict[str, object] = {"kind": "text", "value": "x" * 8000}
    for _ in range(3):
        message = {"template": "{a}" * 600, "values": {"a": made}}
        made = {"kind": "message", "value": message}
    with pytest.raises(errors.InvalidValueError):
        from_data(message)


def test_the_empty_text_is_empty_in_every_language() -> None:
    """For "" gettext has the catalog's own heading."""

    class Heading(Shouting):
        def gettext(self, message: str) -> str:
            return message or "Project-Id-Version: 1"

    assert Message("").render(Heading()) == ""
    language.use("xx", Heading())
    try:
        assert language.tr("") == ""
    finally:
        language.use(language.ENGLISH, None)


def test_messages_in_messages_are_bounded_but_not_too_soon() -> None:
    assert str(from_data(_nest(5))) == "x"


def test_what_is_longer_than_may_travel_is_cut() -> None:
    long = made_up("{a} {b}", a="x" * 9000, b=of_list([1] * 300))
    assert len(str(from_data(as_data(long)))) < 9000


def test_the_names_in_a_template() -> None:
    assert list(fields("{a} {{b}} {c_1}{a}")) == ["a", "c_1", "a"]


def test_json_gives_numbers_as_numbers() -> None:
    found = made_up(
        "{a} {b} {c} {d}",
        a=of_bytes(MIB),
        b=of_list([of_unit("x.service"), 3]),
        c=made_up("so {x}", x=1),
        d=of_limit(INFINITY),
    )
    assert bare_values(found) == {"a": MIB, "b": ["x.service", 3], "c": "so 1", "d": "infinity"}
