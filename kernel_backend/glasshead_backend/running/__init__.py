"""Running a model and leaving it as found, in whichever version of transformers is installed."""
