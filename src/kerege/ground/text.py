"""Text in three languages, always together: Kyrgyz, Russian, English; and sentences that know what they were made of."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Language = Literal["ky", "ru", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ky", "ru", "en")


def counted(number: int, what: str) -> str:
    """English: `1 table`, `2 tables`; of several words the last one is counted: `2 code lists`."""
    return f"{number} {worded(number, what)}"


def worded(number: int, what: str) -> str:
    """The form of `what` that goes with `number`: `entry` with 1, else `entries`."""
    if number == 1:
        return what
    if what.endswith("y") and what[-2:-1] not in "aeiou":
        return f"{what[:-1]}ies"
    return f"{what}{'es' if what.endswith(('s', 'x', 'ch', 'sh')) else 's'}"


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


class _Filled(string.Formatter):
    """`str.format` with two more forms for English numbers: `{n:# code}` is `1 code` or `2 codes`, `{n:is|are}` is the one or the other."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.startswith("# "):
            return f"{value} {worded(value, format_spec[2:])}"
        one, parted, many = format_spec.partition("|")
        if parted:
            return one if value == 1 else many
        return str(super().format_field(value, format_spec))


_FILLED: Final = _Filled()


def filled(template: str, values: Mapping[str, Any]) -> str:
    """`template` with its places filled; of numbers it may ask for the form that goes with them, as `_Filled` says.

    >>> filled("{n:# code} {n:is|are} open", {"n": 1})
    '1 code is open'
    """
    if ":# " in template or "|" in template:
        return _FILLED.vformat(template, (), values)
    return template.format(**values)


class Said(str):
    """An English sentence, for programs and logs, that keeps what it was made of: a page says the same in its own language.

    code    stable: the sentence's wording in the page's language is found under it
    facts   what stands in the sentence, by the names of its template (as `filled` fills it); a fact may be a sentence itself

    >>> Said("field_gone", "the field {field} is gone", field="pin")
    'the field pin is gone'
    """

    code: str
    facts: Mapping[str, Any]

    def __new__(cls, code: str, template: str, /, **facts: Any) -> Said:
        return _said(filled(template, facts), code, facts)

    @classmethod
    def joined(cls, sentences: Iterable[str], by: str = "; ") -> Said:
        """Several sentences one after the other; each stays what it is."""
        parts = tuple(sentences)
        return _said(by.join(parts), "joined", {"parts": parts})

    def __reduce__(self) -> tuple[Any, ...]:
        return _said, (str(self), self.code, self.facts)


def _said(sentence: str, code: str, facts: Mapping[str, Any]) -> Said:
    made = str.__new__(Said, sentence)
    made.code, made.facts = code, facts
    return made
