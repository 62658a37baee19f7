"""Bars as SVG whose lengths are percentages: they stretch with the page and need no style attributes, so the policy stays strict.

A bar is a picture beside figures that stand on the page as text, so it is hidden from screen readers. Pure; no Django models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from kerege.reconcile.compare import CLASSES

__all__ = ["CLASSES", "Part", "bar", "parts"]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar: its kind (a CSS class `fill-...`) and its share of the whole, 0 to 1."""

    kind: str
    share: float


def parts(counts: dict[str, int], kinds: Sequence[str] = CLASSES) -> tuple[Part, ...]:
    """The counts as shares of their sum, in the order of `kinds`; nothing when everything is zero."""
    total = sum(counts.get(kind, 0) for kind in kinds)
    if total <= 0:
        return ()
    return tuple(Part(kind, counts.get(kind, 0) / total) for kind in kinds if counts.get(kind, 0) > 0)


def bar(stretches: Iterable[Part], look: str = "") -> SafeString:
    """One bar; parts lie end to end with a thin seam between neighbours, so the border does not depend on colour."""
    rects: list[tuple[str, str, str]] = []
    seams: list[tuple[str]] = []
    at = 0.0
    for stretch in stretches:
        width = max(0.0, min(stretch.share, 1.0 - at))
        if width <= 0:
            continue
        if at > 0:
            seams.append((_percent(at),))
        # What happened at all is drawn at least a hair wide: an invisible mistake would be a lie.
        rects.append((_percent(at), _percent(max(width, 0.003)), stretch.kind))
        at += width
    return format_html(
        '<svg class="bar {}" aria-hidden="true" focusable="false">{}{}</svg>',
        look,
        format_html_join("", '<rect x="{}" y="0" width="{}" height="100%" class="fill-{}"/>', rects),
        format_html_join("", '<rect x="{}" y="0" width="1.5" height="100%" class="fill-seam"/>', seams),
    )


def _percent(share: float) -> str:
    return f"{share * 100:.3f}%"
