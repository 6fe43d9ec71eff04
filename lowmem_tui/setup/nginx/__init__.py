"""The step `nginx`."""
