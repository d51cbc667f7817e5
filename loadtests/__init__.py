"""Load: scenarios played by many at once, under locust. ``python -m loadtests`` does all of it."""
