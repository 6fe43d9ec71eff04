"""One small module per command; the only place that connects all the others."""
