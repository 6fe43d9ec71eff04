"""What reverts a trial that nobody confirms: a shell script, and the data that it reads.

It needs /bin/sh (dash), coreutils, findutils, grep, util-linux and systemctl, which every Debian
has; no Python, no D-Bus library, next to no memory. It may be run twice, and at any time.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from lowmem_tui.change.machine.allowed import RUN_PLACE, TRIAL_DROP_IN
from lowmem_tui.change.machine.files import LOCK, temporary
from lowmem_tui.change.records import paths
from lowmem_tui.host import programs
from lowmem_tui.model.errors import InvalidValueError
from lowmem_tui.model.message import msg, of_text, of_unit, verbatim
from lowmem_tui.model.unit import CGROUP_FILES, Unlimited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowmem_tui.change.records.record import Record
    from lowmem_tui.model.message import Message
    from lowmem_tui.model.unit import Limit

_WORD = re.compile(r"[A-Za-z0-9:_.\\@/-]+\Z")
"""What may be in the data: unit names and paths of control groups are made of nothing else."""

NONE = "-"
"""Stands for a control group that was not there."""

SHELL = "/bin/sh"

PATIENCE = 180
"""Seconds that the script waits for the lock."""


class Roots(NamedTuple):
    """Where things are; tests put them elsewhere."""

    room: str = paths.ROOM
    notice: str = paths.NOTICE
    lock: str = LOCK
    drop_ins: str = RUN_PLACE
    cgroup: str = "/sys/fs/cgroup"
    proc: str = "/proc"
    PATH: str = programs.PATH


_SCRIPT = r"""#!/bin/sh
# Reverts a trial of lowmem-tui: systemd runs it when the time is over and nobody has confirmed.
# The data lie beside it. By hand: sh revert; systemd gives the number of the trial that it means.
set -u
umask 077
LC_ALL=C
@roots@
export LC_ALL PATH

# Whoever changes the server holds this lock. One that hangs must not keep the trial indefinitely.
command exec 9>>"$lock" && flock -w @patience@ 9 || :

# Reverted already; or kept, or being kept: then whoever keeps it does everything.
[ -f "$room/data" ] && [ ! -e "$room/confirming" ] && [ ! -e "$room/result" ] || exit 0
# A late run for another trial than the one that is here.
[ $# -eq 0 ] || grep -qx "id $1" "$room/data" || exit 0
found=

# The control group of unit $1; $2 is the one that it had, or - if it did not run.
group_of() {
  if [ "$2" != - ]; then printf '%s\n' "$2"
  else systemctl show -p ControlGroup --value -- "$1"; fi
}

# The fields of stat after the name, which may hold anything; prints the start time (field 22).
start_of() {
  set -f
  line=$(cat stat 2>/dev/null) || return 1
  set -- ${line##*\)}
  printf '%s\n' "${20-}"
}

# Writes score $2 to the process that is the current folder, if it has $1.
put_score() {
  read -r now <oom_score_adj && [ "$now" = "$1" ] && printf '%s\n' "$2" >oom_score_adj
} 2>/dev/null

# 1. The drop-ins.
while read -r word unit rest; do
  [ "$word" = file ] || continue
  rm -f -- "$drop_ins/$unit.d/$drop_in" "$drop_ins/$unit.d/$half" || exit 1
  rmdir -- "$drop_ins/$unit.d" 2>/dev/null || :
done <"$room/data"

reloaded=yes
systemctl daemon-reload || reloaded=no

# 2. The limits of what runs.
while read -r word unit file value group; do
  [ "$word" = limit ] || continue
  group=$(group_of "$unit" "$group")
  [ -n "$group" ] && [ -e "$cgroup$group/$file" ] || continue
  printf '%s\n' "$value" 2>/dev/null >"$cgroup$group/$file" || found="$found
$file of $unit could not be set to $value again."
done <"$room/data"

# 3. The scores. To enter a process's folder first makes sure that it stays that process.
while read -r word pid start was new; do
  [ "$word" = score ] || continue
  ( cd "$proc/$pid" 2>/dev/null && [ "$(start_of)" = "$start" ] && put_score "$new" "$was" )
done <"$room/data"
# Those that came since have the trial's from their parents.
while read -r word unit old new group; do
  [ "$word" = came ] && [ "$old" != "$new" ] || continue
  group=$(group_of "$unit" "$group")
  [ -n "$group" ] && [ -d "$cgroup$group" ] || continue
  find "$cgroup$group" -name cgroup.procs -exec cat {} + 2>/dev/null | while read -r pid; do
    ( cd "$proc/$pid" 2>/dev/null || exit
      read -r own <cgroup || exit
      case $own in "0::$group" | "0::$group/"*) ;; *) exit ;; esac
      start=$(start_of)
      grep -q "^score $pid $start " "$room/data" || put_score "$new" "$old" ) 2>/dev/null
  done
