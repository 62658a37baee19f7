"""`kerege node check`: what is wrong with a node's configuration, and how to mend it."""
