"""From texts to recorded runs: what was given, and what is kept of a run."""
