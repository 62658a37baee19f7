"""What every `--reason` and its like is asked: it is kept for ever, so it names no person."""

from __future__ import annotations

import click


def names_nobody(_: click.Context, option: click.Parameter, value: str) -> str:
    """The option's value; refused (`catalogue.reason_names_person`) where a person's number, telephone or e-mail stands in it."""
    from kerege.catalogue.reasons import without_persons

    return without_persons(value or "", (option.name or "reason").replace("_", " "))
