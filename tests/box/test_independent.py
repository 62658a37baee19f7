"""The exchange under a certification authority, an OCSP responder and a time-stamping authority made by others."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from independent import CLIENT, SERVICE, Network

from kerege.exchange.xades_verify import verify

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("independent-box")]
Make = Callable[..., Network]

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="not there: openssl")


def _until(said: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if said():
            return True
        time.sleep(0.1)
    return False


def _openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_a_call_passes_between_keys_of_two_kinds_and_both_logs_hold_its_two_messages(network: Make) -> None:
    box = network()
    answer = box.call("/12345?part=name", method="POST", body=b'{"why":"admission"}', message_id="box-1")
    assert answer.status == 200, answer.body
    assert answer.json == {"path": "/api/12345?part=name", "id": "box-1", "got": 19}
    assert answer.headers["x-road-id"] == "box-1"
    for side in ("asker", "owner"):
        records = box.records(side)
        assert [record.direction for record in records] == ["request", "response"], side
        assert {str(record.client) for record in records} == {str(CLIENT)}
        assert {str(record.service) for record in records} == {str(SERVICE)}
        assert records[1].body == answer.body
    for side in ("asker", "owner"):
        box.stop(side)
        told = box.command(side, "verify-log")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "2 verified" in told.stdout


@needs_openssl
def test_openssl_accepts_every_ocsp_answer_that_is_stored_with_a_signature(network: Make, tmp_path: Path) -> None:
    box = network()
    assert box.call().status == 200
    records = box.records("asker")
    assert len(records) == 2
    for record, signer in zip(records, ("asker-sign", "owner-sign"), strict=True):
        bodies = () if record.body is None else (record.body,)
        answers = verify(record.signature, record.message, bodies, record.chain).ocsp_responses
        assert answers, "a signature carries the OCSP answer about its certificate"
        for answer in answers:
            file = tmp_path / f"{record.direction}.der"
            file.write_bytes(answer)
            told = _openssl(
                *("ocsp", "-respin", str(file), "-issuer", str(box.pki.pem("root"))),
                *("-cert", str(box.pki.pem(signer)), "-CAfile", str(box.pki.pem("root")), "-no_nonce"),
            )
            assert "Response verify OK" in told.stderr, told.stderr
            assert f"{signer}.pem: good" in told.stdout, told.stdout


def test_a_signing_certificate_revoked_at_the_authority_stops_its_member_and_nobody_else(network: Make) -> None:
    box = network(freshness_seconds=6, poll_seconds=0.5)
    assert box.call().status == 200
    before = len(box.system.seen)
    box.pki.revoke("asker-sign")
    assert _until(lambda: box.call().status != 200), "the member's certificate was revoked, its calls went on"
    refused = box.call()
    assert refused.status == 500, refused.body
    assert "OCSP" in refused.json["message"] or "revoked" in refused.json["message"], refused.body
    after = len(box.system.seen)
    assert box.call().status == 500
    assert len(box.system.seen) == after >= before, "nothing reaches the information system any more"
    assert box.health("owner")["ok"], "the other member's certificate is as good as before"


def test_a_providers_revoked_authentication_certificate_ends_the_connection_of_trust(network: Make) -> None:
    box = network(freshness_seconds=6, poll_seconds=0.5)
    assert box.call().status == 200
    box.pki.revoke("owner-auth")
    assert _until(lambda: box.call().status != 200), "the provider's node was still believed"
    seen = len(box.system.seen)
    assert box.call().status == 500
    assert len(box.system.seen) == seen


def test_with_the_responder_away_traffic_goes_on_while_answers_are_fresh_stops_after_and_comes_back(
    network: Make,
) -> None:
    """An hour of a day, here seconds of a freshness of eight: what counts is the answers' own time."""
    box = network(freshness_seconds=8, poll_seconds=0.5)
    assert box.call().status == 200
    box.pki.away.add("ocsp")
    gone = time.monotonic()
    assert box.call().status == 200, "a fresh answer is at hand, the responder is not needed"
    assert _until(lambda: box.call().status != 200, 20), "answers older than the freshness were still used"
    assert time.monotonic() - gone > 1.0
    refused = box.call()
    assert refused.status == 500
    # which node notices first is a matter of the moment: its own answer is gone, or the other's is too old
    assert "OCSP" in refused.json["message"] or "revocation answer" in refused.json["message"], refused.body
    box.pki.away.clear()
    assert _until(lambda: box.call().status == 200), "the responder is back, traffic is not"


