"""Ownership and sources of truth, per attribute and with a period. Other rooms ask `face`; `rules` is pure, `doings` changes."""
