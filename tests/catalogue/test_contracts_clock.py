"""A contract's end: deprecated with a clock, consumers told, retired when its time is over or nobody uses it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contract_births import ENDS, ME, NOW, SERVICE, called, made, put
from hypothesis import given
from hypothesis import strategies as st

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts import queries as contract_queries
from kerege.catalogue.contracts.clock import FRESH, QUIET, Clock, Use, may_retire
from kerege.catalogue.contracts.ended import BY, end_what_is_over
from kerege.catalogue.errors import DeprecationRefused, LifecycleBlocked
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import Dataset, NodeReading
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.membership import doings as membership
from kerege.membership.queries import network_view

pytestmark = pytest.mark.django_db


def test_deprecating_notes_whom_it_concerns_by_calls_and_by_rights(dataset: Dataset, ledger: Any) -> None:
    put(made())
    called("KG/GOV/70000009/other")
    membership.grant_right(
        SubsystemId.parse("KG/GOV/70000003/admission"), DataServiceId.parse(SERVICE), ENDS, ledger=ledger, now=NOW
    )
    found = contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "sex moves", NOW)
    told = {(n.consumer, n.why, n.calls) for n in found.notices.all()}
    assert told == {("KG/GOV/70000009/other", "calls", 7), ("KG/GOV/70000003/admission", "right", 0)}
    called("KG/GOV/70000008/late")
    assert [n.consumer for n in contracts.note_consumers(found, NOW)] == ["KG/GOV/70000008/late"]
    assert [(c.version, c.days_left) for c in contract_queries.clocks(NOW)[0]] == [("1.0.0", 221)]
    (view,) = contract_queries.contracts(NOW)
    assert view.deprecation is not None
    assert (view.deprecation.days_left, len(view.deprecation.told)) == (221, 3)


def test_a_deprecation_ends_in_the_future(dataset: Dataset) -> None:
    put(made())
    with pytest.raises(DeprecationRefused):
        contracts.deprecate("kg:birth", "1.0.0", NOW, ME, "now", NOW)
    assert contract_queries.contracts(NOW)[0].state == "published"


def test_a_contract_in_use_is_not_retired_before_its_last_second_is_over(dataset: Dataset) -> None:
    put(made())
    called(last=ENDS - timedelta(days=1))
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    for early in (ENDS - timedelta(days=1), ENDS, ENDS + timedelta(microseconds=999_999)):
        with pytest.raises(LifecycleBlocked, match="use it"):
            contracts.retire("kg:birth", "1.0.0", ME, "over", early)
        assert len(network_view(NOW).picture.contracts) == 1
    contracts.retire("kg:birth", "1.0.0", ME, "over", ENDS + timedelta(seconds=1))
    assert network_view(NOW).picture.contracts == ()
    assert contract_queries.contracts(NOW)[0].state == "retired"


def test_the_clock_ends_a_version_whose_term_is_over_and_no_node_gets_it(dataset: Dataset, ledger: Any) -> None:
    put(made())
    put(made("1.1.0"), now=NOW + timedelta(hours=1))  # takes the place of the first, which has no term left
    called(last=ENDS)
    contracts.deprecate("kg:birth", "1.1.0", ENDS, ME, "old", NOW + timedelta(hours=2))
    (first,) = end_what_is_over(ENDS + timedelta(microseconds=999_999), ledger=ledger)
    assert first.version == "1.0.0"
    assert len(network_view(NOW).picture.contracts) == 1, "up to its last second, all of it"
    over = ENDS + timedelta(seconds=1)
    assert [v.version for v in end_what_is_over(over, ledger=ledger)] == ["1.1.0"]
    assert network_view(NOW).picture.contracts == ()
    last = lifecycle.history(contracts.subject("kg:birth", "1.1.0"))[-1]
    assert (last.action.value, last.by) == ("retire", BY)
    assert last.reason == "its term ended 2027-06-30T17:59:59Z"
    body = ledger.entries[last.ledger_index]
    assert end_what_is_over(over + timedelta(days=1), ledger=ledger) == []
    assert (body.kind, body.body["by"], body.body["action"]) == ("lifecycle", BY, "retire")


def test_a_deprecation_taken_back_is_ended_by_no_clock(dataset: Dataset) -> None:
    put(made())
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    contracts.reinstate("kg:birth", "1.0.0", ME, "needed", NOW)
    assert end_what_is_over(ENDS + timedelta(days=1)) == []
    assert len(network_view(NOW).picture.contracts) == 1


def test_a_contract_nobody_uses_is_retired_at_once_if_that_is_known(dataset: Dataset) -> None:
    put(made())
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    with pytest.raises(LifecycleBlocked, match="not known: traffic was never read"):
        contracts.retire("kg:birth", "1.0.0", ME, "unused", NOW)
    NodeReading.objects.create(source="node", read_until=NOW)
    contracts.retire("kg:birth", "1.0.0", ME, "unused", NOW)


def test_a_deprecation_is_taken_back(dataset: Dataset) -> None:
    put(made())
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "old", NOW)
    contracts.reinstate("kg:birth", "1.0.0", ME, "not yet", NOW)
    assert contract_queries.contracts(NOW)[0].state == "published"
    assert contract_queries.clocks(NOW) == ([], 0)
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "now", NOW)


def test_a_node_that_never_saw_a_contracts_traffic_does_not_tell_that_nobody_uses_it(dataset: Dataset) -> None:
    put(made())
    called(last=NOW - timedelta(days=60))
    NodeReading.objects.create(source="node", read_until=NOW - timedelta(days=50))  # the provider's, not read since
    NodeReading.objects.create(source="another node", read_until=NOW)
    contracts.deprecate("kg:birth", "1.0.0", ENDS, ME, "ends", NOW)
    with pytest.raises(LifecycleBlocked, match="whether somebody uses it is not known"):
        contracts.retire("kg:birth", "1.0.0", ME, "nobody", NOW)
    NodeReading.objects.filter(source="node").update(read_until=NOW)
    contracts.retire("kg:birth", "1.0.0", ME, "nobody", NOW)


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS, MOMENTS)
def test_the_clock_is_either_running_or_over_and_once_over_stays_over(a: datetime, b: datetime, now: datetime) -> None:
    clock = Clock(min(a, b), max(a, b).replace(microsecond=0) + timedelta(seconds=1))
    assert clock.holds(now) == (now < clock.ends + timedelta(seconds=1))
    assert may_retire(clock, now, [Use("c", "s", 1, now)], now).allowed is not clock.holds(now)
    assert (clock.left(now) > timedelta(0)) <= clock.holds(now)


def test_unknown_use_is_not_no_use() -> None:
    clock = Clock(NOW, ENDS)
    old = Use("c", "s", 1, NOW - QUIET - timedelta(seconds=1))
    assert may_retire(clock, NOW, [old], NOW).allowed
    assert not may_retire(clock, NOW, [old], NOW - FRESH - timedelta(seconds=1)).allowed
    assert not may_retire(clock, NOW, [Use("c", "s", 1, NOW)], NOW).allowed
    assert not may_retire(None, NOW, (), NOW).allowed
    assert may_retire(clock, NOW, (), None, on_the_wire=False).allowed
    with pytest.raises(ValueError, match="after it is announced"):
        Clock(ENDS, NOW)
