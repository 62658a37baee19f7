"""The options by which a person says how a source is to be read, checked before anything is opened.

Shared by every command of the catalogue that reads (`cli.catalogue`); what they mean to a file or database is `catalogue.sources`.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import click

from kerege.catalogue.sources import Limits, Reading, Source, Table, open_source
from kerege.catalogue.sources.base import pick
from kerege.catalogue.sources.delimited import NO_LINE_END
from kerege.cli.telling import counted as counted
from kerege.cli.telling import printable as printable

_F = TypeVar("_F", bound=Callable[..., Any])
_NO_FILES: Final = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7")


def reading_options(function: _F) -> _F:
    for option in reversed(
        (
            click.option(
                "--rows",
                type=click.IntRange(1, 1 << 40),
                default=200_000,
                show_default=True,
                help="Most rows read per table; more is sampled.",
            ),
            click.option(
                "--sample",
                type=click.IntRange(1, 1 << 40),
                default=50_000,
                show_default=True,
                help="Rows taken of a database's table that has more than --rows.",
            ),
            click.option(
                "--seconds",
                type=click.IntRange(1, 86_400),
                default=30,
                show_default=True,
                help="Longest one query or connection may take.",
            ),
            click.option(
                "--max-cell",
                type=click.IntRange(1, 1_000_000_000),
                default=1_000_000,
                show_default=True,
                help="Most characters of one cell.",
            ),
            click.option("--encoding", default="utf-8", show_default=True, help="Encoding of a CSV or TSV file."),
            click.option("--delimiter", default="", help="Separator of a CSV file; found out when not given."),
            click.option("--counted", is_flag=True, help="A CSV file must end with its sender's count, #ROWS;<n>."),
            click.option(
                "--header-row",
                type=click.IntRange(0),
                default=0,
                help="Row that holds one name per column; default: the first filled.",
            ),
        )
    ):
        function = option(function)
    return function


def reading_of(raw: dict[str, Any], tables: Sequence[str] = ()) -> Reading:
    limits = Limits(rows=raw["rows"], cell=raw["max_cell"], seconds=raw["seconds"], sample=raw["sample"])
    encoding, delimiter = encoding_of(raw["encoding"]), _delimiter(raw["delimiter"])
    return Reading(limits, encoding, delimiter, raw["header_row"], tuple(tables), raw["counted"])


def encoding_of(text: str) -> str:
    """The codec's own name; one in which a line end is a line end, or UTF-16."""
    try:
        name = codecs.lookup(text).name
        plain = "a;\n".encode(name) == b"a;\n"
    except (LookupError, ValueError) as error:
        raise click.BadParameter(f"no text encoding is called {text!r}", param_hint="--encoding") from error
    if name in _NO_FILES or not (plain or name.startswith("utf-16")):
        raise click.BadParameter(f"a CSV file in {name} is not read; save it as utf-8", param_hint="--encoding")
    return name


def _delimiter(text: str) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) > 1 or text in ('"', "\r", "\n", "\0"):
        raise click.BadParameter(
            r"one character, not a quote and not a line end (a tab is written \t)", param_hint="--delimiter"
        )
    return text


def split_source(source: str) -> tuple[str, tuple[str, ...]]:
    """`path#table` or `postgresql://...#table` as (source, tables)."""
    text, _, table = source.partition("#")
    return text, (table,) if table else ()


def open_table(source: str, raw: dict[str, Any]) -> tuple[Source, Table]:
    """The source and the one table a command works on, from `FILE#TABLE` and the reading options."""
    text, tables = split_source(source)
    opened = open_source(text, reading_of(raw, tables))
    return opened, pick(opened, tables[0] if tables else None)


def policy_of(text: str) -> str:
    """A policy for unmapped codes as typed; a click error says what is known."""
    from kerege.semantics.crosswalks.sssom import Policy

    try:
        return str(Policy.parse(text))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--policy") from error


def show_remarks(source: str, remarks: Iterable[tuple[str, str]]) -> None:
    """What people should know of what was read though nothing is wrong for sure."""
    for table, remark in remarks:
        click.echo(f"note     {source}, table {printable(table)}: {remark}.", err=True)
        if remark.startswith(NO_LINE_END):
            click.echo("         If its sender counts the rows (#ROWS;<n>), read it with --counted.", err=True)
