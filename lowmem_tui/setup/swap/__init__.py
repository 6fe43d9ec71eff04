"""The step `swap`."""
