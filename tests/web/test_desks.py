"""The desks with something on them: network, gate. Names instead of codes, and nothing better than it is."""

from datetime import timedelta

import pytest
from django.utils import translation
from web_pages import GATES, check

from kerege.ground import clock
from kerege.insight.doings import record_events
from kerege.insight.events import ActorKind, EventFacts, EventType
from kerege.web import words

LANGUAGES = ("ky", "ru", "en")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ky", ("Билим берүү министрлиги", "Туулуу жазуулары", "жарыяланган эмес")),
        ("ru", ("Министерство образования", "Записи о рождении", "ещё не публиковалась")),
        ("en", ("Ministry of Education", "Birth records", "never published yet")),
    ],
)
def test_the_network_is_told_in_names(visitor, network, language, words):
    page = check(visitor.get(f"/{language}/network/"), language)
    for word in words:
        assert word in page.text


def test_a_right_that_ended_is_not_shown(visitor, network):
    from kerege.membership.models import Right

    Right.objects.update(valid_until=network)
    assert "No rights have been granted" in check(visitor.get("/en/network/"), "en").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_gate_shows_every_criterion_with_its_verdict(visitor, gate, language):
    page = check(visitor.get(f"/{language}/gate/"), language)
    shown = [attrs for attrs in page.all("article") if "criterion" in attrs.get("class", "")]
    assert len(shown) == len(gate.body["evaluations"])
    verdicts = {"good": 0, "bad": 0, "wait": 0}
    for attrs in shown:
        verdicts[attrs["class"].rsplit("--", 1)[-1]] += 1
    assert verdicts["good"] == 1
    assert verdicts["bad"] == 1
    assert verdicts["wait"] == len(shown) - 2


def test_the_gate_names_what_leaked_who_signed_and_who_did_not(visitor, gate):
    text = check(visitor.get("/en/gate/"), "en").text
    assert "Let through: 30" in text
    assert "Person policy" in text
    assert "not signed yet" in text
    assert "no permit has been given" in text.lower()


def test_every_fact_and_reason_of_a_gate_is_worded(visitor, gate):
    from kerege.delivery.criteria import load_gate
    from kerege.web.words import has

    facts = {c.fact for file in GATES for criterion in load_gate(file).criteria for c in criterion.conditions}
    assert sorted(f for f in facts if not has(f"fact.{f}")) == []


def _events(synthetic):
    """Twelve cases of yesterday: nine decided at once, two refused, one handled by a person."""
    events = []
    start = clock.now() - timedelta(days=1)
    for i in range(12):
        ref = f"{i:064x}"
        outcome, reason = ("refused", "outside_catchment") if i < 2 else ("granted", "")
        steps = [(EventType.STARTED, ActorKind.CITIZEN, "", ""), (EventType.SUBMITTED, ActorKind.CITIZEN, "", "")]
        if i == 11:
            steps.append((EventType.RECONCILED, ActorKind.OFFICIAL, "", "civil:population:surname"))
        steps.append((EventType.DECIDED, ActorKind.SYSTEM, outcome, reason))
        for n, (kind, actor, qualifier, code) in enumerate(steps):
            events.append(
                EventFacts(
                    event_id=f"event-{i}-{n}",
                    case_ref=ref,
                    public_service="grade1-admission",
                    type=kind,
                    occurred_at=start + timedelta(minutes=n),
                    actor_kind=actor,
                    qualifier=qualifier,
                    reason_code=code,
                    release="1",
                    synthetic=synthetic,
                )
            )
    record_events(events, clock.now())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("synthetic", "told"), [(True, "invented"), (False, "young")])
def test_measures_say_what_they_count_and_what_is_out_of_the_ordinary(visitor, db, language, synthetic, told):
    _events(synthetic)
    page = check(visitor.get(f"/{language}/measures/"), language)
    with translation.override(language):
        assert words.word(f"measures.{told}") in page.text
        assert words.word("measures.n", n="12") in page.text
        assert words.word("measures.definition", version="1") in page.text
    share = "91.7%" if language == "en" else "91,7"
    assert share in page.text


def test_a_cause_of_rejection_is_told_in_the_words_of_the_law(visitor, db):
    _events(False)
    text = check(visitor.get("/en/measures/"), "en").text
    assert "The child's registered address is outside the school's catchment" in text
    assert "outside_catchment" not in text
