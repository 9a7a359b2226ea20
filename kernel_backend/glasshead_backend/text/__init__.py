"""Text as models see it: tokens, words, and the sequences of a run. Nothing here runs a model."""
