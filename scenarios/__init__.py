"""The stories this stack is held to: one file a story, each a test, a demo and a load at once."""
