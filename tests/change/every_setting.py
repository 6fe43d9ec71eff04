"""A declared setting, taken through everything that must know it; on the demo server.

``STATIONS`` are tried with each setting as it is declared, and with each fact of its declaration
left out (``python -m tests.change.every_setting``): then one of them must fail.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lowmem_tui.cli.backend import ServerBackend
    from lowmem_tui.demo.server import DemoServer
    from lowmem_tui.model.plan import Effect, Plan
    from lowmem_tui.model.settings import Facts, Key
    from lowmem_tui.model.snapshot import Setting
    from lowmem_tui.model.unit import UnitProperties, Value

UNIT = "cloudchat.service"
"""No file but its own sets anything for it."""
PAGE = Path(__file__).parents[2] / "docs/cli.md"
TRIAL = 60


def wanted(key: Key, loaded: Value | None) -> str:
    """Return a value of the setting's kind that it does not have."""
    from lowmem_tui.model.amount import INFINITY
    from lowmem_tui.model.errors import InvalidValueError
    from lowmem_tui.model.settings import Bytes, Word, parse_value

    kind = key.facts.kind
    if isinstance(kind, Word):
        return next(word for word in kind.words if word != loaded)
    if isinstance(kind, Bytes):
        return "700M" if key.facts.default is INFINITY else "24M"
    for text in ("-150", "7s", "300"):
        with contextlib.suppress(InvalidValueError):
            parse_value(key, text, 1 << 30)
            return text
    raise AssertionError(f"there is no value here for {key}")


class Walk:
    """A demo server, and a setting that is to get another value there."""

    def __init__(self, key: Key) -> None:
        from lowmem_tui.cli.demo import serve
        from lowmem_tui.demo.server import DemoServer
        from lowmem_tui.model.settings import parse_value

        self.key = key
        self.server: DemoServer = DemoServer(0, lambda: 5.0)
        self.backend: ServerBackend = serve(self.server)
        self.backend.wait_ready()
        self.before = self.state()
        loaded = self.properties.loaded(key)
        assert loaded is not None, "the demo server has not loaded it"
        self.text = wanted(key, loaded)
        self.value = parse_value(key, self.text, self.backend.look().host.mem_total)

    @property
    def properties(self) -> UnitProperties:
        return self.server.connect().properties([UNIT])[UNIT]

    @property
    def setting(self) -> Setting:
        return self.backend.situation([UNIT]).units[UNIT].settings[self.key]

    def kernel(self) -> dict[str, object]:
        """Return all that the kernel has for the unit, by the names of its files."""
        with self.server.lock:
            group = self.server.init.memory.groups[self.properties.control_group]
            limits: dict[str, object] = dict(group.limits)
            return limits | {"oom_score_adj": {task.adj for task in group.tasks}}

    def state(self) -> object:
        return self.kernel(), self.properties.settings, self.files()

    def files(self) -> dict[str, str]:
        from lowmem_tui.change.trials.drop_ins import our_files

        texts = {path: self.server.files.read(path) for path in our_files(UNIT)}
        return {path: text for path, text in texts.items() if text is not None}

    def plan(self, *, at_restart: bool = False) -> Plan:
        from lowmem_tui.policy import plan

        edit = plan.parse_set(f"{UNIT}:{self.key}={self.text}")
        made = plan.plan([edit], self.backend.situation([UNIT]), at_restart=at_restart)
        assert not made.refusals, made.refusals
        return made

    def effect(self, *, at_restart: bool = False) -> Effect:
        (effect,) = self.plan(at_restart=at_restart).effects
        return effect

    def assert_in_force(self) -> None:
        """Files, systemd and the kernel have it."""
        setting = self.setting
        assert setting.declared == self.text
        assert setting.loaded == self.value
        assert not setting.differs
        file = self.key.facts.file
        if file is not None:
            has = self.kernel()[file.rpartition("/")[2]]
            assert has == ({self.value} if "/" in file else self.value)
            assert setting.kernel == self.value


# --- the stations ---------------------------------------------------------------------------------


def declaration(key: Key) -> None:
    """The default is a value of the setting's kind, and each value is read as it is written."""
    from lowmem_tui.model.settings import parse_value, render_value

    facts = key.facts
    for value in (facts.default, parse_value(key, wanted(key, None), 1 << 30)):
        assert facts.kind.parse(key, facts.kind.render(value), 1 << 30, 4096) == value
        assert parse_value(key, render_value(key, value), 1 << 30) == value


def systemd(key: Key) -> None:
    """It is asked for over D-Bus by its own name, and read."""
    from lowmem_tui.host.dbus.systemd import WANTED, decode

    known = (Path(__file__).parents[1] / "host/service-properties.txt").read_text().splitlines()
    assert key.facts.property in known, "systemd has no such property"
    assert key.facts.property in WANTED
    value = walk_value(key)
    assert decode(UNIT, {key.facts.property: value}).loaded(key) == value


