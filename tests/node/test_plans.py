"""What is remembered of one call for the next, and what ends it."""

import weakref
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.ids import DataServiceId, ServerId, SubsystemId
from kerege.node.message import Asked
from kerege.node.plans import Plan, Plans

NOW = datetime.now(UTC)
CLIENT = SubsystemId.parse("KG/GOV/70000003/admission").client
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
ASKED = Asked("REST", CLIENT, SERVICE, None, "m", "r", "GET", "/")
CONFIG, SIGNER = cast(Any, object()), cast(Any, object())


def server(code: str) -> SecurityServer:
    return SecurityServer(ServerId.parse(f"KG/GOV/70000002/{code}"), "10.0.0.1", frozenset(), ())


A, B = server("a"), server("b")


class Under(SimpleNamespace):
    """A configuration, as far as a plan needs it; a weak reference may lead to it."""


def picture() -> Any:
    directory, rules = SimpleNamespace(expires=NOW + timedelta(hours=1)), SimpleNamespace(permits=())
    return Under(directory=directory, rules=rules, partner_ends=None)


PICTURE = picture()


def planned(checked: tuple[object, object, float] | None) -> Plan | None:
    plans, link = Plans(), cast(Any, SimpleNamespace(alive=True, checked=checked))
    plans.remember(ASKED, PICTURE, CONFIG, SIGNER, A, link, NOW, NOW + timedelta(hours=1))
    return plans.of(CLIENT, SERVICE, PICTURE, CONFIG)


def test_a_plan_holds_for_the_server_its_link_was_found_good_for() -> None:
    plan = planned((PICTURE, A, 0.0))
    assert plan is not None
    assert plan.server is A


def test_one_call_renews_a_plan_before_it_ends_and_nobody_goes_by_one_that_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = [100.0]
    monkeypatch.setattr("kerege.node.plans.time", SimpleNamespace(monotonic=lambda: moment[0]))
    plans, link = Plans(), cast(Any, SimpleNamespace(alive=True, checked=(PICTURE, A, 0.0)))
    plans.remember(ASKED, PICTURE, CONFIG, SIGNER, A, link, NOW, NOW + timedelta(hours=1))

    def found(at: float) -> bool:
        moment[0] = at
        return plans.of(CLIENT, SERVICE, PICTURE, CONFIG) is not None

    assert [found(at) for at in (100.0, 100.7, 100.8, 100.81, 100.99, 101.01, 101.02)] == [
        *(True, True, False, True, True),
        *(False, False),
    ]


@pytest.mark.parametrize(
    "checked", [None, (PICTURE, B, 0.0), (picture(), A, 0.0)], ids=["nobody", "another", "earlier"]
)
def test_a_link_found_good_for_another_server_or_under_another_configuration_makes_no_plan(checked: Any) -> None:
    assert planned(checked) is None


@pytest.mark.parametrize(("ended", "left"), [(-0.2, 1.0), (0.3, 0.7), (0.9, 0.1)])
def test_a_plan_made_in_the_second_that_a_permit_names_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, ended: float, left: float
) -> None:
    moment = [100.0]
    monkeypatch.setattr("kerege.node.plans.time", SimpleNamespace(monotonic=lambda: moment[0]))
    permit = SimpleNamespace(client=SubsystemId.parse(str(CLIENT)), valid_until=NOW - timedelta(seconds=ended))
    under = picture()
    under.rules.permits = (permit, SimpleNamespace(client=permit.client, valid_until=NOW - timedelta(days=1)))
    plans, link = Plans(), cast(Any, SimpleNamespace(alive=True, checked=(under, A, 0.0)))
    plans.remember(ASKED, under, CONFIG, SIGNER, A, link, NOW, NOW + timedelta(hours=1))
    moment[0] = 100.0 + left * 0.7
    assert plans.of(CLIENT, SERVICE, under, CONFIG) is not None
    moment[0] = 100.01 + left
    assert plans.of(CLIENT, SERVICE, under, CONFIG) is None


def test_no_plan_is_kept_of_a_configuration_that_is_no_more() -> None:
    plans: Plans[Any] = Plans()
    services = [DataServiceId.parse(f"KG/GOV/70000002/population/persons-{n}") for n in range(5)]

    def planned(service: DataServiceId) -> weakref.ref[Any]:
        under = picture()
        for client in ("admission", "emis"):
            asked = replace(ASKED, client=SubsystemId.parse(f"KG/GOV/70000003/{client}").client, service=service)
            link = cast(Any, SimpleNamespace(alive=True, checked=(under, A, 0.0)))
            plans.remember(asked, under, CONFIG, SIGNER, A, link, NOW, NOW + timedelta(hours=1))
            assert plans.of(asked.client, service, under, CONFIG) is not None
        return weakref.ref(under)

    found = [planned(one) for one in services]
    assert [one() is None for one in found] == [True, True, True, True, False]
