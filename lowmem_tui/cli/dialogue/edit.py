"""Staging: what settings of units are to be; nothing is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.cli.dialogue import unit as units
from lowmem_tui.cli.dialogue.state import BACK_FROM_VALUE
from lowmem_tui.model.errors import InvalidValueError, LowmemError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.language import tr
from lowmem_tui.model.message import N_, of_list
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.settings import parse_value, render_value
from lowmem_tui.model.staged import Staged
from lowmem_tui.policy import dropin
from lowmem_tui.policy.budget import need
from lowmem_tui.policy.plan import parse_key, plan
from lowmem_tui.policy.setting_advice import (
    ABOUT,
    CHOICES,
    WORDS,
    advice,
    common_keys,
    has_swap,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.message import Message, Value
    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.model.unit import Key

DROP, UNSTAGE = "drop", "unstage"

QUESTION = N_("Which unit do you want to edit? Type its number in the last list, or its name.")
HELP_SETTING = N_(
    "Type the number of a setting or its name, or the setting and its value at once, like "
    "MemoryMax=600M; nothing behind the = drops our setting. What you stage is not written yet."
)
HELP_VALUE = N_(
    "Type the value as in a unit file. drop stages the removal of the setting from the drop-in of "
    "lowmem-tui, so that other files count; unstage discards what is staged here."
)


def edit(d: Dialogue, typed: str) -> None:
    """Stage settings of a unit, or the same ones of several."""
    names = units.chosen(d, typed, QUESTION, several=True)
    if not names:
        return
    keys = common_keys(names)
    if not keys:
        d.console.say("There is no setting to edit that {units} has.", units=of_list(names))
        return
    _list(d, names, keys)
    while (chosen := _setting(d, names, keys)) is not None:
        key, value = chosen
        if value is None:
            _value(d, names, key)
        else:
            _stage(d, names, key, value or None)


def _list(d: Dialogue, names: Sequence[str], keys: Sequence[Key]) -> None:
    """Say what every setting is, and what is staged."""
    situation = d.backend.situation(names)
    if len(names) > 1:
        d.console.say("Settings on this page apply to {units}.", units=of_list(names))
    for number, key in enumerate(keys, 1):
        _line(d, number, names, key, situation)


def _setting(
    d: Dialogue, names: Sequence[str], keys: Sequence[Key]
) -> tuple[Key, str | None] | None:
    """Return the setting that is chosen, and the value typed with it; None to go back."""
    question = N_("Which setting of {unit}? Type its number or its name, or 0 when you are done.")
    unit = of_list(names)

    def again() -> None:
        _list(d, names, keys)

    while (answer := d.ask(question, HELP_SETTING, again, unit=unit)) is not None:
        left, equals, value = answer.partition("=")
        # As `apply --set` has it; a unit's name may hold colons, a key cannot.
        other, colon, name = left.strip().rpartition(":")
        if colon and dropin.full_name(other) not in names:
            d.console.say("What is edited here is {unit}, not {other}.", unit=unit, other=other)
            continue
        if (key := _chosen(d, name.strip(), keys, unit)) is not None:
            return key, value.strip() if equals else None
    return None


def _chosen(d: Dialogue, typed: str, keys: Sequence[Key], unit: Value) -> Key | None:
    """Return the setting of this number or name; None after saying why it is none."""
    number = natural(typed, 3) or 0
    if 1 <= number <= len(keys):
        return keys[number - 1]
    try:
        key = parse_key(typed)
    except InvalidValueError as error:
        d.console.message(error.message)
        return None
    if key in keys:
        return key
    d.console.say("{unit} has no setting {key}.", key=key, unit=unit)
    return None


def _line(d: Dialogue, number: int, names: Sequence[str], key: Key, situation: Situation) -> None:
    now = " / ".join(dict.fromkeys(_now(situation, name, key) for name in names))
    asked = {d.staged.of(name)[key] for name in names if key in d.staged.of(name)}
    sentence = N_("{number}. {key} is {now}.")
    if None in asked:
        sentence = N_("{number}. {key} is {now}; staged: remove our setting.")
    elif asked:
        sentence = N_("{number}. {key} is {now}; staged: {value}.")
    value = " / ".join(sorted(text for text in asked if text))
    d.console.say(sentence, number=number, key=key, now=now, value=value)


def _now(situation: Situation, name: str, key: Key) -> str:
    """Return what counts at this moment: the kernel's value, or else systemd's."""
    setting = situation.units[name].settings.get(key)
    if setting is None:
        return tr("unknown")
    value = setting.kernel if setting.kernel is not None else setting.loaded
    return render_value(key, value)


def _value(d: Dialogue, names: Sequence[str], key: Key) -> None:
    """Ask for the value until it can be staged, or the operator goes back."""
    d.console.say("{key}: {about}.", key=key, about=ABOUT[key])
    if len(names) == 1 and (words := _advice(d, names[0], key)):
        d.console.say("Advice for {unit}: {advice}.", unit=names[0], advice=words)
    choices = CHOICES.get(key, ())
    for number, word in enumerate(choices, 1):
        d.console.say("{number}. {word}: {meaning}.", number=number, word=word, meaning=WORDS[word])
    question = N_(
        "Which value for {key}? drop removes it from the drop-in of lowmem-tui, back changes "
        "nothing."
    )
    while (answer := d.ask(question, HELP_VALUE, None, BACK_FROM_VALUE, key=key)) is not None:
        if answer.lower() == UNSTAGE:
            for name in names:
                d.staged = d.staged.without(name, key)
            d.console.say("No edit of {key} is staged.", key=key)
            return
        number = natural(answer, 3) or 0
        text = choices[number - 1] if 1 <= number <= len(choices) else answer
        if _stage(d, names, key, None if text.lower() == DROP else text):
            return


def _advice(d: Dialogue, name: str, key: Key) -> Message | None:
    snapshot = d.look()
    seen = snapshot.units.get(name)
    if seen is None:
        return None
    tier = d.rules.classify(seen, snapshot.host.mem_total).tier
    known = d.backend.situation([name]).units[name].settings.get(key)
    kernel = known.kernel if known else None
    return advice(key, tier, need(seen), kernel, None, has_swap(seen, snapshot), name)


def _stage(d: Dialogue, names: Sequence[str], key: Key, value: str | None) -> bool:
    """Stage a value, and say what it would do; return whether it could be staged."""
    situation = d.backend.situation(names)
    if value is not None:
        try:
            parse_value(key, value, situation.snapshot.host.mem_total)
        except InvalidValueError as error:
            d.console.say("{key} is not staged. {why}", key=key, why=error.message)
            return False
    for name in names:
        _stage_one(d, name, key, value, situation)
    _effects(d, names)
    return True


def _stage_one(d: Dialogue, name: str, key: Key, value: str | None, situation: Situation) -> None:
    file = situation.units[name].drop_in
    if dropin.ours((file.text if file else None) or "").get(key) == value:
        d.staged = d.staged.without(name, key)
        d.console.say(
            "Our file already sets {key} of {unit} to this value: nothing is staged.",
            unit=name,
            key=key,
        )
        return
    d.staged = d.staged.with_edit(Edit(name, key, value))
    sentence = N_("Staged: set {key} of {unit} to {value}. Nothing is written yet.")
    if value is None:
        sentence = N_("Staged: remove our {key} of {unit}. Nothing is written yet.")
    d.console.say(sentence, key=key, unit=name, value=value)


def _effects(d: Dialogue, names: Sequence[str]) -> None:
    """Say what is refused and warned of for these units, and what becomes of the kill order."""
    from lowmem_tui.policy.forecast import whatif

    if not d.untried:
        return
    situation = d.backend.situation(d.untried.units)
    made = plan(d.untried.edits, situation, d.rules.tiers(situation))
    for notice in made.refusals:
        if notice.unit in names:
            d.console.say("A check refuses this: {text}", text=notice.named)
    for notice in made.warnings:
        if notice.unit in names:
            d.console.say("Warning: {text}", text=notice.named)
    if made.effects:
        now = whatif.known(situation)
        then = whatif.after(now, whatif.changes(made.effects))
        d.console.message(whatif.sentences(now, then)[0])
    d.console.say("review shows everything that would change; apply changes it.")


# --- what is staged -----------------------------------------------------------------------------


def staged(d: Dialogue, _: str) -> None:
    """List the staged edits, and discard those that are chosen."""
    while d.staged.edits:
        d.console.say_count("1 edit is staged.", "{n} edits are staged.", len(d.staged))
        for number, each in enumerate(d.staged.edits, 1):
            _say_edit(d, number, each)
        chosen = _which(d)
        if chosen is None:
            return
        d.staged = d.staged.less([chosen])
        d.console.say("{unit} {key} is not staged any more.", unit=chosen.unit, key=chosen.key)
    d.console.say("Nothing is staged: edit stages settings of a unit.")


def _say_edit(d: Dialogue, number: int, each: Edit) -> None:
    tried = each not in d.untried.edits
    sentence = N_("{number}. {unit}: set {key} to {value}.")
    if each.value is None:
        sentence = N_("{number}. {unit}: remove our {key}.")
    d.console.say(sentence, number=number, unit=each.unit, key=each.key, value=each.value)
    if tried:
        d.console.say("It is on trial.")


def _which(d: Dialogue) -> Edit | None:
    """Return the edit to discard; None to go back."""
    question = N_("Which edit do you want to discard? Type its number, or 0 to keep all of them.")
    help_ = N_("The numbers are those of the list above.")
    while (answer := d.ask(question, help_)) is not None:
        number = natural(answer, 4) or 0
        if 1 <= number <= len(d.staged):
            return d.staged.edits[number - 1]
        d.misunderstood(answer, "Type a number from 1 to {most}.", most=len(d.staged))
    return None


def discard(d: Dialogue, _: str) -> None:
    """Forget all staged edits, after a question."""
    if not len(d.staged):
        d.console.say("Nothing is staged.")
    elif d.agreed("Discard all {count} staged edits?", count=len(d.staged)):
        d.staged = Staged()
        d.console.say("Nothing is staged any more.")


def failed(d: Dialogue, error: LowmemError) -> None:
    """Say what went wrong; what is staged stays staged."""
    d.console.message(error.message)
    if len(d.staged):
        d.console.say("Your edits are still staged.")
