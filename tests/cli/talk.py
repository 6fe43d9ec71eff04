"""A dialogue held in this process, on a demo server whose clock the test turns."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from lowmem_tui.cli.demo import serve
from lowmem_tui.cli.dialogue.console import Console
from lowmem_tui.cli.dialogue.run import hold
from lowmem_tui.demo.server import DemoServer
from lowmem_tui.model.language import use_demo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lowmem_tui.cli.exit import Exit

REDIS = "redis-server.service"
DROP_IN = f"/etc/systemd/system/{REDIS}.d/zz-lowmem-tui.conf"


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Lines(io.BytesIO):
    """Input, line by line; what can be called is done when its turn comes, and types nothing."""

    def __init__(self, lines: Iterable[str | bytes | Callable[[], object]]) -> None:
        super().__init__()
        self._lines: Iterator[str | bytes | Callable[[], object]] = iter(lines)
        self._rest = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        if not self._rest:
            for line in self._lines:
                if callable(line):
                    line()
                    continue
                self._rest = line.encode() + b"\n" if isinstance(line, str) else line
                break
        cut = len(self._rest) if size is None or size < 0 else size
        piece, self._rest = self._rest[:cut], self._rest[cut:]
        return piece


class Talk:
    """One server, and the dialogues that are held with it."""

    def __init__(self, *, read_only: bool = False, cannot_change: str = "") -> None:
        self.clock = Clock()
        self.server = DemoServer(0, self.clock)
        self.backend = serve(self.server, read_only=read_only)
        if cannot_change:
            self.backend.cannot_change = cannot_change
        self.status: Exit | None = None

    def hold(self, *lines: str | bytes | Callable[[], object], start: str = "") -> str:
        """Type these lines, then end the input; return all that was printed."""
        out = io.StringIO()
        use_demo(demo=self.backend.demo)
        self.status = hold(self.backend, Console(Lines(lines), out), start)
        return out.getvalue()

    def wait(self, seconds: float) -> Callable[[], object]:
        """Let time pass between two lines."""

        def passes() -> None:
            self.clock.now += seconds

        return passes

    @property
    def ours(self) -> list[str]:
        """The files of ours that are on its disk."""
        return sorted(path for path in self.server.disk.entries if "zz" in path)