done <"$room/data"

[ "$reloaded" = yes ] || exit 1

# 4. What ran before and has failed since.
while read -r word unit rest; do
  [ "$word" = active ] || continue
  active='' sub='' result=''
  while IFS='=' read -r key value; do
    case $key in ActiveState) active=$value ;; SubState) sub=$value ;; Result) result=$value ;; esac
  done <<STATE
$(systemctl show -p ActiveState -p SubState -p Result -- "$unit")
STATE
  case $active/$sub/$result in
    failed/* | activating/auto-restart/*) ;;
    deactivating/*/success) continue ;;
    deactivating/*) ;;
    *) continue ;;
  esac
  # What a socket starts has used up its starts, and would fail it again at once.
  case $unit in *.socket)
    for other in $(systemctl show --value -p Triggers -- "$unit"); do
      systemctl reset-failed -- "$other" || :
    done ;;
  esac
  systemctl reset-failed -- "$unit" || :
  if systemctl start --no-block -- "$unit"; then found="$found
$unit failed meanwhile ($result) and was started again."
  else found="$found
$unit failed meanwhile ($result) and could not be started again."; fi
done <"$room/data"

printf '%s\n' "$found" >"$room/.result.new" && mv -f -- "$room/.result.new" "$room/result" || exit 1
rm -f -- "$notice"
"""


def script(roots: Roots | None = None) -> str:
    """Return the script."""
    values = {
        **(roots or Roots())._asdict(),
        "drop_in": TRIAL_DROP_IN,
        "half": temporary(TRIAL_DROP_IN),
    }
    lines = (f"{name}={shlex.quote(value)}" for name, value in values.items())
    return _SCRIPT.replace("@roots@", "\n".join(lines)).replace("@patience@", f"{PATIENCE}")


def data(record: Record) -> str:
    """Return what the script reads: one thing a line, its words apart by single blanks.

    Raises InvalidValueError for a name that the script could misunderstand.
    """
    lines = list(_lines(record))
    for line in lines:
        for word in line:
            if not _WORD.match(word):
                raise InvalidValueError(
                    msg(
                        "'{what}' cannot be on trial: apply it without a trial.",
                        what=of_text(word, 60),
                    )
                )
    return "".join(" ".join(line) + "\n" for line in lines)


_STARTED = re.compile(r"(\S+) failed meanwhile \((\S*)\) and was started again\.")
_NOT_STARTED = re.compile(r"(\S+) failed meanwhile \((\S*)\) and could not be started again\.")
_NOT_SET = re.compile(r"(\S+) of (\S+) could not be set to (\S+) again\.")


def reported(result: str) -> list[Message]:
    """Return the sentences that the script has written; what it did not write stays as it is."""
    return [_sentence(line) for line in result.split("\n") if line]


def _sentence(line: str) -> Message:
    if found := _STARTED.fullmatch(line):
        return msg(
            "{unit} failed meanwhile ({result}) and was started again.",
            unit=of_unit(found[1]),
            result=found[2],
        )
    if found := _NOT_STARTED.fullmatch(line):
        return msg(
            "{unit} failed meanwhile ({result}) and could not be started again.",
            unit=of_unit(found[1]),
            result=found[2],
        )
    if found := _NOT_SET.fullmatch(line):
        return msg(
            "{file} of {unit} could not be set to {value} again.",
            file=found[1],
            unit=of_unit(found[2]),
            value=found[3],
        )
    return verbatim(line)


def _lines(record: Record) -> Iterator[tuple[str, ...]]:
    yield "id", str(record.id)
    for file in record.trial.files if record.trial else ():
        folder = file.path.rpartition("/")[0].rpartition("/")[2]
        yield "file", folder.removesuffix(".d")
    for limit in record.live.limits:
        file_name, value = CGROUP_FILES[limit.key], _kernel_text(limit.before)
        yield "limit", limit.unit, file_name, value, limit.cgroup or NONE
    for scores in record.live.scores:
        # Those that need nothing are listed, too: they are none that came since.
        for pid, start, was in scores.processes:
            yield "score", str(pid), str(start), str(was), str(scores.after)
        yield "came", scores.unit, str(scores.before), str(scores.after), scores.cgroup or NONE
    for unit in record.live.active:
        yield "active", unit


def _kernel_text(limit: Limit) -> str:
    return "max" if isinstance(limit, Unlimited) else str(limit)
