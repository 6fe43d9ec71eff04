"""What the screens say, as lines."""
