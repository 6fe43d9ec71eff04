"""Edits + situation → plan: which files change, what that does and when, what speaks against it.

Pure: nothing is read or written here.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_list, of_path, of_setting, of_text, of_unit
from lowmem_tui.model.plan import Edit, Effect, FileChange, Notice, Plan, When
from lowmem_tui.model.settings import certain_default, parse_value, render_value, same
from lowmem_tui.model.snapshot import UnitFile
from lowmem_tui.model.text import plain
from lowmem_tui.model.unit import CGROUP_FILES, INFINITY, Key
from lowmem_tui.model.unitfile import MEMORY_LIMIT, section_of, winning
from lowmem_tui.policy import dropin
from lowmem_tui.policy.checks import plan_warnings, preflight, unkillable
from lowmem_tui.policy.checks.below_use import below_use
from lowmem_tui.policy.checks.cases import After, EditCase, UnitCase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lowmem_tui.model.snapshot import Situation
    from lowmem_tui.model.unit import Tier, Value

ALREADY = "no-op"
"""The code of the warning that a setting is already set."""


def parse_set(text: str) -> Edit:
    """Return the edit of a ``--set UNIT:KEY=VALUE``; an empty VALUE drops our setting.

    A UNIT without suffix is a service. Raises InvalidValueError. The value is checked later, by
    ``plan``.
    """
    left, equals, value = text.partition("=")
    # A unit's name may hold colons, a key cannot.
    unit, colon, key = left.rpartition(":")
    if not equals or not colon or not unit:
        raise InvalidValueError(
            msg(
                "'{text}' is not UNIT:KEY=VALUE: write something like "
                "ssh.service:OOMScoreAdjust=-200.",
                text=of_text(text, 60),
            )
        )
    return Edit(dropin.full_name(unit), parse_key(key), value.strip() or None)


def one_value_each(edits: Iterable[Edit], situation: Situation) -> None:
    """Raise InvalidValueError where two values are asked for one setting, by whatever name."""
    seen: dict[tuple[str, Key], Edit] = {}
    for edit in edits:
        known = situation.units.get(edit.unit)
        properties = known.unit.properties if known else None
        unit = properties.name if properties else edit.unit
        first = seen.setdefault((unit, edit.key), edit)
        if first.value != edit.value:
            one, other = (f"{e.unit}:{e.key}={e.value or ''}" for e in (first, edit))
            raise InvalidValueError(
                msg(
                    "{one} and {other} contradict each other: give one of them.",
                    one=of_text(one, 120),
                    other=of_text(other, 120),
                )
            )


def is_triable(plan: Plan) -> bool:
    """Tell whether a reboot would forget all of it: what a trial can be made of."""
    ours = {dropin.path(effect.unit) for effect in plan.effects}
    return not plan.actions and all(file.path in ours for file in plan.files)


def parse_key(text: str) -> Key:
    """Return the setting of this name. Raises InvalidValueError."""
    try:
        return Key(text)
    except ValueError:
        meant = next((key for key in Key if key.lower() == text.lower()), None)
        given = of_text(text, 40)
        if meant:
            raise InvalidValueError(
                msg(
                    "'{text}' is not a setting: did you mean {setting}?",
                    text=given,
                    setting=of_setting(meant),
                )
            ) from None
        raise InvalidValueError(
            msg(
                "'{text}' is not a setting: write one of {settings}.",
                text=given,
                settings=of_list(of_setting(key) for key in Key),
            )
        ) from None


REFUSALS = (*preflight.EDIT_REFUSALS, unkillable.stalls, below_use)
WARNINGS = (
    *preflight.EDIT_WARNINGS,
    unkillable.stalls_in_part,
    unkillable.outlives,
    unkillable.mount,
)
"""What is checked of each edit, in this order."""


def plan(
    edits: Sequence[Edit],
    situation: Situation,
    tiers: Mapping[str, Tier | None] | None = None,
    *,
    at_restart: bool = False,
) -> Plan:
    """Return what these edits would do; a later edit of the same setting replaces an earlier one.

    ``at_restart`` leaves what runs as it is: files and systemd alone change, and a setting counts
    from the unit's next start on. ``tiers``, by primary name, add the advice that depends on them.
    An edit that can never be carried out is refused and left out of the files; one that is only
    refused without force is in them. Never raises: what is wrong is a refusal.
    """
    refused: list[Notice] = []
    plans = list(_unit_plans(edits, situation, refused, at_restart=at_restart))
    afters = [_after(p, tiers or {}) for p in plans if p.case.properties.exists]
    return Plan(
        edits=tuple(edit for p in plans for edit in p.edits),
        files=tuple(p.file for p in plans if p.file),
        effects=tuple(effect for p in plans for effect in p.effects),
        warnings=(
            *(warning for p in plans for warning in p.warnings),
            *plan_warnings.warnings(situation, afters),
        ),
        refusals=(*refused, *(refusal for p in plans for refusal in p.refusals)),
        at_restart=at_restart,
    )


def _unit_plans(
    edits: Iterable[Edit], situation: Situation, refused: list[Notice], *, at_restart: bool
) -> Iterator[_UnitPlan]:
    """Yield what the edits do to each unit; edits of unknown units are added to ``refused``."""
    for unit, (asked, requested) in _by_unit(edits, situation, refused).items():
        known = situation.units[asked]
        properties = known.unit.properties
        if properties is not None:
            drops_only = all(value is None for value in requested.values())
            case = UnitCase(asked, known, properties, situation, drops_only, at_restart)
            yield _plan_unit(case, unit, requested)


def _after(made: _UnitPlan, tiers: Mapping[str, Tier | None]) -> After:
    changed = {}
    for effect in made.effects:
        value = effect.loaded if effect.loaded is not None else effect.key.facts.default
        if value != made.case.properties.loaded(effect.key):
            changed[effect.key] = value
    # What is refused needs no advice beside.
    tier = None if made.refusals else tiers.get(made.case.name)
    return After(made.case, changed, tier)


def _by_unit(
    edits: Iterable[Edit], situation: Situation, refused: list[Notice]
) -> dict[str, tuple[str, dict[Key, str | None]]]:
    """Group the edits by primary name, as (a name asked for, settings); refuse unknown units."""
    requested: dict[str, tuple[str, dict[Key, str | None]]] = {}
    unknown: dict[str, Notice] = {}
    for edit in edits:
        known = situation.units.get(edit.unit)
        if notice := preflight.unknown(edit.unit, known, drops=edit.value is None):
            unknown[edit.unit] = notice
        elif known and known.unit.properties:
            primary = known.unit.properties.name
            value = dropin.one_line(edit.value or "") or None
            requested.setdefault(primary, (edit.unit, {}))[1][edit.key] = value
    refused += unknown.values()
    return requested


class _UnitPlan(NamedTuple):
    case: UnitCase
    edits: tuple[Edit, ...]
    file: FileChange | None
    effects: list[Effect]
    warnings: list[Notice]
    refusals: list[Notice]


def _nothing_yet(case: UnitCase, unit: str, requested: Mapping[Key, str | None]) -> _UnitPlan:
    """Return the plan of a unit with what applies to the unit itself, and no change yet."""
    edits = tuple(Edit(unit, key, value) for key, value in requested.items())
    warnings = [n for check in preflight.UNIT_WARNINGS if (n := check(case))]
    refusals = [n for check in preflight.UNIT_REFUSALS if (n := check(case))]
    return _UnitPlan(case, edits, None, [], warnings, refusals)


def _plan_unit(case: UnitCase, unit: str, requested: dict[Key, str | None]) -> _UnitPlan:
    made = _nothing_yet(case, unit, requested)
    section = section_of(unit)
    if section is None or any(not refusal.forceable for refusal in made.refusals):
        return made

    before = case.known.drop_in.text if case.known.drop_in else None
    settings = dropin.ours(before or "")
    beside = _beside(case, requested)
    changed = [key for key, value in requested.items() if _take(made, key, value, settings, beside)]
    if not changed:
        return made
    path = dropin.path(unit)
    after = dropin.render(unit, settings, section) if settings else None
    files = dropin.with_file(case.known.files, UnitFile(path, after))
    for key in changed:
        effect = _effect(case, key, requested[key], files, section)
        made.effects.append(effect)
        if requested[key] is None:
            made.refusals.extend(_against_the_rest(case, effect, beside))
        elif notice := _later_file(unit, key, files, section):
            made.warnings.append(notice)
    return made._replace(file=FileChange(path, before, after))


def _take(
    made: _UnitPlan,
    key: Key,
    value: str | None,
    settings: dict[Key, str],
    beside: Mapping[Key, Value],
) -> bool:
    """Enter a requested value into our settings, or note why not; tell whether they changed."""
    if value is not None:
        accepted = _accept(made.case, key, value, made, beside)
        if accepted:
            settings[key] = value
        return accepted
    if settings.pop(key, None) is not None:
        return True
    made.warnings.append(_not_ours(made.case.name, key))
    return False


def _against_the_rest(
    case: UnitCase, effect: Effect, beside: Mapping[Key, Value]
) -> Iterator[Notice]:
    """Yield what speaks against dropping a setting of ours.

    The value that counts then is somebody else's, and it may cause a kill, too.
    """
    if effect.loaded is None:
        return
    comes = EditCase(case, effect.key, effect.loaded, beside, dropped=True)
    found = (check(comes) for check in REFUSALS)
    yield from (notice for notice in found if notice and notice.forceable)


def _beside(case: UnitCase, requested: Mapping[Key, str | None]) -> dict[Key, Value]:
    """Return the requested values, without those that are invalid."""
    found: dict[Key, Value] = {}
    for key, value in requested.items():
        with contextlib.suppress(InvalidValueError):
            if value is not None:
                found[key] = _parsed(case, key, value)
    return found


def _accept(
    case: UnitCase, key: Key, value: str, made: _UnitPlan, beside: Mapping[Key, Value]
) -> bool:
    """Add what speaks against a value; False if it is not to be written."""
    refusals: list[Notice] = []
    host = case.situation.snapshot.host
    if notice := preflight.wrong_key(case.name, key):
        refusals.append(notice)
    else:
        try:
            wanted = parse_value(key, value, host.mem_total, host.page_size)
        except InvalidValueError as error:
            refusals.append(Notice("bad-value", case.name, error.message))
        else:
            if _is_so(case, key, wanted):
                made.warnings.append(_already_set(case.name, key, value))
                return False
            edit = EditCase(case, key, wanted, beside)
            refusals += [n for check in REFUSALS if (n := check(edit))]
            made.warnings.extend(n for check in WARNINGS if (n := check(edit)))
    made.refusals.extend(refusals)
    return all(refusal.forceable for refusal in refusals)


def _already_set(unit: str, key: Key, value: str) -> Notice:
    return Notice(
        ALREADY,
        unit,
        msg(
            "{setting} of {unit} is already {value}: nothing is changed.",
            setting=of_setting(key),
            unit=of_unit(unit),
            value=of_text(value, 80),
        ),
    )


def _not_ours(unit: str, key: Key) -> Notice:
    return Notice(
        ALREADY,
        unit,
        msg(
            "{setting} of {unit} is not set by lowmem-tui, so there is nothing to drop.",
            setting=of_setting(key),
            unit=of_unit(unit),
        ),
    )


def _is_so(case: UnitCase, key: Key, wanted: Value) -> bool:
    """Tell whether files, systemd and kernel all have this value."""
    found = [case.properties.loaded(key)]
    setting = case.known.settings.get(key)
    # oom_score_adj is no witness: programs set their own, as sshd does.
    if setting and key in CGROUP_FILES and setting.kernel is not None:
        found.append(setting.kernel)
    files = case.known.files
    if case.known.drop_in:
        files = tuple(dropin.with_file(files, case.known.drop_in))
    section = section_of(case.name)
    if section and (winner := winning(files, section, key)):
        found.append(_parsed(case, key, winner.value))
    page_size = case.situation.snapshot.host.page_size
    return all(same(key, value, wanted, page_size) for value in found)


def _effect(
    case: UnitCase, key: Key, value: str | None, files: Sequence[UnitFile], section: str
) -> Effect:
    current = case.properties.loaded(key)
    winner = winning(files, section, key)
    comes = _parsed(case, key, winner.value) if winner else certain_default(key)
    when, live = _when(case, key, current, comes)
    # systemd applies a MemoryLimit= as memory.max, and yet says that MemoryMax is infinity.
    legacy = winner is not None and winner.assignment.key == MEMORY_LIMIT
    loaded = INFINITY if legacy else comes
    to = value or (render_value(key, comes) if comes is not None else "systemd's default")
    setting = case.known.settings.get(key)
    from_ = render_value(key, current)
    if current is None and setting and setting.declared:
        from_ = setting.declared
    elif current is None and case.known.drop_in:
        from_ = dropin.ours(case.known.drop_in.text or "").get(key, from_)
    return Effect(case.name, key, plain(from_), plain(to), when, loaded, live)


def _parsed(case: UnitCase, key: Key, text: str) -> Value:
    host = case.situation.snapshot.host
    return parse_value(key, text, host.mem_total, host.page_size)


def _when(
    case: UnitCase, key: Key, current: Value | None, loaded: Value | None
) -> tuple[When, Value | None]:
    """Return when a change counts, and what to write into the kernel for what runs now."""
    usage = case.known.unit.usage
    if not case.running or (case.at_restart and (key in CGROUP_FILES or key.facts.at_start)):
        return When.RESTART, None
    if key in CGROUP_FILES:
        # A service may be active without processes, and then has no group to write to.
        return (When.LIVE, loaded) if usage else (When.RESTART, None)
    if key is Key.OOM_SCORE_ADJUST:
        processes = usage.processes if usage else ()
        if any(p.oom_score_adj in {current, None} for p in processes):
            return When.LIVE, loaded
        return When.RESTART, None
    if key is Key.OOM_POLICY and "kill" in {current, loaded} and current != loaded:
        # memory.oom.group is written when systemd makes the control group.
        return When.RESTART, None
    return When.RELOAD, None


def _later_file(unit: str, key: Key, files: Sequence[UnitFile], section: str) -> Notice | None:
    winner = winning(files, section, key)
    if winner is None or winner.path == dropin.path(unit):
        return None
    return Notice(
        "later-file",
        unit,
        msg(
            "{path} is read after our drop-in and overrides it with {setting}: remove the line "
            "there, or change it there instead.",
            path=of_path(winner.path),
            setting=of_setting(key, plain(winner.value, 80)),
        ),
    )
