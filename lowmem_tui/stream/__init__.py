"""A Snapshot as a frame of bytes, and back: what recordings and other servers are read from."""
