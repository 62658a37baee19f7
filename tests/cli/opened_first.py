"""A fresh process that types every command that opens the hub's database, with the fewest arguments; prints how each ended, as JSON.

The database stays closed: whoever asks for it ends there, which is what a command should do before it imports the first model.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from kerege.cli import COMMANDS
from kerege.ground.errors import KeregeError
from kerege.web import installation

OTHERWISE = {"demo", "hub", "node", "settings", "verify"}  # they prepare a home of their own, or need no database
OPENED = "opened"


class Opened(BaseException):
    """The command asked for the database."""


def asked() -> None:
    raise Opened


def leaves(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from leaves(inner, (*words, name))
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield words, command


def value(kind: click.ParamType, file: Path) -> str:
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    if isinstance(kind, click.DateTime):
        return "2026-11-22"
    if isinstance(kind, click.IntRange):
        return str(int(kind.min or 1))
    if isinstance(kind, click.Path):
        return str(file if kind.exists and kind.file_okay else file.parent if kind.exists else file.with_suffix(".out"))
    return {"integer": "1", "float": "1"}.get(kind.name, "a~b")


NAMED = {"dataset": "a.csv#a", "concept": "person.birth_date", "language": "en", "list_id": "kg:sex"}


def fewest(command: click.Command, file: Path) -> list[str]:
    words: list[str] = []
    for one in command.params:
        if one.required:
            told = str(file) if one.name == "source" else NAMED.get(str(one.name)) or value(one.type, file)
            given = [told] * max(one.nargs, 1)
            words += [one.opts[0], *given] if isinstance(one, click.Option) else given
    return words


def ended(command: click.Command, words: list[str]) -> str:
    result = CliRunner().invoke(command, words)
    if result.exception is None or isinstance(result.exception, SystemExit):
        return f"status {result.exit_code}"
    if isinstance(result.exception, KeregeError):
        return result.exception.code
    return f"{type(result.exception).__name__}: {''.join(traceback.format_exception(result.exception))[-900:]}"


def main(folder: Path) -> None:
    installation.open_database = asked
    file = folder / "a.csv"
    file.write_text("a,b\n1,2\n", "utf-8")
    told = {}
    for name, target in sorted(COMMANDS.items()):
        if name in OTHERWISE:
            continue
        module, _, attribute = target.partition(":")
        for words, command in leaves(getattr(importlib.import_module(module), attribute), (name,)):
            try:
                told[" ".join(words)] = ended(command, fewest(command, file))
            except Opened:
                told[" ".join(words)] = OPENED
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
