"""The approval life cycle: what follows what, four eyes, and that nothing is ever rewritten."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.catalogue import errors
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle import kinds as lifecycle_kinds
from kerege.catalogue.lifecycle.doings import Action, State, Subject, act, history, in_force, status
from kerege.catalogue.lifecycle.rules import TRANSITIONS, Step, allowed, rule, state_after, submitter
from kerege.catalogue.models import ContractVersion, LifecycleAction
from kerege.identity.errors import HistoryFixed

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
SEX = Subject("mapping", "kg:sex", "2.0")  # a kind without a condition of its own


def do(*actions: tuple[str, str], subject: Subject = SEX, start: datetime = NOW, **how: Any) -> None:
    for n, (action, by) in enumerate(actions):
        act(subject, action, by, f"because of {action}", start + timedelta(minutes=n), **how)


PUBLISHED = (("submit", "asanova"), ("approve", "bekov"), ("publish", "asanova"))


@pytest.mark.django_db
def test_what_nobody_touched_is_a_draft_that_may_be_submitted() -> None:
    found = status(SEX)
    assert (found.state, found.since, found.actions) == (State.DRAFT, None, 0)
    assert Action.SUBMIT in found.allowed
    assert Action.PUBLISH not in found.allowed


@pytest.mark.django_db
def test_every_action_is_kept_with_who_when_why_and_on_what_evidence() -> None:
    act(SEX, "submit", "asanova", "two codes added", NOW, evidence={"diff": "sha256:ab", "codes": 2})
    (only,) = history(SEX)
    assert (only.by, only.reason, only.at, only.evidence) == (
        "asanova",
        "two codes added",
        NOW,
        {"diff": "sha256:ab", "codes": 2},
    )
    assert only.leads_to is State.SUBMITTED
    assert status(SEX).as_dict()["submitted_by"] == "asanova"


@pytest.mark.django_db
def test_from_draft_to_retired_by_two_people() -> None:
    do(*PUBLISHED, ("deprecate", "bekov"), ("retire", "bekov"))
    assert [a.leads_to.value for a in history(SEX)] == ["submitted", "approved", "published", "deprecated", "retired"]
    assert status(SEX).allowed == ()


@pytest.mark.django_db
@pytest.mark.parametrize("same", ["asanova", "Asanova", " asanova  ", "ａｓａｎｏｖａ"])
def test_who_submits_may_not_approve_however_the_name_is_written(same: str) -> None:
    do(("submit", "asanova"))
    with pytest.raises(errors.FourEyes) as error:
        act(SEX, "approve", same, "fine", NOW)
    assert "withdraw" in error.value.next_step
    assert len(history(SEX)) == 1


@pytest.mark.django_db
def test_who_submitted_before_it_was_returned_may_approve_what_another_submitted_then() -> None:
    do(("submit", "asanova"), ("return", "bekov"), ("submit", "bekov"), ("approve", "asanova"))
    assert status(SEX).state is State.APPROVED


@pytest.mark.django_db
def test_a_refused_transition_names_what_is_allowed() -> None:
    do(("submit", "asanova"))
    with pytest.raises(errors.LifecycleRefused) as error:
        act(SEX, "publish", "bekov", "now", NOW)
    assert error.value.params["state"] == "submitted"
    assert error.value.next_step == "Allowed now: approve, return."


@pytest.mark.django_db
def test_only_the_submitter_takes_a_submission_back() -> None:
    do(("submit", "asanova"))
    with pytest.raises(errors.LifecycleRefused, match="asanova"):
        act(SEX, "withdraw", "bekov", "no", NOW)
    act(SEX, "withdraw", "asanova", "not finished", NOW)
    assert status(SEX).state is State.DRAFT


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "how"),
    [
        ("reason", {"reason": "  "}),
        ("by", {"by": ""}),
        ("by", {"by": "x" * 201}),
        ("reason", {"reason": "x" * 2001}),
        ("a known action", {"action": "erase"}),
        ("evidence", {"evidence": {"share": 0.5}}),
        ("evidence", {"evidence": {"all": "x" * 9000}}),
    ],
)
def test_an_action_without_reason_person_or_sense_is_refused(field: str, how: dict[str, Any]) -> None:
    told = {"action": "submit", "by": "asanova", "reason": "ready", **how}
    with pytest.raises(errors.ActionIncomplete) as error:
        act(SEX, told["action"], told["by"], told["reason"], NOW, evidence=told.get("evidence"))
    assert error.value.params["field"] == field
    assert history(SEX) == ()


@pytest.mark.django_db
def test_actions_are_written_once() -> None:
    do(("submit", "asanova"))
    row = LifecycleAction.objects.get()
    row.by = "bekov"
    with pytest.raises(HistoryFixed):
        row.save()
    with pytest.raises(HistoryFixed):
        LifecycleAction.objects.all().delete()


@pytest.mark.django_db
def test_what_binds_is_in_the_ledger_with_its_digest(ledger: Any) -> None:
    do(*PUBLISHED, ledger=ledger)
    assert [e.body["action"] for e in ledger.entries] == ["approve", "publish"]
    done = history(SEX)
    assert [e.body["digest"] for e in ledger.entries] == [a.digest for a in done[1:]]
    assert [a.ledger_index for a in done] == [None, 0, 1]


@pytest.mark.django_db
def test_consumers_get_the_version_published_last_and_a_deprecated_one_only_when_there_is_no_other() -> None:
    one, two = Subject("mapping", "births", "1.0"), Subject("mapping", "births", "2.0")
    assert in_force("mapping", "births") is None
    do(*PUBLISHED, subject=one)
    do(*PUBLISHED, subject=two, start=NOW + timedelta(days=1))
    assert in_force("mapping", "births") == "2.0"
    assert in_force("mapping", "births", as_of=NOW + timedelta(hours=1)) == "1.0"
    do(("deprecate", "bekov"), subject=two, start=NOW + timedelta(days=2))
    assert in_force("mapping", "births") == "1.0"
    do(("deprecate", "bekov"), ("retire", "bekov"), subject=one, start=NOW + timedelta(days=3))
    assert in_force("mapping", "births") == "2.0"


@pytest.mark.django_db
def test_a_status_is_asked_for_as_of_a_moment() -> None:
    do(*PUBLISHED)
    assert status(SEX, as_of=NOW).state is State.SUBMITTED
    assert status(SEX, as_of=NOW - timedelta(seconds=1)).state is State.DRAFT


@pytest.mark.django_db
def test_versions_in_one_state_are_listed_with_the_newest_first() -> None:
    other = Subject("vocabulary", "civil-sex--sex", "1")
    do(("submit", "asanova"))
    do(("submit", "asanova"), subject=other, start=NOW + timedelta(hours=1))
    assert [s.subject for s in lifecycle.subjects(state="submitted")] == [other, SEX]
    assert [s.subject for s in lifecycle.subjects(kind="mapping")] == [SEX]
    assert lifecycle.subjects(state=State.PUBLISHED) == []


@pytest.mark.django_db
def test_a_kinds_own_condition_blocks_with_all_its_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    conditions = ModuleType("conditions_of_code_lists")
    conditions.against = lambda subject, now: ["a cycle", "no Kyrgyz label"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, conditions.__name__, conditions)
    monkeypatch.setitem(lifecycle_kinds.CONDITIONS, ("mapping", "publish"), f"{conditions.__name__}:against")
    do(("submit", "asanova"), ("approve", "bekov"))
    with pytest.raises(errors.LifecycleBlocked, match="a cycle; no Kyrgyz label"):
        act(SEX, "publish", "bekov", "now", NOW + timedelta(hours=1))
    assert status(SEX).state is State.APPROVED


@pytest.mark.parametrize(
    "other",
    [
        "ASANOVA",
        " asanova ",
        "asa\u200bnova",
        "\uff41sanova",
        "\u0430sanova",
        "as\u0430n\u043ev\u0430",
        "\u0410SANOVA",
        "asanova\u0301",
    ],
)
@pytest.mark.django_db
def test_letters_that_look_alike_and_characters_nobody_sees_make_no_second_pair_of_eyes(other: str) -> None:
    do(("submit", "asanova"))
    with pytest.raises((errors.FourEyes, errors.ActionIncomplete)):
        act(SEX, "approve", other, "looked at it", NOW + timedelta(hours=1))
    assert status(SEX).state is State.SUBMITTED


@pytest.mark.django_db
def test_an_action_cannot_be_put_before_the_one_it_follows() -> None:
    do(("submit", "asanova"), start=NOW)
    with pytest.raises(errors.LifecycleRefused, match="before the last action"):
        act(SEX, "approve", "bekov", "backdated", NOW - timedelta(seconds=1))
    act(SEX, "approve", "bekov", "in the same second", NOW)
    assert status(SEX, NOW - timedelta(seconds=1)).state is State.DRAFT


@pytest.mark.parametrize("kind", ["codelist", "crosswalk", "contract"])
@pytest.mark.django_db
def test_what_is_not_there_cannot_be_submitted_and_so_approved_before_anybody_could_see_it(kind: str) -> None:
    with pytest.raises(errors.LifecycleBlocked):
        act(Subject(kind, "kg:later", "1.0.0"), "submit", "asanova", "content follows", NOW)
    assert history(Subject(kind, "kg:later", "1.0.0")) == ()


@pytest.mark.parametrize(
    ("kind", "thing", "version"),
    [("Codelist", "x", "1"), ("", "x", "1"), ("codelist", " ", "1"), ("codelist", "x\n", "1"), ("codelist", "x", "")],
)
def test_a_subject_that_cannot_be_named_is_none(kind: str, thing: str, version: str) -> None:
    with pytest.raises(ValueError):
        Subject(kind, thing, version)


PEOPLE = st.sampled_from(["asanova", "bekov", "chynara"])


@given(st.lists(st.tuples(st.sampled_from(Action), PEOPLE), max_size=25))
def test_whatever_is_tried_nothing_is_published_that_its_own_submitter_approved(
    tries: list[tuple[Action, str]],
) -> None:
    steps: list[Step] = []
    for action, by in tries:
        ruling = rule(steps, action, by)
        assert ruling.allowed == (action in allowed(steps, by))
        if ruling.allowed:
            if action is Action.APPROVE:
                assert by != submitter(steps)
            steps.append(Step(action, by))
            assert state_after(steps) is ruling.leads_to
    done = [s.action for s in steps]
    if Action.PUBLISH in done:
        before = done[: done.index(Action.PUBLISH)]
        assert Action.APPROVE in before
        assert Action.SUBMIT in before


def test_every_state_can_be_reached_and_only_retired_is_an_end() -> None:
    reached = {State.DRAFT} | {to for following in TRANSITIONS.values() for to in following.values()}
    assert reached == set(State) == set(TRANSITIONS)
    assert [s for s, following in TRANSITIONS.items() if not following] == [State.RETIRED]


def test_a_damaged_history_is_noticed() -> None:
    with pytest.raises(ValueError, match="action 1 is publish"):
        state_after([Step(Action.PUBLISH, "asanova")])


@pytest.mark.django_db
def test_who_added_a_contract_does_not_approve_what_somebody_else_submitted_for_him() -> None:
    ContractVersion.objects.create(
        contract="t:c", version="1", document={}, fingerprint="f", added_at=NOW, added_by="bekov"
    )
    subject = Subject("contract", "t:c", "1")
    do(("submit", "asanova"), subject=subject)
    with pytest.raises(errors.FourEyes, match="Bekov made it and may not approve it"):
        act(subject, "approve", "Bekov", "fine", NOW + timedelta(hours=1))
    act(subject, "approve", "chyngyzov", "fine", NOW + timedelta(hours=1))


def test_every_condition_names_a_function_that_is_there() -> None:
    for (kind, action), target in (*lifecycle_kinds.CONDITIONS.items(), *lifecycle_kinds.EFFECTS.items()):
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), target
        assert Subject(kind, "x", "1")
        assert Action(action)
