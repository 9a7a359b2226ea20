"""A client's end of a server: what travels, the connection, runs and models that are elsewhere."""
