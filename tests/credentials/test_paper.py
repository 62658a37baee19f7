"""Paper: from claims to a printed QR and back through an independent reader."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import base45
import cbor2
import numpy as np
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from kerege.credentials import paper, verify
from kerege.credentials.errors import ClaimRefused, CredentialRefused, PaperTooLarge
from kerege.credentials.paper import check_minimal

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)


def pixels(png: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A 1-bit grey PNG as an array of 0 and 255 (enough of a decoder for what segno writes)."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (depth, colour) == (1, 0)
    data, at = b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        if kind == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + (width + 7) // 8)
    assert set(rows[:, 0].tolist()) <= {0, 2}, "only the filters None and Up are read here"
    plain = rows[:, 1:].copy()
    for line in range(1, height):
        if rows[line, 0] == 2:
            plain[line] += plain[line - 1]
    return np.unpackbits(plain, axis=1)[:, :width] * np.uint8(255)


def read_qr(image: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    [found] = zxingcpp.read_barcodes(np.ascontiguousarray(image), formats=zxingcpp.BarcodeFormat.QRCode)
    return str(found.text)


def test_a_printed_code_is_read_back_and_found_valid(world: Any) -> None:
    document = world.paper()
    text = read_qr(pixels(document.png()))
    assert text == document.text
    verdict = verify(text, world.trust, world.source(), NOW)
    assert (verdict.state, verdict.format) == ("valid", "paper")
    assert verdict.claims["child"] == "Өмүрбек уулу Ыңтымак"


def test_a_code_survives_a_page_that_joins_spaces_and_a_form_that_trims(world: Any) -> None:
    for _ in range(60):
        text = world.paper().text
        assert " ".join(text.split()) == text


def test_a_stained_code_is_still_read(world: Any) -> None:
    document = world.paper()
    image = pixels(document.png(scale=6)).copy()
    middle = image.shape[0] // 2
    image[middle : middle + 40, middle : middle + 40] = 0
    assert read_qr(image) == document.text


def test_the_code_prints_at_4_cm(world: Any) -> None:
    document = world.paper()
    assert document.version <= 17
    assert set(document.text) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"), "alphanumeric mode only"


def test_the_svg_stands_alone_in_a_page(world: Any) -> None:
    svg = world.paper().svg(title="Confirmation & QR")
    assert svg.startswith("<svg")
    assert "Confirmation &amp; QR" in svg
    assert "<?xml" not in svg


@pytest.mark.parametrize(
    "claims",
    [
        {"pin": "x"},
        {"parent_pin": "x"},
        {"child": {"address": "x"}},
        {"home_street": "x"},
        {"note": "20101201500001"},
        {"note": ["given 20101201500001 today"]},
        {"number": 20101201500001},
        {"amount": 1.5},
        {"when": NOW},
        {"raw": b"x"},
    ],
)
def test_paper_refuses_what_a_passer_by_should_not_read(world: Any, claims: dict[str, Any]) -> None:
    with pytest.raises(ClaimRefused) as refused:
        world.paper(claims=claims)
    assert "20101201500001" not in str(refused.value)


def test_a_word_that_only_contains_a_refused_one_is_fine() -> None:
    check_minimal({"opinion": "x", "spinning": "x", "greenhouse": 5, "school": "№ 61", "ok": True, "none": None})


def test_more_than_fits_a_printable_code_is_refused(world: Any) -> None:
    with pytest.raises(PaperTooLarge):
        world.paper(claims={"text": "".join(chr(0x430 + i * 7 % 32) + chr(97 + i * i % 26) for i in range(500))})


def reopen(text: str) -> Any:
    return cbor2.loads(zlib.decompress(base45.b45decode(text.removeprefix("KRG1:"))))


def reseal(message: Any) -> str:
    return "KRG1:" + base45.b45encode(zlib.compress(cbor2.dumps(message))).decode()


def rebuilt(text: str, **parts: Any) -> str:
    protected, outer, body, signature = reopen(text).value.value
    row = {"protected": protected, "outer": outer, "body": body, "signature": signature} | parts
    return reseal(cbor2.CBORTag(61, cbor2.CBORTag(18, list(row.values()))))


def reason(world: Any, text: str) -> str:
    verdict = verify(text, world.trust, world.source(), NOW)
    assert verdict.state == "refused"
    assert not verdict.claims
    return verdict.reasons[0].removeprefix("credentials.")


def test_a_changed_claim_is_found(world: Any) -> None:
    text = world.paper().text
    body = cbor2.loads(reopen(text).value.value[2])
    body["claims"] = dict(body["claims"]) | {"grade": 11}
    assert reason(world, rebuilt(text, body=cbor2.dumps(body, canonical=True))) == "signature_false"


def test_every_other_shape_is_refused_by_name(world: Any) -> None:
    text = world.paper().text
    header = cbor2.loads(reopen(text).value.value[0])
    dumps = lambda m: cbor2.dumps(m, canonical=True)  # noqa: E731
    protected, outer, body, signature = reopen(text).value.value
    assert reason(world, rebuilt(text, protected=dumps(header | {1: -35}))) == "alg_refused"
    assert reason(world, rebuilt(text, protected=dumps({4: header[4], 16: header[16]}))) == "alg_refused"
    assert reason(world, rebuilt(text, protected=dumps(header | {16: "application/cwt"}))) == "type_mismatch"
    assert reason(world, rebuilt(text, protected=dumps(header | {4: b"12345678"}))) == "issuer_unknown"
    assert reason(world, rebuilt(text, protected=dumps(header | {2: [9]}))) == "malformed"
    assert reason(world, rebuilt(text, outer={1: -7})) == "malformed"
    assert reason(world, rebuilt(text, signature=signature[:-1])) == "malformed"
    assert reason(world, rebuilt(text, signature=bytes(64))) == "signature_false"
    assert reason(world, reseal(cbor2.CBORTag(18, [protected, outer, body, signature]))) == "malformed"
    assert reason(world, reseal([protected, outer, body, signature])) == "malformed"
    assert reason(world, "KRG1:" + base45.b45encode(b"not zlib").decode()) == "malformed"
    assert reason(world, "KRG1:" + base45.b45encode(zlib.compress(bytes(100_000))).decode()) == "too_large"
    assert reason(world, "KRG1:::::") == "malformed"
    assert reason(world, "KRG1:" + "0" * 70_000) == "too_large"
    assert reason(world, "HC1:" + text[5:]) == "format_unknown"
    assert reason(world, text.lower()) == "format_unknown"


def test_a_payload_with_a_name_twice_is_refused_even_when_signed(world: Any) -> None:
    issuer = world.edu
    body = cbor2.dumps({1: issuer.issuer_id, 4: 1, 6: 1, "type": "x", "claims": {}}, canonical=True)
    twice = bytes([body[0] + 1]) + body[1:] + cbor2.dumps(4) + cbor2.dumps(9_999_999_999)
    from kerege.credentials import chain

    protected = cbor2.dumps({1: -7, 4: chain.key_id(issuer.chain[0]), 16: paper.TYP}, canonical=True)
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    signed = issuer.key.sign(cbor2.dumps(["Signature1", protected, b"", twice]), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(signed)
    row = [protected, {}, twice, r.to_bytes(32, "big") + s.to_bytes(32, "big")]
    assert reason(world, reseal(cbor2.CBORTag(61, cbor2.CBORTag(18, row)))) == "malformed"


@given(st.binary(max_size=80))
def test_no_bytes_crash_the_reader(raw: bytes) -> None:
    from kerege.credentials import TrustList

    text = "KRG1:" + base45.b45encode(zlib.compress(raw)).decode()
    with pytest.raises(CredentialRefused):
        paper.open_paper(text, TrustList(()), NOW)


def test_a_document_ends_at_its_expiry(world: Any) -> None:
    text = world.paper(expires=NOW + timedelta(hours=1)).text
    last = NOW + timedelta(minutes=59, seconds=59)
    assert verify(text, world.trust, world.source(), last).state == "valid"
    late = verify(text, world.trust, world.source(), last + timedelta(seconds=1))
    assert (late.state, late.reasons) == ("refused", ("credentials.expired",))
    assert late.issuer == world.edu.issuer_id
