"""One door to code lists in files: the format is told by name or seen from the ending, reading and writing go to the module that knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from kerege.semantics.codelists.codelist import MOST_BYTES, CodeList, Finding
from kerege.semantics.codelists.integrity import check_file
from kerege.semantics.codelists.sdmx import read_sdmx, write_sdmx
from kerege.semantics.codelists.skos import read_rdf, write_rdf
from kerege.semantics.codelists.tables import parse_csv, read_xlsx, write_csv, write_list_xlsx
from kerege.semantics.errors import CodeListInvalid, CodeListTooLarge

Format = Literal[
    "turtle", "rdfxml", "jsonld", "csv", "xlsx", "sdmx-ml-2.1", "sdmx-ml-3.0", "sdmx-json-1.0", "sdmx-json-2.0"
]
FORMATS: Final[tuple[Format, ...]] = (
    "turtle", "rdfxml", "jsonld", "csv", "xlsx", "sdmx-ml-2.1", "sdmx-ml-3.0", "sdmx-json-1.0", "sdmx-json-2.0",
)  # fmt: skip
_BY_SUFFIX: Final[dict[str, Format]] = {
    ".ttl": "turtle", ".rdf": "rdfxml", ".owl": "rdfxml", ".jsonld": "jsonld", ".csv": "csv", ".tsv": "csv",
    ".xlsx": "xlsx", ".ods": "xlsx", ".xml": "sdmx-ml-3.0", ".json": "sdmx-json-2.0",
}  # fmt: skip


def format_of(name: str) -> Format:
    """The format a file's ending stands for; CodeListInvalid lists the endings."""
    found = _BY_SUFFIX.get(Path(name).suffix.lower())
    if found is None:
        raise CodeListInvalid(file=name, reason=f"the name should end in one of {', '.join(_BY_SUFFIX)}")
    return found


def read_codelist(path: Path, list_id: str = "", format_: Format | None = None) -> CodeList:
    """The list in a file of any format; `list_id` stands for the id the file gives, tables have none and get the file's name.

    Raises CodeListInvalid and CodeListTooLarge, each with the file and the place.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise CodeListTooLarge(file=path.name, found=f"{size} bytes", limit=f"{MOST_BYTES} bytes")
    return parse_codelist(path.read_bytes(), path.name, list_id, format_)


def parse_codelist(data: bytes, name: str, list_id: str = "", format_: Format | None = None) -> CodeList:
    """The list in bytes that a file called `name` held; see `read_codelist`."""
    kind = format_ or format_of(name)
    if kind == "csv" or kind == "xlsx":
        return (parse_csv if kind == "csv" else read_xlsx)(data, name, list_id or Path(name).stem)
    found = read_sdmx(data, name) if kind.startswith("sdmx") else read_rdf(data, name, kind)  # type: ignore[arg-type]
    return replace(found, id=list_id) if list_id else found


def file_findings(data: bytes, name: str, format_: Format | None = None) -> tuple[Finding, ...]:
    """What is wrong with a list as it stands in a file and may be lost in reading it (two labels in one language, a concept that is a scheme too);
    nothing for formats that are no graphs: `CodeList.check` sees all of these. Raises what `parse_codelist` raises of a file that cannot be read.
    """
    kind = format_ or format_of(name)
    return check_file(data, name, kind) if kind == "turtle" or kind == "rdfxml" or kind == "jsonld" else ()


def write_codelist(codelist: CodeList, format_: Format, prepared: datetime | None = None) -> bytes:
    """The list in one of `FORMATS`; `prepared` is the time SDMX messages carry. CodeListInvalid says what a format cannot hold."""
    tables: dict[str, Callable[[CodeList], bytes]] = {"csv": write_csv, "xlsx": write_list_xlsx}
    if format_ in tables:
        return tables[format_](codelist)
    if format_.startswith("sdmx"):
        return write_sdmx(codelist, format_, prepared)  # type: ignore[arg-type]
    return write_rdf(codelist, format_)  # type: ignore[arg-type]
