"""Calls of other libraries, with their own names and parameters, shown by views of Glasshead."""
