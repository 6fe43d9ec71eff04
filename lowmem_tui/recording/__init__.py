"""What a server was like: snapshots on disk, and the same screens and commands on them."""
