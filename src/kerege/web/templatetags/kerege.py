"""Template tags of the hub's pages: wording, numbers, moments, addresses that keep the language, bars. Built into every template."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import reverse
from django.utils.safestring import SafeString

from kerege.web import assets, charts, formats, labels, plan_words, words
from kerege.web import told as sentences

register = template.Library()


@register.simple_tag
def t(key: str, **values: object) -> str:
    """`{% t "home.title" %}`: the line in the page's language."""
    return words.word(key, **values)


@register.simple_tag
def term(group: str, value: object) -> str:
    """`{% term "outcome" case.outcome %}`: the wording of a coded value."""
    return words.term(group, value)


@register.simple_tag
def counted(key: str, count: int) -> str:
    """`{% counted "catalogue.fields_lower" 4 %}`: the word in the form that goes with the number."""
    return words.counted(key, count)


@register.simple_tag
def to(name: str, *args: object) -> str:
    """`{% to "case" case.id %}`: the page's address in the current language."""
    return reverse(name, args=(words.language(), *args))


@register.simple_tag
def asset(name: str) -> str:
    """The address of a static file with its fingerprint, so browsers may keep it for ever."""
    return assets.address(name)


@register.simple_tag
def one_bar(share: float | None, kind: str, look: str = "") -> SafeString:
    """A bar of one part."""
    return charts.bar((charts.Part(kind, share or 0.0),), look)


@register.simple_tag
def class_bar(counts: dict[str, int], look: str = "") -> SafeString:
    """A stacked bar of the five comparison classes."""
    return charts.bar(charts.parts(counts), look)


@register.filter
def say(value: Any) -> str:
    """A text of the data in the page's language."""
    return words.say(value)


@register.filter
def told(value: Any) -> SafeString:
    """A sentence of an engine in the page's language."""
    return sentences.marked(value)


@register.filter
def rule_name(value: Any) -> str:
    """A rule of a contract by its name (`required`, `unique.2`), in words; as the contract calls it where nobody worded it."""
    return sentences.fact("rule", str(value).partition(".")[0])


@register.filter
def field_name(value: Any) -> str:
    """A field of the canonical records, in words."""
    return labels.field(str(value))


@register.filter
def register_name(value: Any) -> str:
    """A register by its code or subsystem, in words."""
    return labels.register(str(value))


@register.filter
def change_said(value: Any) -> str:
    """Why a change stands in a harvest plan, in words."""
    return plan_words.change(value.kind, value.reason)


@register.filter
def column_said(value: Any) -> str:
    """A column's profile in a few words."""
    return plan_words.column(str(value))


@register.filter
def team_name(value: Any) -> str:
    """Who a contract's document names as its owner, in words."""
    return labels.team(str(value or ""))


@register.filter
def legal_name(value: Any) -> str:
    """A legal act by its code, in words; other text as it is."""
    return labels.legal(str(value))


@register.filter
def dataset_name(value: Any, description: str = "") -> str:
    """A dataset by its table, in words; as its owner described it, or the table, where nobody worded it."""
    return labels.dataset(str(value), description)


@register.filter
def crosswalk_name(value: Any, title: str = "") -> str:
    """A crosswalk by its identifier, in words; its own title, or the identifier, where nobody worded it."""
    return labels.crosswalk(str(value), title)


@register.filter
def run_name(value: Any) -> str:
    """A stored run by the way it was processed: `data_first-7` is the data-first way."""
    way = next((way for way in ("data_first", "integration_only") if str(value).replace("-", "_").startswith(way)), "")
    return words.term("way", way) if way else str(value)


@register.filter
def number(value: Any, digits: int = 0) -> str:
    return formats.number(value, digits)


@register.filter
def percent(value: Any, digits: int = 1) -> str:
    return formats.percent(value, digits)


@register.filter
def moment(value: Any) -> str:
    return formats.moment(value)


@register.filter
def day(value: Any) -> str:
    return formats.day(value)


@register.filter
def day_until(value: Any) -> str:
    return formats.day_until(value)


@register.filter
def day_since(value: Any) -> str:
    return formats.day_since(value)


@register.filter
def fingerprint(value: Any) -> SafeString:
    """A SHA-256 (hex) to be compared and copied."""
    return formats.fingerprint(str(value))


@register.filter
def printable(value: Any) -> str:
    """What a stranger wrote, in one line."""
    return formats.printable(str(value))


@register.filter
def duration(value: Any) -> str:
    return formats.duration(value)


@register.filter
def at(mapping: Any, key: Any) -> Any:
    """`{{ counts|at:kind }}`: one entry of a mapping, nothing when it is absent."""
    return mapping.get(key) if hasattr(mapping, "get") else None
