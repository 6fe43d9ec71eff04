"""The step `idle`."""
