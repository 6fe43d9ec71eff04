"""The demo server: the same Protocols as a real machine, and nothing of the real one is touched."""
