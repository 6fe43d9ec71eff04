"""What speaks against a plan or a setting, and why; pure."""
