"""The node's keys and certificates: where they are, how they are renewed, when they run out."""
