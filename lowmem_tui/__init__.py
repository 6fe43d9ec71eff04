"""lowmem-tui: systemd units and memory on small servers."""

__version__ = "0.1.0"
