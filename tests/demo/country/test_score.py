from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

from kerege.demo.country import score
from kerege.demo.world import TruthFacts, generate, load_dirt
from kerege.reconcile.compare import RecordView
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
    assert {number: (decision.kind, decision.reason) for number, decision in found.items()} == {
        "A-1": ("admit", "admitted"),
        "A-2": ("refuse", "not_vaccinated"),
        "A-3": ("no-place", "no_place"),
        "A-4": ("commission", "over_age"),
    }


def test_a_decision_of_another_kind_is_wrong_and_an_open_application_never_is():
    true = {
        "A-1": score.TrueDecision("admit", "admitted"),
        "A-2": score.TrueDecision("refuse", "not_vaccinated"),
        "A-3": score.TrueDecision("admit", "admitted"),
    }
    decided = {"A-1": Decision("admit", ("admitted",)), "A-2": Decision("admit", ("admitted",)), "A-3": None}
    assert score.wrong(decided, true) == [score.Wrong("A-2", "admit", "refuse")]


def test_a_refusal_for_another_reason_is_no_wrong_decision_and_is_counted_by_itself():
    true = dict.fromkeys(("A-1", "A-2", "A-3"), score.TrueDecision("refuse", "not_vaccinated"))
    decided = {
        "A-1": Decision("refuse", ("not_vaccinated", "not_in_catchment")),
        "A-2": Decision("refuse", ("not_in_catchment",)),
        "A-3": Decision("admit", ("admitted",)),
    }
    assert score.wrong_reasons(decided, true) == [score.Wrong("A-2", "not_in_catchment", "not_vaccinated")]
    assert score.wrong(decided, true) == [score.Wrong("A-3", "admit", "refuse")]


def test_a_record_of_another_person_is_a_wrong_link_whatever_was_decided():
    owner = {("civil", "1"): 7, ("civil", "2"): 8, ("health", "9"): 7}
    linked = {
        name: RecordView(name, number) for name, number in (("application", "A-7"), ("civil", "2"), ("health", "9"))
    }
    item = SimpleNamespace(application=SimpleNamespace(id="A-7"), views=linked, decision=None)
    run = SimpleNamespace(processed=(item,))
    assert score.wrong_links(run, [truth(7)], owner) == [("A-7", "civil")]


def test_every_numbered_record_of_the_world_has_its_owner():
    world = generate(3, load_dirt(), soate_csv=None, persons=600, applications=20)
    found = score.owners(world)
    assert {found["population", person.pin] for person in world.persons} == {person.id for person in world.persons}
    assert {register for register, _ in found} == {"civil", "population", "emis", "health"}
