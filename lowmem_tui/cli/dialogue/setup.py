"""The guided set-up: every step, what it proposes, and applying that."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lowmem_tui.cli.dialogue import past, review
from lowmem_tui.cli.dialogue.state import BACK, BACK_FROM_VALUE
from lowmem_tui.model.amount import format_size
from lowmem_tui.model.errors import LowmemError
from lowmem_tui.model.integer import natural
from lowmem_tui.model.language import say, tr
from lowmem_tui.model.message import N_, of_list
from lowmem_tui.model.setup import Severity, lines
from lowmem_tui.policy.forecast.gains import gained, in_force
from lowmem_tui.policy.plan import is_triable
from lowmem_tui.policy.setup_part import Part, Stand, next_after

if TYPE_CHECKING:
    from lowmem_tui.cli.dialogue.state import Dialogue
    from lowmem_tui.model.plan import Plan
    from lowmem_tui.model.setup import Finding, Item, Wishes

QUESTION = N_(
    "Which step? Type its number or its name, next for the first one that waits, report, or 0."
)
HELP = N_(
    "Each step first shows what it would change. Nothing changes before you agree. Each "
    "change can be undone, and the step warns of what cannot."
)
STEP = N_(
    "What now? Type a number, apply, confirm, undo, look, skip, next, or 0 for the list of steps."
)
STEP_HELP = N_(
    "A number changes that proposal. apply shows exactly what would be changed, and asks "
    "first. confirm keeps a trial and undo reverts it; without a trial, undo undoes the "
    "step's newest change. look refreshes the step, skip leaves it out of this session, "
    "next opens the next step that waits."
)
ITEM_HELP = N_("yes selects the proposal, no keeps the present value; nothing is written here.")
NEXT, SKIP = "next", "skip"
NOT_NOW = N_("A trial runs: confirm or undo it first, then apply this.")
SEVERITIES = {
    Severity.NOTE: N_("Note: {text}"),
    Severity.ADVICE: N_("Advice: {text}"),
    Severity.WARNING: N_("Warning: {text}"),
    Severity.PROBLEM: N_("Problem: {text}"),
}
"""Where the text names its subject, and"""
ABOUT = {
    Severity.NOTE: N_("Note: {subject}: {text}"),
    Severity.ADVICE: N_("Advice: {subject}: {text}"),
    Severity.WARNING: N_("Warning: {subject}: {text}"),
    Severity.PROBLEM: N_("Problem: {subject}: {text}"),
}
"""where it does not."""
STANDS = {
    Stand.WAITING: N_("{number}. {title}: not examined."),
    Stand.LOOKING: N_("{number}. {title}: not examined."),
    Stand.TROUBLE: N_("{number}. {title}: unknown. {found}"),
    Stand.ABSENT: N_("{number}. {title}: nothing here. {found}"),
    Stand.TRIAL: N_("{number}. {title}: on trial until it is confirmed or undone."),
    Stand.SKIPPED: N_("{number}. {title}: skipped. {found}"),
    Stand.TODO: N_("{number}. {title}: {count} to do. {found}"),
    Stand.BY_HAND: N_("{number}. {title}: something must be done by hand. {found}"),
    Stand.LEFT: N_("{number}. {title}: not every proposal is selected. {found}"),
    Stand.DONE: N_("{number}. {title}: nothing to do. {found}"),
}


def setup(d: Dialogue, typed: str) -> None:
    """Go through the steps of the guided set-up."""
    if not d.parts:
        d.before = d.look()
        # Where the history cannot be read, nothing can be added to it either.
        with contextlib.suppress(LowmemError):
            d.earlier = frozenset(change.id for change in d.backend.history())
        d.parts = [Part(step) for step in d.backend.steps()]
    d.console.say("Every step examines the server. This may take some seconds.")
    d.console.flush()
    for part in d.parts:
        look(d, part)
    if not typed:
        _list(d)
    chosen = _which(d, typed)
    while chosen is not None:
        chosen = _step(d, chosen) or _which(d, "")


def look(d: Dialogue, part: Part) -> None:
    """Let a step look at the server; what fails is shown with the step."""
    part.saw(part.read())
    running = d.backend.trial()
    part.on_trial = running is not None and part.tried_by(running, d.trial.effects)


def _list(d: Dialogue) -> None:
    for number, part in enumerate(d.parts, 1):
        d.console.say(
            STANDS[part.stand],
            number=number,
            title=tr(part.step.title),
            count=len(part.to_do()),
            found=say(part.found),
        )


def _which(d: Dialogue, typed: str) -> Part | None:
    """Return the step that is chosen; None to go back."""

    def again() -> None:
        _list(d)

    answer: str | None = typed or d.ask(QUESTION, HELP, again)
    while answer is not None:
        word = answer.lower()
        number = natural(word, 3) or 0
        named = _named(d, word)
        if word == NEXT:
            named = [part for part in d.parts if part.waits][:1]
        if 1 <= number <= len(d.parts):
            named = [d.parts[number - 1]]
        if named:
            return named[0]
        if word == "report":
            report(d)
        elif word == NEXT:
            d.console.say("No step waits: there is nothing to do.")
        else:
            d.misunderstood(answer, "Type a number from 1 to {most}.", most=len(d.parts))
        answer = d.ask(QUESTION, HELP, again)
    return None


def _named(d: Dialogue, word: str) -> list[Part]:
    """Return the step of this name, or the only one whose title has this in it."""
    exact = [part for part in d.parts if part.step.name == word]
    titled = [part for part in d.parts if word in tr(part.step.title).lower()]
    return exact or (titled if len(titled) == 1 else [])


# --- one step -----------------------------------------------------------------------------------


def _step(d: Dialogue, part: Part) -> Part | None:
    """Show a step, and do what is asked of it; return the step to go on with, None for none."""
    part.seen = True
    _show(d, part)

    def again() -> None:
        _items(d, part, everything=True)

    while (answer := d.ask(STEP, STEP_HELP, again)) is not None:
        word = answer.lower()
        number = natural(word, 3) or 0
        if word in {NEXT, SKIP}:
            part.skipped = word == SKIP or part.skipped
            return _after(d, part)
        if 1 <= number <= len(part.items):
            _item(d, part, part.items[number - 1])
        elif word in ACTIONS:
            ACTIONS[word](d, part)
        else:
            d.misunderstood(answer, "Type a number, or one of the words.")
    return None


def _after(d: Dialogue, part: Part) -> Part | None:
    """Return the next step that has something to decide, or that was not read yet."""
    found = next_after(d.parts, part)
    if found is None:
        d.console.say("No later step waits.")
    return found


def _show(d: Dialogue, part: Part) -> None:
    d.console.gap()
    d.console.say("{title}. {about}", title=tr(part.step.title), about=tr(part.step.about))
    if part.trouble:
        d.console.message(part.trouble)
    found = part.look
    if found is None:
        return
    if found.absent:
        d.console.message(found.absent)
    for fact in found.facts:
        d.console.message(fact)
    for finding in found.findings:
        _finding(d, finding)
    for words in found.by_hand:
        d.console.say("To be done by hand:")
        for line in lines(words):
            d.console.show(f"  {say(line)}")
    _items(d, part, everything=False)


def _items(d: Dialogue, part: Part, *, everything: bool) -> None:
    """Say what is proposed; what is already set is only counted, unless all is asked for."""
    so = [item for item in part.items if part.is_so(item)]
    for number, item in enumerate(part.items, 1):
        if everything or item not in so:
            _say_item(d, part, number, item)
    if so and not everything:
        d.console.say_count(
            "1 proposal is already set: ? lists it, too.",
            "{n} proposals are already set: ? lists them, too.",
            len(so),
        )


def _finding(d: Dialogue, finding: Finding) -> None:
    text = finding.text
    if finding.subject in str(text):
        d.console.say(SEVERITIES[finding.severity], text=text)
    else:
        d.console.say(ABOUT[finding.severity], subject=finding.subject, text=text)


def _say_item(d: Dialogue, part: Part, number: int, item: Item) -> None:
    sentence = N_("{number}. {title}: now {now}; {value} is proposed, not selected.")
    if part.is_so(item):
        sentence = N_("{number}. {title}: now {now}, already set.")
    elif part.taken(item):
        sentence = N_("{number}. {title}: now {now}, to be {value}.")
    elif not part.value(item):
        sentence = N_("{number}. {title}: now {now}; nothing is proposed.")
    d.console.say(sentence, number=number, title=item.title, now=item.now, value=part.value(item))


def _item(d: Dialogue, part: Part, item: Item) -> None:
    """Ask whether an item is taken, and with which value."""
    d.console.say("{title}: {why}", title=say(item.title), why=say(item.why))
    values = all(natural(choice) is not None for choice in item.choices)
    for number, choice in enumerate(() if values else item.choices, 1):
        sentence = N_("{number} selects {choice}.")
        if not choice:
            sentence = N_("{number} keeps the current value.")
        d.console.say(sentence, number=number, choice=choice)
    back = BACK_FROM_VALUE if values and item.choices else BACK
    question = _question(part, item, values=values)
    named = {
        "title": say(item.title),
        "value": part.value(item),
        "choices": of_list(item.choices),
    }
    while (answer := d.ask(question, ITEM_HELP, None, back, **named)) is not None:
        number = natural(answer, 3) or 0
        if values and answer in item.choices:
            part.choose(item, answer)
        elif not values and 1 <= number <= len(item.choices):
            part.choose(item, item.choices[number - 1])
        elif answer.lower() in {"yes", "no"}:
            part.take(item, taken=answer.lower() == "yes")
        else:
            d.misunderstood(answer, "Nothing is changed.")
            continue
        _say_item(d, part, part.items.index(item) + 1, item)
        return


def _question(part: Part, item: Item, *, values: bool) -> str:
    """Return the template of what is asked: numbers are typed as the values that they are."""
    if not item.choices:
        return N_("{title}: type yes to select {value}, no to keep the current value.")
    if values:
        return N_(
            "{title}: type one of {choices}, yes to select {value}, no to keep the current value."
        )
    if not part.value(item):
        return N_("{title}: type a number, or no to keep the current value.")
    return N_("{title}: type a number, yes to select {value}, no to keep the current value.")


def _look(d: Dialogue, part: Part) -> None:
    part.skipped = False
    look(d, part)
    _show(d, part)


def _undo(d: Dialogue, part: Part) -> None:
    change = part.newest(d.backend.history())
    if part.on_trial:
        past.undo(d, "")
    elif change is not None:
        past.undo(d, change.id)
    else:
        d.console.say("No change of this step is in force: there is nothing to undo.")
    look(d, part)


def _confirm(d: Dialogue, part: Part) -> None:
    past.confirm(d, "")
    look(d, part)


def _apply(d: Dialogue, part: Part) -> None:
    """Show what a step would change, and apply it."""
    wishes = part.wishes()
    if not wishes:
        d.console.say("Nothing to do: no item is selected that is not already set.")
        return
    made = part.step.plan(wishes)
    review.describe(d, made)
    if not review.is_possible(d, made) or review.cannot_change(
        d,
        "To apply this: {program} setup --plain --step {step}",
        program=d.program,
        step=part.step.name,
    ):
        return
    if d.backend.trial() is not None:
        d.console.say(NOT_NOW)
        return
    part.skipped = False
    seconds = review.trial_or_not(d) if is_triable(made) else 0
    if seconds is not None and _agreed(d, made, seconds):
        _carry_out(d, part, made, seconds)


def _agreed(d: Dialogue, made: Plan, seconds: int) -> bool:
    if made.refusals or is_triable(made):
        return review.agreed(d, made, seconds)
    question = N_("Apply this at once? undo undoes it afterwards. Type the word yes.")
    if any(warning.lost for warning in made.warnings):
        question = N_(
            "Apply this at once? Undoing it does not restore what the warnings say is lost. Type "
            "the word yes."
        )
    if d.agreed(question):
        return True
    d.console.say(review.NOTHING_WRITTEN)
    return False


def _carry_out(d: Dialogue, part: Part, made: Plan, seconds: int) -> None:
    wishes = part.wishes()
    note = part.note_of(made, wishes)
    outcome = review.carry_out(
        d,
        lambda: d.backend.apply(made, force=bool(made.refusals), trial=seconds or None, note=note),
    )
    if outcome is None:
        return
    d.rules = d.rules.following((file.path, file.after) for file in made.files)
    review.report(d, outcome)
    running = d.backend.trial() if seconds else None
    if running is not None:
        review.start_of_trial(d, running, made)
    look(d, part)
    if running is None:
        _verify(d, part, wishes)


def _verify(d: Dialogue, part: Part, wishes: Wishes) -> None:
    """Say whether the step finds now what was asked for."""
    if part.step.plan(wishes).empty:
        d.console.say("Verified: the step finds everything as requested.")
        return
    for item in part.items:
        if item.key in wishes and not part.is_so(item):
            d.console.say(
                "Verification failed: {title}: now {now}, not {value}.",
                title=say(item.title),
                now=say(item.now),
                value=wishes[item.key],
            )


ACTIONS = {"apply": _apply, "confirm": _confirm, "undo": _undo, "look": _look}


# --- the end ------------------------------------------------------------------------------------


def report(d: Dialogue) -> None:
    """Say what was changed since the set-up was opened, and the result."""
    from lowmem_tui.policy.budget import budget, in_words

    history = d.backend.history()
    ours = [change for change in history if change.id not in (d.earlier or frozenset())]
    d.console.say_count(
        "1 change was made since the set-up was opened.",
        "{n} changes were made since the set-up was opened.",
        len(ours),
    )
    if ours:
        past.listing(d, ours)
    now = d.look()
    if d.before is not None:
        d.console.say(
            "Available memory was {before} and is {now} of {ram}; swap was {swap} and is {more}.",
            before=format_size(d.before.host.mem_available),
            now=format_size(now.host.mem_available),
            ram=format_size(now.host.mem_total),
            swap=format_size(d.before.host.swap_total),
            more=format_size(now.host.swap_total),
        )
    if back := gained(action for change in in_force(ours) for action in change.actions):
        d.console.say("Services that were switched off used {size}.", size=format_size(back))
    d.console.message(in_words(budget(now)))
