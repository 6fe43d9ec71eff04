"""The journal, the kernel's log, and log files of other machines."""
