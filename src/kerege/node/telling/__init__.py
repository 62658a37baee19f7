"""What the node tells of itself: monitoring records, environment, metrics, traces."""
