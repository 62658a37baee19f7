"""Where a reader of mapping documents is, and the small checks of what stands there: errors name file and field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as having
from typing import Any

from kerege.semantics.errors import MappingInvalid
from kerege.semantics.patterns.pattern import Pattern


@dataclass(frozen=True, slots=True)
class Reader:
    """Where we are in the document, for errors."""

    file: str
    field: str
    patterns: Mapping[str, Pattern] = having(default_factory=dict)

    def wrong(self, reason: str) -> MappingInvalid:
        return MappingInvalid(file=self.file, field=self.field, reason=reason)

    def only(self, raw: dict[Any, Any], known: set[str]) -> None:
        unknown = [str(k) for k in raw if k not in known]
        if unknown:
            raise self.wrong(f"unknown keys {', '.join(unknown)}; known: {', '.join(sorted(known))}")

    def text(self, raw: dict[Any, Any], key: str, default: str | None = None) -> str:
        value = raw.get(key, default)
        if not isinstance(value, str) or (not value and default is None):
            raise self.wrong(f"{key} must be a text")
        return value

    def one_of(self, value: Any, known: tuple[str, ...], what: str) -> Any:
        if value not in known:
            raise self.wrong(f"{what} must be one of {', '.join(known)}; {value!r} came")
        return value

    def whole(self, value: Any, what: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(f"{what} must be a whole number; {value!r} came")
        return value
