"""Health of services: counted as exchanges end, the same as if all were looked through again."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kerege.exchange import opmon, rest
from kerege.exchange.ids import ClientId
from kerege.exchange.opmon_health import Health
from kerege.exchange.opmon_query import NS

BEGUN = 1_795_000_000_000
REQUEST = rest.request_from_client(
    "GET",
    "/r1/KG/GOV/70000002/population/persons",
    ((b"X-Road-Client", b"KG/GOV/70000003/admission"),),
    new_message_id="m",
    request_id="r",
)


def schema(vectors: Path) -> etree.XMLSchema:
    text = (vectors / "opmonitor/op-monitoring.xsd").read_bytes()
    text = text.replace(b'"identifiers.xsd"', f'"{(vectors / "xsd/identifiers.xsd").as_uri()}"'.encode())
    text = text.replace(b'"swaref.xsd"', f'"{(vectors / "opmonitor/swaref.xsd").as_uri()}"'.encode())
    return etree.XMLSchema(etree.fromstring(text))


def ended(at: int, took: int = 5, status: int = 200, size: int = 10, side: str = opmon.PRODUCER) -> opmon.Exchange:
    return opmon.Exchange(
        side, at - took, REQUEST, at, at, response_out=at, status=status, request_size=size, response_size=2 * size
    )


def figures(answer: etree._Element) -> dict[str, str]:
    return {etree.QName(node).localname: node.text or "" for node in answer.iter() if isinstance(node.tag, str)}


@pytest.mark.vectors
def test_the_answer_validates_against_the_schema(vectors: Path) -> None:
    health = Health(BEGUN)
    valid = schema(vectors)
    valid.assertValid(health.response(BEGUN, None))
    health.add([ended(BEGUN + 1000), ended(BEGUN + 2000, status=500)])
    valid.assertValid(health.response(BEGUN + 3000, None))
    valid.assertValid(health.response(BEGUN + 3_600_000, None))


def test_statistics_end_after_the_period_and_the_last_moments_stay() -> None:
    health = Health(BEGUN)
    health.add([ended(BEGUN + 1000), ended(BEGUN + 2000, status=404)])
    soon = figures(health.response(BEGUN + 3000, None))
    assert (soon["successfulRequestCount"], soon["unsuccessfulRequestCount"]) == ("1", "1")
    late = figures(health.response(BEGUN + 3_600_000, None))
    assert (late["successfulRequestCount"], late["unsuccessfulRequestCount"]) == ("0", "0")
    assert "requestMinDuration" not in late
    assert late["lastSuccessfulRequestTimestamp"] == str(BEGUN + 1000)
    assert late["lastUnsuccessfulRequestTimestamp"] == str(BEGUN + 2000)


def test_the_consumers_side_and_calls_of_services_that_were_never_reached_are_not_counted() -> None:
    health = Health(BEGUN)
    health.add(
        [
            ended(BEGUN, side=opmon.CLIENT),
            opmon.Exchange(opmon.PRODUCER, BEGUN, REQUEST, fault_code="x", response_out=BEGUN),
        ]
    )
    assert health.response(BEGUN, None).find(f"{{{NS}}}servicesEvents/{{{NS}}}serviceEvents") is None


def test_a_provider_named_gets_its_own_services_only() -> None:
    health = Health(BEGUN)
    health.add([ended(BEGUN)])
    events = f"{{{NS}}}servicesEvents/{{{NS}}}serviceEvents"
    assert health.response(BEGUN, ClientId.parse("KG/GOV/70000002/population")).find(events) is not None
    assert health.response(BEGUN, ClientId.parse("KG/GOV/70000002")).find(events) is None


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1_500_000), st.integers(0, 60_000), st.integers(0, 10**9), st.sampled_from([200, 500])
        ),
        min_size=1,
        max_size=60,
    )
)
def test_counting_as_they_end_gives_what_looking_through_all_of_them_gives(
    calls: list[tuple[int, int, int, int]],
) -> None:
    calls.sort()
    health = Health(BEGUN)
    for at, took, size, status in calls:
        health.add([ended(BEGUN + at, took, status, size)])
    now = BEGUN + calls[-1][0]
    oldest = (now // 10_000 - 59) * 10_000
    inside = [c for c in calls if BEGUN + c[0] >= oldest]
    good = [c for c in inside if c[3] == 200]
    told = figures(health.response(now, None))
    assert int(told["successfulRequestCount"]) == len(good)
    assert int(told["unsuccessfulRequestCount"]) == len(inside) - len(good)
    if good:
        took, sizes = [c[1] for c in good], [c[2] for c in good]
        mean = sum(sizes) / len(sizes)
        assert (int(told["requestMinDuration"]), int(told["requestMaxDuration"])) == (min(took), max(took))
        assert math.isclose(float(told["requestAverageSize"]), mean)
        spread = math.sqrt(sum((s - mean) ** 2 for s in sizes) / len(sizes))
        assert math.isclose(float(told["requestSizeStdDev"]), spread, rel_tol=1e-6, abs_tol=1e-3)
        assert int(told["responseMaxSize"]) == 2 * max(sizes)
