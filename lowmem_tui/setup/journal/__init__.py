"""The step `journal`."""
