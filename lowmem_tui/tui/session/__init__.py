"""What one run of the screen remembers."""
