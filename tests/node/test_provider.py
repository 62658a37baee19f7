"""What another server may send: a node's own keys in the hands of someone who writes the wire himself."""

import hashlib
import http.client
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from box import ADMISSION, CIVIL, EMIS, PERSONS, POP, Box
from kerege.exchange import faults, multipart, ocsp, rest
from kerege.exchange.faults import Fault
from kerege.exchange.ids import ServerId
from kerege.exchange.multipart import encode_rest
from kerege.exchange.pki import KeyPair, TestAuthority, load_pair, save_pair
from kerege.exchange.xades import Signer

pytestmark = pytest.mark.journey


@dataclass
class Wire:
    """Everything about one hand-made message; tests change a part and send it."""

    client: str = str(ADMISSION)
    target: str = f"/r1/{PERSONS}/x"
    body: bytes | None = b"body"
    signer: str = "sign-GOV-70000003"
    auth: str = "auth"
    ocsp: bool = True
    request_id: str | None = None
    message_type: str = "REST"
    now: datetime | None = None
    change: Callable[[bytes], bytes] = bytes
    after_signing: Callable[[bytes], bytes] = bytes


class Attacker:
    def __init__(self, box: Box) -> None:
        self.box = box
        self.authority = TestAuthority.load(box.folder / "authority")
        self.keys = box.laid.nodes["node-edu"].folder / "keys"
        self.port = box.plan.servers[1].server_port

    def pair(self, name: str) -> KeyPair:
        return load_pair(self.keys, name)

    def send(self, wire: Wire, times: int = 1) -> Fault | rest.RestResponse:
        now = wire.now or datetime.now(UTC)
        pair = self.pair(wire.signer)
        signer = Signer(pair.key, pair.certificate)
        signer.with_ocsp([self.authority.ocsp_response(pair.certificate, now)])
        request_id = str(uuid.uuid4())
        request = rest.request_from_client(
            "POST", wire.target, ((b"X-Road-Client", wire.client.encode()),), new_message_id="m", request_id=request_id
        )
        message = request.encode()
        digests = () if wire.body is None else (hashlib.sha512(wire.body).digest(),)
        signed = signer.sign(hashlib.sha512(message).digest(), digests, now)
        auth = self.pair(wire.auth)
        answers = [self.authority.ocsp_response(auth.certificate, datetime.now(UTC))] if wire.ocsp else []
        data = encode_rest(
            "xtopTEST", wire.after_signing(message), wire.body, signed.chain, signed.xml, response=False, ocsp=answers
        )
        headers = {
            "content-type": multipart.content_type("xtopTEST"),
            "x-hash-algorithm": "SHA-512",
            "x-road-message-type": wire.message_type,
            "x-road-request-id": wire.request_id or request_id,
        }
        for _ in range(times - 1):
            self.post(wire.change(data), headers, wire.auth)
        return self.post(wire.change(data), headers, wire.auth)

    def post(self, data: bytes, headers: dict[str, str], auth: str = "auth") -> Fault | rest.RestResponse:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.keys / f"{auth}.pem", self.keys / f"{auth}.key")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=10)
        connection.request("POST", "/", data, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200
        kind = answer.headers["content-type"]
        if kind.startswith("text/xml"):
            fault = faults.from_soap(body)
            assert fault is not None
            return fault
        decoder = multipart.Decoder(multipart.boundary_of(kind))
        decoder.feed(body)
        return rest.decode_response(decoder.finish().message)


@pytest.fixture
def attacker(box: Box) -> Attacker:
    return Attacker(box)


def test_the_hand_made_message_is_accepted_when_nothing_is_wrong_with_it(attacker: Attacker) -> None:
    answer = attacker.send(Wire())
    assert isinstance(answer, rest.RestResponse)
    assert answer.status == 200
    assert len(attacker.box.agency.seen) == 1


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert data.count(old) >= 1
        return data.replace(old, new, 1)

    return change


NOW = datetime.now(UTC)
VALUE = b'<ds:SignatureValue Id="signature-value">'


@pytest.mark.parametrize(
    ("wire", "code", "detail"),
    [
        (Wire(change=swapped(b"\r\n\r\nbody", b"\r\n\r\nBODY")), "invalid_hash_chain", "exchange.hash_chain_invalid"),
        (Wire(after_signing=swapped(b"/persons/x", b"/persons/y")), "invalid_hash_chain", "exchange.hash_chain_invalid"),
        (Wire(body=None, after_signing=swapped(b"/persons/x", b"/persons/y")), "invalid_signature_value", "signature_invalid"),
        (Wire(change=swapped(VALUE, VALUE + b"AAAA")), "invalid_signature_value", "signature_invalid"),
        (Wire(change=swapped(b"signature/bdoc-1.0/ts", b"text/plain")), "invalid_message", "message_malformed"),
        (Wire(change=lambda data: data[:-20]), "invalid_message", "message_malformed"),
        (Wire(change=lambda data: data + b"more"), "invalid_message", "message_malformed"),
        (Wire(request_id="another"), "invalid_message", "message_malformed"),
        (Wire(message_type="SOAP"), "invalid_message", "message_malformed"),
        (Wire(client="KG/GOV/70000002/population"), "ssl_authentication_failed", "peer_untrusted"),
        (Wire(client=str(EMIS)), "access_denied", "access_denied"),
        (Wire(ocsp=False), "cert_validation", "revocation_unknown"),
        (Wire(target=f"/r1/{PERSONS}/a/%2e%2e/b"), "bad_request", "path_refused"),
    ],
)  # fmt: skip
def test_a_message_that_is_not_as_signed_or_not_allowed_never_reaches_the_agency(
    attacker: Attacker, wire: Wire, code: str, detail: str
) -> None:
    fault = attacker.send(wire)
    assert isinstance(fault, Fault), fault
    assert fault.code.endswith("." + code)
    assert detail in fault.detail
    assert attacker.box.agency.seen == []


def test_a_member_may_not_speak_for_another_members_client(attacker: Attacker) -> None:
    """A server signs with a key of its own making that the authority gave to another member."""
    stolen = attacker.authority.sign_certificate(POP, "Population", "node-reg", NOW)
    save_pair(stolen, attacker.keys, "sign-other")
    fault = attacker.send(Wire(signer="sign-other"))
    assert isinstance(fault, Fault)
    assert "signer_wrong" in fault.detail
    assert attacker.box.agency.seen == []


def test_a_certificate_nobody_registered_is_refused_although_the_authority_issued_it(attacker: Attacker) -> None:
    stray = attacker.authority.auth_certificate(ServerId.parse("KG/GOV/70000001/node-x"), str(CIVIL), NOW)
    save_pair(stray, attacker.keys, "auth-stray")
    fault = attacker.send(Wire(auth="auth-stray"))
    assert isinstance(fault, Fault)
    assert "peer_untrusted" in fault.detail


def test_an_old_revocation_answer_in_the_signature_is_refused(attacker: Attacker) -> None:
    """The attacker keeps an answer from before the revocation: freshness ends that."""
    pair = attacker.pair("sign-GOV-70000003")
    answer = attacker.authority.ocsp_response(pair.certificate, NOW - timedelta(hours=3))
    assert ocsp.this_update(answer) < NOW - timedelta(hours=2)
    fault = attacker.send(Wire(now=NOW - timedelta(hours=3)))
    assert isinstance(fault, Fault)
    assert "revocation_unknown" in fault.detail


def test_a_connection_without_a_certificate_does_not_get_through_the_handshake(attacker: Attacker) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", attacker.port, context=context, timeout=10)

    def talk() -> None:
        connection.request("POST", "/", b"")
        connection.getresponse()

    with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
        talk()


def test_only_post_to_the_root_is_a_message(attacker: Attacker) -> None:
    fault = attacker.post(b"x", {"content-type": "multipart/mixed; boundary=x", "x-road-message-type": "REST"})
    assert isinstance(fault, Fault)
    assert "message_malformed" in fault.detail


def test_the_same_message_again_is_carried_out_again_as_x_road_does(attacker: Attacker) -> None:
    assert isinstance(attacker.send(Wire(), times=2), rest.RestResponse)
    assert len(attacker.box.agency.seen) == 2


def test_with_a_replay_window_the_same_message_is_carried_out_once(new_box: Callable[..., Box]) -> None:
    box = new_box()
    config = box.laid.nodes["node-reg"].config
    config.write_text(config.read_text() + "replay_window_seconds: 60\n")
    box.start("node-reg")
    box.wait("node-reg")
    attacker = Attacker(box)
    fault = attacker.send(Wire(), times=2)
    assert isinstance(fault, Fault)
    assert "carried out already" in fault.message + fault.detail
    assert isinstance(attacker.send(Wire()), rest.RestResponse)
    assert len(box.agency.seen) == 2
