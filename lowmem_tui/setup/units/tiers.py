"""Tiers: the tier of each service, and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowmem_tui.model.errors import InvalidValueError, RefusedError
from lowmem_tui.model.message import N_, msg, of_path, of_text
from lowmem_tui.model.plan import FileChange
from lowmem_tui.model.setup import Item, Look
from lowmem_tui.model.snapshot import Unit
from lowmem_tui.model.unit import TIERS_FILE, Tier, UnitType, is_unit_name, unit_type
from lowmem_tui.policy.classify import parse_config
from lowmem_tui.policy.files.tiers_file import with_tiers
from lowmem_tui.setup import common
from lowmem_tui.setup.units import tiering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lowmem_tui.model.plan import Plan
    from lowmem_tui.policy.classify import Config
    from lowmem_tui.setup.context import Ground
    from lowmem_tui.setup.units.tiering import Service

CHOICES = ("0", "1", "2")

WORDS = {
    Tier.GATEKEEPER: msg("0, gatekeeper: protect"),
    Tier.BUSINESS: msg("1, business: limit"),
    Tier.SHORT_LIVED: msg("2, short-lived: keep"),
}


class TiersStep:
    """See ``Step``."""

    name = "tiers"
    title = N_("Tiers of the services")
    about = N_(
        "The other steps depend on these tiers. Tier 0 (gatekeeper) is what you log in through and "
        "what that needs: it is protected. Tier 1 (business) does the server's work: it is "
        "limited. Tier 2 (short-lived) ends by itself: it keeps its settings. Press 0, 1 or 2 to "
        "change a service's tier."
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def look(self) -> Look:
        """See ``Step``."""
        services = tiering.services(self._ground).services
        counts = [sum(s.verdict.tier is tier for s in services) for tier in Tier]
        known = len(self._ground.rules.units) + sum(map(len, self._ground.rules.patterns.values()))
        found = msg(
            "{n} services are running, or are started at boot or by a timer: {gatekeepers} "
            "gatekeepers, {business} business, {short} short-lived.",
            n=len(services),
            gatekeepers=counts[0],
            business=counts[1],
            short=counts[2],
        )
        where = msg(
            "The table of lowmem-tui has {known} names and patterns. What you change here is "
            "written to {path}, which overrides the table.",
            known=known,
            path=of_path(TIERS_FILE),
        )
        return Look(
            facts=(found, where),
            items=tuple(_item(service) for service in services),
        )

    def plan(self, wishes: Mapping[str, str]) -> Plan:
        """See ``Step``."""
        text, trouble = common.read(self._ground.files, TIERS_FILE)
        if trouble:
            raise RefusedError(msg("{why}: run the same with sudo.", why=trouble))
        config = _config(text)
        wanted = {}
        for key, value in wishes.items():
            name, tier = _wish(key, value)
            if self._tier(name, config) is not tier:
                wanted[name] = tier
        if not wanted:
            return common.plan_of(())
        if sentence := common.obstacle(self._ground.files, TIERS_FILE):
            raise RefusedError(sentence)
        return common.plan_of((FileChange(TIERS_FILE, text, with_tiers(text, wanted)),))

    def _tier(self, name: str, config: Config) -> Tier | None:
        """Return the tier that a unit has now; of a pattern, the tier that the file gives it."""
        if "*" in name:
            return dict(config).get(name)
        situation = self._ground.situation([name])
        unit = situation.units[name].unit if name in situation.units else Unit(name, None, None)
        rules = self._ground.rules.with_config(config)
        return rules.classify(unit, situation.snapshot.host.mem_total).tier


def make(ground: Ground) -> TiersStep:
    """Return the step."""
    return TiersStep(ground)


def _config(text: str | None) -> Config:
    if text is None:
        return ()
    try:
        return parse_config(text)
    except InvalidValueError as error:
        raise RefusedError(
            msg("{path}: {why}", path=of_path(TIERS_FILE), why=error.message)
        ) from error


def _wish(key: str, value: str) -> tuple[str, Tier]:
    name = key if unit_type(key) is not UnitType.CGROUP else f"{key}.service"
    if not is_unit_name(name.replace("*", "x")):
        raise InvalidValueError(
            msg(
                "'{key}' is not a unit's name: write something like ssh.service.",
                key=of_text(key, 60),
            )
        )
    if value not in CHOICES:
        raise InvalidValueError(
            msg("a tier is 0, 1 or 2, not '{value}'.", value=of_text(value, 40))
        )
    return name, Tier(CHOICES.index(value))


def _item(service: Service) -> Item:
    tier = service.verdict.tier or Tier.GATEKEEPER
    return Item(
        key=service.name,
        title=service.name,
        now=WORDS[tier],
        value=str(int(tier)),
        why=service.verdict.reason,
        choices=CHOICES,
        done=True,
    )
