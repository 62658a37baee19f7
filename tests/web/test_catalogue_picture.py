"""The map's picture: everything has its place, nothing lies on anything else, lines cross no more than they must."""

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.web.desks.catalogue.picture import Box, Tie, draw, placed

HEADS = ("Registers", "Data services", "Consumers")


def boxes(column, count):
    return [Box(f"{column} {n}", f"Name {column}{n}", f"line {n}", f"/{column}/{n}") for n in range(count)]


def crossings(ties, places):
    rows = [(places[t.left].row, places[t.right].row) for t in ties if t.left.startswith("s")]
    return sum((a < c) != (b < d) and a != c and b != d for n, (a, b) in enumerate(rows) for c, d in rows[:n])


def test_consumers_stand_beside_what_they_use():
    services, consumers = boxes("s", 4), boxes("c", 4)
    ties = [Tie("p 0", s.key, 1) for s in services]
    ties += [Tie(f"s {n}", f"c {3 - n}", 10) for n in range(4)]
    places = {p.box.key: p for p in placed(boxes("p", 1), services, consumers, ties)}
    assert crossings(ties, places) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 16), st.integers(1, 20), st.data())
def test_no_box_lies_on_another_and_every_tie_is_drawn(left, middle, right, data):
    ties = [Tie(f"p {n % left}", f"s {n}", n or None) for n in range(middle)]
    pairs = data.draw(st.sets(st.tuples(st.integers(0, middle - 1), st.integers(0, right - 1)), max_size=40))
    ties += [Tie(f"s {a}", f"c {b}", (a + b) or None) for a, b in sorted(pairs)]
    registers, services, consumers = boxes("p", left), boxes("s", middle), boxes("c", right)
    by_column = {}
    for place in placed(registers, services, consumers, ties):
        by_column.setdefault(place.column, []).append(place.row)
    for rows in by_column.values():
        ordered = sorted(rows)
        assert all(after - before >= 0.999 for before, after in itertools.pairwise(ordered))
        assert min(ordered) >= -0.001
        assert max(ordered) <= max(left, middle, right) - 0.999
    svg = draw(registers, services, consumers, ties, HEADS)
    assert svg.count("<path") == len(ties)
    assert svg.count("usemap-granted") == sum(t.calls is None for t in ties)


def test_names_are_text_and_never_markup():
    evil = Box("s 0", '<script>alert("x")</script> of a very long name that needs two lines', "<b>", '/?"><script>')
    svg = draw(boxes("p", 1), [evil], boxes("c", 1), [Tie("p 0", "s 0", 3), Tie("s 0", "c 0", None)], HEADS)
    assert "<script" not in svg
    assert "<b>" not in svg
    assert 'aria-hidden="true"' in svg
    assert re.search(r'<svg [^>]*viewBox="0 0 1080 \d+"', svg)


def test_a_thicker_line_is_more_calls():
    ties = [Tie("p 0", "s 0", 10), Tie("s 0", "c 0", 10), Tie("s 0", "c 1", 100_000)]
    svg = draw(boxes("p", 1), boxes("s", 1), boxes("c", 2), ties, HEADS)
    widths = [float(w) for w in re.findall(r'stroke-width="([\d.]+)"', svg)]
    assert widths[2] > widths[1] == widths[0]


def test_nothing_to_draw_is_no_picture():
    assert draw([], [], [], [], HEADS) == ""
