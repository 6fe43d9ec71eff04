"""`--plain`: whole jobs, in words, on the demo server."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowmem_tui.cli import dialogue
from lowmem_tui.cli.dialogue import review
from lowmem_tui.cli.dialogue.console import LONGEST
from lowmem_tui.cli.dialogue.jobs import JOBS, Job
from lowmem_tui.cli.exit import Exit
from lowmem_tui.model import language
from lowmem_tui.model.change import State
from lowmem_tui.model.setup import Progress
from lowmem_tui.model.unit import Key
from tests.catalogs import extracted, texts
from tests.cli.talk import DROP_IN, REDIS, Talk

if TYPE_CHECKING:
    from lowmem_tui.model.plan import Outcome, Plan

EDIT = (f"edit {REDIS}", "MemoryMax", "300M", "0")
TRIAL = (*EDIT, "apply", "1")
FOR_GOOD = (*EDIT, "apply", "2", "yes")


@pytest.fixture
def talk() -> Talk:
    return Talk()


def state_of(talk: Talk) -> State:
    return talk.backend.history()[0].state


# --- whole jobs ---------------------------------------------------------------------------------


def test_an_edit_is_applied_as_a_trial_confirmed_and_undone(talk: Talk) -> None:
    said = talk.hold(*TRIAL, "confirm", "history", "history 1", "undo 1", "yes", "q")
    assert talk.status is Exit.DONE
    for sentence in (
        f"Staged: set MemoryMax of {REDIS} to 300M. Nothing is written yet.",
        f"{REDIS}: MemoryMax changes from 256M to 300M, live, at once.",
        f"New file {DROP_IN}:\n",
        "  MemoryMax=300M\n",
        "Change 1 is on trial. It reverts automatically at ",
        "Verified: the files, systemd and the kernel agree.",
        "Change 1 is confirmed: it is permanent.",
        f"{REDIS}: MemoryMax changed from 256M to 300M.",
        "It was applied as a trial of 120 seconds.",
        f"{REDIS}: MemoryMax goes back from 300M to 256M.",
        "Change 1 is undone: everything has its previous value.",
    ):
        assert sentence in said
    assert [change.state for change in talk.backend.history()] == [State.APPLIED, State.UNDONE]
    assert talk.ours == []


def test_nothing_is_written_by_a_review(talk: Talk) -> None:
    said = talk.hold(*EDIT, "review", "staged", "0", "q", "yes")
    assert "Nothing is written yet: apply does it." in said
    assert f"1. {REDIS}: set MemoryMax to 300M." in said
    assert talk.ours == [] and not talk.backend.history()


def test_a_trial_that_nobody_confirms_reverts_and_the_edits_stay_staged(talk: Talk) -> None:
    said = talk.hold(
        *EDIT, "apply", "trial 60", talk.wait(20), "", talk.wait(41), "", "review", "q", "yes"
    )
    assert "Change 1 is on trial for 40 more seconds: confirm keeps it, undo rolls it back." in said
    assert "The trial of change 1 is over: it was reverted automatically." in said
    assert "Your edits are still staged." in said
    assert "1 staged edit is not applied." in said
    assert said.endswith("Quit and discard the staged edits (1)? Type the word yes.\n> yes\n")
    assert state_of(talk) is State.EXPIRED
    assert talk.ours == []


def test_a_trial_is_undone(talk: Talk) -> None:
    said = talk.hold(*TRIAL, "trial", "undo", "staged", "0", "q", "yes")
    assert f"{REDIS}: MemoryMax changed from 256M to 300M." in said
    assert "Change 1 is undone: everything has its previous value." in said
    assert state_of(talk) is State.UNDONE


def test_a_trial_of_somebody_else_is_reported_and_its_end(talk: Talk) -> None:
    first = talk.hold(*TRIAL)
    assert "Change 1 is on trial." in first
    said = talk.hold("", talk.backend.confirm, "", "trial", "confirm", "q")
    assert "A trial was started by root." in said
    assert "Change 1 was confirmed elsewhere and stays in force." in said
    assert said.count("No trial runs.") == 2


def test_what_is_kept_is_staged_no_longer_and_what_came_later_is(talk: Talk) -> None:
    later = ("edit nginx", "RestartSec", "3s", "0")
    said = talk.hold(*TRIAL, *later, "apply", "confirm", "no", "confirm", "yes", "staged", "0")
    assert "A trial runs: confirm or undo it first, then apply." in said
    assert "The staged edit of nginx.service RestartSec is not on trial." in said
    assert "It was not confirmed: the trial goes on." in said
    assert "1 edit is staged.\n1. nginx.service: set RestartSec to 3s." in said


def test_for_good_is_asked_about_with_the_whole_word(talk: Talk) -> None:
    said = talk.hold(*EDIT, "apply", "2", "y", "", "no", "apply", "2", "yes", "q")
    assert "y is not an answer here.\nType the whole word yes to do it, or no." in said
    assert "Nothing was written." in said
    assert "The change is permanent" in said
    assert talk.ours == [DROP_IN]


def test_a_check_that_refuses_is_overridden_with_the_word_alone(talk: Talk) -> None:
    below = (f"edit {REDIS}", "MemoryMax", "20M", "0", "apply", "1")
    said = talk.hold(*below, "no", "q", "yes")
    assert "Refused, unless you override it:" in said
    assert "Override the check and apply it as a trial? Type the word yes." in said
    assert not talk.backend.history()
    said = talk.hold(*below, "yes", "confirm", "no", "q", "yes")
    assert state_of(talk) is State.TRIAL
    assert "A check refused this change." in said


def test_what_cannot_be_overridden_is_not_asked_about(talk: Talk) -> None:
    said = talk.hold("edit certbot", "Restart", "always", "0", "apply", "q", "yes")
    assert "It is refused: change or discard those edits, then apply." in said
    assert "How is it to be applied?" not in said


def test_several_units_at_once(talk: Talk) -> None:
    said = talk.hold("list worker@", "edit 1, 2", "MemoryMax", "70M", "0", "apply", "2", "yes", "q")
    assert "Settings on this page apply to worker@a.service, worker@b.service." in said
    assert len(talk.ours) == 2


def test_an_edit_is_dropped_forgotten_and_discarded(talk: Talk) -> None:
    talk.hold(*FOR_GOOD, "q")
    drop = (f"edit {REDIS}", "MemoryMax", "drop", "0")
    said = talk.hold(
        *drop, "staged", "1", *drop, "discard", "no", "discard", "yes", *EDIT, *drop, "review"
    )
    assert f"Staged: remove our MemoryMax of {REDIS}. Nothing is written yet." in said
    assert f"{REDIS} MemoryMax is not staged any more." in said
    assert "Nothing is staged any more." in said
    assert f"Our file already sets MemoryMax of {REDIS} to this value: nothing is staged." in said
    assert f"File {DROP_IN} is removed. It contains:" in said
    unstage = (f"edit {REDIS}", "MemoryMax", "310M", "2", "unstage", "0", "q")
    assert "No edit of MemoryMax is staged." in talk.hold(*unstage)


def test_words_of_a_setting_are_chosen_by_number(talk: Talk) -> None:
    said = talk.hold("edit nginx", "OOMPolicy", "1", "0", "q", "yes")
    assert "1. continue: only that process is killed." in said
    assert "Staged: set OOMPolicy of nginx.service to continue." in said


AT_ONCE = {
    "as apply --set has it": ("MemoryMax=300M", "Staged: set MemoryMax of {unit} to 300M"),
    "by its number": ("2=300M", "Staged: set MemoryMax of {unit} to 300M"),
    "with blanks": (" MemoryMax = 300M ", "Staged: set MemoryMax of {unit} to 300M"),
    "with the unit": (f"{REDIS}:MemoryMax=300M", "Staged: set MemoryMax of {unit} to 300M"),
    "with the unit, which is a service": (
        "redis-server:MemoryMax=300M",
        "to 300M. Nothing is written yet.",
    ),
    "a value of blanks and signs": (
        "RestartSec=1min 30s",
        "Staged: set RestartSec of {unit} to 1min",
    ),
    "zero": ("OOMScoreAdjust=0", "Staged: set OOMScoreAdjust of {unit} to 0"),
    "a value that is none": ("MemoryMax=banana", "MemoryMax is not staged. "),
    "a setting that is none": ("Nice=5", "'Nice' is not a setting: write one of "),
    "a setting that is meant": ("memorymax=300M", "did you mean MemoryMax?"),
    "of another unit": ("nginx:MemoryMax=300M", "What is edited here is {unit}, not nginx."),
    "no setting at all": ("=300M", "'' is not a setting: write one of "),
}


@pytest.mark.parametrize(("typed", "words"), AT_ONCE.values(), ids=AT_ONCE)
def test_a_setting_and_its_value_are_typed_at_once(talk: Talk, typed: str, words: str) -> None:
    said = talk.hold(f"edit {REDIS}", typed, "0", "discard", "yes", "q")
    assert words.format(unit=REDIS) in said
    assert "Which value for" not in said


def test_nothing_behind_the_equals_sign_drops_our_setting(talk: Talk) -> None:
    talk.hold(*FOR_GOOD, "q")
    said = talk.hold(f"edit {REDIS}", "MemoryMax=", "0", "discard", "yes", "q")
    assert f"Staged: remove our MemoryMax of {REDIS}." in said


def test_zero_is_a_value_where_a_value_is_asked_for(talk: Talk) -> None:
    said = talk.hold("edit redis", "1", "?", "back", "1", "0", "0", "q", "yes")
    assert "back goes back, Enter shows what is new, q quits." in said
    assert f"Staged: set OOMScoreAdjust of {REDIS} to 0." in said


def test_looking_says_everything_in_sentences(talk: Talk) -> None:
    said = talk.hold(
        "triage", "list", "list by score", "list all", "list by", "unit 1", "unit redis", "whatif",
        "incidents", "incidents 1", "no", "incidents since yesterday", "incidents x", "check", "q",
    )  # fmt: skip
    for sentence in (
        "web-1: 315M of 967M RAM is available, 229M of 2G swap is used.",
        "Next OOM victim: cloudchat.service, process 912 (gunicorn).",
        "Tier 0, gatekeepers: 9 units.",
        f"{REDIS}: 63.6M RSS, 20M swap, OOM score 618, oom_score_adj -100, MemoryMax 256M",
        f"{REDIS}: Advanced key-value store.",
        "MemoryMax is 256M, set in /etc/systemd/system/redis.service.d/override.conf.",
        "1. cloudchat.service, process 912 (gunicorn): OOM score ",
        "The kernel killed gunicorn (pid 912, 462M in RAM)",
        "incidents takes no argument, a number, or since and a time",
        "goes through all of it.",
    ):
        assert sentence in said
    assert "—" not in said


def test_each_setting_of_a_service_can_be_edited(talk: Talk) -> None:
    said = talk.hold("edit redis", *(line for key in Key for line in (key, "back")), "0", "q")
    for number, key in enumerate(Key, 1):
        assert f"{number}. {key} is " in said
        assert f"Which value for {key}?" in said
    protected = ("edit redis", "MemoryLow", "100M", "0", "apply", "1", "unit redis", "q", "yes")
    said = talk.hold(*protected)
    assert "memory.low 100M" in said
    assert "system.slice grants MemoryLow only 64M." in said


def test_the_kill_order_is_compared_with_what_is_staged(talk: Talk) -> None:
    said = talk.hold("edit cloudchat", "OOMScoreAdjust", "-900", "0", "whatif", "q", "yes")
    assert "What the staged edit would do:" in said


def test_a_kill_is_reported_once(talk: Talk) -> None:
    below = ("edit cloudchat", "MemoryMax", "60M", "MemorySwapMax", "0", "0")
    said = talk.hold(*below, "apply", "1", "yes", talk.wait(3), "", "", "q", "yes")
    assert said.count("cloudchat.service lost ") == 1


def test_a_long_action_is_followed_in_sentences(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = threading.Event()
    real = talk.backend.apply

    def slow(plan: Plan, *, force: bool, trial: int | None) -> Outcome:
        assert reported.wait(60)
        return real(plan, force=force, trial=trial)

    def progress() -> Progress:
        if asked:
            reported.set()
        asked.append(True)
        return Progress("writing /swapfile", 1, 4)

    asked: list[bool] = []
    monkeypatch.setattr(review, "PATIENCE", 0.01)
    monkeypatch.setattr(talk.backend, "apply", slow)
    monkeypatch.setattr(talk.backend, "progress", progress)
    assert "25 percent done: writing /swapfile.\n" in talk.hold(*FOR_GOOD, "q")
    assert talk.ours == [DROP_IN]


# --- the set-up ---------------------------------------------------------------------------------


def test_a_step_is_applied_verified_and_undone(talk: Talk) -> None:
    said = talk.hold(
        "sysctl", "5", "no", "apply", "yes", "look", "undo", "yes", "0", "report", "0", "q",
        start="setup",
    )  # fmt: skip
    assert "Every step examines the server." in said
    assert "1. vm.swappiness: swap or page cache first: now 60, to be 10." in said
    assert "Apply this at once? undo undoes it afterwards. Type the word yes." in said
    assert "Verified: the step finds everything as requested." in said
    assert "2 changes were made since the set-up was opened." in said
    assert [c.state for c in talk.backend.history()] == [State.APPLIED, State.UNDONE]


def test_the_settings_of_units_are_on_trial_in_the_set_up(talk: Talk) -> None:
    said = talk.hold("setup units", "apply", "1", "confirm", "next", "skip", "0", "0", "q")
    assert "Change 1 is on trial." in said
    assert "Change 1 is confirmed: it is permanent." in said
    assert state_of(talk) is State.CONFIRMED


def test_an_item_is_chosen_by_number(talk: Talk) -> None:
    said = talk.hold("setup swap", "1", "x", "?", "3", "0", "0", "q")
    assert "x is not an answer here." in said
    assert "3 selects 1G." in said
    assert "1. swap file /swapfile: now none; 2G of other swap, to be 1G." in said


def test_a_number_that_is_a_value_is_typed_as_such(talk: Talk) -> None:
    tier = ("setup tiers", "11", "7", "0", "apply", "yes")
    said = talk.hold(*tier, "0", "0", "list cloudchat", "q")
    assert "cloudchat.service: type one of 0, 1, 2, yes to select 1" in said
    assert "11. cloudchat.service: now 1, business: limit, to be 0." in said
    assert "Tier 0, gatekeepers: 1 unit." in said


def test_undoing_the_tiers_brings_the_earlier_ones_back(talk: Talk) -> None:
    tier = ("setup tiers", "11", "0", "apply", "yes", "undo", "yes", "0", "0")
    assert "Tier 1, business: 1 unit." in talk.hold(*tier, "list cloudchat", "q")


def test_a_step_that_is_none_is_asked_for_again(talk: Talk) -> None:
    said = talk.hold("setup nonsense", "next", "0", "q")
    assert "nonsense is not an answer here.\nType a number from 1 to " in said


# --- nothing without an explicit answer ---------------------------------------------------------


@pytest.mark.parametrize("count", range(len(FOR_GOOD)))
def test_the_end_of_the_input_applies_nothing(count: int) -> None:
    talk = Talk()
    talk.hold(*FOR_GOOD[:count])
    assert talk.status is Exit.DONE
    assert talk.ours == [] and not talk.backend.history()


def test_a_last_line_without_enter_is_no_answer(talk: Talk) -> None:
    said = talk.hold(*FOR_GOOD[:-1], b"yes")
    assert talk.status is Exit.DONE
    assert not talk.backend.history()
    assert said.endswith("> \n")


def test_a_line_that_is_too_long_is_not_read(talk: Talk) -> None:
    longest = f"unit {'x' * (LONGEST - 5)}"
    said = talk.hold(f"{longest}x", b"y" * 5000 + b"\n", longest, "0", "q")
    assert said.count(f"That line is longer than {LONGEST} characters and was not read") == 2
    assert "is not a unit's name" in said


WORDS = [job.word for job in JOBS if job.word not in {"apply", "undo", "check", "setup"}]
NOISE = st.text(max_size=40).filter(lambda text: "\n" not in text)
TYPED = st.one_of(NOISE, st.sampled_from([*WORDS, *EDIT, "?", "", "q", "no", "y", "apply", "5"]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TYPED, max_size=12))
def test_whatever_is_typed_changes_nothing_and_is_answered_in_plain_lines(typed: list[str]) -> None:
    talk = Talk()
    said = talk.hold(*(line for line in typed if line.lower().strip() not in {"1", "2", "yes"}))
    assert talk.status is Exit.DONE
    assert talk.ours == []
    assert all(char.isprintable() or char == "\n" for char in said)


# --- who may not change -------------------------------------------------------------------------


def test_the_read_only_mode_stages_and_applies_nothing() -> None:
    talk = Talk(read_only=True)
    said = talk.hold(*EDIT, "review", "apply", "undo", "confirm", "q", "yes")
    assert (
        "You can view the server and stage edits. lowmem-tui was started with --read-only" in said
    )
    assert "How is it to be applied?" not in said
    assert not talk.backend.history()


def test_an_ordinary_user_sees_what_to_run() -> None:
    talk = Talk(cannot_change="Only root may change this: run the same with sudo.")
    talk.backend.demo = False
    said = talk.hold(*EDIT, "apply", "setup sysctl", "apply", "0", "0", "q", "yes")
    assert "To apply just this: sudo lowmem-tui apply --trial 120 --set" in said
    assert f"{REDIS}:MemoryMax=300M" in said
    assert "To apply this: sudo lowmem-tui setup --plain --step sysctl" in said
    assert not talk.backend.history()


# --- the words ----------------------------------------------------------------------------------


def test_help_derives_from_the_jobs(talk: Talk) -> None:
    said = talk.hold("?", "nonsense", "q")
    for number, job in enumerate(JOBS, 1):
        assert job.sentence.format(number=number, word=job.word) in said
    assert "There is no command nonsense: ? lists the commands, q quits." in said
    assert len({job.word for job in JOBS}) == len(JOBS)
    assert len({job.function for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.word)
def test_a_number_does_what_its_word_does(job: Job) -> None:
    number, word = JOBS.index(job) + 1, job.word
    by_word, by_number = (Talk().hold(typed, "0") for typed in (word, str(number)))
    assert by_word.replace(f"> {word}\n", "") == by_number.replace(f"> {number}\n", "")


MODULES = sorted(Path(dialogue.__file__).parent.glob("*.py"))
SAYING = {"say", "say_count", "ask", "agreed", "misunderstood", "cannot_change"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_sentence_is_one_template(module: Path) -> None:
    """A later change translates them: none is an f-string, glued or cut."""
    glued = []
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in SAYING:
            glued += [
                f"line {arg.lineno}"
                for arg in node.args
                if isinstance(arg, ast.JoinedStr | ast.BinOp)
            ]
    assert glued == []


class Reversed:
    """A catalog that turns nothing but the words of a template round."""

    def gettext(self, message: str) -> str:
        return " ".join(reversed(message.split(" ")))

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self.gettext(one if count == 1 else many)


def test_a_sentence_is_in_the_operators_language(talk: Talk) -> None:
    language.use("xx", Reversed())
    try:
        said = talk.hold(*EDIT, "staged", "0", "q", "yes")
    finally:
        language.use(language.ENGLISH, None)
    assert f"yet. written is Nothing 300M. to {REDIS} of MemoryMax set Staged:" in said
    assert "staged. is edit 1" in said


class Asked(Reversed):
    """A catalog that remembers which templates it was asked for."""

    def __init__(self) -> None:
        self.templates: set[str] = set()

    def gettext(self, message: str) -> str:
        self.templates.add(message)
        return message


JOINTS = {"{text}", "{sentences}"}
"""What holds the words of others, or several messages; nothing in it is translated."""


def test_every_sentence_that_is_printed_is_in_the_catalogs() -> None:
    asked, talk = Asked(), Talk()
    language.use("xx", asked)
    try:
        for lines in (
            [job.word for job in JOBS],
            ["?", "unit", "?", "x", "0", "unit redis", "list all", "list by", "nothing", "staged"],
            [*EDIT, "0", "review", "staged", "1", "0", "discard", "no", "q", "no", "whatif"],
            [*EDIT, "0", "apply", "?", "3", "1", "trial", "", "undo", "no", "confirm", "history 1"],
            ["setup idle", "?", "1", "?", "no", "apply", "no", "undo", "skip", "x", "0", "report"],
        ):
            talk.hold(*lines)
    finally:
        language.use(language.ENGLISH, None)
    marked = {text for each in extracted() if each.id for text in texts(each.id)}
    # The steps' own words are tested with the steps.
    of_steps = {str(text) for step in talk.backend.steps() for text in (step.title, step.about)}
    assert asked.templates - marked - JOINTS - of_steps == set()
    assert len(asked.templates) > 100


def test_each_file_that_sets_a_setting_is_named(talk: Talk) -> None:
    early = f"/etc/systemd/system/{REDIS}.d/10-a.conf"
    talk.server.files.write(early, "[Service]\nMemoryMax=1G\nMemoryHigh=much\n")
    talk.server.connect().reload()
    said = talk.hold("unit redis", "q")
    decides = "/etc/systemd/system/redis.service.d/override.conf"
    assert f"MemoryMax is 256M, set in {decides}." in said
    assert f"MemoryMax=1G in {early}, line 2, is overridden by {decides}, line 3." in said
    assert f"MemoryHigh=much in {early}, line 3, is ignored: systemd does not accept" in said
