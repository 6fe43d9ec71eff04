"""Changes that revert unless they are confirmed."""
