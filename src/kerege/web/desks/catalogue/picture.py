"""The map's picture: registers on the left, their data services in the middle, those who use them on the right, drawn as SVG on the server.

A layout in three columns is all it needs: rows are ordered by the middle of what they are tied to, so that lines cross little; a line's width grows
with the logarithm of its calls; one that was only granted is dashed. The same content stands beside it as a list, so the picture is hidden
from screen readers. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH: Final = 1080
_BOX: Final = (250, 300, 250)  # widths of the three columns' boxes
_LEFT: Final = (0, 390, 830)
_ROW: Final = 76
_HEIGHT: Final = 64
_HEAD: Final = 34
_LETTERS: Final = (28, 34, 28)  # that fit a line of a box


@dataclass(frozen=True, slots=True)
class Box:
    """A thing on the map: its key, its name, a second line, and the page it leads to."""

    key: str
    name: str
    line: str
    address: str


@dataclass(frozen=True, slots=True)
class Tie:
    """A line between two boxes of neighbouring columns. `calls` None: a right, and no call seen."""

    left: str
    right: str
    calls: int | None


@dataclass(frozen=True, slots=True)
class Placed:
    """A box with its row in its column, which may lie between two whole ones."""

    box: Box
    column: int
    row: float

    @property
    def top(self) -> float:
        return _HEAD + self.row * _ROW + (_ROW - _HEIGHT) / 2

    @property
    def middle(self) -> float:
        return self.top + _HEIGHT / 2


def ordered(boxes: Sequence[Box], ties: Sequence[tuple[str, str]], rows: dict[str, float]) -> list[Box]:
    """The boxes by the mean row of what they are tied to; those tied to nothing last, ties in rank keep their order."""
    means = {}
    for box in boxes:
        met = [rows[other] for one, other in ties if one == box.key and other in rows]
        means[box.key] = sum(met) / len(met) if met else math.inf
    return sorted(boxes, key=lambda b: means[b.key])


def placed(
    registers: Sequence[Box], services: Sequence[Box], consumers: Sequence[Box], ties: Sequence[Tie]
) -> list[Placed]:
    """Every box with its place; columns are centred against the longest."""
    to_left = [(t.right, t.left) for t in ties]
    to_right = [(t.left, t.right) for t in ties]
    rank = {b.key: float(n) for n, b in enumerate(registers)}
    middle = ordered(services, to_left, rank)
    rank = {b.key: float(n) for n, b in enumerate(middle)}
    right = ordered(consumers, to_left, rank)
    left = ordered(registers, to_right, rank)
    longest = max(len(left), len(middle), len(right), 1)
    out = []
    for column, boxes in enumerate((left, middle, right)):
        step = longest / len(boxes) if boxes else 1.0
        out += [Placed(box, column, (n + 0.5) * step - 0.5) for n, box in enumerate(boxes)]
    return out


def draw(
    registers: Sequence[Box], services: Sequence[Box], consumers: Sequence[Box], ties: Sequence[Tie], heads: tuple[str, str, str]
) -> SafeString:  # fmt: skip
    """The picture; nothing when there is nothing to draw."""
    places = {p.box.key: p for p in placed(registers, services, consumers, ties)}
    if not places:
        return SafeString("")
    height = _HEAD + max(len(registers), len(services), len(consumers)) * _ROW
    lines = [_line(t, places[t.left], places[t.right]) for t in ties if t.left in places and t.right in places]
    return format_html(
        '<svg class="usemap" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">{}{}{}</svg>',
        WIDTH, height,
        format_html_join("", '<text class="usemap-head" x="{}" y="16">{}</text>', zip(_LEFT, heads, strict=True)),
        format_html_join("", '<path class="{}" d="{}" stroke-width="{}"><title>{}</title></path>', lines),
        format_html_join("", "{}", ((_boxed(p),) for p in places.values())),
    )  # fmt: skip


def _line(tie: Tie, left: Placed, right: Placed) -> tuple[str, str, str, str]:
    x1, y1 = _LEFT[left.column] + _BOX[left.column], left.middle
    x2, y2 = _LEFT[right.column], right.middle
    bend = (x2 - x1) * 0.5
    path = f"M{x1} {y1:.1f}C{x1 + bend:.0f} {y1:.1f} {x2 - bend:.0f} {y2:.1f} {x2} {y2:.1f}"
    width = 1.5 if tie.calls is None else 1.5 + min(7.0, 1.2 * math.log10(1 + tie.calls))
    kind = "usemap-granted" if tie.calls is None else "usemap-called"
    return f"usemap-tie {kind}", path, f"{width:.1f}", f"{left.box.name} → {right.box.name}"


def _boxed(place: Placed) -> SafeString:
    x, letters = _LEFT[place.column], _LETTERS[place.column]
    first, second = _two(place.box.name, letters)
    lines = [("usemap-name", first), ("usemap-name", second), ("usemap-line", _cut(place.box.line, letters + 4))]
    shown = [(kind, text) for kind, text in lines if text]
    above = place.top + (_HEIGHT - 18 * len(shown)) / 2 + 13.5
    return format_html(
        '<a href="{}" tabindex="-1"><title>{}</title><rect class="usemap-box usemap-box--{}" x="{}" y="{}" width="{}" height="{}" rx="3"/>{}</a>',
        place.box.address, f"{place.box.name} – {place.box.line}", place.column, x, f"{place.top:.1f}", _BOX[place.column], _HEIGHT,
        format_html_join(
            "", '<text class="{}" x="{}" y="{}">{}</text>', ((kind, x + 12, f"{above + 18 * n:.1f}", text) for n, (kind, text) in enumerate(shown))
        ),
    )  # fmt: skip


def _two(name: str, letters: int) -> tuple[str, str]:
    """A name on two lines, broken at a blank; what does not fit ends in an ellipsis, and stands whole in the title and in the list."""
    if len(name) <= letters:
        return name, ""
    at = name.rfind(" ", 0, letters + 1)
    first, rest = (name[:at], name[at + 1 :]) if at > 6 else (name[:letters], name[letters:])
    return first, _cut(rest, letters)


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"
