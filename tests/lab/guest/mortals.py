"""Services whose restart policies are put to the test, and how they die; pure data."""

from __future__ import annotations

from typing import NamedTuple

EXIT, SIGNAL, MEMORY, ONCE = "exit", "signal", "memory", "once"
"""At every start an error, a signal, the kernel's OOM killer; or that at the first start alone."""


class Mortal(NamedTuple):
    """A service."""

    name: str
    dies: str
    service: str
    """Lines of its [Service] section, in one."""
    unit: str = ""
    """Of [Unit]."""

    def text(self) -> str:
        """Return its unit file."""
        lines = [
            "[Unit]",
            *self.unit.split(),
            "[Service]",
            f"ExecStart=/bin/sh /root/guest/mortal.sh {self.name} {self.dies}",
            "MemoryMax=16M",
            "MemorySwapMax=0",
            *self.service.split(),
        ]
        return "\n".join(lines) + "\n"


NO_LIMIT = "StartLimitIntervalSec=0"
STEPS = "RestartSteps=3 RestartMaxDelaySec=4s"

MORTALS = (
    # Killed for memory once.
    Mortal("once-no", ONCE, "Restart=no"),
    Mortal("once-always", ONCE, "Restart=always RestartSec=3s"),
    Mortal("once-failure", ONCE, "Restart=on-failure RestartSec=100ms"),
    Mortal("once-success", ONCE, "Restart=on-success RestartSec=100ms"),
    Mortal("once-abort", ONCE, "Restart=on-abort RestartSec=100ms"),
    Mortal("once-abort-continue", ONCE, "Restart=on-abort RestartSec=100ms OOMPolicy=continue"),
    Mortal("once-infinity", ONCE, "Restart=always RestartSec=infinity"),
    # At every start.
    Mortal("usual", EXIT, "Restart=always RestartSec=100ms"),
    Mortal("guide", EXIT, "Restart=always RestartSec=3s"),
    Mortal("guide-memory", MEMORY, "Restart=on-failure RestartSec=3s"),
    Mortal("memory", MEMORY, "Restart=always RestartSec=100ms"),
    Mortal("signal", SIGNAL, "Restart=on-abnormal RestartSec=100ms"),
    Mortal("watchdog", EXIT, "Restart=on-watchdog RestartSec=100ms"),
    Mortal("no-limit", EXIT, "Restart=on-failure RestartSec=1s", NO_LIMIT),
    Mortal("no-burst", EXIT, "Restart=on-failure RestartSec=1s", "StartLimitBurst=0"),
    Mortal(
        "own-limit", EXIT, "Restart=always RestartSec=2s",
        "StartLimitIntervalSec=30 StartLimitBurst=3",
    ),
    Mortal(
        "lucky", EXIT, "Restart=always RestartSec=3s", "StartLimitIntervalSec=5 StartLimitBurst=2"
    ),
    Mortal("oneshot", EXIT, "Type=oneshot Restart=on-failure RestartSec=1s"),
    Mortal("oneshot-always", EXIT, "Type=oneshot Restart=always RestartSec=1s"),
    Mortal("notify", EXIT, "Type=notify Restart=on-failure RestartSec=1s"),
    Mortal("steps", EXIT, f"Restart=always RestartSec=500ms {STEPS}", NO_LIMIT),
    Mortal("steps-limit", EXIT, f"Restart=always RestartSec=500ms {STEPS}"),
)  # fmt: skip
SAMPLE = ("once-always", "usual", "steps-limit")
