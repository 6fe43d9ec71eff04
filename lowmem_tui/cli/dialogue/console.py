"""Plain lines out and in: nothing printed moves a cursor, and what is typed is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.cli.output import shown
from lowmem_tui.model import language
from lowmem_tui.model.message import Message, Value, as_message, as_value
from lowmem_tui.model.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO, TextIO

PROMPT = "> "

LONGEST = 1000
"""Bytes of one line of input; a longer one is thrown away whole."""

WIDEST = 2000
"""Cells of one value within a sentence."""


class EndOfInput(Exception):  # noqa: N818 - it is none of our faults
    """There is no more input: nothing that was not agreed to is done any more."""


class HungUp(Exception):  # noqa: N818
    """The terminal has gone."""


class Console:
    """The terminal, the serial line, or the pipes, that the dialogue is held on."""

    def __init__(self, source: BinaryIO, target: TextIO) -> None:
        self._source = source
        self._target = target
        self._typed = source.isatty()
        """Whether the terminal itself shows what is typed."""

    def say(self, sentence: str, /, **values: object) -> None:
        """Print a sentence: one template, into which values are put that others may have written.

        It is extracted for translation where it is a literal, else marked with ``N_``. It is shown
        in the operator's language, and on a terminal wrapped between words.
        """
        self._put(Message(sentence, _named(values)))

    def say_count(self, one: str, many: str, count: int, /, **values: object) -> None:
        """Print the sentence for one thing, or that for any other number ``{n}`` of them."""
        self._put(Message(one, _named({"n": count, **values}), many))

    def message(self, words: Message | str) -> None:
        """Print what is a message already, or the words of others."""
        self._put(as_message(words if isinstance(words, Message) else plain(words, WIDEST)))

    def show(self, text: str) -> None:
        """Print a line as it stands, of a file or of another text that was made elsewhere."""
        self._print(plain(text).rstrip())

    def gap(self) -> None:
        """Print an empty line, between two parts."""
        self._print("")

    def flush(self) -> None:
        """Have everything printed: what could not be shown is not agreed to."""
        self._target.flush()

    def forget_typed(self) -> None:
        """Throw away what was typed ahead: it cannot be the answer to what was not read yet."""
        if self._typed and self._source.isatty():
            import termios

            termios.tcflush(self._source.fileno(), termios.TCIFLUSH)

    def read(self) -> str:
        """Prompt, and return the line that is typed, without the blanks around it.

        Raises EndOfInput also for a last line that was not ended with Enter, HungUp, OSError.
        """
        while (raw := self._line()) is None:
            self.say(
                "That line is longer than {most} characters and was not read: type a shorter one.",
                most=LONGEST,
            )
        text = raw.decode("utf-8", "replace").strip()
        if not self._typed:
            self._print(plain(text))  # so that the lines read as a dialogue
        return text

    def _line(self) -> bytes | None:
        """Return the next line; None for one that was too long."""
        self._target.write(PROMPT)
        self._target.flush()
        first = last = self._piece()
        while len(last) > LONGEST and not last.endswith(b"\n"):
            last = self._piece()
        if not last.endswith(b"\n"):
            if self._typed and not self._source.isatty():
                raise HungUp
            self._print("")  # whatever is printed next begins a line
            raise EndOfInput
        return first if first is last else None

    def _piece(self) -> bytes:
        try:
            return self._source.readline(LONGEST + 1)
        except OSError as error:
            raise (HungUp if self._typed else EndOfInput) from error

    def _put(self, words: Message) -> None:
        self._print(shown(language.say(words), self._target))

    def _print(self, text: str) -> None:
        self._target.write(f"{text}\n")


def _named(values: Mapping[str, object]) -> tuple[tuple[str, Value], ...]:
    """Return values as a message has them; what is neither text nor a number becomes text."""
    return tuple(
        (
            name,
            as_value(value)
            if isinstance(value, int | Message | Value)
            else as_value(plain(str(value), WIDEST)),
        )
        for name, value in values.items()
    )
