from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange.access import Decision, decide, path_matches
from kerege.exchange.ids import ClientId, DataServiceId, SubsystemId
from kerege.exchange.rules import Right, Rules

from .conftest import NOW

ADMISSION = SubsystemId.parse("KG/GOV/70000003/admission")
REGISTER = DataServiceId.parse("KG/GOV/70000003/emis/register")


def ask(
    *rights: Right, client: ClientId = ADMISSION.client, method: str = "GET", path: str = "/", **rest: object
) -> Decision:
    now = rest.get("now", NOW)
    groups = frozenset(rest.get("groups", ()))  # type: ignore[call-overload]
    return decide(client, REGISTER, method, path, Rules("KG", 1, rights), groups, now)  # type: ignore[arg-type]


def test_all_access_is_denied_until_granted() -> None:
    assert ask() == Decision(False, "no_right")


def test_a_right_opens_its_service_to_its_holder_only() -> None:
    right = Right("r", ADMISSION, REGISTER)
    assert ask(right) == Decision(True, "granted", right)
    assert not ask(right, client=ClientId.parse("KG/GOV/70000003/other")).allowed
    assert not ask(right, client=ClientId.parse("KG/GOV/70000003")).allowed
    assert not ask(Right("r", ADMISSION, DataServiceId.parse("KG/GOV/70000003/emis/other"))).allowed


def test_a_group_right_opens_to_its_members() -> None:
    right = Right("r", "group:schools", REGISTER)
    assert ask(right, groups={"schools"}).allowed
    assert not ask(right, groups={"school"}).allowed


def test_a_right_ends_at_its_last_second_inclusive() -> None:
    right = Right("r", ADMISSION, REGISTER, valid_until=NOW)
    assert ask(right, now=NOW + timedelta(milliseconds=999)).allowed
    assert ask(right, now=NOW + timedelta(seconds=1)) == Decision(False, "expired")


def test_the_closest_reason_is_given() -> None:
    assert ask(Right("r", ADMISSION, REGISTER, method="POST")).reason == "method"
    assert ask(Right("r", ADMISSION, REGISTER, path="/x")).reason == "path"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", False),
        ("/a/*", "/a/", True),
        ("/a/*/c", "/a/b/c", True),
        ("/a/**", "/a", False),
        ("/a/**/z", "/a/b/c/z", True),
        ("/a", "/a/", False),
        ("/a", "/A", False),
        ("/a.b", "/axb", False),
        ("/\\*", "/*", True),
        ("/\\*", "/x", False),
        ("/a", "/a\n", False),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert path_matches(pattern, path) is fits


@given(st.text(max_size=20), st.text(max_size=20))
def test_an_escaped_path_fits_itself_and_nothing_else(one: str, other: str) -> None:
    pattern = "/" + one.replace("\\", "\\\\").replace("*", "\\*")
    assert path_matches(pattern, "/" + one)
    assert path_matches(pattern, "/" + other) == (one == other)
