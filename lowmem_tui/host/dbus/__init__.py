"""systemd over D-Bus."""
