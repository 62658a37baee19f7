"""Issuer key folders, certificate chains and the trust list."""

from __future__ import annotations

import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kerege.credentials import TrustList, create_issuer, keys, load_issuer, open_issuer, verify
from kerege.credentials.chain import check_chain, read_x5c, x5c
from kerege.credentials.errors import (
    CredentialRefused,
    IssuerExists,
    IssuerKeyInvalid,
    TrustListInvalid,
    ValidityRefused,
)
from kerege.credentials.issuer import Issuer
from kerege.ground.text import Text

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = Text(ky="Билим", ru="Образование", en="Education")
URI = "https://edu.example.kg"


def test_keys_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    made = create_issuer(tmp_path, URI, "Ministry of Education", NOW)
    for name in ("ca.key", "issuer.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    before = (tmp_path / "issuer.key").read_bytes()
    with pytest.raises(IssuerExists):
        create_issuer(tmp_path, URI, "Ministry of Education", NOW)
    assert (tmp_path / "issuer.key").read_bytes() == before
    again = load_issuer(tmp_path)
    assert (again.issuer_id, again.chain) == (made.issuer_id, made.chain) == (URI, made.chain)


def test_opening_makes_an_issuer_once_and_never_takes_anothers(tmp_path: Path) -> None:
    made = open_issuer(tmp_path, URI, "Ministry of Education", NOW)
    assert open_issuer(tmp_path, URI, "Ministry of Education", NOW).chain == made.chain
    with pytest.raises(IssuerKeyInvalid, match="it is the key of"):
        open_issuer(tmp_path, "https://other.example.kg", "Other", NOW)


def test_a_key_others_may_read_is_refused(tmp_path: Path) -> None:
    create_issuer(tmp_path, URI, "Ministry of Education", NOW)
    (tmp_path / "issuer.key").chmod(0o644)
    with pytest.raises(IssuerKeyInvalid, match="0600"):
        load_issuer(tmp_path)


def test_a_folder_with_a_missing_or_foreign_part_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(IssuerKeyInvalid, match=r"issuer\.key is missing"):
        load_issuer(tmp_path / "nothing")
    create_issuer(tmp_path / "a", URI, "Ministry of Education", NOW)
    create_issuer(tmp_path / "b", URI, "Ministry of Education", NOW)
    (tmp_path / "a" / "issuer.pem").write_bytes((tmp_path / "b" / "issuer.pem").read_bytes())
    with pytest.raises(IssuerKeyInvalid, match="not the certificate's"):
        load_issuer(tmp_path / "a")


def test_the_anchor_is_not_sent_along_and_the_leaf_is_not_self_signed(tmp_path: Path) -> None:
    made = create_issuer(tmp_path, URI, "Ministry of Education", NOW)
    assert len(made.chain) == 1
    assert made.chain[0].subject != made.chain[0].issuer
    assert made.anchors[0] not in made.chain
    check_chain(made.chain, made.anchors, NOW)


def test_a_chain_is_refused_outside_its_dates_or_under_another_authority(tmp_path: Path) -> None:
    made = create_issuer(tmp_path / "a", URI, "Ministry of Education", NOW)
    other = create_issuer(tmp_path / "b", URI, "Ministry of Education", NOW)
    for chain, anchors, at in (
        (made.chain, other.anchors, NOW),
        (made.chain, (), NOW),
        (made.chain, made.anchors, NOW - DAY),
        (made.chain, made.anchors, NOW + 4 * 365 * DAY),
        (made.anchors, made.anchors, NOW),  # an authority does not sign documents
        ((*made.chain, *other.anchors), other.anchors, NOW),
    ):
        with pytest.raises(CredentialRefused, match="certificate_refused"):
            check_chain(chain, anchors, at)


def test_a_leaf_does_not_make_further_leaves(tmp_path: Path) -> None:
    made = create_issuer(tmp_path, URI, "Ministry of Education", NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made up")])
    forged = keys._certificate(name, (made.chain[0], made.key), key, NOW, 30, URI)
    with pytest.raises(CredentialRefused, match="certificate_refused"):
        check_chain((forged, *made.chain), made.anchors, NOW)


def test_an_issuer_does_not_sign_past_the_end_of_its_certificate(world: Any) -> None:
    for expires in (NOW, NOW - DAY, NOW + 4 * 365 * DAY):
        with pytest.raises(ValidityRefused):
            world.wallet(expires=expires)
        with pytest.raises(ValidityRefused):
            world.paper(expires=expires)
    with pytest.raises(ValidityRefused, match="not valid yet"):
        world.wallet(now=NOW - 30 * DAY)


def test_an_issuer_speaks_only_for_the_uri_in_its_certificate(world: Any) -> None:
    with pytest.raises(IssuerKeyInvalid, match="URI"):
        Issuer(world.edu.key, world.edu.chain, "https://other.example.kg")


def test_a_trust_list_reads_back_as_it_was_written(world: Any, tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.write_text(world.trust.to_json(), encoding="utf-8")
    again = TrustList.load(path)
    assert again == world.trust
    assert again.to_json() == world.trust.to_json()


def changed(world: Any, change: Any) -> str:
    raw = json.loads(world.trust.to_json())
    change(raw)
    return json.dumps(raw)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.update(version=2),
        lambda raw: raw.pop("issuers"),
        lambda raw: raw["issuers"][0]["keys"][0].update(jwk=raw["issuers"][1]["keys"][0]["jwk"]),
        lambda raw: raw["issuers"][0]["keys"][0].update(not_after="2099-01-01T00:00:00Z"),
        lambda raw: raw["issuers"][0]["keys"][0].update(x5c=["AAAA"]),
        lambda raw: raw["issuers"][0].update(keys=raw["issuers"][1]["keys"]),
        lambda raw: raw["issuers"][0].update(id=raw["issuers"][1]["id"]),
        lambda raw: raw["issuers"][0].update(types="urn:kg:credential:grade1-admission:1"),
        lambda raw: raw["issuers"][0].update(anchors=["!"]),
        lambda raw: raw["issuers"][0]["name"].pop("ky"),
    ],
)
def test_a_trust_list_that_contradicts_itself_is_refused(world: Any, change: Any) -> None:
    with pytest.raises(TrustListInvalid):
        TrustList.from_json(changed(world, change))


def test_what_is_no_trust_list_is_refused_by_name(tmp_path: Path) -> None:
    for text in ("", "[]", "null", "{}", '{"version": 1, "issuers": [1]}'):
        with pytest.raises(TrustListInvalid):
            TrustList.from_json(text)
    with pytest.raises(TrustListInvalid, match="nowhere"):
        TrustList.load(tmp_path / "nowhere.json")


def test_a_key_taken_off_the_list_signs_nothing_any_more(world: Any) -> None:
    text = world.wallet()
    paper = world.paper().text
    raw = json.loads(world.trust.to_json())
    raw["issuers"] = raw["issuers"][1:]
    without = TrustList.from_json(json.dumps(raw))
    for document in (text, paper):
        assert verify(document, without, world.source(), NOW).reasons == ("credentials.issuer_unknown",)


def test_a_chain_with_a_certificate_of_no_known_version_is_refused(tmp_path: Path) -> None:
    """The library's InvalidVersion is no ValueError."""
    made = create_issuer(tmp_path, URI, "Ministry of Education", NOW)
    der = base64.b64decode(x5c(made.chain)[0])
    other = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x12", 1)
    assert other != der
    with pytest.raises(CredentialRefused):
        read_x5c([base64.b64encode(other).decode()])
