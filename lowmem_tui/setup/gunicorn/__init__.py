"""The step `gunicorn`."""
