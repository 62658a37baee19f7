"""Which engine maps: the options `--engine` and `--database` of commands that run a mapping over a file, and what they open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast, get_args

import click

from kerege.semantics.engines.batches import FEW, MANY, Asked, Batches
from kerege.semantics.errors import EngineMissing
from kerege.semantics.pack import Pack

Made = Callable[[Pack, str], Batches]


def engine_options(function: Any) -> Any:
    """Adds `engine` and `database` to a command."""
    for option in (
        click.option(
            "--database",
            metavar="URL",
            default="",
            help="For --engine postgresql: where rows are mapped, in temporary tables only; a source in PostgreSQL by default.",
        ),
        click.option(
            "--engine",
            type=click.Choice(get_args(Asked)),
            default="auto",
            show_default=True,
            help=f"What maps; the cells are the same. auto: python up to {FEW:,} records, {MANY} beyond.",
        ),
    ):
        function = option(function)
    return function


@contextmanager
def mapping_engine(engine: str, database: str = "", source: str = "") -> Iterator[Made]:
    """What makes the `Batches` for a pack and a mapping's id; what the engine needs is open until the block ends.

    Raises EngineMissing when postgresql is asked for without a database, or its database does not answer.
    """
    asked = cast("Asked", engine)
    url = database or (source if source.startswith(("postgresql://", "postgres://")) else "")
    if database and asked != "postgresql":
        raise click.UsageError("--database is for --engine postgresql.")
    if asked != "postgresql":
        yield lambda pack, mapping: Batches(pack.mapping(mapping), pack, asked)
        return
    if not url:
        raise EngineMissing(engine=asked, needs="--database postgresql://...")
    import psycopg

    from kerege.catalogue.mappings.run_postgres import session_at

    opening = session_at(url)
    try:
        session = opening.__enter__()
    except psycopg.Error as error:
        raise EngineMissing(engine=asked, needs=f"a database that answers ({type(error).__name__})") from None
    try:
        yield lambda pack, mapping: Batches(pack.mapping(mapping), pack, asked, session)
    finally:
        opening.__exit__(None, None, None)
