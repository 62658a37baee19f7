"""The ground every room stands on: errors, text in three languages, clock, identifiers, settings.

A closed list: a helper that only one room needs lives in that room.
"""
