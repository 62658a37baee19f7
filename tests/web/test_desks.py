"""The desks with something on them: network, gate. Names instead of codes, and nothing better than it is."""

import json
from datetime import timedelta

import pytest
from django.utils import translation
from web_pages import GATES, check

from kerege.catalogue.models import ConceptLink, Dataset, Field, Finding, Owner, SourceOfTruth
from kerege.delivery.models import EvidenceRecord
from kerege.ground import clock
from kerege.insight.doings import record_events
from kerege.insight.events import ActorKind, EventFacts, EventType
from kerege.membership.models import Contract, Permit
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


@pytest.mark.parametrize(("language", "told"), [("ky", "5 821"), ("ru", "5 821"), ("en", "5,821")])
def test_the_network_tells_what_its_nodes_counted_in_the_last_run(visitor, network, run, language, told):
    text = check(visitor.get(f"/{language}/network/"), language).text.replace("\N{NO-BREAK SPACE}", " ")
    assert told in text
    assert "4103" not in text.replace(" ", "").replace(",", "")  # of a node that this network does not have
    with translation.override(language):
        assert words.word("network.run_failed") in text


@pytest.mark.parametrize("left", [None, "{", '{"applications": 3}', "without"])
def test_without_counts_the_network_says_nothing_of_them(visitor, network, home, run, left):
    file = home / "summary.json"
    if left is None:
        file.unlink()
    else:
        raw = {key: value for key, value in run.items() if key != "exchange"}
        file.write_text(json.dumps(raw) if left == "without" else left, encoding="utf-8")
    text = check(visitor.get("/en/network/"), "en").text
    assert "node-edu" in text
    assert "Failed or refused" not in text


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


def test_every_judged_criterion_tells_when_its_evidence_was_collected_and_where_it_stands_in_the_ledger(visitor, gate):
    text = " ".join(check(visitor.get("/en/gate/"), "en").text.split())
    filed = EvidenceRecord.objects.all()
    assert filed.count() == 2
    assert text.count("Evidence collected:") == 2
    for piece in filed:
        assert f"Ledger entry: {piece.ledger_index}" in text


def test_a_closed_permit_tells_since_when_and_why_and_an_open_one_until_when(visitor, gate, ledger):
    now = clock.now()

    def permit(state, entry, at):
        Permit.objects.create(
            public_service="grade1-admission", client="KG/GOV/70000003/admission", state=state, data_services=[],
            until=now + timedelta(days=30), verdict_index=entry.index, verdict_leaf="0" * 64, set_at=at,
        )  # fmt: skip

    permit("pilot", ledger.append("permit", {"state": "pilot"}, now), now - timedelta(days=2))
    looked = {"state": "closed", "assessment": gate.ledger_index, "digest": gate.digest}
    permit("closed", ledger.append("permit", looked, now), now - timedelta(days=1))
    permit("closed", ledger.append("permit", {"state": "closed", "reason": "A register was moved"}, now), now)
    page = check(visitor.get("/en/gate/"), "en").text
    history = " ".join(page[page.index("The permit's history") :].split())
    assert history.count("Until ") == 1
    assert history.count("Since ") == 2
    assert "Reason: A register was moved" in history
    assert "Every call without a right was refused – Fail" in history


def test_every_fact_and_reason_of_a_gate_is_worded(visitor, gate):
    from kerege.delivery.criteria import load_gate
    from kerege.web.words import has

    facts = {c.fact for file in GATES for criterion in load_gate(file).criteria for c in criterion.conditions}
    assert sorted(f for f in facts if not has(f"fact.{f}")) == []