def walk_value(key: Key) -> Value:
    from lowmem_tui.model.settings import parse_value

    return parse_value(key, wanted(key, None), 1 << 30)


def unit_file(key: Key) -> None:
    """A unit file that sets it is read as systemd reads it, and a mistake in it is found."""
    from lowmem_tui.model.snapshot import UnitFile
    from lowmem_tui.model.unitfile import winning
    from lowmem_tui.policy.checks.ignored import ignored

    text = f"[Service]\n{key}={wanted(key, None)}\n{key}=nonsense!\n"
    found = winning([UnitFile("/etc/a", text)], "Service", key)
    assert found is not None
    assert found.value == wanted(key, None)
    (mistake,) = ignored([UnitFile("/etc/a", text)], "a.service", 999)
    assert str(key) in mistake.text


def advice(key: Key) -> None:
    """The form offers it, says what it is, and what each tier is advised."""
    from lowmem_tui.model.unit import Tier
    from lowmem_tui.policy import setting_advice

    assert key in setting_advice.keys_of(UNIT)
    assert str(setting_advice.ABOUT[key])
    assert all(setting_advice.advice(key, tier, None) for tier in Tier)


def planned(key: Key) -> None:
    """A plan writes it, and says from what to what."""
    walk = Walk(key)
    made = walk.plan()
    (file,) = made.files
    assert f"\n{key}={walk.text}\n" in (file.after or "")
    effect = walk.effect()
    assert effect.loaded == walk.value
    assert effect.from_ not in {"?", "", effect.to}
    assert effect.to == walk.text


def what_if(key: Key) -> None:
    """The server is shown as it would be."""
    from lowmem_tui.model.settings import CGROUP_FILES
    from lowmem_tui.policy.forecast import whatif

    walk = Walk(key)
    now = whatif.known(walk.backend.situation([UNIT]))
    then = whatif.after(now, whatif.changes(walk.plan().effects))
    unit = then.units[UNIT]
    assert unit != now.units[UNIT]
    assert unit.properties is not None
    assert unit.properties.loaded(key) == walk.value
    assert unit.usage is not None
    if key in CGROUP_FILES:
        assert unit.usage.memory.settings[key] == walk.value
    elif key.facts.file is not None:
        assert {p.oom_score_adj for p in unit.usage.processes} == {walk.value}
    assert whatif.sentences(now, then)


def applied_and_undone(key: Key) -> None:
    """It is applied, verified against the kernel's file, listed, and undone."""
    walk = Walk(key)
    outcome = walk.backend.apply(walk.plan(), force=True)
    assert not outcome.mismatches, outcome.mismatches
    walk.assert_in_force()
    listed(walk)
    (change,) = walk.backend.history()
    assert any(effect.key is key for effect in change.effects)
    walk.backend.undo(force=True)
    assert walk.state() == walk.before


def listed(walk: Walk) -> None:
    """``list --json`` has it, with the kernel's value where there is one."""
    from lowmem_tui.cli import json_view
    from lowmem_tui.cli.rules import load_rules

    situation = walk.backend.situation([UNIT])
    unit = situation.snapshot.units[UNIT]
    verdict = load_rules(config=None).classify(unit, situation.snapshot.host.mem_total)
    shown: Any = json.loads(json.dumps(json_view.unit(unit, verdict, situation)))["settings"]
    one = shown[str(walk.key)]
    assert one["declared"] == walk.text
    assert one["loaded"] == walk.value
    assert one.get("kernel", walk.value) == walk.value
    assert ("kernel" in one) is (walk.key.facts.file is not None)
    assert ("effective" in one) is (walk.key.facts.bounded is not None)


def tried(key: Key) -> None:
    """A trial sets it, and the end of the trial restores all, the kernel's values too."""
    walk = Walk(key)
    walk.backend.apply(walk.plan(), force=True, trial=TRIAL)
    walk.assert_in_force()
    walk.backend.undo(force=True)
    assert walk.state() == walk.before


def dropped(key: Key) -> None:
    """Our setting is dropped on trial: systemd takes the line that says so."""
    from lowmem_tui.model.plan import Edit
    from lowmem_tui.policy.plan import plan

    walk = Walk(key)
    walk.backend.apply(walk.plan(), force=True)
    made = plan([Edit(UNIT, key, None)], walk.backend.situation([UNIT]))
    walk.backend.apply(made, force=True, trial=TRIAL)
    assert walk.properties.settings == walk.before[1]  # type: ignore[index]
    walk.backend.undo(force=True)
    walk.assert_in_force()


def at_restart(key: Key) -> None:
    """Left to the next start, what runs keeps what it has."""
    walk = Walk(key)
    walk.backend.apply(walk.plan(at_restart=True), force=True)
    assert walk.kernel() == walk.before[0]  # type: ignore[index]
    assert walk.properties.loaded(key) == walk.value


