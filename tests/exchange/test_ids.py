from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange.errors import IdentifierInvalid
from kerege.exchange.ids import ClientId, DataServiceId, MemberId, ServerId, SubsystemId, check_part, encode_part


def allowed(text: str) -> bool:
    try:
        check_part(text, "part")
    except IdentifierInvalid:
        return False
    return True


parts = st.text(min_size=1, max_size=12).filter(allowed)


@given(parts, parts, parts, parts, parts)
def test_an_identifier_written_and_read_is_the_same(a: str, b: str, c: str, d: str, e: str) -> None:
    service = DataServiceId(a, b, c, d, e)
    assert DataServiceId.parse(str(service)) == service
    assert SubsystemId.parse(str(service.provider)) == service.provider
    assert ClientId.parse(str(service.provider.member)).subsystem is None


def test_parts_are_percent_encoded_on_their_own() -> None:
    assert str(MemberId("KG", "GOV", "бир эки")) == "KG/GOV/%D0%B1%D0%B8%D1%80%20%D1%8D%D0%BA%D0%B8"
    assert ServerId.parse("KG/GOV/1/a%2Bb").server == "a+b"


@pytest.mark.parametrize(
    "text",
    [
        "KG/GOV/a%2Fb/s",  # an encoded slash would move the border between parts
        "KG/GOV/a%5Cb/s",
        "KG/GOV/a%3Ab/s",
        "KG/GOV/a%3Bb/s",
        "KG/GOV/a%25b/s",
        "KG/GOV/a%E2%80%8Bb/s",  # zero width space
        "KG/GOV/a%EF%BB%BFb/s",  # byte order mark
        "KG/GOV/a%0Ab/s",
        "KG/GOV/../s",
        "KG/GOV/%2E%2E/s",
        "KG/GOV//s",
        "KG/GOV/a%zz/s",
        "KG/GOV/a%f/s",
        "KG/GOV/a%FF/s",  # not UTF-8
        "KG/GOV/бир/s",  # must be encoded
        "KG/GOV",
        "KG/GOV/1/2/3",
        "KG/GOV/" + "x" * 300 + "/s",
    ],
)
def test_what_could_pass_for_another_identifier_is_refused(text: str) -> None:
    with pytest.raises(IdentifierInvalid):
        SubsystemId.parse(text)


def test_the_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(IdentifierInvalid) as refused:
        ClientId.parse("KG/GOV/12345678901234%2F/s")
    assert "12345678901234" not in str(refused.value)


def test_encoding_is_the_inverse_of_decoding_for_reserved_characters() -> None:
    assert encode_part("a b+c=d?") == "a%20b%2Bc%3Dd%3F"


@given(parts, parts, parts, st.none() | parts, parts, st.none() | parts)
def test_a_data_service_with_or_without_subsystem_and_version_is_written_and_read_the_same(
    a: str, b: str, c: str, subsystem: str | None, service: str, version: str | None
) -> None:
    found = DataServiceId(a, b, c, subsystem, service, version)
    assert DataServiceId.parse(str(found)) == found
    assert found.provider_client.subsystem == subsystem
    assert found.member == found.provider_client.member == MemberId(a, b, c)


def test_a_version_and_a_members_own_service_have_forms_of_their_own() -> None:
    versioned = DataServiceId.parse("KG/GOV/1/emis/getPerson/v1")
    assert (versioned.service, versioned.version, versioned.provider.subsystem) == ("getPerson", "v1", "emis")
    own = DataServiceId.parse("KG/GOV/1//getSecurityServerOperationalData")
    assert (own.subsystem, str(own.provider_client)) == (None, "KG/GOV/1")
    with pytest.raises(IdentifierInvalid, match="a member's service"):
        _ = own.provider


@pytest.mark.parametrize(
    "text", ["KG/GOV/1/emis", "KG/GOV//emis/x", "KG/GOV/1/emis/x/", "KG/GOV/1///v1", "KG/GOV/1/a/b/c/d"]
)
def test_no_other_part_of_a_data_service_may_be_empty_or_missing(text: str) -> None:
    with pytest.raises(IdentifierInvalid):
        DataServiceId.parse(text)


@given(st.lists(st.tuples(st.none() | parts, parts, st.none() | parts), max_size=6))
def test_data_services_are_ordered_whatever_parts_they_lack(rows: list[tuple[str | None, str, str | None]]) -> None:
    services = [DataServiceId("KG", "GOV", "1", *row) for row in rows]
    ordered = sorted(services)
    assert all(not later < earlier for earlier, later in pairwise(ordered))
