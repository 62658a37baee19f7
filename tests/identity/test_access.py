"""Who may do what: nothing, until it was granted, here and now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.identity.access import GrantFacts, may

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SCOPE = "public-service:grade1-admission"
GRANT = GrantFacts("grant-1", "aida", "policy-owner", frozenset({"delivery.sign"}), SCOPE, NOW, NOW + timedelta(days=1))


def test_without_a_grant_everything_is_denied() -> None:
    answer = may("aida", "delivery.sign", SCOPE, [], NOW)
    assert (answer.allowed, answer.reason) == (False, "no_grant")


def test_a_grant_allows_its_action_in_its_scope() -> None:
    answer = may("aida", "delivery.sign", SCOPE, [GRANT], NOW)
    assert (answer.allowed, answer.grant) == (True, "grant-1")


def test_a_grant_ends_at_its_last_moment_inclusive() -> None:
    assert may("aida", "delivery.sign", SCOPE, [GRANT], GRANT.valid_until).allowed
    late = may("aida", "delivery.sign", SCOPE, [GRANT], GRANT.valid_until + timedelta(microseconds=1))
    assert (late.allowed, late.reason) == (False, "ended")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"person": "bermet"}, "no_grant"),
        ({"actions": frozenset({"delivery.collect"})}, "no_grant"),
        ({"scope": "public-service:other"}, "other_scope"),
        ({"valid_from": NOW + timedelta(hours=1)}, "not_yet"),
        ({"revoked_at": NOW}, "revoked"),
    ],
)
def test_a_grant_for_something_else_does_not_help(change: dict[str, object], reason: str) -> None:
    answer = may("aida", "delivery.sign", SCOPE, [replace(GRANT, **change)], NOW)  # type: ignore[arg-type]
    assert (answer.allowed, answer.reason) == (False, reason)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_only_the_exact_person_action_and_scope_are_allowed(person: str, action: str, scope: str) -> None:
    exact = (person, action, scope) == ("aida", "delivery.sign", SCOPE)
    assert may(person, action, scope, [GRANT], NOW).allowed is exact


def test_a_naive_time_is_a_bug() -> None:
    with pytest.raises(ValueError, match="time zone"):
        may("aida", "delivery.sign", SCOPE, [GRANT], datetime(2026, 1, 1))
