"""SD-JWT: the standard's own examples, what is shown and withheld, and what a forger may try."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.credentials import present, sdjwt, verify
from kerege.credentials.errors import ClaimRefused, CredentialRefused
from kerege.credentials.jws import b64url, un_b64url
from kerege.credentials.trust import public_jwk

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("disclosure", "digest"),
    [  # RFC 9901, 4.2.1 and 4.2.2: the encoded disclosures and their digests
        (
            "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
            "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0",
        ),
        ("WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0", "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs"),
    ],
)
def test_digests_are_those_of_the_standards_examples(disclosure: str, digest: str) -> None:
    assert sdjwt.digest(disclosure) == digest


def test_the_standards_disclosures_are_put_back_where_their_digests_stand() -> None:
    name = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    country = "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0"
    payload = {
        "_sd_alg": "sha-256",
        "_sd": [sdjwt.digest(name)],
        "nationalities": ["DE", {"...": sdjwt.digest(country)}, "US"],
    }
    assert sdjwt.reveal(payload, [name, country]) == {"nationalities": ["DE", "FR", "US"], "family_name": "Möbius"}
    assert sdjwt.reveal(payload, []) == {"nationalities": ["DE", "US"]}


names = st.text(min_size=1, max_size=8).filter(lambda n: n not in {"_sd", "..."} | sdjwt.REGISTERED)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def paths_of(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        steps = list(node.items())
    elif isinstance(node, list):
        steps = list(enumerate(node))
    return [p for step, value in steps for p in [(*path, step), *paths_of(value, (*path, step))]]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, values, max_size=4), st.data())
def test_all_disclosures_together_give_back_the_claims_whatever_was_concealed(
    claims: dict[str, Any], data: Any
) -> None:
    every = paths_of(claims)
    chosen = data.draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    payload, disclosures = sdjwt.conceal(claims, chosen, decoys=data.draw(st.integers(0, 3)))
    assert sdjwt.reveal(payload, disclosures) == claims
    assert len(disclosures) == len(chosen)


def test_what_is_withheld_is_nowhere_in_what_is_shown(world: Any) -> None:
    shown = present(world.wallet(), ["school"])
    assert sdjwt.split(shown).disclosures
    readable = "".join(
        un_b64url(part).decode("utf-8", "replace") for part in shown.replace(".", "~").split("~") if part
    )
    assert "Школа-гимназия" in readable
    assert "Ыңтымак" not in readable
    verdict = verify(shown, world.trust, world.source(), NOW)
    assert verdict.state == "valid"
    assert set(verdict.claims) == {"school", "grade", "year"}


def test_a_nested_claim_comes_along_with_its_parent() -> None:
    claims = {"place": {"region": "Чүй", "district": "Сокулук"}}
    payload, disclosures = sdjwt.conceal(claims, ["place", ("place", "district")])
    assert list(payload) == ["_sd"]
    shown = present("~".join(["a.b.c", *disclosures, ""]), ["place"])
    assert sdjwt.reveal(payload, sdjwt.split(shown).disclosures) == claims


@pytest.mark.parametrize("name", ["iss", "exp", "vct", "cnf", "status", "_sd", "...", "_sd_alg"])
def test_a_registered_or_reserved_name_cannot_be_a_claim(name: str) -> None:
    with pytest.raises(ClaimRefused):
        sdjwt.conceal({name: "x"}, [])


@pytest.mark.parametrize("path", ["missing", ("place", "missing"), ("list", 7), ("text", 0), ("number", "x")])
def test_a_claim_that_is_not_there_cannot_be_made_disclosable(path: Any) -> None:
    with pytest.raises(ClaimRefused):
        sdjwt.conceal({"place": {}, "list": [1], "text": "abc", "number": 1}, [path])


def row(*items: Any) -> str:
    return b64url(json.dumps(list(items)).encode())


@pytest.mark.parametrize(
    ("payload", "disclosures"),
    [
        ({"_sd": []}, [row("salt", "admin", True)]),  # never signed
        ({"_sd": [sdjwt.digest(row("salt", "exp", 1))]}, [row("salt", "exp", 1)]),  # a registered claim
        ({"_sd": [sdjwt.digest(row("salt", "a", 1))], "a": 2}, [row("salt", "a", 1)]),  # over an open claim
        ({"_sd": [sdjwt.digest(row("salt", "a", 1))] * 2}, [row("salt", "a", 1)]),  # a digest twice
        ({"_sd": [sdjwt.digest(row("salt", "a", 1))]}, [row("salt", "a", 1)] * 2),  # a disclosure twice
        ({"_sd": [sdjwt.digest(row("salt", 1))]}, [row("salt", 1)]),  # an item where a member belongs
        ({"x": [{"...": sdjwt.digest(row("s", "a", 1))}]}, [row("s", "a", 1)]),  # a member where an item belongs
        ({"_sd": [sdjwt.digest(row("salt", "_sd", []))]}, [row("salt", "_sd", [])]),
        ({"_sd": [sdjwt.digest(row("salt", "...", 1))]}, [row("salt", "...", 1)]),
        ({"_sd": "no list"}, []),
        ({"_sd": [1]}, []),
        ({"x": [{"...": "a", "more": 1}]}, []),
        ({"x": {"...": "a"}}, []),
        ({"_sd_alg": "md5"}, []),
    ],
)
def test_a_forged_set_of_disclosures_is_refused(payload: dict[str, Any], disclosures: list[str]) -> None:
    with pytest.raises(CredentialRefused) as refused:
        sdjwt.reveal(payload, disclosures)
    assert refused.value.reason == "credentials.disclosure_refused"


HOLDER = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def bound(world: Any) -> str:
    return str(world.wallet(holder_jwk=public_jwk(HOLDER.public_key())))


def shown(bound: str, **more: Any) -> str:
    arguments: dict[str, Any] = {"audience": "https://school.example", "nonce": "n-1", "now": NOW} | more
    return present(bound, ["child"], HOLDER, **arguments)


def ask(world: Any, text: str, now: datetime = NOW, **more: Any) -> Any:
    arguments: dict[str, Any] = {"audience": "https://school.example", "nonce": "n-1"} | more
    return verify(text, world.trust, world.source(), now, **arguments)


def test_a_holder_proves_possession_to_the_verifier_who_asked(world: Any, bound: str) -> None:
    verdict = ask(world, shown(bound))
    assert (verdict.state, verdict.reasons) == ("valid", ())
    assert "cnf" not in verdict.claims


def test_a_proof_for_someone_else_or_another_time_is_false(world: Any, bound: str) -> None:
    for text in (
        shown(bound, audience="https://other.example"),
        shown(bound, nonce="n-0"),
        shown(bound, now=NOW - timedelta(minutes=11)),
        shown(bound, now=NOW + timedelta(minutes=6)),
    ):
        assert ask(world, text).reasons == ("credentials.holder_proof_false",)


def test_a_proof_by_another_key_is_false(world: Any, bound: str) -> None:
    thief = ec.generate_private_key(ec.SECP256R1())
    text = present(bound, ["child"], thief, "https://school.example", "n-1", NOW)
    assert ask(world, text).reasons == ("credentials.holder_proof_false",)


def test_a_disclosure_added_after_the_proof_breaks_it(world: Any, bound: str) -> None:
    proof = sdjwt.split(shown(bound)).key_binding
    everything = sdjwt.split(bound)
    text = sdjwt.Parts(everything.jwt, everything.disclosures, None).bound + str(proof)
    assert ask(world, text).reasons == ("credentials.holder_proof_false",)


def test_no_proof_where_one_is_asked_and_a_proof_where_none_is(world: Any, bound: str) -> None:
    assert ask(world, present(bound, [])).reasons == ("credentials.holder_proof_missing",)
    assert ask(world, world.wallet()).reasons == ("credentials.holder_proof_missing",)
    verdict = verify(shown(bound), world.trust, world.source(), NOW)
    assert verdict.reasons == ("credentials.holder_proof_unexpected",)


def test_the_private_half_of_a_holders_key_is_not_taken(world: Any) -> None:
    jwk = public_jwk(HOLDER.public_key()) | {"d": "AAAA"}
    with pytest.raises(ClaimRefused, match="private part"):
        world.wallet(holder_jwk=jwk)
