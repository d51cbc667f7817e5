"""Real browsers: finds Chromium, drives it, records what it does. Playwright is imported at the first need."""
