"""Unmapped codes and decisions as the catalogue keeps them; versions themselves: `test_codelists_kept`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kerege.catalogue import errors
from kerege.catalogue.codes import decisions
from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.codes.unmapped import (
    Shape,
    about_people,
    keep_unmapped,
    settle_unmapped,
    shown_code,
    speaks,
    unmapped,
)
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.inventory.masks import mask
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import CodeDecision, ConceptLink, Field, Finding, UnmappedCode
from kerege.catalogue.sources import Reading
from kerege.cli import main
from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.codelists.files import write_codelist
from kerege.semantics.crosswalks.sssom import OTHERS, Condition, Crosswalk, Row, write_sssom
from kerege.semantics.suggest.codes import Candidate, Suggestion
from kerege.semantics.suggest.evidence import CandidateSet, candidate_sets
from kerege.semantics.suggest.links import induce_from_links

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LABELS = {"ky": "бир", "ru": "один", "en": "one"}
HOW = Options()
ONE = CodeList("t:l", (Concept("1", LABELS), Concept("2", {"ky": "эки", "ru": "два", "en": "two"})), {"en": "L"}, "1")


def publish(kind: str, thing: str, version: str) -> None:
    for action, by in (("submit", "a"), ("approve", "b"), ("publish", "a")):
        lifecycle.act(lifecycle.Subject(kind, thing, version), action, by, "reason", NOW)


def run(*arguments: object, expect: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == expect, result.output
    return result


def test_unmapped_codes_are_counted_per_code_and_place_and_kept() -> None:
    keep_unmapped("t:w", "1", "here", {"X": 3, "Y": 1}, NOW)
    keep_unmapped("t:w", "1", "here", {"X": 2}, NOW + timedelta(1))
    keep_unmapped("t:w", "1", "there", {"X": 1}, NOW)
    assert [(v.code, v.place, v.records) for v in unmapped("t:w")] == [
        ("X", "here", 5),
        ("X", "there", 1),
        ("Y", "here", 1),
    ]
    first = unmapped("t:w")[0]
    assert (first.first_seen, first.last_seen) == (NOW, NOW + timedelta(1))


def test_a_code_that_a_row_answers_is_settled_and_open_again_when_it_comes_back() -> None:
    keep_unmapped("t:w", "1", "here", {"X": 1, "N": 1, "Y": 1}, NOW)
    codelists.import_crosswalk(Crosswalk("t:w", (Row("X", "1"), Row("N", None)), version="1"), "unit", NOW)
    subject = lifecycle.Subject("crosswalk", "t:w", "1")
    with pytest.raises(errors.CrosswalkNotInForce, match=r"version 1 of t:w is not in force \(in force: none\)"):
        settle_unmapped(subject, NOW)
    assert len(unmapped()) == 3, "a draft settles nothing"
    publish("crosswalk", "t:w", "1")
    assert [v.code for v in unmapped()] == ["Y"]
    keep_unmapped("t:w", "1", "here", {"X": 1}, NOW)
    assert {v.code for v in unmapped()} == {"X", "Y"}
    assert {v.code for v in unmapped(settled=True)} == {"X", "N", "Y"}


def profiled(people: Path, options: Options = HOW) -> None:
    made = doings.make_plan(harvest_source(str(people), options), options, NOW, location=str(people))
    doings.apply_plan(made.plan_id, NOW)


def imported(number: str, *rows: Row) -> None:
    codelists.import_crosswalk(Crosswalk("t:w", rows, version=number), "unit", NOW)
    publish("crosswalk", "t:w", number)


REGION = "people.csv#people.region"


def test_publishing_the_answer_to_a_code_closes_its_finding_with_the_version_as_evidence(people: Path) -> None:
    profiled(people)
    keep_unmapped("t:w", "", REGION, {"41799": 1, "41798": 1, "41797": 1}, NOW)
    keep_unmapped("t:w", "1", REGION, {"41799": 2}, NOW, found_by="exchange")
    keep_unmapped("t:other", "", REGION, {"41799": 1}, NOW)
    Finding.objects.filter(detail__startswith="41798").update(facts={})  # as it was kept before there were facts
    imported("2", Row("41799", "1"), Row("41798", None))
    assert {(f.evidence, f.settled_at) for f in Finding.objects.exclude(settled_at=None)} == {
        ("t:w 2: 41799 is 1", NOW),
        ("t:w 2: 41798 has no counterpart", NOW),
    }
    still = Finding.objects.filter(settled_at=None).order_by("detail")
    assert [f.facts for f in still] == [
        {"crosswalk": "t:w", "code": "41797"},
        {"crosswalk": "t:other", "code": "41799"},
    ]
    keep_unmapped("t:w", "", REGION, {"41799": 1}, NOW + timedelta(1))
    assert Finding.objects.filter(detail="41799 has no target in t:w", settled_at=None).count() == 1, "come again"


def test_a_row_that_holds_for_some_records_answers_no_count() -> None:
    rows = (
        Row("1", "M", valid_to=date(2010, 1, 1)),
        Row("2", "A", conditions=(Condition("kind", ("town",)),)),
        Row("3", "A", conditions=(Condition("kind", ("town",)),)),
        Row("3", "B"),
        Row("4", None, valid_from=date(2010, 1, 1)),
    )
    keep_unmapped("t:w", "", "here", dict.fromkeys("1234", 1), NOW)
    imported("1", *rows)
    assert {v.code for v in unmapped()} == {"1", "2", "4"}


def test_a_whole_clean_run_of_the_crosswalk_in_force_settles_what_nobody_can_answer(people: Path) -> None:
    profiled(people)
    imported("1", Row("41702", "1"))
    keep_unmapped("t:w", "", REGION, {"Асанова Айгуль": 1, "41798": 7, "41799": 1}, NOW)
    assert {v.code for v in unmapped()} == {"(Аа Аа)", "41798", "41799"}
    keep_unmapped("t:w", "", REGION, {}, NOW)
    keep_unmapped("t:w", "", "people.csv#people.pol", {}, NOW, whole="all of another column")
    keep_unmapped("t:w", "", REGION, {OTHERS: 1}, NOW, whole="a run that lost count")
    assert len(unmapped()) == 4
    keep_unmapped("t:w", "", REGION, {"41798": 1}, NOW, whole="60 values were looked at")
    assert [(v.code, v.records) for v in unmapped()] == [("41798", 8)]
    told = {f.facts["code"]: f.evidence for f in Finding.objects.all()}
    assert told == {"41798": "", **dict.fromkeys(("(Аа Аа)", "41799", OTHERS), "60 values were looked at")}


def test_a_code_known_for_other_records_is_not_gone_while_such_records_are_met() -> None:
    imported("1", Row("1", "M", valid_to=date(2010, 1, 1)), Row("2", "F"))
    keep_unmapped("t:w", "", "here", {"1": 1, "9": 1}, NOW)
    keep_unmapped("t:w", "", "here", {}, NOW, whole="all", undecided=True)
    assert {v.code for v in unmapped()} == {"1"}
    keep_unmapped("t:w", "", "here", {}, NOW, whole="all")
    assert unmapped() == []


def test_only_a_run_that_translates_as_the_crosswalk_in_force_shows_that_a_code_is_gone() -> None:
    walk = Crosswalk("t:w", (Row("X", "1"),), version="1")
    assert not speaks(walk), "a draft"
    imported("1", *walk.rows)
    assert speaks(replace(walk, version="", title="the same rows"))
    assert not speaks(replace(walk, rows=(*walk.rows, Row("Y", "2"))))
    assert not speaks(replace(walk, match="folded"))


@pytest.mark.parametrize(
    "code",
    [
        "Асанова Айгуль Бакытовна", "Ли Вера", "Асанова", "ИСАКОВ", "Ли", "ID1234567", "01.03.1990", "Конституциялык", "20101201500001",
        "a@b.kg",
    ],
)  # fmt: skip
def test_what_one_record_has_is_kept_as_its_mask_unless_it_is_too_short_to_be_anybodys(code: str) -> None:
    assert shown_code(code, records=1) == f"({mask(code)})"


@pytest.mark.parametrize("code", ["41799", "М", "Q", "1-2", "A12", "К4", OTHERS])
def test_a_short_code_is_kept_however_few_records_have_it(code: str) -> None:
    assert shown_code(code, records=1) == code


def test_what_k_records_share_is_kept_when_it_is_shaped_as_the_crosswalks_codes_are(people: Path) -> None:
    for code in ("KGA-04", "SEX_MALE", "41708000000010"):
        assert (shown_code(code, records=5), shown_code(code, records=4)) == (code, f"({mask(code)})")
    for code in ("Ысык-Көл облусу", "Асанова Айгуль Бакытовна", "Асанова", "Конституциялык"):
        assert shown_code(code, records=50) == f"({mask(code)})"
    wordings = Shape.of(
        Crosswalk("t:w", (Row("Чүй облусу", "1"), Row("Ош ш.", None), Row("Бир эки", None, "skos:relatedMatch")))
    )
    assert shown_code("Ысык-Көл облусу", records=5, shape=wordings) == "Ысык-Көл облусу"
    assert shown_code("Асанова Айгуль", records=50, shape=wordings) == "(Аа Аа)"
    assert shown_code("Ош ш.", records=1, shape=wordings) == "Ош ш.", "somebody decided on it"
    assert shown_code("Бир эки", records=1, shape=wordings) == "(Аа а)", "suggested from the register, and open"
    profiled(people)
    keep_unmapped("t:w", "", REGION, {"KGA-04": 5}, NOW)
    keep_unmapped("t:w", "", REGION, {"KGA-04": 1}, NOW)
    assert [(v.code, v.records) for v in unmapped()] == [("KGA-04", 6)], "told already"


def test_a_name_in_a_shifted_row_reaches_neither_the_desk_nor_the_finding(people: Path) -> None:
    profiled(people)
    doings.link_concept("people.csv", "people", "pol", "person.sex", "steward", NOW, "kg:sex")
    for place in ("people.csv#people.pol", "node:n1", "service:s"):
        keep_unmapped("t:w", "", place, {"Асанова Айгуль Бакытовна": 1, "Ли": 2, "X": 1}, NOW)
    assert {v.code for v in unmapped()} == {"(Аа Аа Аа)", "(Аа)", "X"}
    assert {f.facts["code"] for f in Finding.objects.all()} == {"(Аа Аа Аа)", "(Аа)", "X"}
    assert not any("Асанова" in f.detail or "Ли" in f.detail for f in Finding.objects.all())


def test_another_meaning_takes_the_code_list_of_the_one_before_along(people: Path) -> None:
    profiled(people)
    place = ("people.csv", "people", "fio")
    doings.link_concept(*place, "person.sex", "steward", NOW, "kg:sex")
    doings.link_concept(*place, "person.sex", "steward-2", NOW)
    assert Field.objects.get(name="fio").codelist == "kg:sex", "the same meaning"
    doings.link_concept(*place, "person.surname", "steward", NOW)
    assert Field.objects.get(name="fio").codelist == ""
    assert about_people("people.csv#people.fio")
    ConceptLink.objects.all().delete()
    Field.objects.filter(name="fio").update(codelist="kg:sex")
    assert about_people("people.csv#people.fio"), "a list without a meaning says nothing"


def test_what_looks_like_a_person_is_kept_as_its_mask_only() -> None:
    assert shown_code("20101201500001") == "(99999999999999)"
    assert shown_code("+996 555 123456") != "+996 555 123456"
    assert "Асанова" not in shown_code("Асанова Айгуль, село Ак-Суу, улица Ленина, дом 5")
    assert shown_code("41708") == "41708"
    keep_unmapped("t:w", "", "here", {"20101201500001": 1, "20202201500002": 1}, NOW)
    assert [(v.code, v.records) for v in unmapped()] == [("(99999999999999)", 2)]


def test_of_a_column_about_people_only_masks_are_kept_unless_it_holds_codes(people: Path) -> None:
    options = Options()
    made = doings.make_plan(harvest_source(str(people), options), options, NOW, location=str(people))
    doings.apply_plan(made.plan_id, NOW)
    assert Field.objects.get(name="fio").personal, "as the profile sees it"
    keep_unmapped("t:w", "", "people.csv#people.fio", {"Асанова": 1, "Исакова": 2}, NOW)
    keep_unmapped("t:w", "", "elsewhere.csv#t.fio", {"Асанова": 1}, NOW)
    assert [(v.code, v.records) for v in unmapped()] == [("(Аа)", 3), ("(Аа)", 1)]
    assert not Finding.objects.filter(detail__contains="Асанова").exists()
    field = Field.objects.get(name="fio")
    link = ConceptLink.objects.create(field=field, concept="person.sex", said_by="unit", linked_at=NOW)
    assert not about_people("people.csv#people.fio"), "personal, and a code of a list"
    ConceptLink.objects.filter(pk=link.pk).update(concept="school.code")
    assert not about_people("people.csv#people.fio"), "a steward says that it is not about people"
    assert not about_people("node:n1")


def test_noise_without_end_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerege.catalogue.codes.unmapped.MOST_CODES", 3)
    keep_unmapped("t:w", "", "here", {f"c{n}": 10 - n for n in range(8)}, NOW)
    kept = {v.code: v.records for v in unmapped()}
    assert kept == {"c0": 10, "c1": 9, "c2": 8, OTHERS: 7 + 6 + 5 + 4 + 3}
    assert UnmappedCode.objects.count() == 4


def test_an_unmapped_code_becomes_a_finding_on_its_column(people: Path) -> None:
    options = Options()
    made = doings.make_plan(harvest_source(str(people), options), options, NOW, location=str(people))
    doings.apply_plan(made.plan_id, NOW)
    place = "people.csv#people.region"
    keep_unmapped("t:w", "1", place, {"41799": 1}, NOW)
    keep_unmapped("t:w", "1", place, {"41799": 4}, NOW)
    (finding,) = Finding.objects.filter(kind="code-unknown")
    assert (finding.records, finding.detail) == (5, "41799 has no target in t:w")
    assert finding.field is not None
    assert finding.field.name == "region"


def test_a_recorded_run_of_a_mapping_keeps_its_unmapped_codes_and_a_clean_one_ends_them(tmp_path: Path) -> None:
    path = tmp_path / "vaccinations.csv"
    text = (
        "N_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS\n"
        "V1;Асанов Бек Маратович;2019-03-14;муж;Чуй облусу;;2026-01-10;Д\n"
        "V3;Сыдыков Эрлан Таалаевич;2019-02-03;Ж9;Сыдыков Эрлан;;2026-01-12;Д\n#ROWS;2\n"
    )

    def mapped(written: str, out: str) -> None:
        path.write_text(written, "utf-8")
        run("harmonise", path, "--mapping", "kg:health.vaccination", "--out", tmp_path / out, "--record")

    path.write_text(text, "utf-8")
    told = run(
        "harmonise", path, "--mapping", "kg:health.vaccination", "--out", tmp_path / "no.csv", "--record", expect=2
    )
    assert "kerege harvest" in told.output
    assert not (tmp_path / "no.csv").exists(), "asked before the run"
    profiled(path, Options(Reading(counted=True)))
    mapped(text, "a.csv")
    place = "vaccinations.csv#vaccinations"
    kept = {(v.crosswalk, v.place, v.code) for v in unmapped()}
    assert kept == {
        ("kg:health-sex--sex", f"{place}.POL", "Ж9"),
        ("kg:health-region--soate", f"{place}.OBLAST", "(Аа Аа)"),
    }
    assert Finding.objects.filter(kind="code-unknown", settled_at=None).count() == 2
    mapped(text.replace("Ж9", ""), "b.csv")
    assert {v.code for v in unmapped()} == {"(Аа Аа)"}
    mapped("\n".join([*text.splitlines()[:2], "#ROWS;1", ""]), "c.csv")
    assert unmapped() == []
    assert {f.evidence for f in Finding.objects.all()} == {"not met among the 1 value of a whole run"}


def sets() -> list[CandidateSet]:
    return [
        CandidateSet(s.source_code, s.candidates, s.decision, s.reason)
        for s in candidate_sets(
            [
                Suggestion("a", (Candidate("1", 0.97), Candidate("2", 0.4)), "accept", "same-name"),
                Suggestion("b", (Candidate("2", 0.7), Candidate("1", 0.6)), "unsure", "too-close-to-call"),
                Suggestion("c", (Candidate("3", 0.95),), "accept", "spelling"),
                Suggestion("d", (), "none", "nothing-alike"),
            ],
            induce_from_links([("b", "1")] * 9 + [("b", "2")]),
        )
    ]


def test_labels_and_links_make_one_candidate_set_with_both_evidences() -> None:
    found = {s.source_code: s for s in sets()}
    assert (found["b"].decision, found["b"].reason, found["b"].best) == ("accept", "linked-records", "1")
    assert [c.evidence() for c in found["b"].candidates] == [
        {"label": 0.6, "links": {"records": 9, "share": 0.9}},
        {"label": 0.7, "links": {"records": 1, "share": 0.1}},
    ]
    assert found["a"].candidates[0].evidence() == {"label": 0.97}


def test_every_decision_is_kept_as_truth_and_measured() -> None:
    assert decisions.keep_suggestions("t:w", "r1", sets(), {"a": "A"}, {"1": "One"}, NOW) == 4
    decisions.decide("t:w", "a", "accepted", "unit", NOW, target="1")
    decisions.decide("t:w", "b", "accepted", "unit", NOW, target="2")
    decisions.decide("t:w", "c", "no-counterpart", "unit", NOW)
    decisions.decide("t:w", "d", "accepted", "unit", NOW, target="7")
    result = decisions.measure("t:w")
    assert (result.codes, result.with_target) == (4, 3)
    assert (result.hit1, result.hit5) == (round(1 / 3, 4), round(2 / 3, 4))
    assert (result.accepted_alone, result.wrong, result.wrong_rate) == (3, 2, round(2 / 3, 4))
    assert decisions.measure("t:other").hit1 is None
    view = next(v for v in decisions.decisions() if v.code == "b")
    assert (view.said, view.first, view.rank) == ("accept", "1", 2)


def test_a_refusal_of_what_the_engine_accepted_counts_as_wrong() -> None:
    decisions.keep_suggestions("t:w", "r1", sets(), {}, {}, NOW)
    decisions.decide("t:w", "a", "refused", "unit", NOW, target="1")
    decisions.decide("t:w", "a", "refused", "unit", NOW, target="2")
    assert (decisions.measure().accepted_alone, decisions.measure().wrong) == (1, 1)
    assert "a" in {w.code for w in decisions.waiting()}, "a refusal alone settles nothing"


def test_what_somebody_denied_is_not_suggested_again() -> None:
    walk = Crosswalk("t:w", (Row("a", "1", predicate_modifier="Not"), Row("d", None), Row("", "3")), version="1")
    codelists.import_crosswalk(walk, "unit", NOW)
    decisions.decide("t:w", "b", "refused", "unit", NOW, target="1")
    found = {s.source_code: s for s in decisions.not_denied("t:w", sets())}
    assert "d" not in found, "it has no counterpart, and nobody is asked twice"
    assert [(s.decision, s.reason, s.best) for s in found.values()] == [
        ("unsure", "best-denied", "2"), ("unsure", "best-denied", "2"), ("none", "best-denied", None),
    ]  # fmt: skip
    decisions.decide("t:w", "b", "accepted", "unit", NOW, target="1")
    assert {s.source_code: s.best for s in decisions.not_denied("t:w", sets())}["b"] == "1", "accepted after all"
    assert decisions.not_denied("t:other", sets()) == sets()


def test_overturning_what_somebody_else_decided_needs_a_reason_and_keeps_both() -> None:
    decisions.decide("t:w", "a", "accepted", "one unit", NOW, target="1")
    with pytest.raises(
        errors.DecisionRefused, match=r"one unit decided otherwise \(accepted 1\) and no reason is given"
    ):
        decisions.decide("t:w", "a", "accepted", "another", NOW, target="2")
    decisions.decide("t:w", "a", "accepted", "another", NOW, target="2", reason="merged in 2024")
    assert [v.target for v in decisions.decisions()] == ["2", "1"]


@pytest.mark.parametrize(
    ("verdict", "target", "by", "reason"),
    [
        ("accepted", "", "u", "needs a target"),
        ("no-counterpart", "1", "u", "has no target"),
        ("perhaps", "1", "u", "is not accepted"),
        ("accepted", "1", " ", "who decides"),
    ],
)
def test_half_a_decision_is_not_kept(verdict: str, target: str, by: str, reason: str) -> None:
    with pytest.raises(errors.DecisionRefused, match=reason):
        decisions.decide("t:w", "a", verdict, by, NOW, target=target)
    assert not CodeDecision.objects.exists()


def test_the_queue_shows_unsure_codes_first_with_their_evidence() -> None:
    unsure = [CandidateSet("u", sets()[1].candidates, "unsure", "records-disagree")]
    decisions.keep_suggestions("t:w", "r1", [*sets()[:1], *unsure], {"u": "U"}, {"1": "One"}, NOW)
    first, second = decisions.waiting()
    assert (first.code, first.label, second.code) == ("u", "U", "a")
    assert first.candidates[0]["label"] == "One"
    assert first.candidates[0]["evidence"]["links"]["records"] == 9
    decisions.decide("t:w", "u", "accepted", "unit", NOW, target="1")
    assert [w.code for w in decisions.waiting()] == ["a"]


def test_the_commands_import_compare_export_and_list(tmp_path: Path) -> None:
    one, two = tmp_path / "l1.xlsx", tmp_path / "l2.ttl"
    one.write_bytes(write_codelist(ONE, "xlsx"))
    two.write_bytes(write_codelist(replace(ONE, version="2", concepts=ONE.concepts[:1]), "turtle"))
    said = run("codelist", "import", one, "--id", "t:l", "--version", "1", "--title", "en=L", "--by", "unit").output
    assert "t:l 1: 2 codes, kept." in said
    assert "Follows 1." in run("codelist", "import", two, "--by", "unit").output
    assert "! gone          2" in run("codelist", "diff", "t:l@1", "t:l@2", expect=1).output
    listed = json.loads(run("codelist", "list", "--versions", "--json").output)
    assert [(v["id"], v["version"], v["follows"]) for v in listed] == [("t:l", "1", ""), ("t:l", "2", "1")]
    out = tmp_path / "out.json"
    run("codelist", "export", "t:l@1", "--out", out)
    assert json.loads(out.read_bytes())["data"]["codelists"][0]["codes"][1]["names"]["ky"] == "эки"
    assert "catalogue.output_exists" in run("codelist", "export", "t:l@1", "--out", out, expect=2).output
    assert "catalogue.codelist_version_unknown" in run("codelist", "show", "t:l@7", expect=2).output


def test_the_commands_check_files_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "l.ttl"
    path.write_bytes(
        write_codelist(
            replace(ONE, concepts=(Concept("a", LABELS, broader="b"), Concept("b", LABELS, broader="a"))), "turtle"
        )
    )
    assert "it is above itself: a -> b -> a" in run("codelist", "check", path, expect=1).output
    table = tmp_path / "l.csv"
    table.write_text("notation,en,broader\n1,one,2\n2,two,1\n", "utf-8")
    found = json.loads(run("codelist", "check", table, "--json", expect=1).output)
    assert [f["code"] for f in found[0]["findings"] if f["severity"] == "error"] == ["cycle", "cycle"]


def test_the_commands_keep_what_is_suggested_and_decided_and_measure_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,label\nA,Alpha\nB,Beta\nC,Gamma\n", "utf-8")
    (tmp_path / "b.csv").write_text("id,title\n1,Alpha\n2,Betta\n3,Delta\n", "utf-8")
    (tmp_path / "links.csv").write_text("a,b\n" + "C,3\n" * 5, "utf-8")
    walk = tmp_path / "w.sssom.tsv"
    run("crosswalk", "suggest", tmp_path / "a.csv", tmp_path / "b.csv", "--code", "code", "--label", "label", "--to-code", "id",
        "--to-label", "title", "--links", tmp_path / "links.csv", "--out", walk)  # fmt: skip
    assert "[5 linked records, 100%]" in run("crosswalk", "decisions", "--waiting").output
    run("crosswalk", "accept", walk, "A", "1", "--by", "unit")
    run("crosswalk", "refuse", walk, "B", "--by", "unit")
    run("crosswalk", "accept", walk, "C", "3", "--by", "unit")
    measured = json.loads(run("crosswalk", "decisions", "--measure", "--json").output)
    assert (measured["codes"], measured["hit1"], measured["hit5"]) == (3, 1.0, 1.0)
    assert "right first          100.0%" in run("crosswalk", "decisions", "w", "--measure").output
    assert "B no-counterpart" in run("crosswalk", "decisions").output
    assert "0 findings" in run("crosswalk", "check", walk).output
    assert "kept." in run("crosswalk", "import", walk, "--by", "unit").output


def test_a_crosswalk_file_that_maps_a_code_twice_fails_its_check(tmp_path: Path) -> None:
    path = tmp_path / "w.sssom.tsv"
    path.write_bytes(write_sssom(Crosswalk("t:w", (Row("a", "1"), Row("a", "2")))))
    assert "mapped_twice" in run("crosswalk", "check", path, expect=1).output
    keep_unmapped("t:w", "", "node:n1", {"Q": 7}, NOW)
    assert "        7  Q" in run("crosswalk", "unmapped").output
    assert json.loads(run("crosswalk", "unmapped", "t:w", "--json").output)[0]["place"] == "node:n1"


def test_a_recorded_run_of_harmonise_keeps_its_unmapped_codes_for_the_columns_owner(
    people: Path, tmp_path: Path
) -> None:
    options = Options()
    made = doings.make_plan(harvest_source(str(people), options), options, NOW, location=str(people))
    doings.apply_plan(made.plan_id, NOW)
    walk = tmp_path / "w.sssom.tsv"
    walk.write_bytes(write_sssom(Crosswalk("t:w", tuple(Row(c, c) for c in ("41702", "41703", "41708")))))
    run("harmonise", people, "--column", f"region:{walk}", "--out", tmp_path / "out.csv", "--record")
    (view,) = unmapped("t:w")
    assert (view.code, view.records, view.place, view.owner) == ("41799", 1, "people.csv#people.region", "")
    doings.name_owner(
        "people.csv", "people", "region", "70000001", "Registry unit", "Act 1, article 2", NOW, by="steward-1"
    )
    assert unmapped("t:w")[0].owner == "70000001 Registry unit"
