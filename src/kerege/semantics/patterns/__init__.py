"""Patterns without regular expressions: a closed form that every engine reads alike."""
