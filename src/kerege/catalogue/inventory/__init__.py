"""Inventory: one reading of a source, the plan of what changed, applied; what is found and who uses what.

The readers of each kind of source are in `catalogue.sources`.
"""
