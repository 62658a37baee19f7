"""Finding things in three languages, as people type them."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # for `open_catalogue`, which the tests beside this file share

import open_catalogue as world

from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.errors import SearchNotBuilt
from kerege.catalogue.inventory import doings
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import Subject
from kerege.catalogue.models import Dataset, LifecycleAction, SearchEntry, SearchFacet, SearchWord
from kerege.catalogue.search import index as search_index
from kerege.catalogue.search.ids import Facet, facet_of
from kerege.catalogue.search.questions import KINDS, Filters, Found, search
from kerege.catalogue.search.words import EXACT, key_of, keys, likeness, words
from kerege.membership.models import Contract, Member, Subsystem
from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.contracts import odcs
from kerege.semantics.crosswalks.mapping_set import Crosswalk
from kerege.semantics.crosswalks.rows import Row

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled() -> tuple[Dataset, Dataset]:
    made = world.fill()
    search_index.rebuild()
    return made


def first(question: str, **how: object) -> tuple[str, str]:
    found = search(question, **how)  # type: ignore[arg-type]
    assert found.hits, f"nothing answers {question!r}"
    return found.hits[0].kind, found.hits[0].key


def names(found: Found, kind: str) -> set[str]:
    return {h.name("en") for h in found.hits if h.kind == kind}


@pytest.mark.usefixtures("filled")
def test_pin_is_found_in_cyrillic_and_in_latin() -> None:
    for question in ("ПИН", "PIN", "pin", "Пин"):
        found = search(question)
        assert {"pin", "director_pin"} <= names(found, "field"), question
        assert first(question) == ("concept", "person.pin") or found.hits[0].name("en") == "pin"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("question", ["жарандардын", "жаран", "жарандарга", "jaran", "zharan", "жарандардый"])
def test_a_kyrgyz_word_is_found_by_its_beginning_whatever_its_ending(question: str) -> None:
    assert "citizen" in names(search(question, Filters(("dataset",))), "dataset")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("question", ["Ысык-Көл", "исык кол", "Ysyk-Kol", "Issyk-Kul", "ыссык куль"])
def test_letters_of_the_neighbouring_alphabets_find_the_same_place(question: str) -> None:
    assert ("code", "kg:soate#41702000000000") in {(h.kind, h.key) for h in search(question).hits}


@pytest.mark.usefixtures("filled")
def test_a_slip_of_the_finger_is_forgiven() -> None:
    assert first("enrolmnet status", filters=Filters(("concept",))) == ("concept", "enrolment.status")
    assert search("qqqqzzzz").hits == ()


@pytest.mark.usefixtures("filled")
def test_all_words_must_be_there_and_if_nothing_has_all_some_are_enough_and_it_is_said() -> None:
    assert search("school code").every
    some = search("school hovercraft")
    assert some.hits
    assert not some.every


@pytest.mark.usefixtures("filled")
def test_facets_count_everything_found_and_narrow_it() -> None:
    found = search("pin")
    assert found.total == sum(found.facets["kind"].values()) >= 3
    assert found.facets["organisation"]["KG/GOV/70000002"] == 1
    assert found.facets["personal"]["yes"] >= 2
    narrowed = search("pin", Filters(("field",), organisation="KG/GOV/70000002"))
    assert [h.name("en") for h in narrowed.hits] == ["pin"]
    assert {h.name("en") for h in search("director code budget shift", Filters(("field",), owned=False)).hits} == {
        "budget"
    }


@pytest.mark.usefixtures("filled")
def test_an_organisation_is_found_by_its_number_and_by_its_whole_code() -> None:
    whole, number = "KG/GOV/70000002", "70000002"
    before = search("pin").facets["organisation"]
    Dataset.objects.filter(organisation=whole).update(organisation=number)
    search_index.rebuild()
    assert search("pin").facets["organisation"] == before
    for spelled in (whole, number):
        assert [h.name("en") for h in search("pin", Filters(("field",), organisation=spelled)).hits] == ["pin"]
    name = Member.objects.get(code=whole).name_en
    run = set(Dataset.objects.filter(organisation=number).values_list("table", flat=True))
    assert run <= names(search(name, Filters(("dataset",))), "dataset"), "by the name of who runs it"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("question", ["bud get", "budget zzzz", "citi zen", "name code", "pin"])
def test_what_is_shown_is_counted_whatever_way_it_was_found(question: str) -> None:
    found = search(question, limit=100)
    shown = Counter(h.kind for h in found.hits)
    assert found.total == sum(found.facets["kind"].values()) == len(found.hits) > 0
    assert shown == Counter(found.facets["kind"])


@pytest.mark.usefixtures("filled")
def test_what_is_called_just_so_is_found_in_pieces_that_nothing_else_has() -> None:
    found = search("bud get")
    assert (found.every, [h.name("en") for h in found.hits]) == (True, ["budget"])
    assert found.hits[0].score > 0.5


@pytest.mark.usefixtures("filled")
def test_a_facet_keeps_its_number_however_often_the_index_is_made_anew() -> None:
    before = dict(SearchFacet.objects.values_list("told", "pk"))
    SearchFacet.objects.create(told="field|---|KG/GOV/79999999")
    for _ in range(2):
        search_index.rebuild()
    assert dict(SearchFacet.objects.values_list("told", "pk")) == before
    assert {facet_of(pk) for pk in SearchEntry.objects.values_list("pk", flat=True)} == set(before.values())


@pytest.mark.usefixtures("filled")
def test_a_contract_that_no_data_service_is_held_against_is_found_by_its_names() -> None:
    for question in ("Pupil", "Окуучу", "Ученик", "kg:education.pupil"):
        assert ("contract", "kg:education.pupil") in {(h.kind, h.key) for h in search(question).hits}, question
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "kg:tundra",
        "version": "1.0.0",
        "status": "draft",
        "name": "Tundra",
    }
    contracts.add(odcs.parse(document, "t"), "a", world.NOW)
    assert first("tundra") == ("contract", "kg:tundra")
    assert search("tundra", Filters(public=True)).total == 0, "nobody published it"
    for number, (action, by) in enumerate((("submit", "a"), ("approve", "b"), ("publish", "a")), start=1):
        LifecycleAction.objects.create(
            kind="contract", subject="kg:tundra", version="1.0.0", number=number, action=action, by=by, reason="r",
            evidence={}, at=world.NOW, digest="0" * 64,
        )  # fmt: skip
    search_index.contracts_changed()
    assert search("tundra", Filters(public=True)).total == 1
    member = world.organisation("KG/GOV/70000003", "Ministry of Education")
    provider = Subsystem.objects.create(code="KG/GOV/70000003/e", member=member, registered_at=world.NOW)
    Contract.objects.create(
        provider=provider, data_service=f"{provider.code}/tundra", path="/t", mapping="kg:tundra", at="provider", owner="KG/GOV/70000003",
        legal_basis="Act", set_at=world.NOW,
    )  # fmt: skip
    search_index.contracts_changed()
    assert [h.key for h in search("tundra").hits] == [f"{provider.code}/tundra#*#/t"], "once, by its data service"


@pytest.mark.usefixtures("filled")
def test_what_may_not_leave_is_not_found_by_who_asks_for_what_is_public() -> None:
    public = Filters(public=True)
    assert names(search("pin", public), "field") == set()
    assert names(search("citizen", public), "dataset") == set()
    assert "school" in names(search("school", public), "dataset")
    assert names(search("code budget", public), "field") == {"code"}


@pytest.mark.usefixtures("filled")
def test_highlights_say_which_letters_answer() -> None:
    hit = next(h for h in search("director").hits if h.kind == "field")
    assert hit.marked("en") == [("director", True), ("_pin", False)]
    assert "".join(piece for piece, _ in hit.marked("ru")) == "director_pin"


@pytest.mark.usefixtures("filled")
def test_no_value_mask_or_code_of_a_register_is_in_the_index() -> None:
    text = " ".join(f"{e.head} {e.body} {e.note} {e.title}" for e in SearchEntry.objects.all())
    assert key_of("SECRET") not in text.split()
    assert "SECRET" not in text
    assert "99999" not in text


def test_a_change_is_found_after_its_subject_is_indexed_again(filled: tuple[Dataset, Dataset]) -> None:
    schools, _ = filled
    assert search("hovercraft").hits == ()
    Dataset.objects.filter(pk=schools.pk).update(table="hovercraft")
    assert search_index.reindex(f"dataset:{schools.pk}") == 6
    assert first("hovercraft") == ("dataset", str(schools.pk))
    assert first("hovercrafts")[0] == "dataset"
    before = SearchEntry.objects.count()
    search_index.reindex(f"source:{world.SOURCE}")
    assert SearchEntry.objects.count() == before
    Dataset.objects.filter(pk=schools.pk).update(vanished=True)
    search_index.reindex(f"dataset:{schools.pk}")
    assert "dataset" not in {h.kind for h in search("hovercraft").hits}


def test_the_doings_keep_the_index(filled: tuple[Dataset, Dataset]) -> None:
    _, people = filled
    public = Filters(("field", "dataset"), public=True)
    assert search("status citizen", public).hits == ()
    for action, by in (("submit", "a"), ("approve", "b")):
        lifecycle.act(Subject("dataset", str(people), "2"), action, by, "ready", world.NOW)
    lifecycle.act(Subject("dataset", str(people), "2"), "publish", "a", "ready", world.NOW)
    assert {h.name("en") for h in search("status citizen", public).hits} == {"citizen"}, "a status is about somebody"
    doings.link_concept(people.source, people.table, "status", "school.language", "a", world.NOW)
    assert names(search("language of instruction", public), "field") == {"status"}
    doings.set_organisation(people.source, "KG/GOV/70000009")
    assert search("citizen", Filters(("dataset",))).hits[0].organisation == "KG/GOV/70000009"


@pytest.mark.usefixtures("filled")
def test_a_published_version_of_a_code_list_is_found_in_place_of_the_packs() -> None:
    before = SearchEntry.objects.count()
    label = {"ky": "ховеркрафт", "ru": "ховеркрафт", "en": "hovercraft"}
    wording = {"ky": "тизме", "ru": "список", "en": "list"}
    for list_id, version in (("kg:sex", "2099"), ("kg:vessels", "1")):
        made = CodeList(list_id, (Concept("H", label),), wording, version)
        codelists.import_codelist(made, "steward", world.NOW)
    walk = Crosswalk(
        "kg:hovercrafts--vessels", (Row("1", "H"),), "kg:hovercrafts", "kg:vessels", title="Hovercrafts", version="1"
    )
    codelists.import_crosswalk(walk, "steward", world.NOW)
    assert search("hovercraft").hits == (), "importing binds nobody"
    for subject in (
        Subject("codelist", "kg:sex", "2099"),
        Subject("codelist", "kg:vessels", "1"),
        Subject("crosswalk", walk.id, "1"),
    ):
        for action, by in (("submit", "a"), ("approve", "b"), ("publish", "a")):
            lifecycle.act(subject, action, by, "ready", world.NOW, accepting="codes of its own")
    assert {(h.kind, h.key) for h in search("hovercraft").hits} == {
        ("code", "kg:sex#H"), ("code", "kg:vessels#H"), ("crosswalk", walk.id),
    }  # fmt: skip
    assert "kg:sex#1" not in SearchEntry.objects.filter(kind="code").values_list("key", flat=True)
    kept = set(SearchEntry.objects.values_list("kind", "key"))
    search_index.rebuild()
    assert set(SearchEntry.objects.values_list("kind", "key")) == kept
    assert SearchEntry.objects.count() == before - 4 + 1 + 2 + 1


def test_the_first_search_of_a_small_catalogue_makes_the_index() -> None:
    world.fill()
    assert not search_index.built()
    assert first("school")
    assert search_index.built()


def test_the_first_search_of_a_large_catalogue_says_that_there_is_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    schools, _ = world.fill()
    monkeypatch.setattr(search_index, "SMALL", 3)
    with pytest.raises(SearchNotBuilt) as refused:
        search("school")
    assert "kerege search --rebuild" in refused.value.next_step
    assert search_index.changed(f"dataset:{schools.pk}") == 0, "and no doing waits for it"
    assert not SearchEntry.objects.exists()
    search_index.rebuild()
    assert first("school")


def test_a_catalogue_that_grows_from_nothing_has_its_index_by_its_doings() -> None:
    schools, _ = world.fill()
    assert search_index.changed(f"dataset:{schools.pk}") == SearchEntry.objects.count() > 100
    assert search_index.changed(f"dataset:{schools.pk}") == 6


@pytest.mark.usefixtures("filled")
def test_ids_tell_what_entries_are_counted_under_and_which_come_first() -> None:
    facets = {f.pk: Facet.of(f.told) for f in SearchFacet.objects.all()}
    for entry in SearchEntry.objects.all():
        told = facets[facet_of(entry.pk)]
        assert told == Facet(entry.kind, entry.organisation, entry.personal, entry.owned, entry.public)
    dataset, code = SearchEntry.objects.filter(kind="dataset")[0], SearchEntry.objects.filter(kind="code")[0]
    assert dataset.pk < code.pk < 2**63


@given(
    st.sampled_from(KINDS), st.text("KGOV/07", max_size=20), *[st.sampled_from([None, True, False])] * 2, st.booleans()
)
def test_a_facet_is_read_as_it_was_told(kind: str, code: str, personal: bool, owned: bool, public: bool) -> None:
    facet = Facet(kind, code, personal, owned, public)
    assert Facet.of(facet.told) == facet


@pytest.mark.usefixtures("filled")
def test_what_is_called_just_so_comes_before_what_is_called_so_among_other_words() -> None:
    names_of = [h.name("en") for h in search("code", Filters(("field", "concept"))).hits]
    assert names_of[0] == "code"
    assert search("шк код").question == "шк код"


@pytest.mark.usefixtures("filled")
def test_rebuilding_gives_the_same_index() -> None:
    def picture() -> list[tuple[object, ...]]:
        return list(SearchEntry.objects.order_by("kind", "key").values_list("kind", "key", "head", "body", "public"))

    before, vocabulary = picture(), set(SearchWord.objects.values_list("word", flat=True))
    search_index.rebuild()
    assert picture() == before
    assert set(SearchWord.objects.values_list("word", flat=True)) == vocabulary


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    "question",
    ['"', "' OR 1=1 --", "a*b", "NEAR(a b)", "head:pin", "(", "\0", "🂡", "%", "pin\\", "x" * 5000, " ", "- -"],
)
def test_no_question_breaks_the_search(question: str) -> None:
    assert search(question).question == question


def test_only_known_subjects_are_indexed() -> None:
    with pytest.raises(ValueError, match="nothing can be indexed"):
        search_index.reindex("everything")


def test_words_come_apart_at_humps_underscores_and_digits() -> None:
    assert [w.key for w in words("birthDate")] == [w.key for w in words("birth_date")] == ["birth", "date"]
    assert [w.key for w in words("form2")] == ["form", "2"]
    assert "birthdate" in keys(["birthDate"])
    assert key_of("2200") == "2200"


@settings(max_examples=60)
@given(st.text(alphabet="абвгдежзийклмнөүң", min_size=2, max_size=12))
def test_a_word_answers_itself_best(word: str) -> None:
    key = key_of(word)
    if key:
        assert likeness(key, key) == EXACT
        assert likeness(key, key + "dar") <= EXACT
