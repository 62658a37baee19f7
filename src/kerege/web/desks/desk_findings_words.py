"""Findings in words of the page's language: what a kind is called, what was seen, what closed it.

What finds something writes its detail and its evidence in English, and keeps the same as data (`facts`). A Kyrgyz or Russian page tells the facts in
its own words and never the English sentence; where a kind has no words of its own, what it is called says enough. Codes and masks are told at the
desks only: a public page calls `name` and nothing else of this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from kerege.catalogue.codes.unmapped import KIND as UNKNOWN
from kerege.web.formats import number, percent
from kerege.web.words import has, language, term, word

NAMES: Final = ("finding", "change")  # where kinds are worded, the first that has it
_MOST: Final = 12  # codes or masks of one sentence
_NO_TARGET: Final = re.compile(r"(?s)(?P<code>.*) has no target in (?P<crosswalk>\S+)\Z")


def name(kind: str) -> str:
    """What a finding of the catalogue is called."""
    for group in NAMES:
        if has(f"{group}.{kind}"):
            return word(f"{group}.{kind}")
    return word("finding.other")


def detail(kind: str, facts: Mapping[str, Any], written: str) -> str:
    """What was seen. `written`: the same in English, as what found it wrote it; it is told on an English page only."""
    if language() == "en":
        return written
    codes, masks = facts.get("codes"), facts.get("masks")
    if kind in ("codes-new", "codes-gone") and codes:
        return word(f"finding-detail.{kind}", n=number(len(codes)), codes=_few(codes))
    if kind == "shape-changed" and masks:
        return word("finding-detail.shape-changed", masks=_few(masks))
    if kind == "emptied" and "nulls" in facts:
        return word("finding-detail.emptied", share=percent(facts["nulls"] / 1000, 0))
    if "was" in facts and "now" in facts:
        return f"{_told(kind, facts['was'])} → {_told(kind, facts['now'])}"
    if kind == UNKNOWN and (found := _NO_TARGET.match(written)):
        return word("finding-detail.code-unknown", **found.groupdict())
    return word(f"finding-detail.{kind}") if has(f"finding-detail.{kind}") else ""


def evidence(group: str, written: str) -> str:
    """What closed a finding; of a discrepancy the run that showed it."""
    if language() == "en" or not written:
        return written
    return word(f"finding-evidence.{group}", what=written)


def _few(values: list[Any]) -> str:
    more = f" … (+{number(len(values) - _MOST)})" if len(values) > _MOST else ""
    return ", ".join(map(str, values[:_MOST])) + more


def _told(kind: str, value: Any) -> str:
    group = {"type-changed": "vtype", "identifier-changed": "identifier"}.get(kind)
    if not value:
        return word("finding-detail.none")
    return term(group, value) if group else str(value)
