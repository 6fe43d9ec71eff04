"""What reads a machine: its files, systemd and its logs."""
