"""A version of a code list is not put in force, nor ended, over the head of a crosswalk that leads to a code which goes with it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from kerege.catalogue import errors
from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.codes.consequences import hits_of
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle import together
from kerege.catalogue.lifecycle.doings import Action, Subject
from kerege.catalogue.packs import crosswalk_in_force, current_pack
from kerege.cli import main
from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.crosswalks.sssom import Crosswalk, Row

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
LABELS = {"ky": "бир", "ru": "один", "en": "one"}
ONE, TWO, THREE = (Concept(code, LABELS | {"en": code}) for code in "123")
LIST = CodeList("t:l", (ONE, TWO), {"en": "L"}, "1")
FIRST, SECOND = Subject("codelist", "t:l", "1"), Subject("codelist", "t:l", "2")
WALK = Subject("crosswalk", "t:w", "2")


def approved(subject: Subject) -> None:
    lifecycle.act(subject, "submit", "a", "ready", NOW)
    lifecycle.act(subject, "approve", "b", "read", NOW)


def walk(version: str, target: str) -> None:
    made = Crosswalk("t:w", (Row("x", target),), subject_source="t:s", object_source="t:l", version=version)
    codelists.import_crosswalk(made, "unit", NOW)


@pytest.fixture
def standing() -> None:
    """List 1 (codes 1, 2) and a crosswalk to 2 in force; list 2 (codes 1, 3) approved."""
    codelists.import_codelist(LIST, "unit", NOW)
    walk("1", "2")
    for subject in (FIRST, Subject("crosswalk", "t:w", "1")):
        approved(subject)
        lifecycle.act(subject, "publish", "a", "go", NOW)
    codelists.import_codelist(replace(LIST, version="2", concepts=(ONE, THREE)), "unit", NOW)
    approved(SECOND)


def test_a_list_without_a_code_that_a_crosswalk_in_force_leads_to_is_not_published(standing: None) -> None:
    with pytest.raises(
        errors.LifecycleBreaks, match="crosswalk t:w 1, in force, leads to 2, which t:l 2 would not have"
    ):
        lifecycle.act(SECOND, "publish", "a", "go", LATER)
    assert lifecycle.in_force("codelist", "t:l") == "1"
    assert [h.node.key for h in hits_of(SECOND, Action.PUBLISH)] == ["t:l", "t:w"]
    walk("2", "1")  # what follows it is published first: to a code of both
    approved(WALK)
    lifecycle.act(WALK, "publish", "a", "go", LATER)
    lifecycle.act(SECOND, "publish", "a", "go", LATER)
    assert lifecycle.in_force("codelist", "t:l") == "2"


@pytest.mark.parametrize("action", ["retire", "deprecate"])
def test_the_last_version_of_a_list_is_not_ended_while_a_crosswalk_in_force_leads_to_it(
    standing: None, action: str
) -> None:
    lifecycle.act(FIRST, "deprecate", "a", "old", NOW)
    if action == "deprecate":  # of the newest: the one before comes back, which lacks a code by then
        lifecycle.act(FIRST, "reinstate", "a", "needed", NOW)
        walk("2", "3")
        approved(WALK)
        together.publish([SECOND, WALK], "a", "go", LATER)
    subject, lost = (FIRST, "2") if action == "retire" else (SECOND, "3")
    with pytest.raises(errors.LifecycleBreaks, match=f"in force, leads to {lost}"):
        lifecycle.act(subject, action, "a", "old", LATER)
    done = lifecycle.act(subject, action, "a", "old", LATER, accepting="the register closes")
    assert done.evidence["accepted_because"] == "the register closes"
    assert f"leads to {lost}" in done.evidence["accepted"][0]


def test_a_list_and_the_crosswalk_that_follows_it_are_published_together_or_neither(
    standing: None, ledger: Any
) -> None:
    walk("2", "3")
    approved(WALK)
    with pytest.raises(errors.LifecycleBlocked, match="leads to 3, which t:l 1, in force, does not have"):
        lifecycle.act(WALK, "publish", "a", "go", LATER)
    before = len(ledger.entries)
    with pytest.raises(errors.LifecycleBlocked):
        together.publish([WALK, SECOND], "a", "go", LATER, ledger=ledger)
    missing = Subject("crosswalk", "t:w", "1")
    with pytest.raises(errors.LifecycleBreaks):
        together.publish([SECOND, missing], "a", "go", LATER, ledger=ledger)
    assert (len(ledger.entries), lifecycle.in_force("codelist", "t:l")) == (before, "1")
    together.publish([SECOND, WALK], "a", "go", LATER, ledger=ledger)
    assert len(ledger.entries) == before + 2
    found = crosswalk_in_force("t:w")
    assert found is not None
    assert found.table == {"x": "3"}


def test_a_list_of_which_nothing_goes_is_published_as_ever(standing: None) -> None:
    codelists.import_codelist(replace(LIST, version="3", concepts=(ONE, TWO, THREE)), "unit", NOW)
    approved(Subject("codelist", "t:l", "3"))
    lifecycle.act(Subject("codelist", "t:l", "3"), "publish", "a", "go", LATER)
    assert lifecycle.breaks(Subject("codelist", "t:l", "1"), "deprecate") == ()


def test_what_else_rests_on_a_code_is_named(standing: None) -> None:
    sex = current_pack().codelist("kg:sex")
    short = replace(sex, version="9", concepts=tuple(c for c in sex if c.notation != "1"))
    codelists.import_codelist(short, "unit", NOW)
    told = lifecycle.breaks(Subject("codelist", "kg:sex", "9"), "publish")
    assert any("kg:civil-sex--sex" in one and "leads to 1" in one for one in told)
    assert "mapping kg:civil.birth-record changes" in told[-1]
    assert "service grade1-admission changes" in told[-1]


def test_the_command_shows_what_a_step_would_break_and_takes_it_with_a_reason(standing: None) -> None:
    shown = CliRunner().invoke(main, ["lifecycle", "show", "codelist", "t:l", "2"])
    assert "publish would break: the crosswalk t:w 1, in force, leads to 2" in shown.output
    assert "    breaks   crosswalk t:w: row 1 leads to it" in shown.output
    as_json = CliRunner().invoke(main, ["lifecycle", "show", "codelist", "t:l", "2", "--json"])
    assert "leads to 2" in json.loads(as_json.output)["breaks"]["publish"][0]
    command = ["lifecycle", "act", "publish", "codelist", "t:l", "2", "--by", "a", "--reason", "go"]
    refused = CliRunner().invoke(main, command)
    assert (refused.exit_code, "catalogue.lifecycle_breaks" in refused.output) == (2, True)
    done = CliRunner().invoke(main, [*command, "--accept", "nobody uses x"])
    assert done.output == "codelist t:l version 2 is published.\n"
