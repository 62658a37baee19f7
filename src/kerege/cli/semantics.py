"""Commands of the semantics engine: translate files with a mapping. Code lists are `cli.codelist`, crosswalks `cli.crosswalk`."""

from __future__ import annotations

import csv
import io
import mimetypes
import os
from collections import Counter
from pathlib import Path
from typing import IO, Any

import click
import orjson

import kerege
from kerege.cli.engines import Made, engine_options, mapping_engine
from kerege.cli.telling import counted
from kerege.ground import settings
from kerege.semantics.errors import SemanticsError
from kerege.semantics.mappings.translate import Translation, translate
from kerege.semantics.pack import Pack, load_pack

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_TYPES = {".json": "application/json", ".xml": "text/xml", ".csv": "text/csv", ".tsv": "text/csv"}


def open_pack(country_data: Path | None = None, overlay: Path | None = None) -> Pack:
    """The pack of the installation's country (settings `country`, `country_data`), with an overlay when there is one."""
    folder = Path(kerege.__file__).parent / "country" / settings.get("country")
    data = country_data or (Path(found) if (found := settings.get("country_data")) else None)
    return load_pack(folder, data_dir=data, overlay=overlay)


@click.command("map")
@click.argument("mapping")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["json", "csv"]),
    default="json",
    help="How the canonical records are written.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; standard output without it."
)
@click.option("--country-data", type=_FOLDER, help="Folder with the full soate.csv.")
@click.option("--overlay", type=_FOLDER, help="Folder with the installation's own crosswalks (*.sssom.tsv).")
@engine_options
def map_files(
    mapping: str,
    files: tuple[Path, ...],
    format_: str,
    output: Path | None,
    country_data: Path | None,
    overlay: Path | None,
    engine: str,
    database: str,
) -> None:
    """Translate files with MAPPING and write the canonical records.

    Problems are counted per field on standard error. Nothing is written when one of the files cannot be read whole.
    """
    pack = open_pack(country_data, overlay)
    pack.mapping(mapping)
    with mapping_engine(engine, database) as made:
        done = [(path, *_translated(pack, mapping, path, made)) for path in files]
    write = _as_json if format_ == "json" else _as_csv
    body = write([translation for _, translation, _ in done], [field.name for field in pack.mapping(mapping).fields])
    if output is None:
        click.echo(body, nl=False)
    else:
        aside = output.with_name(output.name + ".new")
        aside.write_text(body, "utf-8")
        os.replace(aside, output)
    for path, translation, by in done:
        _report(path, translation, by)


class _FileRefused(click.ClickException):
    """An error of one payload, told with the file it is in, in the form in which `kerege` tells all its errors."""

    exit_code = 2

    def __init__(self, path: Path, error: SemanticsError) -> None:
        super().__init__(f"error    {error.code}\n         {path}: {error.text}\n         {error.next_step}")

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=True)


def _translated(pack: Pack, mapping: str, path: Path, made: Made) -> tuple[Translation, str]:
    """(the translation, which engine made it)."""
    batches = made(pack, mapping)
    try:
        return translate(pack, mapping, path.read_bytes(), content_type(path), batches), batches.told()
    except SemanticsError as error:
        raise _FileRefused(path, error) from error


def content_type(path: Path) -> str:
    return _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or ""


def _as_json(translations: list[Translation], _fields: list[str]) -> str:
    documents: list[dict[str, Any]] = [translation.as_dict() for translation in translations]
    return orjson.dumps(documents[0] if len(documents) == 1 else documents, option=orjson.OPT_INDENT_2).decode() + "\n"


def _as_csv(translations: list[Translation], fields: list[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    for translation in translations:
        writer.writerows(translation.records)
    return out.getvalue()


def _report(path: Path, translation: Translation, by: str) -> None:
    total, kept = translation.total, len(translation.records)
    click.echo(f"{path.name}: {counted(total, 'record')}, {kept} translated, {total - kept} withheld", err=True)
    click.echo(f"  by {translation.mapping_id} {translation.mapping_version}", err=True)
    click.echo(f"  {by}", err=True)
    problems = Counter((problem["field"], problem["code"]) for problem in translation.problems)
    for (field, code), times in problems.most_common():
        click.echo(f"  {times:>7}  {field}: {code}", err=True)
    codes = Counter((p["field"], p["source_code"]) for p in translation.problems if "source_code" in p)
    for (field, code), times in codes.most_common(10):
        click.echo(f"  {times:>7}  {field}: no counterpart for {code!r}", err=True)
