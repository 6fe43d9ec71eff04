"""Every text that is marked for translation is whole, is translated, and fits its place."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

import pytest

from lowmem_tui.cli.language import DOMAIN, LANGUAGES
from lowmem_tui.model.cells import cells
from lowmem_tui.model.message_data import fields
from lowmem_tui.model.text import plain
from tests import catalogs
from tests.catalogs import KEYWORDS, PACKAGE, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from babel.messages.catalog import Catalog, Message

MODULES = sorted(PACKAGE.rglob("*.py"))
DEFINED_IN = {"model/message.py", "model/language.py"}
RENDERS_IN = ("cli/", "tui/")


@cache
def catalog(language: str) -> Catalog:
    return catalogs.updated(language)


@cache
def messages(language: str) -> list[Message]:
    return [message for message in catalog(language) if message.id]


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in KEYWORDS:
                yield name, node


def faults_of(name: str, call: ast.Call) -> Iterator[str]:
    """Yield what is wrong with one call."""
    templates = call.args[: 2 if name == "plural" else 1]
    if name == "tr" and isinstance(templates[0], ast.Name | ast.Attribute | ast.Subscript):
        return  # a constant, which N_ has marked
    if not all(isinstance(t, ast.Constant) and isinstance(t.value, str) for t in templates):
        yield f"line {call.lineno}: the template is no literal"
        return
    if any(keyword.arg is None for keyword in call.keywords):
        yield f"line {call.lineno}: its values cannot be seen"
        return
    given = {str(keyword.arg) for keyword in call.keywords}
    if name == "plural":
        given.add("n")
    asked = {f for t in templates for f in fields(ast.literal_eval(t))}
    if name != "N_" and asked | ({"n"} & given) != given:
        yield f"line {call.lineno}: {sorted(asked)} asked for, {sorted(given)} given"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_each_message_is_a_literal_with_its_values(module: object) -> None:
    assert isinstance(module, type(PACKAGE))
    if module.relative_to(PACKAGE).as_posix() in DEFINED_IN:
        return
    tree = ast.parse(module.read_text())
    assert [fault for name, call in calls(tree) for fault in faults_of(name, call)] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_words_are_made_at_the_edge_alone(module: object) -> None:
    assert isinstance(module, type(PACKAGE))
    if module.relative_to(PACKAGE).as_posix().startswith((*RENDERS_IN, "model/language.py")):
        return
    names = [
        alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert [n for n in names if f"{n}.".startswith("lowmem_tui.model.language.")] == []


def test_every_literal_of_the_commands_is_extracted() -> None:
    """None is hidden in an f-string, where Babel sees it with some versions of Python alone."""
    found = {text for message in catalogs.extracted() if message.id for text in texts(message.id)}
    missing = [
        f"{module.relative_to(PACKAGE)}:{call.lineno}"
        for module in (PACKAGE / "cli").rglob("*.py")
        for name, call in calls(ast.parse(module.read_text()))
        for template in call.args[: 2 if name == "plural" else 1]
        if isinstance(template, ast.Constant) and template.value not in found
    ]
    assert missing == []


def test_every_template_is_whole_and_shows_nothing_a_terminal_obeys() -> None:
    wrong = [
        text
        for message in catalogs.extracted()
        if message.id
        for text in texts(message.id)
        if plain(text) != text or text != text.strip()
    ]
    assert wrong == []


def test_each_language_has_its_catalog() -> None:
    assert catalogs.languages() == sorted(LANGUAGES)
    assert catalogs.DOMAIN == DOMAIN


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalog_is_up_to_date(language: str) -> None:
    """`make messages` brings it up to date."""
    had = catalogs.po(language).read_text()
    assert had == catalogs.as_text(language, catalog(language)).decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_message_is_translated(language: str) -> None:
    assert list(catalogs.untranslated(language)) == []
    assert [message.id for message in messages(language) if message.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_same_placeholders(language: str) -> None:
    wrong = []
    for message in messages(language):
        templates = texts(message.id)
        # Which of several templates counts is the language's own: what the general one names.
        needed = set(fields(templates[-1])) - {"n"}
        known = {"n"} if len(templates) > 1 else set[str]()
        known |= {name for text in templates for name in fields(text)}
        wrong += [t for t in texts(message.string or ()) if not needed <= set(fields(t)) <= known]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_shows_nothing_a_terminal_obeys(language: str) -> None:
    found = [text for message in messages(language) for text in texts(message.string or ())]
    assert [text for text in found if plain(text) != text or text != text.strip()] == []


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_no_text_is_wider_than_its_place(language: str) -> None:
    wide = []
    for message in messages(LANGUAGES[0] if language == "en" else language):
        most = catalogs.width(message.auto_comments)
        if most is not None:
            shown = message.id if language == "en" else message.string
            wide += [text for text in texts(shown or ()) if cells(text) > most]
    assert wide == []


def test_an_up_to_date_catalog_can_be_compiled_and_read() -> None:
    for language in LANGUAGES:
        found = catalogs.translations(language)
        assert found.gettext("{first} {second}") != "{first} {second}"
