"""Bars: lengths in percent, nothing lost, nothing inline."""

import re

from hypothesis import given
from hypothesis import strategies as st

from kerege.web import charts

COUNTS = st.dictionaries(st.sampled_from(charts.CLASSES), st.integers(0, 10**6))


@given(COUNTS)
def test_the_parts_of_a_bar_sum_to_one_or_there_are_none(counts):
    parts = charts.parts(counts)
    if sum(counts.values()):
        assert abs(sum(part.share for part in parts) - 1) < 1e-9
    else:
        assert parts == ()


@given(COUNTS)
def test_a_bar_draws_every_class_that_happened_and_never_leaves_its_frame(counts):
    svg = charts.bar(charts.parts(counts))
    drawn = re.findall(r'x="([\d.]+)%" y="0" width="([\d.]+)%" height="100%" class="fill-([a-z_]+)"', svg)
    assert {kind for _, _, kind in drawn} == {kind for kind, count in counts.items() if count}
    assert all(float(x) <= 100 and float(width) >= 0.3 for x, width, _ in drawn)
    assert "style" not in svg


def test_a_bar_is_hidden_from_screen_readers_because_its_figures_stand_beside_it():
    assert 'aria-hidden="true"' in charts.bar((charts.Part("equal", 1.0),))
