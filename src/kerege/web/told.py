"""What an engine says in English (`ground.text.Said`), said in the page's language: by the sentence's code, with its facts in words too.

An English page says the engine's own sentence. A text without a code (somebody's own words, a document that is quoted) stands as it is and is marked
as English on a page in another language.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from kerege.ground.errors import KeregeError
from kerege.ground.text import Said
from kerege.web import formats
from kerege.web.words import has, language, term, word

# a fact's name -> where its values are worded
GROUPS: Final = {
    "type": "ltype", "was_type": "ltype", "mode": "mode", "was_mode": "mode", "weight": "said-weight", "was_weight": "said-weight",
    "level": "said-level", "given": "said-level", "rule": "said-rule", "other_rule": "said-rule", "what": "said-rule", "metric": "said-rule",
    "meaning": "said-meaning", "part": "said-part", "place": "said-place", "language": "lang-in", "more": "lang-in", "code": "integrity",
    "action": "action", "state": "state",
}  # fmt: skip
_PROSE: Final = ("reason", "reasons", "why", "expected", "faults", "first")  # an error's parameters that are sentences
_LONGEST: Final = 2000


def told(sentence: object) -> str:
    """The sentence in the page's language; a text without a code as it is."""
    if not isinstance(sentence, Said) or language() == "en":
        return str(sentence)
    if sentence.code == "joined":
        return "; ".join(told(part) for part in sentence.facts["parts"])
    if sentence.code == "error":
        return term("desk-error", sentence.facts["error"], word("desk-error.other"))
    if not has(f"sentence.{sentence.code}"):
        return str(sentence)
    return word(f"sentence.{sentence.code}", **{name: fact(name, value) for name, value in sentence.facts.items()})


def refusal(error: KeregeError) -> list[dict[str, str]]:
    """What a refusal is about, on a page that is not in English: its facts by name, those that have one. A reason that stands in English says so."""
    if language() == "en":
        return []
    return [
        {"name": word(f"refused-fact.{name}"), "value": fact(name, value)[:_LONGEST], "english": "en" if _quoted(name, value) else ""}
        for name, value in error.params.items()
        if has(f"refused-fact.{name}") and str(value).strip()
    ]  # fmt: skip


def _quoted(name: str, value: object) -> bool:
    return name in _PROSE and isinstance(value, str) and not is_told(value) and not has(f"said-fact.{value}")


def is_told(sentence: object) -> bool:
    """Whether `told` gives words of the page's language."""
    if language() == "en":
        return True
    if not isinstance(sentence, Said):
        return False
    if sentence.code == "joined":
        return all(is_told(part) for part in sentence.facts["parts"])
    return sentence.code == "error" or has(f"sentence.{sentence.code}")


def fact(name: str, value: Any) -> str:
    """One fact of a sentence, in words where it is a coded value."""
    if isinstance(value, Said):
        return told(value)
    if name.endswith("_at") and value:
        return formats.day(datetime.fromisoformat(str(value)))
    if name in GROUPS and has(f"{GROUPS[name]}.{value}"):
        return word(f"{GROUPS[name]}.{value}")
    if has(f"said-fact.{value}"):  # words that stand where a fact has no value: none, any type, always
        return word(f"said-fact.{value}")
    if isinstance(value, int) and not isinstance(value, bool):
        return formats.number(value)
    return ", ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def marked(sentence: object) -> SafeString:
    """The sentence for a page: a text that stands in English on a page in another language says that it is English."""
    text = told(sentence)
    return format_html("{}", text) if is_told(sentence) else format_html('<span lang="en">{}</span>', text)
