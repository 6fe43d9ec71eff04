"""A small Debian server in a virtual machine, with a real systemd, for the tests."""
