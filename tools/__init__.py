"""What the nox sessions are made of; nothing of the product."""
