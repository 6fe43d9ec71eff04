"""What a change writes to: files, kernel values, links, swap."""
