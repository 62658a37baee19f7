"""Suggestions: which code means which, which column means which, and what speaks for it."""
