"""Other libraries' objects and calls, a file for each library; none is imported before it is met.

None is needed yet: models of transformers are met in `running/`, and what is handed to a Lens in
`tracing/subject.py`, which is where another library's model would be recognised.
"""
