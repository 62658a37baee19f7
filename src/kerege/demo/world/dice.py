"""Dice that fall the same way for the same seed: one stream per purpose, so that a change in one place moves no other."""

from __future__ import annotations

from random import Random


def stream(seed: int, purpose: str) -> Random:
    """An independent random stream; seeding with a string is stable across processes and Python builds."""
    return Random(f"kerege-demo/{seed}/{purpose}")
