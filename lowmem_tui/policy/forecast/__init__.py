"""What would happen: the next OOM victim, kill orders, restarts, growth; pure."""
