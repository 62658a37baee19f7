"""What a harvest plan says of a change, and a column's profile, in words of the page's language.

A plan is kept with its reasons in English, written by `catalogue.inventory.plans`; they are a closed set of sentences. A Kyrgyz or Russian page
tells the same in its own words and never the English sentence; where a sentence is not known here, what the change is called says enough. Pure but
for the page's language.
"""

from __future__ import annotations

import re
from typing import Final

from kerege.web.words import has, language, term, word

_SENTENCES: Final = tuple(
    (re.compile(pattern, re.DOTALL), key)
    for pattern, key in (
        (r"(?P<n>\d+) columns?, as described; no record was read", "plan-said.described"),
        (r"(?P<n>\d+) columns?, \d+ rows?: empty, nothing to profile", "plan-said.empty-table"),
        (r"(?P<n>\d+) columns?, (?P<rows>\d+) rows?", "plan-said.table"),
        (r"rows (?P<was>\d+) -> (?P<now>\d+): more than half .*", "plan-said.rows-half"),
        (r"rows (?P<was>\d+) -> (?P<now>\d+)", "plan-said.rows"),
        (r"the same columns and codes, other counts", "plan-said.counts"),
        (r"likely personal data now", "plan-said.personal"),
        (r"not likely personal any more", "plan-said.not-personal"),
        (r"(?P<n>\d+) new codes?: (?P<codes>.*)", "finding-detail.codes-new"),
        (r"(?P<n>\d+) codes? no longer seen: (?P<codes>.*)", "finding-detail.codes-gone"),
        (r"values of a new shape: (?P<masks>.*)", "finding-detail.shape-changed"),
        (r"(?P<n>\d+) % empty now", "plan-said.part-empty"),
    )
)
_FROM_TO: Final = re.compile(r"(?:key was )?(?P<was>.*?)(?: -> |, is )(?P<now>.*)", re.DOTALL)
_FROM_TO_KINDS: Final = frozenset(
    {"type-changed", "declared-type-changed", "date-format-changed", "identifier-changed", "key-changed"}
)
_PARTS: Final = (
    (re.compile(r"(?P<n>\d+) % empty"), "plan-said.part-empty"),
    (re.compile(r"looks like a code list of (?P<n>\d+)"), "plan-said.part-codes"),
    (re.compile(r"likely personal data"), "plan-said.personal"),
)
_MORE: Final = re.compile(r" and (?P<n>\d+) more\Z")
_GROUPS: Final = {"type-changed": "vtype", "identifier-changed": "identifier"}


def change(kind: str, reason: str) -> str:
    """Why a change stands in a plan; "" where what it is called says it all."""
    if language() == "en":
        return reason
    if kind == "column-new":
        return column(reason)
    for pattern, key in _SENTENCES:
        if found := pattern.fullmatch(reason):
            return word(key, **{name: _shortened(value) for name, value in found.groupdict().items()})
    if kind in _FROM_TO_KINDS and (found := _FROM_TO.fullmatch(reason)):
        return " → ".join(_value(kind, found[side]) for side in ("was", "now"))
    return word(f"finding-detail.{kind}") if has(f"finding-detail.{kind}") else ""


def column(summary: str) -> str:
    """A column in a few words, as its profile tells: its type or kind of identifier first, then what else was seen."""
    if language() == "en":
        return summary
    first, *others = summary.split(", ")
    kind, _, mask = first.partition(" ")
    group = "identifier" if has(f"identifier.{kind}") else "vtype"
    said = [f"{term(group, kind)} {mask}".strip()]
    for part in others:
        for pattern, key in _PARTS:
            if found := pattern.fullmatch(part):
                said.append(word(key, **found.groupdict()))
    return ", ".join(said)


def _shortened(listed: str) -> str:
    """A list of codes that ends in "and 3 more", ended as pages end it."""
    return _MORE.sub(lambda found: f" … (+{found['n']})", listed)


def _value(kind: str, value: str) -> str:
    if value == "none":
        return word("finding-detail.none")
    return term(_GROUPS[kind], value) if kind in _GROUPS else value
