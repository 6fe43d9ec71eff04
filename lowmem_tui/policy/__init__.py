"""What should be: pure functions over the model, standard library only."""
