"""The live engine beside its peers: how soon a change is at every socket, and what a socket costs."""