def apart(key: Key) -> None:
    """The table marks a unit for which the kernel has another value than systemd."""
    from dataclasses import replace

    from lowmem_tui.model.settings import CGROUP_FILES
    from lowmem_tui.tui.table.unit_values import differs

    unit = Walk(key).backend.look().units[UNIT]
    assert unit.properties is not None
    assert not differs(unit, 4096)
    loaded = {**unit.properties.settings, key: walk_value(key)}
    other = replace(unit, properties=replace(unit.properties, settings=loaded))
    assert differs(other, 4096) is (key in CGROUP_FILES)


def policy_file(key: Key) -> None:
    """A policy file asks for it."""
    from lowmem_tui.policy.files.policy_file import parse_policy

    text = f'schema = 1\n[units."{UNIT}"]\n{key} = "{wanted(key, None)}"\n'
    (edit,) = parse_policy(text, {UNIT: UNIT}).edits
    assert (edit.unit, edit.key, edit.value) == (UNIT, key, wanted(key, None))


def demo(key: Key) -> None:
    """Some unit of the demo server has it set, or all have its default."""
    walk = Walk(key)
    properties = walk.server.connect().properties(walk.backend.look().units)
    values = {each.loaded(key) for each in properties.values() if each.exists}
    assert values - {None}
    assert key.facts.default_by or values - {None, key.facts.default}, "nothing there sets it"


def documentation(key: Key) -> None:
    """docs/cli.md has a row that says what is declared."""
    assert row(key) in PAGE.read_text("utf-8").splitlines()


def row(key: Key) -> str:
    """Return the row of docs/cli.md."""
    from lowmem_tui.model.settings import render_value

    facts = key.facts
    default = f"`{render_value(key, facts.default)}`"
    cells = (
        f"`{key}`",
        facts.kind.values,
        ", ".join(kind for kind in sorted(facts.types)),
        f"{default} (`{facts.default_by}`)" if facts.default_by else default,
        f"`{facts.file}`" if facts.file else "",
        effect_on_what_runs(facts),
        facts.bounded or "",
        str(facts.since or ""),
    )
    return f"| {' | '.join(cells)} |"


def effect_on_what_runs(facts: Facts) -> str:
    """Say when a change of the setting counts for what runs."""
    if facts.order is None:
        return "at the next start" if facts.at_start else "at the reload"
    return "at once, if it has the old value" if facts.at_start else "at once"


STATIONS: tuple[Callable[[Key], None], ...] = (
    declaration,
    systemd,
    unit_file,
    policy_file,
    advice,
    planned,
    what_if,
    applied_and_undone,
    tried,
    dropped,
    at_restart,
    apart,
    demo,
    documentation,
)


# --- with a fact left out -------------------------------------------------------------------------

MODULE = "lowmem_tui.model.settings"
NOTHING = {
    "property": '""',
    "kind": "Word(())",
    "types": "frozenset()",
    "file": "None",
    "order": "None",
    "at_start": "False",
    "default": '""',
    "default_by": "None",
    "bounded": "None",
    "since": "0",
}
"""What stands for a fact that is left out."""


def facts_of(tree: ast.Module) -> Iterator[tuple[str, ast.keyword]]:
    """Yield each fact that is declared, with the name of its key."""
    (enum,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Key")
    for node in enum.body:
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Facts":
                assert isinstance(node, ast.Assign)
                yield from ((ast.unparse(node.targets[0]), keyword) for keyword in call.keywords)


def source() -> ast.Module:
    import lowmem_tui

    return ast.parse((Path(lowmem_tui.__file__).parent / "model/settings.py").read_text())


def omissions() -> list[tuple[str, str]]:
    """Return (key, fact) of every fact that can be left out."""
    return [
        (key, str(keyword.arg))
        for key, keyword in facts_of(source())
        if ast.unparse(keyword.value) != ast.unparse(ast.parse(NOTHING[str(keyword.arg)]))
    ]


def load_without(key: str, fact: str) -> None:
    """Load the declarations with a fact left out, in place of the real ones."""
    import lowmem_tui.model

    tree = source()
    for name, keyword in facts_of(tree):
        if (name, keyword.arg) == (key, fact):
            keyword.value = ast.parse(NOTHING[fact], mode="eval").body
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = lowmem_tui.model.settings = module
    exec(compile(ast.fix_missing_locations(tree), "settings", "exec"), module.__dict__)


def failing(key: str, fact: str) -> str:
    """Return the station that fails without this fact; "" if none does."""
    load_without(key, fact)
    for station in STATIONS:
        try:
            station(sys.modules[MODULE].Key[key])
        except Exception:  # noqa: BLE001 - any failure will do
            return station.__name__
    return ""


def main() -> None:
    """Print (key, fact, station that fails) for each fact that can be left out, as JSON lines."""
    for key, fact in omissions():
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                station = failing(key, fact)
            except Exception:  # noqa: BLE001 - not even loaded
                station = "loading"
            print(json.dumps([key, fact, station]), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
