"""Translate one payload by one mapping: decode, map each record, keep what ties the result to the original bytes.

A record with an unmapped code under the policy `reject` or `quarantine`, or without a value that is required, is withheld: it is not among the
records, and `withheld` says so, because a consumer that took its absence for a fact would decide wrongly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kerege.semantics.engines.emit_python import Mapped
from kerege.semantics.mappings.problems import Problem
from kerege.semantics.mappings.shape import decode
from kerege.semantics.pack import Pack

_HELD: Final = ("quarantined", "rejected")
CANONICAL: str = "application/vnd.kerege.canonical+json"
Run = Callable[[Iterable[Mapping[str, str | None]]], Iterator[Mapped]]  # records in, what became of each out, in order


@dataclass(frozen=True, slots=True)
class Translation:
    """A payload translated. `places[i]` is the place of `records[i]` in the payload, from 0; problems and withheld name places too.

    `sources[i]` are the cells `records[i]` was made of, as decoded and not yet read: what the register wrote.
    """

    records: list[dict[str, str | None]]
    sources: list[dict[str, str | None]]
    problems: list[dict[str, Any]]
    mapping_id: str
    mapping_version: str
    original_sha256: str
    places: list[int]
    withheld: list[dict[str, Any]]
    total: int

    @property
    def complete(self) -> bool:
        """Whether every record of the payload came through."""
        return not self.withheld

    def as_dict(self) -> dict[str, Any]:
        """The canonical message, without the sources and what only the node knows of the original (content type, message id)."""
        return {
            "records": self.records,
            "problems": self.problems,
            "withheld": self.withheld,
            "mapping": {"id": self.mapping_id, "version": self.mapping_version},
            "original": {"sha256": self.original_sha256},
        }


def translate(
    pack: Pack, mapping_id: str, payload: bytes, content_type: str = "", run: Run | None = None
) -> Translation:
    """The canonical records of `payload`. Raises a `Payload...` error when the payload as a whole cannot be trusted.

    run    what maps the records instead of the Python function, record by record: an engine for many (`engines.batches.Batches`)
    """
    mapping, mapper = pack.mapping(mapping_id), pack.mapper(mapping_id)
    records: list[dict[str, str | None]] = []
    kept: list[dict[str, str | None]] = []
    places: list[int] = []
    problems: list[dict[str, Any]] = []
    withheld: list[dict[str, Any]] = []
    sources = decode(payload, content_type, mapping)
    done = map(mapper, sources) if run is None else run(sources)
    for place, (source, mapped) in enumerate(zip(sources, done, strict=True)):
        if mapped.problems:
            problems += _described(place, mapped.problems)
        if mapped.verdict in _HELD:
            withheld.append({"record": place, "verdict": mapped.verdict})
        else:
            records.append(mapped.values)
            kept.append(source)
            places.append(place)
    return Translation(
        records=records,
        sources=kept,
        problems=problems,
        mapping_id=mapping_id,
        mapping_version=pack.version(mapping_id),
        original_sha256=hashlib.sha256(payload).hexdigest(),
        places=places,
        withheld=withheld,
        total=len(sources),
    )


def _described(place: int, found: tuple[Problem, ...]) -> list[dict[str, Any]]:
    return [{"record": place, **problem.as_dict()} for problem in found]
