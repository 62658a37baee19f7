"""Collectors add up, and count what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kerege.delivery.facts import (
    CodeListCounts,
    CodeListFacts,
    ContractRun,
    ContractTestFacts,
    DenialProbe,
    MessageLogFacts,
    NodeMessages,
    Owners,
    Subject,
    collect_access_denials,
    collect_code_lists,
    collect_contract_tests,
    collect_message_log,
    collect_owners,
)

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SUBJECT = Subject("grade1-admission", "ab" * 32, NOW - timedelta(hours=1), NOW)


def test_a_data_service_that_was_not_tested_is_counted_as_untested() -> None:
    runs = (ContractRun("a", "m", 5, 0), ContractRun("b", "m", 0, 0))
    evidence = collect_contract_tests(ContractTestFacts(runs, frozenset("abc")), SUBJECT, NOW)
    assert evidence.facts == {"passed": 5, "failed": 0, "services_untested": 2}
    assert (evidence.sample, evidence.collector, evidence.criterion) == (5, "platform:contract-tests", "G2-01")


def test_one_nodes_surplus_never_covers_another_nodes_gap() -> None:
    nodes = (NodeMessages("edu", 10, 12, 12), NodeMessages("reg", 10, 8, 7))
    evidence = collect_message_log(MessageLogFacts(nodes, frozenset({"edu", "reg", "far"})), SUBJECT, NOW)
    assert evidence.facts == {
        "monitored": 20,
        "logged": 20,
        "not_logged": 2,
        "not_verified": 1,
        "nodes_unheard": 1,
    }


def test_a_code_list_nobody_used_proves_nothing() -> None:
    counts = (CodeListCounts("kg:a", 90, 3, 2), CodeListCounts("kg:b", 0, 0, 0))
    evidence = collect_code_lists(CodeListFacts(counts, frozenset({"kg:a", "kg:b", "kg:c"})), SUBJECT, NOW)
    assert evidence.facts == {"values_seen": 90, "values_unmapped": 3, "codes_unmapped": 2, "lists_unseen": 2}


def test_a_node_that_is_down_refuses_nobody() -> None:
    probes = [DenialProbe("c", "d", "denied"), DenialProbe("c", "d", "error"), DenialProbe("c", "d", "answered")]
    evidence = collect_access_denials(probes, SUBJECT, NOW)
    assert evidence.facts == {"probes": 3, "denied": 1, "leaked": 1, "undecided": 1}


def test_owners_must_be_four_different_people_in_office() -> None:
    owners = Owners("a", "b", "c", "d")
    assert owners.faults() == ()
    assert collect_owners(owners, "abcd", SUBJECT, NOW).facts == {"named": 4, "different_people": True, "gone": 0}
    assert collect_owners(owners, "abc", SUBJECT, NOW).facts["gone"] == 1
    assert "one person" in Owners("a", "b", "a", "d").faults()[0]
    assert "two of the four" in Owners("a", "b", "c", "b").faults()[0]
    assert "missing" in Owners("a", "b", "c", "").faults()[0]


def test_a_negative_count_is_a_bug() -> None:
    with pytest.raises(ValueError, match="never negative"):
        collect_code_lists(CodeListFacts((CodeListCounts("kg:a", -1, 0, 0),), frozenset()), SUBJECT, NOW)


def test_changing_any_part_of_evidence_changes_its_digest() -> None:
    first = collect_access_denials([DenialProbe("c", "d", "denied")], SUBJECT, NOW)
    later = collect_access_denials([DenialProbe("c", "d", "denied")], SUBJECT, NOW + timedelta(seconds=1))
    assert first.digest() != later.digest()
