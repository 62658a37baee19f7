"""OKPO and its check digit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.errors import OkpoInvalid
from kerege.semantics.kg import okpo


@pytest.mark.parametrize("number", ["00032537", "00040778"])  # two well-known Russian organisations, same rule
def test_published_codes_are_right(number: str) -> None:
    assert okpo.is_valid(number)
    assert okpo.format(f" {number[:4]} {number[4:]}") == number


@given(st.sampled_from([7, 9]).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n)))
def test_every_body_has_exactly_one_check_digit(body: str) -> None:
    right = [digit for digit in "0123456789" if okpo.is_valid(body + digit)]
    assert right == [okpo.check_digit(body)]


@pytest.mark.parametrize("number", ["00032538", "1234567", "0003253x", ""])
def test_wrong_codes_are_refused(number: str) -> None:
    assert not okpo.is_valid(number)
    with pytest.raises(OkpoInvalid):
        okpo.validate(number)
