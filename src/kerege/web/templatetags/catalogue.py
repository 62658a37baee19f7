"""Template tags of the catalogue's pages: what a term means, told where it stands; a contract's rule in words."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from kerege.catalogue.contracts.words import RuleView
from kerege.web import words

register = template.Library()


@register.simple_tag(takes_context=True)
def gloss(context: Any, term: str) -> SafeString:
    """`{% gloss "owner" %}`: a button that tells what the term means.

    The browser's own popover: no script, closed by Escape or a tap beside it. The text stands once on a page, whichever button is met first.
    """
    told: set[str] = set()
    request = context.get("request")
    if request is not None:
        told = request.__dict__.setdefault("_kerege_glossed", set())
    name = words.word(f"gloss.{term}.name")
    button = format_html(
        '<button type="button" class="gloss" popovertarget="gloss-{}" aria-label="{}">?</button>',
        term,
        words.word("gloss.ask", term=name),
    )
    if term in told:
        return button
    told.add(term)
    return button + format_html(
        '<span class="gloss-text" id="gloss-{}" popover><b>{}</b> <span>{}</span></span>',
        term,
        name,
        words.word(f"gloss.{term}"),
    )


@register.simple_tag
def rule(one: RuleView) -> str:
    """`{% rule one %}`: a contract's rule as a sentence."""
    from kerege.web.desks.catalogue.contracts import rule_text

    return rule_text(one)
