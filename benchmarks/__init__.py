"""Measures this stack beside its peers in one run, on the same machine, in turns."""
