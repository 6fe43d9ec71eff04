"""The senses: what reads a machine (and the demo server, a whole machine in memory)."""
