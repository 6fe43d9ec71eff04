"""`--plain`: the jobs of the screens as a dialogue of plain lines; standard library alone."""
