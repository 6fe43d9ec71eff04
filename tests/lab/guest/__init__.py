"""Tests that run inside of the lab's machine, on its own systemd; carried in by those outside."""
