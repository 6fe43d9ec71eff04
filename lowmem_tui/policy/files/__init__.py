"""Files of the administrator in which policy is written and read; pure."""
