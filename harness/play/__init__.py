"""Plays scenarios: the stage, its people, steps, deliveries and observers."""
