"""What can be asked of a recorded run, as plain functions; `trace.py` is their manual."""