def _events(synthetic, cases=12, undecided=0):
    """Cases of yesterday: all decided but the first `undecided`, two refused, one handled by a person; at once where some are undecided."""
    events = []
    start = clock.now() - timedelta(days=1)
    for i in range(cases):
        ref = f"{i:064x}"
        outcome, reason = ("refused", "outside_catchment") if i < 2 else ("granted", "")
        steps = [(EventType.STARTED, ActorKind.CITIZEN, "", ""), (EventType.SUBMITTED, ActorKind.CITIZEN, "", "")]
        if i == 11:
            steps.append((EventType.RECONCILED, ActorKind.OFFICIAL, "", "civil:population:surname"))
        if i >= undecided:
            steps.append((EventType.DECIDED, ActorKind.SYSTEM, outcome, reason))
        for n, (kind, actor, qualifier, code) in enumerate(steps):
            events.append(
                EventFacts(
                    event_id=f"event-{i}-{n}",
                    case_ref=ref,
                    public_service="grade1-admission",
                    type=kind,
                    occurred_at=start + timedelta(minutes=0 if undecided else n),
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


@pytest.fixture
def dataset(network):
    """The civil registry's births, of which only the sex has a concept, a code list and an owner."""
    births = Dataset.objects.create(
        source="births.csv", kind="csv", table="births", organisation="KG/GOV/70000001", rows=1200, profile={"sampled": True},
        harvested_at=network,
    )  # fmt: skip
    blank = {
        "declared_type": "text", "description": "", "rows": 1200, "nulls": 0, "distinct": 2, "min_length": 1, "max_length": 1,
        "type": "text", "date_format": "", "identifier": "", "personal": True, "masks": [], "codes": [], "codes_withheld": 0,
    }  # fmt: skip
    for position, name in enumerate(("Pol", "MatFio")):
        field = Field.objects.create(
            dataset=births, name=name, position=position, profile={"name": name, "position": position, **blank},
            personal=name == "MatFio", codelist="kg:sex" if name == "Pol" else "",
        )  # fmt: skip
        if name == "Pol":
            ConceptLink.objects.create(field=field, concept="person.sex", said_by="steward", linked_at=network)
            Owner.objects.create(
                field=field, organisation="70000001", unit="Archive", legal_basis="education-law", since=network
            )
            SourceOfTruth.objects.create(concept="person.sex", field=field, legal_basis="education-law", since=network)
            Finding.objects.create(
                dataset=births,
                field=field,
                kind="unmapped-code",
                detail="",
                records=12,
                found_by="harvest",
                found_at=network,
            )
    return births


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogues_pages_are_whole(visitor, dataset, language):
    for path in ("catalogue/", f"catalogue/datasets/{dataset.pk}/", "catalogue/concepts/person.sex/"):
        check(visitor.get(f"/{language}/{path}"), language)


def test_a_count_of_a_sample_is_called_one_on_the_overview_too(visitor, dataset):
    overview = " ".join(check(visitor.get("/ru/catalogue/"), "ru").text.split()).replace("\N{NO-BREAK SPACE}", " ")
    assert "1 200 записей (по выборке) · 2 поля" in overview
    Dataset.objects.update(profile={"sampled": False})
    assert "по выборке" not in check(visitor.get("/ru/catalogue/"), "ru").text


def test_a_dataset_tells_owner_concept_code_list_and_what_is_missing(visitor, dataset):
    text = check(visitor.get(f"/en/catalogue/datasets/{dataset.pk}/"), "en").text
    for told in (
        "Birth records",
        "Civil registry office",
        "1,200",
        "from a sample",
        "this dataset",
        "Sex (ISO/IEC 5218)",
        "no concept yet",
    ):
        assert told in text


def test_an_owner_of_every_field_is_named_once_in_the_language(visitor, dataset, network):
    assert check(visitor.get(f"/ru/catalogue/datasets/{dataset.pk}/"), "ru").text.count("ЗАГС") > 1
    other = Field.objects.get(name="MatFio")
    Owner.objects.filter(field__name="Pol").update(unit="civil-acts")
    Owner.objects.create(
        field=other, organisation="70000001", unit="civil-acts", legal_basis="education-law", since=network
    )
    text = check(visitor.get(f"/ru/catalogue/datasets/{dataset.pk}/"), "ru").text
    assert text.count("Отдел актов гражданского состояния") == 1
    assert "Закон Кыргызской Республики «Об образовании»" in text


def test_a_concept_tells_who_holds_it_who_decides_and_by_which_law(visitor, dataset):
    text = check(visitor.get("/en/catalogue/concepts/person.sex/"), "en").text
    for told in ("Birth records", "Source of truth", "Law of the Kyrgyz Republic on education"):
        assert told in text


@pytest.mark.parametrize(
    ("query", "found"),
    [("туулуу", True), ("birth", True), ("ЗАГС", True), ("pol", True), ("sex births", True), ("vehicle", False)],
)
def test_search_finds_a_dataset_by_any_of_its_names(visitor, dataset, query, found):
    language = "ky" if query == "туулуу" else "ru" if query == "ЗАГС" else "en"
    page = check(visitor.get(f"/{language}/catalogue/", {"q": query}), language)
    assert (f"/{language}/catalogue/datasets/{dataset.pk}/" in {a.get("href") for a in page.all("a")}) == found


@pytest.mark.parametrize("query", ["<script>alert(1)</script>", '"><script>alert(1)</script>', "'><img src=x>"])
def test_what_was_searched_for_is_shown_as_text_only(visitor, dataset, query):
    html = visitor.get("/en/catalogue/", {"q": query}).content.decode()
    assert "<script>alert" not in html
    assert "<img src=x>" not in html
    field = check(visitor.get("/en/catalogue/", {"q": query}), "en").all("input")
    assert [i.get("value") for i in field if i.get("name") == "q"] == [query]


def test_a_quantile_says_whether_too_few_are_counted_or_too_many_are_open(visitor, db):
    _events(False, cases=104, undecided=12)
    text = check(visitor.get("/en/measures/"), "en").text
    assert "more than 10 % are still open" in text
    assert "fewer than 100" not in text
    assert "under a second" in text
    assert "0.0 ms" not in text


@pytest.mark.parametrize(
    ("language", "owner"), [("ky", "Жарандык каттоо"), ("ru", "ЗАГС"), ("en", "Civil registry office")]
)
@pytest.mark.parametrize("named", ["KG/GOV/70000001", "70000001", "Civil registry office"])
def test_the_owner_of_a_contract_in_force_is_called_as_the_member_is(visitor, network, language, owner, named):
    Contract.objects.update(owner=named)
    page = check(visitor.get(f"/{language}/network/"), language)
    row = page.text.split("kg:civil.birth-record")[1]
    assert owner in row
    assert language == "en" or named not in row


def test_an_owner_that_is_no_member_is_worded_where_the_interface_knows_it(visitor, network):
    Contract.objects.update(owner="Health: vaccination certificates")
    assert "Здравоохранение: справки о прививках" in check(visitor.get("/ru/network/"), "ru").text
    Contract.objects.update(owner="Office of nobody")
    assert "Office of nobody" in check(visitor.get("/ru/network/"), "ru").text


@pytest.mark.parametrize(
    ("language", "asked", "never"),
    [
        ("ky", ("Дайындалган ээлер: 4", "Төртөө төрт башка адам: ооба"), ("так 4", "Каралган учурлар: 4")),
        ("ru", ("Назначено владельцев: 4", "Четыре разных человека: да"), ("ровно", "Наблюдений: 4")),
        ("en", ("Owners named: 4", "Four different people: yes"), ("exactly", "Sample: 4")),
    ],
)
def test_the_gate_says_a_wanted_number_or_yes_plainly_and_no_number_twice(visitor, gate, language, asked, never):
    text = " ".join(check(visitor.get(f"/{language}/gate/"), language).text.split())
    for wanted in asked:
        assert text.count(wanted) == 2, "once asked, once measured"
    assert not [one for one in never if one in text]
