"""The status list: indices, publication, revocation, and lists that lie."""

from __future__ import annotations

import json
import stat
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kerege.credentials import StatusList, StatusRef, status_from_texts
from kerege.credentials.errors import (
    CredentialRefused,
    StatusListFull,
    StatusListInvalid,
    StatusListUnpublished,
)
from kerege.credentials.jws import b64url, un_b64url
from kerege.credentials.status import BITS_MAX, check_status, inflate, read_ref

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
DAY = timedelta(days=1)
EDU, HEALTH = "https://edu.example.kg", "https://health.example.kg"


def payload_of(token: str) -> dict[str, Any]:
    found = json.loads(un_b64url(token.split(".")[1]))
    assert isinstance(found, dict)
    return found


def test_nothing_points_to_a_list_before_it_is_published(world: Any) -> None:
    fresh = StatusList.new(64)
    with pytest.raises(StatusListUnpublished, match=fresh.uri):
        fresh.allocate()
    fresh.to_jwt(world.edu, NOW, DAY)
    assert fresh.allocate().uri == fresh.uri


def test_every_index_is_given_out_once_until_the_list_is_full(world: Any) -> None:
    small = StatusList.new(256)
    small.to_jwt(world.edu, NOW, DAY)
    given = [small.allocate().index for _ in range(256)]
    assert sorted(given) == list(range(256))
    assert given != sorted(given), "indices must not follow each other"
    with pytest.raises(StatusListFull):
        small.allocate()


def test_indices_repeat_only_with_a_seed(world: Any) -> None:
    def first(seed: int | None) -> list[int]:
        made = StatusList.new(4096, seed=seed)
        made.to_jwt(world.edu, NOW, DAY)
        return [made.allocate().index for _ in range(8)]

    assert first(7) == first(7)
    assert first(7) != first(8)
    assert first(None) != first(None)


def test_the_token_has_the_members_of_the_draft(world: Any) -> None:
    token = world.list.to_jwt(world.edu, NOW, timedelta(hours=6))
    header = json.loads(un_b64url(token.split(".")[0]))
    assert (header["typ"], header["alg"], len(header["x5c"])) == ("statuslist+jwt", "ES256", 1)
    payload = payload_of(token)
    assert payload["sub"] == world.list.uri
    assert (payload["exp"] - payload["iat"], payload["ttl"]) == (21600, 21600)
    assert payload["status_list"]["bits"] == 1


def test_bits_stand_as_in_the_drafts_example(world: Any) -> None:
    # draft-ietf-oauth-status-list, 4.1: 16 statuses of one bit are the bytes 0xB9 0xA3
    made = StatusList.new(16, seed=1)
    made.to_jwt(world.edu, NOW, DAY)
    for _ in range(16):
        made.allocate()
    for index, bit in enumerate([1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]):
        if bit:
            made.revoke(index)
    lst = payload_of(made.to_jwt(world.edu, NOW, DAY))["status_list"]["lst"]
    assert zlib.decompress(un_b64url(lst)) == bytes([0xB9, 0xA3])
    assert lst == "eNrbuRgAAhcBXQ"


def test_what_was_never_given_out_cannot_be_revoked(world: Any) -> None:
    ref = world.list.allocate()
    for wrong in (ref.index ^ 1, -1, 5000, StatusRef("https://other.example/1", ref.index)):
        with pytest.raises(StatusListInvalid):
            world.list.revoke(wrong)
    world.list.revoke(ref)
    assert world.list.is_revoked(ref)


def test_a_list_survives_its_file(world: Any, tmp_path: Path) -> None:
    ref, other = world.list.allocate(), world.list.allocate()
    world.list.revoke(ref)
    path = tmp_path / "list.json"
    world.list.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = StatusList.load(path)
    assert (again.is_revoked(ref), again.is_revoked(other), again.allocated) == (True, False, 2)
    assert again.published_at is not None
    path.write_text(path.read_text()[:-20])
    with pytest.raises(StatusListInvalid, match=r"list\.json"):
        StatusList.load(path)


@pytest.mark.parametrize("size", [0, -8, 7, BITS_MAX + 8])
def test_a_size_that_makes_no_list_is_refused(size: int) -> None:
    with pytest.raises(StatusListInvalid):
        StatusList.new(size)


