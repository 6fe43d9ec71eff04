"""What is: frozen values, no input or output, no clock, standard library only."""
