"""The server's end: what a lens answers to those who are connected to it."""
