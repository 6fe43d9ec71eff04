"""The hands: the only code that writes to a machine."""
