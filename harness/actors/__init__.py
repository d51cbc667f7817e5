"""Actors: simulated people who use the stack as a browser does, over HTTP and the live connection."""
