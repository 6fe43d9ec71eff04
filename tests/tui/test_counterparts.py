"""Each action of the screens has a job of `--plain`: whoever adds one to a screen adds it there."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.dom import DOMNode

from lowmem_tui.cli.dialogue.jobs import JOBS
from lowmem_tui.cli.dialogue.setup import ACTIONS, NEXT, SKIP
from lowmem_tui.tui import screens, widgets
from lowmem_tui.tui.app import LowmemApp

if TYPE_CHECKING:
    from collections.abc import Iterator

DISPLAY = "moves about on the display, or lays it out: there is none"
NOWHERE = "it only explains that this program does not kill"
LEAVES = "0, back and q leave a question, a job, the program"
ANSWER = "an answer to a question"
HELP = "? and Enter, everywhere"
IN_SETUP = {*ACTIONS, NEXT, SKIP}

COUNTERPARTS = {
    "LowmemApp": {
        **dict.fromkeys(("quit", "suspend_process"), LEAVES),
        "help": HELP,
        "redraw": DISPLAY,
    },
    "MainScreen": {
        "app.help": HELP,
        "open": "unit",
        "setup": "setup",
        "forecast": "whatif",
        "review": "review",
        "history": "history",
        "incidents": "incidents",
        **dict.fromkeys(("find", "filter", "sort_menu", "sort_next", "sort", "invert"), "list"),
        "running_only": "list",
        "tree": "unit",
        "tag": "edit",
        "untag": "edit",
        "fold": DISPLAY,
        "clear": DISPLAY,
        "kill": NOWHERE,
    },
    "FullScreen": {"trial": "trial"},
    "EditScreen": {"field": "edit", "review": "review", "back": LEAVES},
    "Entry": {"revert": "staged"},
    "ReviewScreen": {
        "apply": "apply",
        "discard": "discard",
        "again": "review",
        **dict.fromkeys(("back", "leave"), LEAVES),
    },
    "TrialScreen": {
        "keep": "confirm",
        "undo": "undo",
        "again": "review",
        **dict.fromkeys(("back", "leave"), LEAVES),
    },
    "HistoryScreen": {"open": "history", "undo": "undo", "read": "history", "dismiss": LEAVES},
    "ChangeScreen": {
        "undo": "undo",
        "yes": ANSWER,
        "no": ANSWER,
        **dict.fromkeys(("back", "leave"), LEAVES),
    },
    "ForecastScreen": {"review": "review", "dismiss": LEAVES},
    "IncidentsScreen": {
        "open": "incidents",
        "read": "incidents",
        "unit": "unit",
        "dismiss": LEAVES,
    },
    "IncidentScreen": {"raw": "incidents", "dismiss": LEAVES},
    "SetupScreen": {
        "open": "setup",
        "report": "setup",
        "look": "look",
        "skip": "skip",
        "dismiss": LEAVES,
        "app.help": HELP,
    },
    "StepScreen": {
        **dict.fromkeys(("take", "choose", "digit"), ANSWER),
        "forward": "apply",
        "skip": "skip",
        "next": "next",
        "undo": "undo",
        "look": "look",
        "app.help": HELP,
        "dismiss": LEAVES,
    },
    "SetupReviewScreen": {
        "apply": "apply",
        "next": "next",
        "undo": "undo",
        "again": "apply",
        "back": LEAVES,
    },
    "SetupReportScreen": {"history": "history", "dismiss": LEAVES},
    "AskScreen": {"answer": ANSWER},
    "ConfirmScreen": {"back": LEAVES},
    "ChooseScreen": {"choose": ANSWER, "dismiss": LEAVES},
    "HelpScreen": {"dismiss": LEAVES},
}
"""By screen or widget, and its action: the job, or the answer within a step of the set-up."""

MOVES = frozenset({"move", "page", "edge", "scroll"})
"""Actions of lists and pages that move about in them."""


def actions() -> Iterator[tuple[str, str]]:
    """Yield the class and the name of each action that a key of ours is bound to."""
    found: dict[str, type] = {LowmemApp.__name__: LowmemApp}
    for package in (screens, widgets):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            found |= {
                name: kind
                for name, kind in vars(module).items()
                if isinstance(kind, type)
                and issubclass(kind, DOMNode)
                and kind.__module__ == info.name
            }
    for name, kind in found.items():
        for binding in vars(kind).get("BINDINGS", ()):
            action = binding.action if isinstance(binding, Binding) else binding[1]
            yield name, action.partition("(")[0]


def test_each_action_of_a_screen_is_a_job_of_the_dialogue() -> None:
    known = {(name, action) for name, actions in COUNTERPARTS.items() for action in actions}
    bound = {pair for pair in actions() if pair[1] not in MOVES}
    assert bound - known == set(), "say here which job of `--plain` does the same"
    assert known - bound == set(), "there is no such action any more"


def test_each_counterpart_exists() -> None:
    named = {job for actions in COUNTERPARTS.values() for job in actions.values()}
    words = {job.word for job in JOBS} | IN_SETUP
    assert named - words - {DISPLAY, NOWHERE, LEAVES, ANSWER, HELP} == set()
