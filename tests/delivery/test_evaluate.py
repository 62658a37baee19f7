"""PASS, FAIL or NO-EVIDENCE; and nothing that is missing is ever taken for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.delivery.criteria import Condition, Criterion, Layer
from kerege.delivery.evaluate import Verdict, evaluate
from kerege.delivery.facts import Evidence, Subject
from kerege.ground.text import Text

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
RELEASE = "ab" * 32
CRITERION = Criterion(
    id="G2-01",
    version=3,
    layer=Layer.TECH,
    title=Text(ky="а", ru="б", en="c"),
    evidence_type="E-TEST",
    collector="contract-tests",
    conditions=(Condition("failed", "at_most", 0), Condition("services_untested", "at_most", 0)),
    minimum_sample=8,
    fresh_for=timedelta(hours=24),
    waivable=True,
)
SUBJECT = Subject("grade1-admission", RELEASE, NOW - timedelta(hours=2), NOW - timedelta(hours=1))
GOOD = Evidence("G2-01", SUBJECT, {"failed": 0, "services_untested": 0}, 8, "platform:contract-tests", NOW)


def test_fresh_complete_evidence_for_this_release_passes() -> None:
    result = evaluate(CRITERION, [GOOD], NOW, release=RELEASE)
    assert (result.verdict, result.version, result.evidence) == (Verdict.PASS, 3, GOOD.digest())
    assert result.facts == GOOD.facts


def test_a_condition_that_does_not_hold_fails_and_says_what_was_measured() -> None:
    result = evaluate(CRITERION, [replace(GOOD, facts={"failed": 2, "services_untested": 0})], NOW, release=RELEASE)
    assert (result.verdict, result.reasons) == (Verdict.FAIL, ("does-not-hold: failed at most 0, measured 2",))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"criterion": "G2-02"}, "none"),
        ({"subject": replace(SUBJECT, release="cd" * 32)}, "other-release"),
        ({"collector": "person:aida"}, "collected-otherwise"),
        ({"collector": "platform:message-log"}, "collected-otherwise"),
        ({"collector": "platform:contract-tests-by-hand"}, "collected-otherwise"),
        ({"collected_at": NOW + timedelta(seconds=1)}, "from-the-future"),
        ({"subject": replace(SUBJECT, window_end=NOW + timedelta(hours=1))}, "from-the-future"),
        ({"sample": 7}, "sample-too-small: 7 of 8"),
        ({"facts": {"failed": 0}}, "fact-missing: services_untested"),
        ({"facts": {"failed": False, "services_untested": 0}}, "fact-unreadable: failed"),
        ({"facts": {"failed": "0", "services_untested": 0}}, "fact-unreadable: failed"),
        ({"facts": {}}, "fact-missing: failed"),
    ],
)
def test_evidence_that_says_nothing_is_no_evidence(change: dict[str, Any], reason: str) -> None:
    result = evaluate(CRITERION, [replace(GOOD, **change)], NOW, release=RELEASE)
    assert result.verdict is Verdict.NO_EVIDENCE
    assert reason in result.reasons


def test_no_evidence_at_all_is_no_evidence() -> None:
    assert evaluate(CRITERION, [], NOW, release=RELEASE).verdict is Verdict.NO_EVIDENCE


def test_a_criterion_without_conditions_is_no_evidence() -> None:
    assert evaluate(replace(CRITERION, conditions=()), [GOOD], NOW, release=RELEASE).verdict is Verdict.NO_EVIDENCE


def test_evidence_is_fresh_to_its_last_moment_counted_from_the_end_of_its_window() -> None:
    last = SUBJECT.window_end + CRITERION.fresh_for
    assert evaluate(CRITERION, [GOOD], last, release=RELEASE).verdict is Verdict.PASS
    late = evaluate(CRITERION, [GOOD], last + timedelta(microseconds=1), release=RELEASE)
    assert late.reasons == ("stale",)
    filed_again = replace(GOOD, collected_at=last)  # filing an old measurement again does not make it young
    assert evaluate(CRITERION, [filed_again], last + timedelta(hours=1), release=RELEASE).reasons == ("stale",)


def test_the_newest_measurement_counts_whether_it_breaks_or_mends() -> None:
    earlier = replace(GOOD, collected_at=NOW - timedelta(minutes=5))
    broken = {"failed": 1, "services_untested": 0}
    assert evaluate(CRITERION, [earlier, replace(GOOD, facts=broken)], NOW, release=RELEASE).verdict is Verdict.FAIL
    assert evaluate(CRITERION, [replace(earlier, facts=broken), GOOD], NOW, release=RELEASE).verdict is Verdict.PASS


def test_a_newer_unusable_measurement_does_not_let_an_older_good_one_speak() -> None:
    earlier = replace(GOOD, collected_at=NOW - timedelta(minutes=5))
    newest = replace(GOOD, facts={}, sample=0)
    assert evaluate(CRITERION, [earlier, newest], NOW, release=RELEASE).verdict is Verdict.NO_EVIDENCE


def test_what_is_known_to_be_wrong_stays_wrong_when_something_else_is_missing() -> None:
    assert evaluate(CRITERION, [replace(GOOD, facts={"failed": 1})], NOW, release=RELEASE).verdict is Verdict.FAIL


def test_a_criterion_for_people_takes_no_platform_evidence_and_the_other_way_round() -> None:
    by_people = replace(CRITERION, collector=None)
    assert evaluate(by_people, [replace(GOOD, collector="person:aida")], NOW, release=RELEASE).verdict is Verdict.PASS
    assert evaluate(by_people, [GOOD], NOW, release=RELEASE).verdict is Verdict.NO_EVIDENCE


NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.one_of(st.integers(-3, 3), st.booleans(), st.sampled_from(["", "x"]))
CONDITIONS = st.one_of(
    st.builds(Condition, NAMES, st.sampled_from(["at_least", "at_most"]), st.integers(-3, 3)),
    st.builds(Condition, NAMES, st.just("equals"), VALUES),
)


@given(
    st.lists(CONDITIONS, max_size=4).map(tuple),
    st.dictionaries(NAMES, VALUES),
    st.integers(0, 12),
    st.sampled_from(["platform:contract-tests", "person:a", ""]),
    NAMES,
)
def test_removing_any_fact_never_turns_a_verdict_into_pass(
    conditions: tuple[Condition, ...], facts: Mapping[str, Any], sample: int, collector: str, removed: str
) -> None:
    criterion = replace(CRITERION, conditions=conditions)
    piece = replace(GOOD, facts=facts, sample=sample, collector=collector)
    less = replace(piece, facts={name: value for name, value in facts.items() if name != removed})
    before = evaluate(criterion, [piece], NOW, release=RELEASE).verdict
    after = evaluate(criterion, [less], NOW, release=RELEASE).verdict
    assert after is not Verdict.PASS or before is Verdict.PASS
    assert evaluate(criterion, [], NOW, release=RELEASE).verdict is Verdict.NO_EVIDENCE


@given(st.lists(CONDITIONS, min_size=1, max_size=4).map(tuple), st.dictionaries(NAMES, VALUES))
def test_pass_means_every_condition_was_measured_and_holds(
    conditions: tuple[Condition, ...], facts: Mapping[str, Any]
) -> None:
    result = evaluate(replace(CRITERION, conditions=conditions), [replace(GOOD, facts=facts)], NOW, release=RELEASE)
    holding = all(c.fact in facts and c.holds(facts[c.fact]) for c in conditions)
    assert (result.verdict is Verdict.PASS) is holding
