"""Text in three languages, always together: Kyrgyz, Russian, English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["ky", "ru", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ky", "ru", "en")


@dataclass(frozen=True, slots=True)
class Text:
    """One meaning in three languages; an empty language is refused, so no screen falls back in silence."""

    ky: str
    ru: str
    en: str

    def __post_init__(self) -> None:
        for language in LANGUAGES:
            if not str(getattr(self, language)).strip():
                raise ValueError(f"a text lacks its {language} wording: {self!r}")

    def in_(self, language: str) -> str:
        """The wording in `language` (one of `LANGUAGES`; anything else is a programming error)."""
        if language not in LANGUAGES:
            raise ValueError(f"unknown language {language!r}; known: {', '.join(LANGUAGES)}")
        return str(getattr(self, language))

    @classmethod
    def of(cls, raw: Mapping[str, str]) -> Text:
        """From a mapping with exactly the keys `ky`, `ru`, `en` (as in the country pack's YAML)."""
        unknown = set(raw) - set(LANGUAGES)
        if unknown:
            raise ValueError(f"unknown languages {sorted(unknown)} in a text; known: {', '.join(LANGUAGES)}")
        return cls(ky=raw.get("ky", ""), ru=raw.get("ru", ""), en=raw.get("en", ""))

    def as_dict(self) -> dict[str, str]:
        return {"ky": self.ky, "ru": self.ru, "en": self.en}
