"""The policy file of a set-up: what is read back is what was proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowmem_tui.model.message import as_message, msg, verbatim
from lowmem_tui.model.plan import Action, ActionKind, FileChange, Notice, Plan
from lowmem_tui.model.setup import Item, Look
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.files.policy_file import parse_policy
from lowmem_tui.policy.files.policy_text import Part, render
from lowmem_tui.policy.merge import merged
from tests.catalogs import translations

if TYPE_CHECKING:
    from lowmem_tui.model.setup import Words

SWAP = frozenset({"swap"})


def item(key: str, value: str, *, taken: bool = True, done: bool = False) -> Item:
    return Item(key, "a title", "no such thing", value, "Because.", taken=taken, done=done)


def test_a_file_of_several_steps() -> None:
    swap = Look(
        facts=("There is none.",),
        items=(item("file", "1G"), item("zram", "no", taken=False), item("vm.swappiness", "10")),
        by_hand=("Buy RAM.",),
    )
    units = Look(
        items=(
            item("nginx.service:OOMScoreAdjust", "-200"),
            item("nginx.service:Restart", "always", done=True),
            item(r"worker@a\x2db.service:MemoryMax", "64M"),
        )
    )
    text = render(
        (
            Part("swap", "Swap", swap),
            Part("units", "Protect", units),
            Part("nginx", "nginx", Look(absent="There is no nginx.")),
            Part("redis", "Redis", None, "It does not answer."),
        ),
        verbatim("web-1"),
    )
    assert (
        text
        == r"""# The policy that 'lowmem-tui setup' proposes for web-1.
# Read it, change it, then apply it: sudo lowmem-tui apply --policy THIS-FILE

schema = 1

# --- Swap
# There is none.
[swap]
# a title (now: no such thing). Because.
file = "1G"
# a title (now: no such thing). Because.
# zram = "no"
# a title (now: no such thing). Because.
"vm.swappiness" = 10
# By hand: Buy RAM.

# --- Protect

[units."nginx.service"]
# a title (now: no such thing). Because.
OOMScoreAdjust = -200
# Restart = "always"  (already set) Because.

[units."worker@a\\x2db.service"]
# a title (now: no such thing). Because.
MemoryMax = "64M"

# --- nginx
# There is no nginx.

# --- Redis
# This step could not examine the server: It does not answer.
"""
    )
    names = {name: name for name in ("nginx.service", r"worker@a\x2db.service")}
    made = parse_policy(text, names, SWAP)
    assert [(e.unit, e.key, e.value) for e in made.edits] == [
        ("nginx.service", Key.OOM_SCORE_ADJUST, "-200"),
        (r"worker@a\x2db.service", Key.MEMORY_MAX, "64M"),
    ]
    assert made.wishes == {"swap": {"file": "1G", "vm.swappiness": "10"}}


def test_nothing_to_do_is_a_file_too() -> None:
    text = render(
        (Part("swap", "Swap", Look(items=(item("file", "1G", done=True),))),), verbatim("x")
    )
    assert parse_policy(text, {}, SWAP) == ((), (), {})


def test_the_comments_are_in_the_operator_s_language() -> None:
    chinese = translations("zh_CN")

    def words(each: Words) -> str:
        return as_message(each).render(chinese)

    why = msg("It can be restarted: it is killed before any gatekeeper.")
    done = Item("file", "swap", "1G", "1G", why, done=True)
    look = Look(items=(done, Item("size", msg("none"), "1G", "2G", why)), by_hand=("x" * 200,))
    text = render((Part("swap", "x", look),), verbatim("web-1"), words)
    assert text.startswith("# “lowmem-tui setup”为 web-1 建议的策略。\n# 请阅读、修改，然后应用：")
    assert '# file = "1G"（已设置）它可以重启：它在任何守门服务之前被终止。\n' in text
    assert "# 无（现在：1G）。它可以重启：" in text
    assert parse_policy(text, {}, SWAP).wishes == {"swap": {"size": "2G"}}


# No lone surrogates: a file of ours is UTF-8.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXT, TEXT.filter(bool)), TEXT, TEXT)
def test_whatever_it_says_it_is_read_back(wishes: dict[str, str], why: str, now: str) -> None:
    items = tuple(Item(key, why, now, value, why) for key, value in wishes.items())
    look = Look(facts=(why,), items=items, by_hand=(now,))
    text = render((Part("swap", why, look, now),), verbatim(now))
    made = parse_policy(text, {}, SWAP)
    assert made.wishes.get("swap", {}) == wishes


# --- several plans made one


def plan(*files: str, actions: tuple[Action, ...] = (), warning: str = "w") -> Plan:
    changes = tuple(FileChange(path, None, "x") for path in files)
    return Plan((), changes, (), (Notice(warning, "", "text"),), (), actions)


RELOAD = Action(ActionKind.SERVICE, "nginx.service", "reload", "reload")
TEST = Action(ActionKind.TEST, "nginx", "", "")
SWAPPINESS = Action(ActionKind.SYSCTL, "vm.swappiness", "60", "10")


def test_plans_are_done_in_their_order_and_what_repeats_once_at_last() -> None:
    one = plan("/a", actions=(TEST, RELOAD))
    other = plan("/b", actions=(SWAPPINESS, TEST, RELOAD), warning="v")
    made = merged((one, other, plan()))
    assert [file.path for file in made.files] == ["/a", "/b"]
    assert made.actions == (SWAPPINESS, TEST, RELOAD)
    assert [warning.code for warning in made.warnings] == ["w", "v"]
    assert made.refusals == ()
    assert merged(()).empty


@pytest.mark.parametrize("force", [False, True])
def test_two_plans_for_one_file_refuse_each_other(force: bool) -> None:
    (refusal,) = merged((plan("/a"), plan("/b", "/a"))).refused(force)
    assert refusal.code == "same-file"
