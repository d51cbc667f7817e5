"""The front end from the outside: the Node.js that runs it, its packages, and builds of it."""
