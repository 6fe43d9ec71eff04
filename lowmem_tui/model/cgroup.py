"""The tree of control groups, as systemd names it; imports nothing, for `triage`."""

ROOT_SLICE = "-.slice"
"""The root of the tree: the whole machine (systemd.special(7))."""

TOP_SLICES = frozenset({"system.slice", "user.slice", "machine.slice"})
"""The slices below the root that systemd makes by itself."""
