"""The catalogue's pages on content: whole in three languages, reachable, bounded, and silent about what stays in the registers."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from web_pages import check

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.codes import decisions
from kerege.catalogue.codes import unmapped as codelists_unmapped
from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import ConceptLink, Dataset, Field, Finding, Owner, Plan, ServiceUse, SourceOfTruth
from kerege.catalogue.packs import current_pack
from kerege.ground import clock
from kerege.membership.models import Member
from kerege.semantics.contracts import odcs
from kerege.semantics.crosswalks.sssom import Crosswalk, Row
from kerege.web.desks.catalogue import addresses, frame
from kerege.web.desks.catalogue import contracts as contract_pages

CIVIL, HEALTH = "KG/GOV/70000001", "KG/GOV/70000004"
BIRTHS = f"{CIVIL}/civil/birth-records"
WALK = "kg:civil-region--soate"
CONTRACT = "kg:civil.birth-record"
SOURCE = "postgresql://10.9.8.7:5432/zags"
PROFILE = {
    "declared_type": "text", "description": "", "rows": 1200, "nulls": 300, "distinct": 2, "min_length": 1, "max_length": 1, "type": "text",
    "date_format": "", "identifier": "", "personal": True, "masks": [["Ааа-99", 1000]], "codes": [["SECRETCODE", 7]], "codes_withheld": 0,
}  # fmt: skip


def a_field(dataset, name, position, concept="", codelist=""):
    field = Field.objects.create(
        dataset=dataset, name=name, position=position, codelist=codelist, personal=True, profile={**PROFILE, "name": name, "position": position}
    )  # fmt: skip
    if concept:
        ConceptLink.objects.create(field=field, concept=concept, said_by="steward", linked_at=clock.now())
    return field


@pytest.fixture
def filled(network):
    """The civil registry's births: one attribute decides, one is owned for the time being, one by nobody; called by two consumers."""
    now = network
    births = Dataset.objects.create(
        source=SOURCE,
        kind="postgresql",
        table="births",
        organisation=CIVIL,
        rows=1200,
        profile={"sampled": False},
        harvested_at=now,
    )
    sex, name, _ = (
        a_field(births, "Pol", 0, "person.sex", "kg:sex"), a_field(births, "Fam", 1, "person.surname"), a_field(births, "Oblast", 2),
    )  # fmt: skip
    Owner.objects.create(field=sex, organisation=CIVIL, unit="civil-acts", legal_basis="education-law", since=now)
    Owner.objects.create(
        field=name, organisation=CIVIL, unit="civil-acts", legal_basis="education-law", since=now, kind=Owner.INTERIM,
        until=now + timedelta(days=20), names_lasting=CIVIL,
    )  # fmt: skip
    SourceOfTruth.objects.create(concept="person.sex", field=sex, legal_basis="education-law", since=now)
    Owner.objects.create(
        field=sex, organisation=HEALTH, unit="civil-acts", legal_basis="education-law", since=now - timedelta(days=9), until=now, number=2,
        ended_by="b.secretova", ended_reason="a quarrel nobody need know",
    )  # fmt: skip
    Finding.objects.create(
        dataset=births, field=sex, kind="emptied", records=12, found_by="harvest", found_at=now, detail="SECRETCODE stands for Ааа-99",
        facts={"codes": ["SECRETCODE"], "masks": ["Ааа-99"], "nulls": 1},
    )  # fmt: skip
    Plan.objects.create(
        plan_id="plan-1", source=SOURCE, kind="postgresql", options={}, profile_digest="a", base_digest="b", profile=[], made_at=now,
        changes=[{"sign": "+", "kind": "column-new", "table": "births", "column": "Pol", "reason": ""}], applied_at=now,
        cost={"connections": 1, "queries": 3, "seconds": 1.5, "cpu_seconds": 0.25, "rows": 60, "bytes": 9000},
    )  # fmt: skip
    for consumer, calls in (("KG/GOV/70000003/admission", 1200), (f"{HEALTH}/health", 7)):
        ServiceUse.objects.create(
            source="node-reg", side="provider", consumer=consumer, service=BIRTHS, dataset=births, calls=calls, failed=2, first_at=now, last_at=now,
        )  # fmt: skip
    codelists_unmapped.keep_unmapped(WALK, "1", f"{SOURCE}#births.Oblast", {"Нарын шаарынын": 41}, now)
    decisions.decide(
        WALK, "Нарын шаарынын", "refused", "a.asanova", now, target="41704000000000", reason="a town, not the region"
    )
    return births


