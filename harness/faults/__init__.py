"""Breaks things on purpose for the length of a ``with`` block, and mends them at its end."""
