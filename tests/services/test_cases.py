"""A case's status is what its actions make it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.services.cases import (
    DECIDED,
    DOCUMENT,
    EVIDENCE,
    KINDS,
    STATUSES,
    SUBMITTED,
    TO_OFFICER,
    WITHDRAWN,
    status_of,
)


def test_a_submitted_case_is_received_until_something_decides_or_asks() -> None:
    assert status_of([SUBMITTED]) == "received"
    assert status_of([SUBMITTED, EVIDENCE]) == "received"
    assert status_of([SUBMITTED, EVIDENCE, TO_OFFICER]) == "with_officer"
    assert status_of([SUBMITTED, EVIDENCE, TO_OFFICER, DECIDED, DOCUMENT]) == "decided"


@given(st.lists(st.sampled_from(KINDS)))
def test_every_history_has_a_known_status_and_withdrawn_is_final(kinds: list[str]) -> None:
    assert status_of(kinds) in STATUSES
    assert status_of([*kinds, WITHDRAWN, *kinds]) == "withdrawn"


def test_an_unknown_action_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="unknown action"):
        status_of(["teleported"])
