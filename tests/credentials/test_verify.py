"""One entry for checking: every document gets a verdict, and no forgery gets `valid`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.credentials import StatusRef, chain, create_issuer, jws, verify
from kerege.credentials.errors import CredentialRefused
from kerege.credentials.jws import b64url, un_b64url
from kerege.credentials.reasons import REASONS, STATES

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
DAY = timedelta(days=1)
ADMISSION = "urn:kg:credential:grade1-admission:1"


def reasons(world: Any, text: str | bytes, now: datetime = NOW) -> tuple[str, ...]:
    verdict = verify(text, world.trust, world.source(now), now)
    assert verdict.state == "refused"
    assert not verdict.claims
    return verdict.reasons


def parts(text: str) -> tuple[dict[str, Any], dict[str, Any], str, str]:
    jwt, _, rest = text.partition("~")
    header, payload, signature = jwt.split(".")
    return json.loads(un_b64url(header)), json.loads(un_b64url(payload)), signature, rest


def joined(header: dict[str, Any], payload: dict[str, Any], signature: str, rest: str) -> str:
    return ".".join([b64url(json.dumps(header).encode()), b64url(json.dumps(payload).encode()), signature]) + "~" + rest


def test_an_honest_document_is_valid_with_issuer_dates_and_claims(world: Any) -> None:
    verdict = verify(world.wallet(), world.trust, world.source(), NOW)
    assert (verdict.state, verdict.reasons, verdict.type) == ("valid", (), ADMISSION)
    assert verdict.issuer_name is not None
    assert verdict.issuer_name.ky == "Билим берүү министрлиги"
    assert verdict.issued_at == verdict.status_at == NOW
    assert verdict.expires_at == NOW + 90 * DAY
    assert set(verdict.claims) == {"child", "school", "grade", "year"}
    assert json.loads(json.dumps(verdict.as_dict()))["claims"]["grade"] == 1


def test_a_file_with_a_line_end_is_read_as_well(world: Any) -> None:
    assert verify((world.wallet() + "\r\n").encode(), world.trust, world.source(), NOW).state == "valid"


@pytest.mark.parametrize("kind", ["wallet", "paper"])
def test_a_revoked_document_is_revoked_in_both_forms_from_the_next_publication_on(world: Any, kind: str) -> None:
    ref = world.list.allocate()
    text = world.wallet(ref) if kind == "wallet" else world.paper(ref).text
    before = world.source()
    world.list.revoke(ref)
    assert verify(text, world.trust, before, NOW).state == "valid", (
        "a list at hand says what it said when it was signed"
    )
    after = verify(text, world.trust, world.source(), NOW)
    assert (after.state, after.reasons) == ("revoked", ("credentials.revoked",))


def test_without_a_status_list_nothing_is_called_valid(world: Any) -> None:
    verdict = verify(world.wallet(), world.trust, None, NOW)
    assert (verdict.state, verdict.reasons) == ("unknown", ("credentials.status_missing",))
    assert verdict.claims, "the officer still sees what was not checked"


def test_a_stale_list_says_since_when(world: Any) -> None:
    source = world.source(NOW, timedelta(hours=1))
    verdict = verify(world.wallet(), world.trust, source, NOW + timedelta(hours=2))
    assert (verdict.state, verdict.reasons) == ("unknown", ("credentials.status_stale",))
    assert verdict.status_at == NOW


def test_a_forged_list_refuses_the_document_it_came_with(world: Any) -> None:
    token = world.list.to_jwt(world.health, NOW, DAY)
    verdict = verify(world.wallet(), world.trust, lambda _: token, NOW)
    assert (verdict.state, verdict.reasons) == ("refused", ("credentials.status_forged",))
    assert not verdict.claims


def test_a_document_without_status_is_valid_and_says_so(world: Any) -> None:
    text = world.edu.issue_sd_jwt_vc(ADMISSION, {"grade": 1}, [], NOW + DAY, None, now=NOW)
    verdict = verify(text, world.trust, None, NOW)
    assert (verdict.state, verdict.reasons) == ("valid", ("credentials.no_status",))


def test_a_changed_payload_is_found(world: Any) -> None:
    header, payload, signature, rest = parts(world.wallet())
    assert reasons(world, joined(header, payload | {"grade": 11}, signature, rest)) == ("credentials.signature_false",)


def test_a_document_cannot_choose_its_own_way_of_being_checked(world: Any) -> None:
    header, payload, signature, rest = parts(world.wallet())
    for alg in ("none", "None", "HS256", "RS256", "ES384", None):
        assert reasons(world, joined(header | {"alg": alg}, payload, signature, rest)) == ("credentials.alg_refused",)
    assert reasons(world, joined(header | {"alg": "none"}, payload, "", rest)) == ("credentials.alg_refused",)
    unsigned = joined(header | {"alg": "none"}, payload, "", "").rstrip("~")
    assert reasons(world, unsigned) == ("credentials.alg_refused",)


@pytest.mark.parametrize("typ", ["vc+sd-jwt", "JWT", "statuslist+jwt", "kb+jwt", ""])
def test_another_kind_of_token_is_refused_even_when_rightly_signed(world: Any, typ: str) -> None:
    _, payload, _, rest = parts(world.wallet())
    text = f"{world.edu.sign_json(typ, payload)}~{rest}"
    assert reasons(world, text) == ("credentials.type_mismatch",)


def test_a_status_list_does_not_pass_for_a_document(world: Any) -> None:
    assert reasons(world, world.list.to_jwt(world.edu, NOW, DAY)) == ("credentials.type_mismatch",)


def test_an_issuer_nobody_trusts_is_unknown(world: Any, tmp_path: Path) -> None:
    stranger = create_issuer(tmp_path / "s", "https://stranger.example", "Stranger", NOW - DAY)
    text = stranger.issue_sd_jwt_vc(ADMISSION, {"grade": 1}, [], NOW + DAY, None, now=NOW)
    assert reasons(world, text) == ("credentials.issuer_unknown",)
    paper = stranger.issue_paper(ADMISSION, {"grade": 1}, NOW + DAY, None, now=NOW)
    assert reasons(world, paper.text) == ("credentials.issuer_unknown",)


def test_an_impostor_with_the_right_name_and_an_authority_of_their_own_is_refused(world: Any, tmp_path: Path) -> None:
    impostor = create_issuer(tmp_path / "i", world.edu.issuer_id, "Ministry of Education", NOW - DAY)
    text = impostor.issue_sd_jwt_vc(ADMISSION, {"grade": 1}, [], NOW + DAY, None, now=NOW)
    assert reasons(world, text) == ("credentials.certificate_refused",)
    paper = impostor.issue_paper(ADMISSION, {"grade": 1}, NOW + DAY, None, now=NOW)
    assert reasons(world, paper.text) == ("credentials.issuer_unknown",)


def test_one_trusted_issuer_cannot_sign_in_the_name_of_another(world: Any) -> None:
    _, payload, _, _ = parts(world.wallet())
    text = world.health.sign_json("dc+sd-jwt", payload) + "~"
    assert reasons(world, text) == ("credentials.certificate_refused",)


def test_a_trusted_issuer_cannot_issue_another_agencys_type(world: Any) -> None:
    text = world.health.issue_sd_jwt_vc(ADMISSION, {"grade": 1}, [], NOW + DAY, None, now=NOW)
    assert reasons(world, text) == ("credentials.issuer_not_allowed",)
    paper = world.health.issue_paper(ADMISSION, {"grade": 1}, NOW + DAY, None, now=NOW)
    assert reasons(world, paper.text) == ("credentials.issuer_not_allowed",)


def test_expired_and_not_yet_valid_documents_are_refused(world: Any) -> None:
    text = world.wallet(expires=NOW + DAY)
    assert reasons(world, text, NOW + DAY) == ("credentials.expired",)
    assert reasons(world, world.wallet(), NOW - timedelta(minutes=6)) == ("credentials.not_yet_valid",)
    assert (
        verify(world.wallet(), world.trust, world.source(NOW - DAY, 2 * DAY), NOW - timedelta(minutes=4)).state
        == "valid"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"iat": 1.5},
        {"vct": 5},
        {"status": {}},
        {"status": {"other": {}}},
    ],
)
def test_a_signed_document_without_sound_registered_claims_is_refused(world: Any, change: dict[str, Any]) -> None:
    _, payload, _, rest = parts(world.wallet())
    text = f"{world.edu.sign_json('dc+sd-jwt', payload | change)}~{rest}"
    assert reasons(world, text) == ("credentials.malformed",)


def test_a_critical_header_nobody_understands_is_refused(world: Any) -> None:
    _, payload, _, rest = parts(world.wallet())
    header = {"x5c": parts(world.wallet())[0]["x5c"], "crit": ["x-new"], "x-new": 1}
    signing = json.dumps({"alg": "ES256", "typ": "dc+sd-jwt", **header}).encode()
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    message = f"{b64url(signing)}.{b64url(json.dumps(payload).encode())}"
    r, s = decode_dss_signature(world.edu.key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
    text = f"{message}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}~{rest}"
    assert reasons(world, text) == ("credentials.signature_false",)


def test_a_name_twice_in_signed_json_is_refused() -> None:
    with pytest.raises(jws.CredentialRefused, match="malformed"):
        jws.strict_json('{"a": 1, "a": 2}')


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "hello",
        "~",
        "~~~",
        "a.b~",
        "a.b.c",
        "a.b.c~",
        "....~",
        "KRG1:",
        "\ufeffKRG1:AA",
        b"\xff\xfe",
        b"\x00" * 9,
    ],
)
def test_what_is_no_document_is_refused_not_crashed_on(world: Any, text: str | bytes) -> None:
    assert reasons(world, text)[0] in {
        "credentials.format_unknown",
        "credentials.malformed",
        "credentials.alg_refused",
    }


def test_a_certificate_with_a_key_of_no_known_kind_is_refused_not_crashed_on(world: Any) -> None:
    der = world.edu.chain[0].public_bytes(Encoding.DER)
    known, unknown = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a4648ce3d0201")
    leaf = x509.load_der_x509_certificate(der.replace(known, unknown, 1))
    with pytest.raises(CredentialRefused):
        chain.public_key(leaf)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_single_changed_character_leaves_a_document_valid_with_other_claims(world: Any, data: Any) -> None:
    made = [world.wallet(StatusRef(world.list.uri, 5)), world.paper(StatusRef(world.list.uri, 5)).text]
    text = made[data.draw(st.integers(0, 1))]
    place = data.draw(st.integers(0, 9999)) * len(text) // 10_000  # signatures differ in length from run to run
    character = data.draw(st.sampled_from("ABCZabcz0189-_.~ $%*+/:"))
    changed = text[:place] + character + text[place + 1 :]
    if changed.strip() == text:
        return
    verdict = verify(changed, world.trust, world.source(), NOW)
    assert verdict.state == "refused", verdict


def test_every_state_and_reason_is_written_in_three_languages() -> None:
    assert set(STATES) == {"valid", "revoked", "unknown", "refused"}
    for text in (*STATES.values(), *REASONS.values()):
        assert len({text.ky, text.ru, text.en}) == 3
    assert all(code.startswith("credentials.") for code in REASONS)