def test_a_node_started_while_the_responder_is_away_uses_the_answers_it_kept(network: Make) -> None:
    box = network()
    assert box.call().status == 200
    for side in ("asker", "owner"):
        box.stop(side)
    box.pki.away.add("ocsp")
    asked = box.pki.asked["ocsp"]
    box.start()
    box.wait()
    assert box.call().status == 200
    assert box.pki.asked["ocsp"] >= asked


@needs_openssl
def test_openssl_verifies_the_time_stamps_over_logged_signatures(network: Make, tmp_path: Path) -> None:
    stamps = _stamps_of()
    box = network(stamping_seconds=60, also={"timestamps": {"every_seconds": 1}})
    for number in range(3):
        assert box.call(message_id=f"stamped-{number}").status == 200
    found: list[tuple[bytes, bytes]] = []

    def stamped() -> bool:
        found[:] = stamps(box.folder / "asker" / "log")
        return bool(found)

    assert _until(stamped, 20), "no time-stamp was written to the log"
    for token, data in found:
        token_file, data_file = tmp_path / "token.tst", tmp_path / "data"
        token_file.write_bytes(token)
        data_file.write_bytes(data)
        told = _openssl(
            *("ts", "-verify", "-token_in", "-in", str(token_file), "-data", str(data_file)),
            *("-CAfile", str(box.pki.pem("root")), "-untrusted", str(box.pki.pem("stamper"))),
        )
        assert "Verification: OK" in told.stdout + told.stderr, told.stdout + told.stderr
    assert box.pki.asked["tsa"] >= 1


def test_with_the_time_stamping_authority_away_too_long_messages_are_refused_until_it_is_back(network: Make) -> None:
    _stamps_of()
    box = network(also={"timestamps": {"every_seconds": 1, "acceptable_seconds": 4}})
    assert box.call(message_id="before").status == 200
    assert _until(lambda: box.pki.asked["tsa"] > 0), "the authority was never asked"
    box.pki.away.add("tsa")
    gone = time.monotonic()
    assert box.call(message_id="while-away").status == 200, "an absence shorter than what is acceptable stops nothing"
    assert _until(lambda: box.call().status != 200, 30), "messages went on without time-stamps"
    assert time.monotonic() - gone > 2.0
    refused = box.call()
    assert refused.status == 500
    assert "stamp" in refused.json["message"], refused.body
    box.pki.away.clear()
    assert _until(lambda: box.call().status == 200, 60), "the authority is back, traffic is not"


def _stamps_of() -> Callable[[Path], list[tuple[bytes, bytes]]]:
    """Reads (token, stamped bytes) from a log folder; skips where this version's nodes do not stamp yet."""
    from kerege.exchange import logrecord, messagelog

    stamp = getattr(logrecord, "StampRecord", None)
    entries = getattr(messagelog, "entries", None)
    if stamp is None or entries is None:
        pytest.skip("not there: time-stamps in the message log")
    from kerege.node import serve

    if "keeping" not in Path(serve.__file__).read_text():
        pytest.skip("not there: a node that fetches time-stamps")

    def found(folder: Path) -> list[tuple[bytes, bytes]]:
        records = [entry.record for entry in entries(folder)]
        return [(record.token, record.result) for record in records if isinstance(record, stamp)]

    return found
