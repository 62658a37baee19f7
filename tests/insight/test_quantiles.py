"""Quantiles with unfinished cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.insight.quantiles import Span, quantile

DONE = st.lists(st.integers(0, 1000), min_size=1, max_size=60)


@given(DONE, st.sampled_from([0.1, 0.25, 0.5, 0.9, 1.0]))
def test_with_everything_ended_it_is_the_plain_quantile(seconds: list[int], share: float) -> None:
    found = quantile([Span(s) for s in seconds], share)
    assert found is not None
    assert sum(s <= found for s in seconds) >= share * len(seconds) - 1e-6
    assert sum(s < found for s in seconds) < share * len(seconds)


@given(DONE, st.lists(st.integers(0, 1000), max_size=60))
def test_an_unfinished_case_never_makes_the_median_shorter(seconds: list[int], running: list[int]) -> None:
    without = quantile([Span(s) for s in seconds], 0.5)
    with_running = quantile([*(Span(s) for s in seconds), *(Span(s, False) for s in running)], 0.5)
    assert without is not None
    assert with_running is None or with_running >= without


def test_a_worked_example() -> None:
    # 6, 6, 6, 6+, 7, 9+, 10: S(6) = 4/7, S(7) = 4/7 * 2/3 = 8/21
    spans = [Span(6), Span(6), Span(6), Span(6, False), Span(7), Span(9, False), Span(10)]
    assert quantile(spans, 3 / 7) == 6
    assert quantile(spans, 0.5) == 7
    assert quantile(spans, 0.9) == 10


def test_while_most_are_unfinished_the_median_is_not_known() -> None:
    assert quantile([Span(1), Span(5, False), Span(5, False)], 0.5) is None
    assert quantile([], 0.5) is None


@pytest.mark.parametrize("share", [0, -1, 1.1])
def test_a_share_outside_nought_and_one_is_a_bug(share: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile([Span(1)], share)
