"""The catalogs of translations: extracted from the sources, brought up to date, compiled.

``make messages`` does all three; docs/translation.md tells how.
"""

from __future__ import annotations

import io
import re
import sys
import tomllib
from gettext import GNUTranslations
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "lowmem_tui"
LOCALE = PACKAGE / "locale"
DOMAIN = "lowmem-tui"

KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "msg": None,
    "tr": None,
    "N_": None,
    "plural": (1, 2),
}
DIALOGUE: dict[str, tuple[int, ...] | None] = {
    "say": None,
    "say_count": (1, 2),
    "ask": None,
    "agreed": None,
    "misunderstood": (2,),
    "cannot_change": (2,),
}
"""The same in cli/dialogue, whose sentences are printed by functions of its own."""
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "setup/idle/idle.toml": (("services",), ("reason", "lost", "keep")),
    "policy/tiers.toml": (("units", "programs"), ("reason",)),
}
"""Tables with sentences in them: the lists of blocks, and the keys of the sentences."""
WIDTH = "WIDTH:"
"""A comment above a text says how many cells there are for it: ``# WIDTH: 12``."""

Key: TypeAlias = "str | tuple[str, ...] | list[str]"

HEADER = """\
# Translations of lowmem-tui: see docs/translation.md.
msgid ""
msgstr ""
"Project-Id-Version: lowmem-tui\\n"
"Language: {}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {}\\n"

"""


def extracted() -> Catalog:
    """Return a catalog of all templates in the package, without translations."""
    made = Catalog(project=DOMAIN, charset="utf-8", fuzzy=False)
    for folder, keywords in ((PACKAGE, KEYWORDS), (PACKAGE / "cli/dialogue", DIALOGUE)):
        for name, line, message, comments, _ in extract_from_dir(
            folder,
            method_map=[("**.py", "python")],
            keywords=keywords,
            comment_tags=(WIDTH,),
        ):
            made.add(message, locations=[(name, line)], auto_comments=comments)
    for name, text in in_tables():
        made.add(text, locations=[(name, 1)])
    return made


def in_tables() -> Iterator[tuple[str, str]]:
    """Yield the sentences of the tables, each with the table's name."""
    for name, (lists, keys) in TABLES.items():
        table = tomllib.loads((PACKAGE / name).read_text("utf-8"))
        for block in (block for each in lists for block in table[each]):
            yield from ((name, block[key]) for key in keys if key in block)


def languages() -> list[str]:
    """Return the languages that there are catalogs for."""
    return sorted(path.parts[-3] for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def po(language: str) -> Path:
    """Return the catalog of a language."""
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def load(language: str) -> Catalog:
    """Return a language's catalog as it stands in the sources."""
    with po(language).open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN, abort_invalid=True)


def as_text(language: str, catalog: Catalog) -> bytes:
    """Return a catalog as its file: sorted and without places, so that changes meet seldom."""
    made = io.BytesIO()
    write_po(
        made,
        catalog,
        width=100,
        no_location=True,
        omit_header=False,
        sort_output=True,
        ignore_obsolete=True,
    )
    _, _, messages = made.getvalue().partition(b"\n\n")
    return HEADER.format(language, catalog.plural_forms).encode() + messages


def updated(language: str) -> Catalog:
    """Return a language's catalog with what the sources have now; what is gone is left out."""
    made = load(language)
    made.update(extracted(), no_fuzzy_matching=True, update_creation_date=False)
    made.obsolete.clear()
    return made


def compiled(language: str) -> bytes:
    """Return a language's catalog as gettext reads it."""
    made = io.BytesIO()
    write_mo(made, load(language))
    return made.getvalue()


def translations(language: str) -> GNUTranslations:
    """Return a language's catalog as the program has it."""
    return GNUTranslations(io.BytesIO(compiled(language)))


def texts(key: Key) -> tuple[str, ...]:
    """Return the template of a message, or both of one that counts."""
    return (key,) if isinstance(key, str) else tuple(key)


def width(comments: list[str]) -> int | None:
    """Return how many cells there are for a text; None where it is not bounded."""
    found = (re.fullmatch(rf"{WIDTH} ([0-9]+)", comment) for comment in comments)
    return next((int(match[1]) for match in found if match), None)


def untranslated(language: str) -> Iterator[Key]:
    """Yield what has no translation yet."""
    for message in updated(language):
        if message.id and not (message.string and all(texts(message.string))):
            yield message.id


def main() -> int:
    """Extract, update and compile; tell what is to be translated."""
    missing = False
    for language in languages():
        po(language).write_bytes(as_text(language, updated(language)))
        po(language).with_suffix(".mo").write_bytes(compiled(language))
        for key in untranslated(language):
            missing = True
            print(f"{language}: not translated: {texts(key)[0]}")
    return int(missing)


if __name__ == "__main__":
    sys.exit(main())
