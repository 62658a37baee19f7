"""The desks with something on them: network, gate. Names instead of codes, and nothing better than it is."""

import pytest
from web_pages import GATES, check

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
