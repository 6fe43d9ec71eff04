"""One small module per command; the only place that wires senses and hands together."""
