"""What happened: kills and shortages, made of what logs and counters say; pure."""
