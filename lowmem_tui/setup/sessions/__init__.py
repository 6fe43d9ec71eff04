"""The step `sessions`."""
