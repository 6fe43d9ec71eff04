"""What the unit page shows of a unit, as lines: state, memory, settings, processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from lowmem_tui.model.amount import UNKNOWN, format_limit, format_size, format_time_span
from lowmem_tui.model.cells import fit, fit_right
from lowmem_tui.model.language import say, spaced, tr
from lowmem_tui.model.message import of_bytes
from lowmem_tui.model.settings import PROTECTIONS, render_value
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import CGROUP_FILES, MEMORY_KEYS, Key
from lowmem_tui.policy import settings_text
from lowmem_tui.policy.setting_advice import TIER_NAMES
from lowmem_tui.tui.session.memory_history import SPAN
from lowmem_tui.tui.terminal.palette import BAD
from lowmem_tui.tui.text.sparkline import BLOCKS, PLAIN, sparkline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lowmem_tui.model.snapshot import Setting, Unit
    from lowmem_tui.model.unit import UnitProperties, Value
    from lowmem_tui.model.usage import Memory, Process, Stall, UnitUsage
    from lowmem_tui.policy.classify import Verdict
    from lowmem_tui.tui.session.memory_history import MemoryHistory
    from lowmem_tui.tui.terminal.glyphs import Glyphs
    from lowmem_tui.tui.terminal.palette import Palette

MAX_PROCESSES = 100
NOW_WIDTH = 10


def heading(title: str, width: int, palette: Palette) -> Text:
    """Return the line above a part."""
    return Text(fit(f" {title}", width), style=palette.header, no_wrap=True)


LABEL = 9
"""Cells of the label before a line."""


def labelled(label: str, words: str, style: str = "") -> Text:
    """Return a line with a label before it."""
    return Text(f" {fit(label, LABEL)} {words}", style=style)


# The first lines


def identity(unit: Unit, verdict: Verdict | None, glyphs: Glyphs) -> list[Text]:
    """Return who the unit is, why it is in its tier, and how it is."""
    dot = f" {glyphs.dot} "
    name = Text(f" {plain(unit.name)}", style="bold", no_wrap=True)
    if unit.properties and unit.properties.description:
        name.append(dot + plain(unit.properties.description), style="not bold")
    second = Text(" ").append_text(state(unit, glyphs))
    if verdict is not None:
        words = tr("{tier}. {reason}", tier=TIER_NAMES[verdict.tier], reason=verdict.reason)
        second.append(f"{dot}{words}")
    return [name, second]


def brief(unit: Unit, glyphs: Glyphs) -> Text:
    """Return its name and how it is, on one line."""
    name = Text(no_wrap=True).append(f" {plain(unit.name)}", "bold")
    return name.append(f" {glyphs.dot} ").append_text(state(unit, glyphs))


def state(unit: Unit, glyphs: Glyphs) -> Text:
    """Return how the unit is, in words."""
    p = unit.properties
    text = Text()
    if p is None:
        if unit.usage:
            return text.append(tr("runs; systemd has not reported more"))
        return text.append(tr("unknown"))
    if not p.exists:
        return text.append(tr("there is no such unit"), style=BAD)
    bad = p.active_state == "failed" or p.load_state not in {"loaded", "masked"}
    text.append(f"{plain(p.active_state)} ({plain(p.sub_state)})", style=BAD if bad else "")
    if p.load_state != "loaded":
        text.append(spaced(tr(",")) + plain(p.load_state), style="bold")
    if p.result not in {"success", ""}:
        text.append(spaced(tr(",")) + tr("result {result}", result=p.result), style=BAD)
    if p.main_pid:
        text.append(f" {glyphs.dot} " + tr("main pid {pid}", pid=p.main_pid))
    if p.need_daemon_reload:
        text.append(f" {glyphs.dot} " + tr("changed on disk, not reloaded"), style="bold")
    return text


def line_of_memory(unit: Unit, history: MemoryHistory, glyphs: Glyphs, width: int) -> list[Text]:
    """Return the bar against the limit, and the line of the last minutes."""
    usage = unit.usage
    if usage is None:
        return [Text(" " + tr("Not running: it uses no memory."), no_wrap=True)]
    held = usage.memory.current if usage.memory.current is not None else usage.rss
    limit = usage.memory.max
    bar, words = "", format_size(held)
    if isinstance(limit, int) and held is not None:
        share = held / limit if limit else 1.0
        bar = f"{glyphs.left}{glyphs.bar(min(share, 1.0), min(20, width // 5))}{glyphs.right} "
        words = tr(
            "{used} of {limit}, {percent}%",
            used=of_bytes(held),
            limit=of_bytes(limit),
            percent=round(100 * share),
        )
    elif held is not None and limit is not None:
        words = tr("{used}, no limit", used=of_bytes(held))
    text = Text(f" {bar}{words}", no_wrap=True)
    if usage.swap:
        text.append(" + " + tr("{size} swap", size=of_bytes(usage.swap)))
    past = history_line(history, unit.name, held, glyphs, min(width - text.cell_len - 4, 80))
    return [text.append(f"  {past}")] if past else [text]


def history_line(
    history: MemoryHistory, name: str, held: int | None, glyphs: Glyphs, width: int
) -> str:
    """Return the memory of the last minutes as a row of bars with its least and greatest.

    ``held`` is what it uses now: of each span the most is recorded.
    """
    room = width - 20
    if room < 4:
        return ""
    values, step = history.of(name, room)
    known = [v for v in values if v is not None]
    if not known:
        return ""
    first = next(i for i, v in enumerate(values) if v is not None)
    minutes = max(1, round((room - first) * step / 60))
    steps = BLOCKS if glyphs.partial else PLAIN
    least = min(known if held is None else (*known, held))
    span = tr(
        "{least} to {most}, {minutes}min",
        least=of_bytes(least),
        most=of_bytes(max(known)),
        minutes=min(minutes, int(SPAN // 60)),
    )
    return f"{sparkline(values[first:], steps)} {span}"


# What it uses


def memory(unit: Unit, glyphs: Glyphs) -> Iterator[Text]:
    """Yield the split of its memory, pressure, scores and counts."""
    usage, p = unit.usage, unit.properties
    dot = f" {glyphs.dot} "
    if usage is not None:
        yield labelled(tr("Memory"), dot.join(_parts(usage)))
        yield labelled(tr("Limits"), dot.join(_limits(usage.memory)))
        pressure = usage.memory.pressure
        if pressure is not None:
            shares = f"some {_stall(pressure.some)}"
            shares += f"{dot}full {_stall(pressure.full)}" if pressure.full else ""
            words = tr("{shares} of 10 s, 60 s, 300 s", shares=shares)
            yield labelled(tr("Pressure"), words)
    counts = []
    if usage is not None:
        main = next((x for x in usage.processes if p and x.pid == p.main_pid), None)
        score, adj = usage.oom_score, main.oom_score_adj if main else None
        counts.append(f"oom_score {_number(score)}")
        counts.append(f"adj {_number(adj)}")
        counts.append(tr("OOM kills {n}", n=_number(usage.memory.oom_kills)))
    if p is not None and p.n_restarts is not None:
        counts.append(tr("restarts {n}", n=p.n_restarts))
    if counts:
        yield labelled(tr("Risk"), dot.join(counts))


def _parts(usage: UnitUsage) -> Iterator[str]:
    m = usage.memory
    for name, size in (
        ("RSS", usage.rss),
        (tr("total"), m.current),
        (tr("anon"), m.anon),
        (tr("file"), m.file),
        ("shmem", m.shmem),
        (tr("kernel"), m.kernel),
        (tr("swap"), usage.swap),
        (tr("peak"), m.peak),
    ):
        yield f"{name} {UNKNOWN if size is None else format_size(size)}"


def _limits(m: Memory) -> Iterator[str]:
    for key, file in CGROUP_FILES.items():
        limit = m.settings.get(key)
        if key in PROTECTIONS and limit in {0, None}:
            continue
        yield f"{file.removeprefix('memory.').replace('.', ' ')} {format_limit(limit)}"
    if m.oom_group:
        yield tr("killed as one group")


def _stall(stall: Stall) -> str:
    return f"{stall.avg10:.1f}% {stall.avg60:.1f}% {stall.avg300:.1f}%"


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


# Its settings


def short(key: Key, value: Value | None, width: int = NOW_WIDTH) -> str:
    """Return a value for a narrow column: exact if that fits, else rounded."""
    text = render_value(key, value)
    if len(text) > width and key in MEMORY_KEYS and isinstance(value, int):
        return format_size(value)
    if len(text) > width and key is Key.RESTART_SEC and isinstance(value, int):
        return format_time_span(value // 1_000_000 * 1_000_000)
    return plain(text, width)


def now(key: Key, setting: Setting | None, properties: UnitProperties | None) -> str:
    """Return what counts at this moment: the kernel's value, or else systemd's."""
    if setting is not None:
        value = setting.kernel if setting.kernel is not None else setting.loaded
        return short(key, value)
    return short(key, properties.loaded(key)) if properties is not None else ""


def settings(values: Mapping[Key, Setting], width: int) -> Iterator[Text]:
    """Yield every setting with each file that sets it; where its values differ, all of them."""
    for line in settings_text.lines(values, width, say):
        yield Text(line.text, style="bold" if line.strong else "")


# Its processes

WIDEST = 400
"""Cells of a command line that are made at each tick; lines are cut at the screen's edge."""


def processes(rows: Sequence[Process], main_pid: int) -> Iterator[Text]:
    """Yield a table of them, the largest first."""
    swap, score, adj = fit_right(tr("SWAP"), 5), fit_right(tr("SCORE"), 5), fit_right(tr("ADJ"), 5)
    title = f" {'PID':>8} {'UID':>5} {'RSS':>5} {swap} {score} {adj} "
    yield Text(title + tr("COMMAND"), style="bold", no_wrap=True)
    ranked = sorted(rows, key=lambda p: p.rss + (p.swap or 0), reverse=True)
    for p in ranked[:MAX_PROCESSES]:
        text = Text(
            f" {p.pid:>8} {_number(p.uid):>5} {format_size(p.rss):>5}"
            f" {UNKNOWN if p.swap is None else format_size(p.swap):>5}"
            f" {_number(p.oom_score):>5} {_number(p.oom_score_adj):>5} ",
            no_wrap=True,
        )
        text.append(plain(p.command or f"[{p.name}]", WIDEST), "bold" if p.pid == main_pid else "")
        yield text
    if len(ranked) > MAX_PROCESSES:
        yield Text(" " + tr("… and {n} more", n=len(ranked) - MAX_PROCESSES))
