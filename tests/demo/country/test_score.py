from datetime import UTC, date, datetime, timedelta

from kerege.demo.country import score
from kerege.demo.world import TruthFacts
from kerege.services import definitions
from kerege.services.admission import Decision

DEFINITION = definitions.of("grade1-admission")
START = datetime(2026, 4, 1, 4, tzinfo=UTC)


def truth(number: int, **changes) -> TruthFacts:
    values = {
        "application_id": f"A-{number}", "child": number, "parent": 99, "birth_date": date(2019, 5, 1),
        "registered_soate": "41711000000000", "registered_street": None, "registered_house": "1", "in_catchment": True,
        "vaccinated": True, "enrolled_elsewhere": False, "guardian": True, "school_code": "S", "stage": 1,
        "submitted_at": START + timedelta(minutes=number),
    }  # fmt: skip
    return TruthFacts(**{**values, **changes})


def test_true_decisions_follow_rules_and_give_places_in_order_of_arrival():
    found = score.true_decisions(
        [truth(1), truth(2, vaccinated=False), truth(3), truth(4, birth_date=date(2017, 1, 1))], {"S": 1}, DEFINITION
    )
    assert found == {"A-1": "admit", "A-2": "refuse", "A-3": "no-place", "A-4": "commission"}


def test_a_decision_of_another_kind_is_wrong_and_an_open_application_never_is():
    true = {"A-1": "admit", "A-2": "refuse", "A-3": "admit"}
    decided = {"A-1": Decision("admit", ("admitted",)), "A-2": Decision("admit", ("admitted",)), "A-3": None}
    assert score.wrong(decided, true) == [score.Wrong("A-2", "admit", "refuse")]
