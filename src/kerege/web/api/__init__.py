"""Addresses for machines: health, the run's figures, signed configuration, static files."""
