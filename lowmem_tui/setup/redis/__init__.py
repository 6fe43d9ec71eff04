"""The step `redis`."""
