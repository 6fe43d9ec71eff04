"""The demo server: the same Protocols as a real machine, and nothing of the real one is touched."""

from lowmem_tui.host.demo.server import DemoServer

__all__ = ["DemoServer"]
