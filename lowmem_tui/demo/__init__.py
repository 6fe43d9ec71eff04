"""The demo server: the same Protocols as a real machine, and nothing of the real one is touched."""

from lowmem_tui.demo.server import DemoServer

__all__ = ["DemoServer"]
