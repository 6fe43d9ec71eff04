"""The program on a demo server whose systemd takes its time; at the end it writes down what is.

Its first change, MemoryMax=300M of redis-server.service, is made already; with TRIAL as a trial.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from unittest import mock

from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.main import run_command
from lowmem_tui.demo.ports import DemoManager
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.errors import ManagerError
from lowmem_tui.model.plan import Edit
from lowmem_tui.model.unit import Key
from lowmem_tui.policy.plan import plan

REDIS = "redis-server.service"
SLOW = 1.5
"""Seconds that a reload takes."""


def main() -> None:
    server = DemoServer()
    backend = serve(server)
    edits = [Edit(REDIS, Key.MEMORY_MAX, "300M")]
    trial = 120 if "TRIAL" in os.environ else None
    backend.apply(plan(edits, backend.situation([REDIS])), trial=trial)
    backend.close()
    real = DemoManager.reload

    def reload(self: DemoManager) -> None:
        time.sleep(SLOW)
        real(self)
        if "FAIL" in os.environ:
            os.environ.pop("FAIL")
            raise ManagerError("systemd would not reload: try again.")

    with (
        mock.patch.object(DemoManager, "reload", reload),
        mock.patch("lowmem_tui.cli.open.open_backend", lambda *_: serve(server)),
    ):
        status = run_command(sys.argv[1:])
    group = server.connect().properties([REDIS])[REDIS].control_group
    left = {
        "status": status,
        "states": [f"{change.state}" for change in backend.history()],
        "limit": server.kernel.limit(group, "memory.max"),
        "files": sorted(path for path in server.disk.entries if "lowmem-tui" in path),
    }
    Path(os.environ["LEFT"]).write_text(json.dumps(left))
    os._exit(status)


if __name__ == "__main__":
    main()