def finding(world: Any, ref: StatusRef, token: str | None, now: datetime = NOW) -> tuple[str, str | None]:
    found = check_status(ref, EDU, lambda _: token, world.trust, now)
    return found.state, found.reason


def test_valid_revoked_and_unknown(world: Any) -> None:
    ref = world.list.allocate()
    assert finding(world, ref, world.list.to_jwt(world.edu, NOW, DAY)) == ("valid", None)
    assert finding(world, ref, None) == ("unknown", "credentials.status_missing")
    world.list.revoke(ref)
    assert finding(world, ref, world.list.to_jwt(world.edu, NOW, DAY)) == ("revoked", "credentials.revoked")


def test_a_list_out_of_date_proves_a_revocation_but_never_validity(world: Any) -> None:
    ref, gone = world.list.allocate(), world.list.allocate()
    world.list.revoke(gone)
    token = world.list.to_jwt(world.edu, NOW, DAY)
    assert finding(world, ref, token, NOW + DAY - timedelta(seconds=1)) == ("valid", None)
    assert finding(world, ref, token, NOW + DAY) == ("unknown", "credentials.status_stale")
    assert finding(world, gone, token, NOW + DAY) == ("revoked", "credentials.revoked")


def test_only_the_credentials_own_issuer_says_whether_it_is_revoked(world: Any) -> None:
    ref = world.list.allocate()
    assert finding(world, ref, world.list.to_jwt(world.health, NOW, DAY)) == ("refused", "credentials.status_forged")


def test_another_list_of_the_same_issuer_does_not_speak_for_this_one(world: Any) -> None:
    other = StatusList.new(1024, "https://edu.example.kg/status/2")
    token = other.to_jwt(world.edu, NOW, DAY)
    assert finding(world, world.list.allocate(), token) == ("refused", "credentials.status_forged")


def test_an_index_outside_the_list_is_unknown(world: Any) -> None:
    token = world.list.to_jwt(world.edu, NOW, DAY)
    assert finding(world, StatusRef(world.list.uri, 1024), token) == ("unknown", "credentials.status_index_outside")


@pytest.mark.parametrize(
    "change",
    [
        {"status_list": {"bits": 2, "lst": "eNrbuRgAAhcBXQ"}},
        {"status_list": {"bits": 1, "lst": "!!"}},
        {"status_list": {"bits": 1, "lst": b64url(zlib.compress(bytes(64))[:-3])}},
        {"status_list": {"bits": 1, "lst": b64url(zlib.compress(bytes(64)) + b"x")}},
        {"status_list": {"bits": 1, "lst": b64url(zlib.compress(bytes(BITS_MAX // 8 + 1)))}},
        {"status_list": None},
        {"exp": None},
        {"iat": "now"},
        {"iat": int((NOW + DAY).timestamp())},
        {"sub": "https://edu.example.kg/status/9"},
    ],
)
def test_a_malformed_list_is_refused_not_taken_for_valid(world: Any, change: dict[str, Any]) -> None:
    payload = payload_of(world.list.to_jwt(world.edu, NOW, DAY)) | change
    token = world.edu.sign_json("statuslist+jwt", payload)
    assert finding(world, world.list.allocate(), token) == ("refused", "credentials.status_forged")


def test_a_document_of_the_same_key_does_not_pass_for_a_list(world: Any) -> None:
    payload = payload_of(world.list.to_jwt(world.edu, NOW, DAY))
    token = world.edu.sign_json("dc+sd-jwt", payload)
    assert finding(world, world.list.allocate(), token) == ("refused", "credentials.status_forged")


@pytest.mark.parametrize("text", ["", "x", "a.b", "a.b.c", "\u0000", "e30.e30.e30"])
def test_an_unreadable_list_is_refused_rather_than_overlooked(world: Any, text: str) -> None:
    found = check_status(world.list.allocate(), EDU, status_from_texts([text]), world.trust, NOW)
    assert (found.state, found.reason) == ("refused", "credentials.status_forged")


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(CredentialRefused, match="too_large"):
        inflate(zlib.compress(bytes(10_000_000)), 1000)


@pytest.mark.parametrize("status", [{}, {"status_list": 1}, {"status_list": {"uri": "u", "idx": True}}, 5])
def test_a_status_of_another_kind_is_not_read_as_no_status(status: Any) -> None:
    with pytest.raises(CredentialRefused):
        read_ref(status)
