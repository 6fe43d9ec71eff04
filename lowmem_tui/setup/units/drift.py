"""Settings that are not in force: they are in the files, or in systemd, and not in the kernel."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lowmem_tui.change.compare import capped, not_in_kernel
from lowmem_tui.change.verify import no_privilege
from lowmem_tui.model.message import as_message, msg, of_setting, sentences
from lowmem_tui.model.setup import Finding, Severity
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.checks.preflight import NEEDED
from lowmem_tui.policy.protect import UNTOUCHABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lowmem_tui.model.snapshot import Setting
    from lowmem_tui.policy.protect import Role


def not_in_force(roles: Iterable[Role], container: str) -> Iterator[Finding]:
    """Yield a finding for each service with settings that are not in force.

    ``container`` is what the machine is, "" for none: there the kernel may refuse a lower score.
    """
    for role in roles:
        found = [setting for setting in role.known.settings.values() if _counts(setting)]
        if not found:
            continue
        held_back = [each for each in found if container and _is_higher(each)]
        whys = [no_privilege(role.properties) if e in held_back else e.differs for e in found]
        yield Finding(
            "not-in-force",
            Severity.ADVICE if held_back == found else Severity.WARNING,
            role.name,
            sentences(
                *(
                    msg("{key}: {why}", key=of_setting(each.key), why=as_message(why))
                    for each, why in zip(found, whys, strict=True)
                )
            ),
            _remedy(role, found),
        )


def _counts(setting: Setting) -> bool:
    """Tell whether it is a difference that somebody made, and that can be mended."""
    if not setting.differs:
        return False
    if setting.differs == capped(setting):
        return False
    # Some protect themselves, as sshd does.
    own = isinstance(setting.kernel, int) and setting.kernel <= UNTOUCHABLE
    return not (setting.key is Key.OOM_SCORE_ADJUST and own)


def _is_higher(setting: Setting) -> bool:
    loaded, kernel = setting.loaded, setting.kernel
    score = setting.key is Key.OOM_SCORE_ADJUST
    return score and isinstance(loaded, int) and isinstance(kernel, int) and kernel > loaded


def _remedy(role: Role, found: Iterable[Setting]) -> str:
    """Return the command; what systemd and every login depend on is not restarted for it."""
    commands = []
    for each in found:
        if each.differs != not_in_kernel(each.key, role.properties, each.kernel):
            commands.append("sudo systemctl daemon-reload")
        elif role.name in NEEDED and each.key is Key.OOM_SCORE_ADJUST and role.properties.main_pid:
            commands.append(f"sudo choom -n {each.loaded} -p {role.properties.main_pid}")
        else:
            commands.append(f"sudo systemctl restart {shlex.quote(role.name)}")
    return "\n".join(dict.fromkeys(commands))