def paths(births):
    fields = list(births.fields.order_by("position").values_list("pk", flat=True))
    return [
        "catalogue/", "catalogue/?q=sex", f"catalogue/datasets/{births.pk}/", *(f"catalogue/fields/{pk}/" for pk in fields), "catalogue/concepts/",
        "catalogue/concepts/person.sex/", "catalogue/code-lists/", "catalogue/code-lists/kg:sex/",
        "catalogue/code-lists/kg:soate/?code=41702000000000",
        "catalogue/crosswalks/", f"catalogue/crosswalks/{WALK}/", "catalogue/organisations/", f"catalogue/organisations/{CIVIL}/",
        "catalogue/contracts/", f"catalogue/contracts/{CONTRACT}/", "catalogue/reference/", "catalogue/map/", "catalogue/map/?concept=person.sex",
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_every_page_is_whole_and_every_part_is_one_click_away(visitor, filled, language):
    parts = {f"/{language}/catalogue/" + p.removeprefix("catalogue/") for p, _, _ in addresses.PAGES if "<" not in p}
    for path in paths(filled):
        response = visitor.get(f"/{language}/{path}")
        assert response.status_code == 200, path
        page = check(response, language)
        linked = {a.get("href") for a in page.all("a")}
        assert parts <= linked, path
        assert [f for f in page.all("form") if f.get("role") == "search"], path


SECRETS = (
    "10.9.8.7", "5432", "zags", "SECRETCODE", "Ааа-99", "Нарын шаарынын", "a.asanova", "a town, not", "b.secretova", "a quarrel", "draft-code",
)  # fmt: skip


def test_no_page_tells_where_a_source_is_what_its_values_look_like_nor_who_said_what_of_them(visitor, filled):
    draft = Crosswalk("kg:draft--sex", (Row("draft-code", "1"),), "x", "kg:sex", version="1.0.0")
    codelists.import_crosswalk(draft, "steward-1", clock.now())
    drafts = ["catalogue/crosswalks/kg:draft--sex/", "catalogue/crosswalks/kg:draft--sex/?version=1.0.0"]
    for path in (*paths(filled), *drafts):
        html = visitor.get(f"/en/{path}").content.decode()
        for secret in SECRETS:
            assert secret not in html, (path, secret)


def test_a_dataset_tells_who_owns_what_until_when_how_full_it_is_and_what_reading_it_cost(visitor, filled):
    text = check(visitor.get(f"/en/catalogue/datasets/{filled.pk}/"), "en").text
    for told in (
        "interim, until",
        "no owner",
        "75%",
        "2 / 3",
        "1 / 3",
        "emptied",
        "1,200",
        "cost the source 250 ms of its processor",
        "+1 new",
    ):
        assert told in text, told


def test_a_field_tells_its_owners_its_mapping_and_what_would_break_without_it(visitor, filled):
    field = filled.fields.get(name="Pol")
    page = check(visitor.get(f"/en/catalogue/fields/{field.pk}/"), "en")
    for told in ("This field decides.", "today", "kg:civil-sex--sex", "If this field went away:", "breaks"):
        assert told in page.text, told
    linked = {a.get("href") for a in page.all("a")}
    assert {"/en/catalogue/crosswalks/kg:civil-sex--sex/", f"/en/catalogue/contracts/{CONTRACT}/"} <= linked
    assert "Consumer" in page.text


def test_a_crosswalk_tells_its_policy_how_many_codes_are_open_and_how_many_were_decided(visitor, filled):
    text = check(visitor.get(f"/en/catalogue/crosswalks/{WALK}/"), "en").text
    for told in ("no value goes on, with a flag", "Codes: 1, records: 41.", "refused 1"):
        assert told in text, told


def test_an_organisation_is_one_whether_its_code_is_written_whole_or_bare(visitor, filled):
    other = Dataset.objects.create(
        source="x.csv",
        kind="csv",
        table="deaths",
        organisation="70000001",
        rows=3,
        profile={},
        harvested_at=clock.now(),
    )
    named = a_field(other, "Act", 0)
    Owner.objects.create(
        field=named, organisation="70000001", unit="u", legal_basis="l", since=clock.now() - timedelta(1)
    )
    Finding.objects.create(dataset=other, kind="table-vanished", found_by="harvest", found_at=clock.now())
    for code in (CIVIL, "70000001"):
        held = browse.holdings(code, clock.now())
        assert (held.datasets, held.attributes, held.findings) == (2, 3, 3)
        page = check(visitor.get(f"/en/catalogue/organisations/{code}/"), "en")
        assert {f"/en/catalogue/datasets/{d.pk}/" for d in (filled, other)} <= {a.get("href") for a in page.all("a")}
    listed = check(visitor.get("/en/catalogue/organisations/"), "en").text
    assert listed.count("Civil registry office") == 1
    assert "70000001 " not in listed.replace(CIVIL, "")
    Member.objects.create(code="KG/COM/70000001", name_ky="x", name_ru="x", name_en="x", registered_at=clock.now())
    assert browse.holdings(CIVIL, clock.now()).datasets == 1, "a number that two members share is neither's"


def test_whoever_works_at_the_desks_is_led_to_the_details_and_a_visitor_is_not(visitor, steward, filled):
    for client, led in ((visitor, False), (steward, True)):
        page = check(client.get(f"/en/catalogue/organisations/{CIVIL}/"), "en")
        assert ("/en/desks/findings/?owner=KG%2FGOV%2F70000001" in {a.get("href") for a in page.all("a")}) is led


def test_a_code_that_was_looked_up_stands_on_the_page_that_opens(visitor, filled):
    html = visitor.get("/en/catalogue/code-lists/kg:soate/", {"code": "41702000000000"}).content.decode()
    assert html.count('id="wanted"') == 1
    assert "41702000000000" in html


def test_a_contract_tells_its_rules_in_words_what_changed_and_how_long_it_holds(visitor, filled, monkeypatch):
    now = clock.now()
    made = odcs.read(current_pack().folder / "contracts" / "civil.birth-record.odcs.yaml")
    contracts.add(made, "a", now - timedelta(minutes=1), dataset=f"{SOURCE}#births")
    document = json.loads(json.dumps(dict(made.document), default=str))
    document["version"] = "2.0.0"
    document["schema"][0]["properties"] = document["schema"][0]["properties"][:-1]
    contracts.add(odcs.parse(document, "new"), "a", now, dataset=f"{SOURCE}#births")
    text = check(visitor.get(f"/en/catalogue/contracts/{CONTRACT}/?version=2.0.0"), "en").text
    for told in (
        "must have a value",
        "is of type text",
        "≤ act_date",
        "Compared with 1.0.0",
        "breaking",
        "the field is gone",
        "Sex (ISO/IEC 5218)",
    ):
        assert told in text, told
    assert visitor.get(f"/en/catalogue/contracts/{CONTRACT}/?version=9.9.9").status_code == 404
    clock_ = SimpleNamespace(over=False, days_left=3, ends_at=now, reason="a quarrel at the office", successor="2.0.0")
    view = contract_pages.show(CONTRACT, now, "1.0.0")
    ending = replace(view, head=replace(view.head, state="deprecated", deprecation=clock_))
    monkeypatch.setattr(contract_pages, "show", lambda *_: ending)
    text = check(visitor.get(f"/en/catalogue/contracts/{CONTRACT}/?version=1.0.0"), "en").text
    assert "2.0.0" in text
    assert "Days until it ends: 3" in text
    assert "a quarrel" not in text


def test_the_map_and_the_list_beside_it_tell_the_same(visitor, filled):
    html = visitor.get("/en/catalogue/map/").content.decode()
    page = check(visitor.get("/en/catalogue/map/"), "en")
    svg = html[html.index('<svg class="usemap"') : html.index("</svg>", html.index('<svg class="usemap"'))]
    listed = html[html.index('id="h-list"') :]
    for name in re.findall(r'class="usemap-name"[^>]*>([^<]+)<', svg):
        assert name.rstrip("…") in listed, name
    assert "1,200 calls" in page.text
    assert page.text.count("2 failed") == 2
    only = check(visitor.get("/en/catalogue/map/", {"organisation": "KG/GOV/70000002"}), "en").text
    assert "Nothing to show" in only


def test_a_published_dataset_is_offered_to_programs_and_a_draft_is_not(visitor, filled):
    address = f"/en/catalogue/datasets/{filled.pk}/"
    before = visitor.get(address).content.decode()
    assert "/api/v1/datasets/" not in before
    assert "application/ld+json" not in before
    subject = lifecycle.Subject("dataset", f"{SOURCE}#births", "1")
    Owner.objects.create(
        field=filled.fields.get(name="Oblast"),
        organisation=CIVIL,
        unit="civil-acts",
        legal_basis="x",
        since=clock.now() - timedelta(hours=1),
    )
    for action, by in (("submit", "a"), ("approve", "b"), ("publish", "b")):
        lifecycle.act(subject, action, by, "ready", clock.now())
    page = check(visitor.get(address), "en")
    links = {
        (link.get("type"), link.get("href", "")[:17]) for link in page.all("link") if link.get("rel") == "alternate"
    }
    assert {("application/json", "/api/v1/datasets/"), ("text/turtle", "/api/v1/catalogue")} <= links
    html = visitor.get(address).content.decode()
    linked = json.loads(re.search(r'<script type="application/ld\+json">(.*?)</script>', html).group(1))
    assert linked["@type"] == "Dataset"
    assert linked["variableMeasured"] == []  # every attribute is about people


def test_linked_data_cannot_end_its_element():
    assert "</script" not in frame.as_script({"name": "</script><script>alert(1)</script>"})
    assert json.loads(frame.as_script({"name": "</script>&"})) == {"name": "</script>&"}


def test_hits_are_typed_marked_narrowed_and_a_slip_is_offered_mended(visitor, filled):
    page = check(visitor.get("/en/catalogue/", {"q": "sex"}), "en")
    html = visitor.get("/en/catalogue/", {"q": "sex"}).content.decode()
    assert "<mark>Sex</mark>" in html
    addresses_ = {a.get("href") for a in page.all("a")}
    assert "/en/catalogue/concepts/person.sex/" in addresses_
    assert "/en/catalogue/?q=sex&kind=concept" in addresses_
    narrowed = check(visitor.get("/en/catalogue/", {"q": "sex", "kind": "concept"}), "en")
    assert "/en/catalogue/?q=sex" in {a.get("href") for a in narrowed.all("a")}
    mended = visitor.get("/en/catalogue/", {"q": "surnmae"}).content.decode()
    assert re.search(r'class="meant">Did you mean <a href="[^"]*q=surname[^"]*">surname', mended)
    form = visitor.get("/en/catalogue/", {"q": "surnaming"}).content.decode()  # it answers, so it is no guess
    assert 'class="meant"' not in form
    nothing = check(visitor.get("/ky/catalogue/", {"q": "qqqqzzzz"}), "ky").text
    assert "Эмне кылса болот" in nothing
    other = visitor.get("/ru/catalogue/", {"q": "жынысы"}).content.decode()
    assert "<mark>Жынысы</mark>" in other  # a Russian page shows the Kyrgyz wording that answered


@pytest.mark.parametrize(
    ("asked", "english"), [("surname", ("Surname", "last name", "family name")), ("male", ("male", "Male"))]
)
def test_a_hit_is_told_in_the_wording_of_the_pages_language_and_never_in_english_on_another(
    visitor, filled, asked, english
):
    told = {}
    for language in ("ky", "ru", "en"):
        html = visitor.get(f"/{language}/catalogue/", {"q": asked}).content.decode()
        told[language] = re.sub(r"<[^>]+>", "", "".join(re.findall(r'<li class="hit">.*?</li>', html, re.DOTALL)))
        assert told[language]
    assert any(wording in told["en"] for wording in english)
    for language in ("ky", "ru"):
        assert not [wording for wording in english if re.search(rf"(?<![\w.-]){wording}(?![\w.-])", told[language])]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "datasets/999999/",
            "fields/999999/",
            "concepts/no.such/",
            "code-lists/no:such/",
            "crosswalks/no:such/",
            "reference/no-such/",
        ),
        *(
            "organisations/KG/GOV/1/",
            "contracts/no:such/",
            "code-lists/kg:sex/?version=9",
            f"crosswalks/{WALK}/?version=9",
        ),
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(visitor, network, path):
    assert visitor.get(f"/en/catalogue/{path}").status_code == 404


