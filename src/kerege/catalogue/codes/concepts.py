"""Concepts of the country pack: what attributes can mean, in three languages. The file belongs to the pack; here it is only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

import kerege.country
from kerege.ground import settings
from kerege.ground.text import Text
from kerege.semantics.suggest.columns import ColumnProfile, name_words, suggest_columns


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept: its id (`person.birth_date`) and wording.

    personal   its values are about an identifiable person; None where the pack does not say
    codelist   the list its values come from, or ""
    fields     canonical fields that carry it, `mapping#field`
    """

    id: str
    text: Text
    personal: bool | None = None
    codelist: str = ""
    fields: tuple[str, ...] = ()


def load_concepts(folder: Path | None = None) -> dict[str, Concept]:
    """Concepts by id from `concepts.yaml` in the pack's folder; a pack without the file has none."""
    if folder is None:
        folder = Path(next(iter(kerege.country.__path__))) / settings.get("country")
    path = folder / "concepts.yaml"
    return _read(path, path.stat().st_mtime_ns) if path.is_file() else {}


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int) -> dict[str, Concept]:
    raw = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    found = {}
    for concept_id, entry in _entries(raw):
        text = (
            entry.get("text")
            or entry.get("label")
            or entry.get("labels")
            or {k: entry.get(k) for k in ("ky", "ru", "en")}
        )
        if concept_id and isinstance(text, dict) and all(text.get(k) for k in ("ky", "ru", "en")):
            personal = entry.get("personal")
            found[concept_id] = Concept(
                concept_id,
                Text(str(text["ky"]), str(text["ru"]), str(text["en"])),
                personal if isinstance(personal, bool) else None,
                str(entry.get("codelist") or ""),
                tuple(str(name) for name in entry.get("fields") or ()),
            )
    return found


def _entries(raw: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(id, entry) from a list of entries with `id`, or a mapping of id to entry, at the top or under `concepts`."""
    if isinstance(raw, dict) and "concepts" in raw:
        raw = raw["concepts"]
    if isinstance(raw, dict):
        yield from ((str(k), v) for k, v in raw.items() if isinstance(v, dict))
    elif isinstance(raw, list):
        yield from ((str(e.get("id", "")), e) for e in raw if isinstance(e, dict))


_TRIED: Final = 5
_LEAST_BEGINNING: Final = 4  # letters
LIKELY: Final = 0.45  # below this a hint would only be noise


def likely_concepts(columns: Sequence[ColumnProfile], concepts: Mapping[str, Concept]) -> dict[tuple[str, str], str]:
    """(table, column) -> concept that its name most likely means, by the concept's id and its wording in three languages.

    A hint for the steward who reads a plan; nothing is linked by it.
    """
    wordings = [
        ColumnProfile(name, table=concept.id)
        for concept in concepts.values()
        for name in dict.fromkeys((concept.id.rsplit(".", 1)[-1], *concept.text.as_dict().values()))
    ]
    bare = [ColumnProfile(c.name, table=c.table, description=c.description) for c in columns]
    found = {}
    for s in suggest_columns(bare, wordings, top=_TRIED):
        fits = (c.table for c in s.candidates if c.score >= LIKELY and _same_words(s.column, c.column))
        if (concept := next(fits, None)) is not None:
            found[s.table, s.column] = concept
    return found


def _same_words(name: str, wording: str) -> bool:
    """Whether the wording has every word of the name, whole or begun, and not many more: `first_name` is neither a first house number nor a name."""
    left, right = name_words(name), name_words(wording)
    shared = sum(any(_begins(a, b) for b in right) for a in left)
    return shared == len(left) and 2 * shared >= len(right)


def _begins(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    return a == b or (len(short) >= _LEAST_BEGINNING and long.startswith(short))
