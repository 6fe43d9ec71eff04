"""What the settings of a unit are, and which file sets each: for the unit's page and for `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.amount import format_limit
from lowmem_tui.model.cells import cells, fit
from lowmem_tui.model.message import msg, of_list, of_path, of_setting, of_unit
from lowmem_tui.model.settings import Bound, render_value
from lowmem_tui.model.snapshot import Standing
from lowmem_tui.model.text import plain
from lowmem_tui.model.unitfile import decisive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lowmem_tui.model.message import Message
    from lowmem_tui.model.snapshot import Setting, Source, UnitSituation
    from lowmem_tui.model.unit import Key

    Render = Callable[[Message | str], str]

MARK = 10
"""Cells of the word before a place that sets a setting."""

LONGEST = 40
"""Cells of a value that a file sets: what systemd ignores may be of any length."""

MARKS = {
    # WIDTH: 10
    Standing.DECIDES: msg("decides"),
    # WIDTH: 10
    Standing.OVERRIDDEN: msg("overridden"),
    # WIDTH: 10
    Standing.IGNORED: msg("ignored"),
    # WIDTH: 10
    Standing.NOT_READ: msg("not read"),
    # WIDTH: 10
    Standing.UNKNOWN: msg("unknown"),
}


class Line(NamedTuple):
    """A line for a screen or a page."""

    text: str
    strong: bool = False


def lines(values: Mapping[Key, Setting], width: int, render: Render) -> Iterator[Line]:
    """Yield every setting with each place that sets it; where its values differ, all of them."""
    unset = [str(key) for key, s in values.items() if _unset(s) and not s.sources]
    if unset:
        yield Line(" " + render(msg("Not set: {settings}", settings=of_list(unset))))
    for key, setting in values.items():
        if key not in unset:
            yield from _setting(key, setting, width, render)


def _unset(setting: Setting) -> bool:
    return setting.declared is None and not setting.differs and not setting.capped_by


def _setting(key: Key, s: Setting, width: int, render: Render) -> Iterator[Line]:
    declared = _declared(s, render)
    first = f" {key:<15} {declared}"
    if _single(s):
        yield from _beside(first, plain(s.source or ""), width)
    else:
        yield Line(first)
        for source in s.sources:
            yield from _place(key, source, width, render)
    if s.differs:
        loaded = render_value(key, s.loaded)
        what = msg("file {declared}, systemd {loaded}", declared=declared, loaded=loaded)
        if s.kernel is not None:
            what = msg(
                "file {declared}, systemd {loaded}, kernel {kernel}",
                declared=declared,
                loaded=loaded,
                kernel=render_value(key, s.kernel),
            )
        words = msg("{subject}: {text}", subject=what, text=s.differs)
        yield Line(f"   ! {render(words)}", strong=True)
    if s.capped_by:
        slice_, cap = of_unit(s.capped_by), format_limit(s.effective)
        words = msg("{slice} limits it to {size}", slice=slice_, size=cap)
        if key.facts.bounded is Bound.PROTECTION:
            words = msg("{slice} protects only {size}", slice=slice_, size=cap)
        yield Line(f"   ! {render(words)}", strong=True)


def _declared(s: Setting, render: Render) -> str:
    if s.declared is None:
        return render(msg("not set"))
    return plain(s.declared, LONGEST) or render(msg("(default)"))


def _single(s: Setting) -> bool:
    """Tell whether one place sets it, and that is all there is to know."""
    if len(s.sources) != 1:
        return not s.sources
    return s.sources[0].standing is Standing.DECIDES and s.sources[0].key == s.key


def _place(key: Key, source: Source, width: int, render: Render) -> Iterator[Line]:
    value = plain(source.value, LONGEST) or render(msg("(default)"))
    if source.key != key:
        value = f"{source.key}={value}"
    mark = fit(render(MARKS[source.standing]), MARK)
    yield from _beside(f"   {mark} {value}", f"{plain(source.path)}:{source.line}", width)


def _beside(first: str, path: str, width: int) -> Iterator[Line]:
    """Yield a path behind a text, or on a line of its own."""
    if not path:
        yield Line(first)
    elif cells(first) + 2 + cells(path) <= width:
        yield Line(f"{first}  {path}")
    else:
        yield Line(first)
        yield Line(f"     {path}")


def unread(situation: UnitSituation) -> Message | None:
    """Return a sentence about the files that cannot be read; None where all can be."""
    paths = [of_path(file.path) for file in situation.files if file.text is None]
    if not paths:
        return None
    return msg(
        "These files cannot be read, so what they set is unknown: {files}.", files=of_list(paths)
    )


def not_decisive(setting: Setting) -> Iterator[Message]:
    """Yield a sentence for each place that sets a setting and does not decide, in order."""
    winner = decisive(setting.sources)
    for source in setting.sources:
        if source is not winner:
            yield _sentence(source, winner)
        elif source.standing is Standing.UNKNOWN:
            yield msg(
                "A file that is read after {file} cannot be read: it may override {setting}.",
                file=of_path(source.path),
                setting=of_setting(source.key, source.value),
            )


def _sentence(source: Source, winner: Source | None) -> Message:
    setting = of_setting(source.key, plain(source.value, LONGEST))
    file, line = of_path(source.path), source.line
    if source.standing is Standing.IGNORED:
        return msg(
            "{setting} in {file}, line {line}, is ignored: systemd does not accept the value.",
            setting=setting,
            file=file,
            line=line,
        )
    if source.standing is Standing.NOT_READ:
        return msg(
            "{setting} in {file}, line {line}, has no effect: systemd reads another file of this "
            "name.",
            setting=setting,
            file=file,
            line=line,
        )
    if winner is None:
        return msg(
            "{setting} in {file}, line {line}, is overridden by a newer setting.",
            setting=setting,
            file=file,
            line=line,
        )
    return msg(
        "{setting} in {file}, line {line}, is overridden by {winner}, line {other}.",
        setting=setting,
        file=file,
        line=line,
        winner=of_path(winner.path),
        other=winner.line,
    )