@pytest.mark.parametrize(
    "odd",
    [
        "page=0",
        "page=-1",
        "page=99999999999",
        "page=x",
        "page=²",
        "under=%01",
        "code=%F0%9F",
        "q=%01%7F",
        "organisation=%27",
    ],
)
def test_odd_parameters_break_nothing(visitor, network, odd):
    for path in ("", "code-lists/kg:soate/", f"crosswalks/{WALK}/", "map/", "concepts/"):
        assert visitor.get(f"/ru/catalogue/{path}?{odd}").status_code == 200, path


@pytest.mark.parametrize("odd", ["under=%00", "q=%00%01"])
def test_parameters_that_are_no_text_are_not_read(visitor, network, odd):
    for path in ("", "code-lists/kg:soate/", f"crosswalks/{WALK}/", "map/", "concepts/"):
        assert visitor.get(f"/ru/catalogue/{path}?{odd}").status_code == 400, path


def test_two_thousand_datasets_are_listed_with_as_many_questions_as_one(visitor, filled):
    watched = (
        "catalogue/", f"catalogue/organisations/{CIVIL}/", "catalogue/organisations/", "catalogue/concepts/person.sex/", "catalogue/concepts/",
        "catalogue/code-lists/kg:sex/", "catalogue/map/", f"catalogue/datasets/{filled.pk}/",
    )  # fmt: skip

    def asked():
        counts = {}
        for path in watched:
            visitor.get(f"/ru/{path}")
            with CaptureQueriesContext(connection) as queries:
                response = visitor.get(f"/ru/{path}")
            counts[path] = len(queries)
            assert len(response.content) < 150_000, path
        return counts

    few = asked()
    now = clock.now()
    made = Dataset.objects.bulk_create(
        Dataset(source=f"s{n}.csv", kind="csv", table=f"t{n}", organisation=CIVIL, rows=1, profile={}, harvested_at=now)
        for n in range(2000)
    )
    fields = Field.objects.bulk_create(
        Field(dataset=d, name="Pol", position=0, codelist="kg:sex", profile={**PROFILE, "name": "Pol", "position": 0})
        for d in made
    )
    ConceptLink.objects.bulk_create(
        ConceptLink(field=f, concept="person.sex", said_by="s", linked_at=now) for f in fields
    )
    Owner.objects.bulk_create(Owner(field=f, organisation=CIVIL, unit="u", legal_basis="l", since=now) for f in fields)
    ServiceUse.objects.bulk_create(
        ServiceUse(
            source="n", side="provider", consumer=f"{HEALTH}/c{n}", service=BIRTHS, calls=n, first_at=now, last_at=now
        )
        for n in range(500)
    )
    many = asked()
    assert {path: many[path] - few[path] for path in watched if many[path] > few[path]} == {}
    assert max(many.values()) <= 40


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_every_part_of_the_catalogue_but_the_search_has_its_tile_on_the_front_page(visitor, network, language):
    page = check(visitor.get(f"/{language}/catalogue/"), language)
    with translation.override(language):
        every = [frame.to(name) for name, _ in frame.PARTS if name != "catalogue"]
    links = [a.get("href") for a in page.all("a")]
    assert {one: links.count(one) for one in every} == dict.fromkeys(every, 3), "the row, the row on a phone, the tile"
    rows = check(visitor.get(f"/{language}/catalogue/contracts/"), language).all("tr")
    assert contract_pages.count() == len(rows) - 1
