"""Where changes are remembered. All of it belongs to root."""

from __future__ import annotations

from typing import Final

from lowmem_tui.model import trial

RECORDS: Final = "/var/lib/lowmem-tui"
"""One JSON file for each change, with the contents of files: for root alone."""

SUMMARIES: Final = trial.HISTORY.rpartition("/")[0]
SUMMARY: Final = trial.HISTORY
"""The history without contents, for everybody; written again at each change of a state.

Not under /run, which a reboot empties, and not in the folder of the records, which is closed.
"""

RUN: Final = "/run/lowmem-tui"
ROOM: Final = f"{RUN}/trial"
"""What belongs to the trial that runs: a reboot forgets it, and what it would revert."""

SCRIPT: Final = f"{ROOM}/revert"
DATA: Final = f"{ROOM}/data"
CONFIRMING: Final = f"{ROOM}/confirming"
"""Is there while a trial is being kept: the script does nothing then."""
RESULT: Final = f"{ROOM}/result"
"""Written by the script when it has reverted the trial."""
NOTICE: Final = trial.PATH

MODES: Final = {
    RECORDS: (0o700, 0o600),
    SUMMARIES: (0o755, 0o644),
    RUN: (0o755, 0o644),
    ROOM: (0o700, 0o600),
}
"""The mode of each folder, and of the files in it."""
