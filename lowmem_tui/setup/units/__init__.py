"""The steps `tiers` and `units`."""
