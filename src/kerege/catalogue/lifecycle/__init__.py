"""The approval life cycle of whatever is published: `rules` is pure, `doings` acts and asks."""
