"""X-Road's wire and the native path, with a server in hostile hands at either end: messages under one signature, some of them not right."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hostile import Side, context
from traffic import Asked, Crowd, Office, lane_calls, log_of, provider_alone, request

from box import ADMISSION, PERSONS, Box, make_box
from kerege.exchange import faults, multipart, rest
from kerege.exchange.bodies import body_bytes
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import load_pair, save_pair
from kerege.exchange.xades import Signer

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey

TOGETHER = 6


def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


@dataclass
class Letter:
    """One message and what goes with it; a test changes what it likes before it is sent."""

    content: bytes
    body: bytes | None
    request_id: str
    signature: bytes = b""
    chain: HashChain | None = None
    ocsp: list[bytes] = field(default_factory=list)
    message_type: str = "REST"
    more: bytes = b""  # header lines
    data: bytes = b""  # in place of all of it

    @property
    def digests(self) -> tuple[bytes, tuple[bytes, ...]]:
        return sha512(self.content), (() if self.body is None else (sha512(self.body),))

    def parts(self, response: bool) -> tuple[str, bytes]:
        boundary = multipart.new_boundary()
        body = multipart.encode_rest(
            *(boundary, self.content, self.body, self.chain, self.signature), response=response, ocsp=self.ocsp
        )
        return multipart.content_type(boundary), body

    def http_request(self) -> bytes:
        kind, body = self.parts(False)
        head = (
            f"POST / HTTP/1.1\r\nhost: node\r\nx-hash-algorithm: SHA-512\r\nx-road-message-type: {self.message_type}\r\n"
            f"x-road-request-id: {self.request_id}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        )
        return self.data or head.encode() + self.more + b"\r\n" + body

    def http_answer(self) -> bytes:
        kind, body = self.parts(True)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        return self.data or head.encode() + self.more + b"\r\n" + body


def seal(letters: list[Letter], signer: Signer) -> None:
    """One signature for all of them."""
    for letter, signed in zip(
        letters, signer.sign_batch([one.digests for one in letters], datetime.now(UTC)), strict=True
    ):
        letter.signature, letter.chain = signed.xml, signed.chain


def read_http(connection: ssl.SSLSocket) -> tuple[bytes, bytes]:
    """Head and body of one message; empty where the connection ended."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b"", b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    size = int(lines[b"content-length"])
    while len(body) < size:
        piece = connection.recv(65536)
        if not piece:
            return b"", b""
        body += piece
    return head, body


def message_in(head: bytes, body: bytes) -> multipart.TransportMessage:
    kind = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type: "))[14:]
    decoder = multipart.Decoder(multipart.boundary_of(kind.decode()))
    decoder.feed(body)
    return decoder.finish()


# --- a hostile caller ---


class Caller(Side):
    """node-edu, with a connection for every message."""

    def __init__(self, box: Box) -> None:
        super().__init__(box, "node-edu", "sign-GOV-70000003")
        self.port = box.plan.servers[1].server_port
        pair = load_pair(self.keys, "auth")
        self.answers = [self.authority.ocsp_response(pair.certificate, datetime.now(UTC))]
        self.connections = [self.connect() for _ in range(TOGETHER)]

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context(self.keys, server=False, alpn=False).wrap_socket(plain)

    def letter(self, name: str, body: bytes | None = b"body", *, service: str = str(PERSONS)) -> Letter:
        request_id = str(uuid.uuid4())
        made = rest.request_from_client(
            *("POST", f"/r1/{service}/a", ((b"X-Road-Client", str(ADMISSION).encode()),)),
            new_message_id=name,
            request_id=request_id,
        )
        return Letter(made.encode(), body, request_id, ocsp=list(self.answers))

    def ask(self, letters: list[Letter]) -> list[str]:
        """All at once: of each "200", or the code of the fault."""
        for letter, connection in zip(letters, self.connections, strict=False):
            connection.sendall(letter.http_request())
        return [told(*read_http(connection)) for _, connection in zip(letters, self.connections, strict=False)]

    def close(self) -> None:
        for one in self.connections:
            with contextlib.suppress(OSError):
                one.close()


def told(head: bytes, body: bytes) -> str:
    if not head:
        return "ended"
    if not head.startswith(b"HTTP/1.1 200 "):
        return head.split(b" ")[1].decode()
    if b"multipart/mixed" not in head:
        fault = faults.from_soap(body)
        assert fault is not None
        return fault.code
    return str(rest.decode_response(message_in(head, body).message).status)


@pytest.fixture(scope="module")
def provider(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with provider_alone(tmp_path_factory.mktemp("provider"), office) as box:
        yield box


@pytest.fixture
def caller(provider: Box) -> Iterator[Caller]:
    made = Caller(provider)
    yield made
    made.close()


def native(box: Box, caller: Caller, letters: list[Letter]) -> tuple[list[str], int]:
    """What is told of each, and how many the native path answered; what it answered is logged, and nothing else."""
    before, logged = lane_calls(box, "node-reg")[0], len(log_of(box, "node-reg"))
    found = caller.ask(letters)
    time.sleep(0.05)
    assert len(log_of(box, "node-reg")) - logged == 2 * found.count("200")
    return found, lane_calls(box, "node-reg")[0] - before


def test_messages_under_one_signature_on_several_connections_are_answered_natively(
    provider: Box, caller: Caller
) -> None:
    for bodies in ([b"body"] * 6, [None] * 6, [b"", None, b"x" * 60_000, b"y" * 30_000, None, b"z"]):
        letters = [caller.letter(f"well-{at}", body) for at, body in enumerate(bodies)]
        seal(letters, caller.signer())
        assert native(provider, caller, letters) == (["200"] * 6, 6)


def test_each_with_a_signature_of_its_own_with_a_chain_and_without(provider: Box, caller: Caller) -> None:
    letters = [caller.letter(f"own-{at}", b"x" if at % 2 else None) for at in range(TOGETHER)]
    for letter in letters:
        seal([letter], caller.signer())
    assert native(provider, caller, letters) == (["200"] * 6, 6)


def other_body(letters: list[Letter], _: Caller) -> None:
    letters[1].body = b"other"


def other_content(letters: list[Letter], _: Caller) -> None:
    letters[1].content = letters[1].content.replace(b"/a\r\n", b"/b\r\n")


def body_left_out(letters: list[Letter], _: Caller) -> None:
    letters[1].body = None


def anothers_chain(letters: list[Letter], _: Caller) -> None:
    letters[1].chain = letters[2].chain


def result_of_another_tree(letters: list[Letter], caller: Caller) -> None:
    other = [caller.letter("other"), caller.letter("another")]
    seal(other, caller.signer())
    assert letters[1].chain is not None
    assert other[0].chain is not None
    letters[1].chain = HashChain(other[0].chain.result, letters[1].chain.chain)


def signature_of_another_tree(letters: list[Letter], caller: Caller) -> None:
    other = [caller.letter("other"), caller.letter("another")]
    seal(other, caller.signer())
    letters[1].signature = other[0].signature


def chain_left_out(letters: list[Letter], _: Caller) -> None:
    letters[1].chain = None


def another_tree_altogether(letters: list[Letter], caller: Caller) -> None:
    """A tree that holds in itself, and a signature that holds: but not over it."""
    other = [caller.letter("other"), letters[1]]
    signature = letters[1].signature
    seal(other, caller.signer())
    letters[1].signature = signature


def value_spoiled(letters: list[Letter], _: Caller) -> None:
    at = letters[1].signature.index(b'Id="signature-value">') + 40
    byte = b"A" if letters[1].signature[at : at + 1] != b"A" else b"B"
    letters[1].signature = letters[1].signature[:at] + byte + letters[1].signature[at + 1 :]


def other_request_id(letters: list[Letter], _: Caller) -> None:
    letters[1].request_id = str(uuid.uuid4())


def other_type(letters: list[Letter], _: Caller) -> None:
    letters[1].message_type = "SOAP"


def no_service(letters: list[Letter], caller: Caller) -> None:
    letters[1] = caller.letter("nothing", service=str(PERSONS).replace("persons", "nothing"))
    seal(letters, caller.signer())


def no_ocsp(letters: list[Letter], _: Caller) -> None:
    letters[1].ocsp = []


def old_ocsp(letters: list[Letter], caller: Caller) -> None:
    certificate = load_pair(caller.keys, "auth").certificate
    letters[1].ocsp = [caller.authority.ocsp_response(certificate, datetime(2026, 1, 1, tzinfo=UTC))]


def by_another_member(letters: list[Letter], caller: Caller) -> None:
    since = caller.authority.ca.certificate.not_valid_before_utc
    pair = caller.authority.sign_certificate(MemberId("KG", "GOV", "70000002"), "Registry", "x", since)
    save_pair(pair, caller.keys, "sign-stolen")
    seal([letters[1]], caller.signer("sign-stolen"))


MISCHIEF: list[tuple[Callable[[list[Letter], Caller], None], str]] = [
    *((one, "invalid_hash_chain") for one in (other_body, other_content, body_left_out, anothers_chain)),
    *((one, "signature_verification") for one in (result_of_another_tree, signature_of_another_tree)),
    *((another_tree_altogether, "signature_verification"), (value_spoiled, "invalid_signature")),
    *((chain_left_out, "invalid_reference"), (by_another_member, "incorrect_certificate")),
    *((one, "") for one in (other_request_id, other_type, no_service, no_ocsp, old_ocsp)),
]


@pytest.mark.parametrize(("mischief", "code"), MISCHIEF, ids=[one.__name__ for one, _ in MISCHIEF])
def test_one_message_that_is_not_right_is_refused_and_its_neighbours_are_answered(
    provider: Box, caller: Caller, office: Office, mischief: Any, code: str
) -> None:
    letters = [caller.letter(f"{mischief.__name__}-{at}") for at in range(TOGETHER)]
    seal(letters, caller.signer())
    mischief(letters, caller)
    office.seen.clear()
    found, count = native(provider, caller, letters)
    assert [at for at, one in enumerate(found) if one != "200"] == [1], found
    assert found[1].lower().startswith("server.serverproxy")
    assert code in found[1].lower()
    assert len(office.seen) == TOGETHER - 1
    assert count == TOGETHER - 1, "its neighbours went the native way"


def test_messages_in_pieces_of_any_size_are_answered(provider: Box, caller: Caller) -> None:
    letters = [caller.letter(f"crumbs-{at}", b"c" * 20_000) for at in range(TOGETHER)]
    seal(letters, caller.signer())
    sent = [letter.http_request() for letter in letters]
    cuts = [1, 100, 16_384, len(sent[0]) - 1]
    before = [0] * TOGETHER
    for cut in [*cuts, None]:
        for at, connection in enumerate(caller.connections):
            connection.sendall(sent[at][before[at] : cut])
            before[at] = cut or 0
        time.sleep(0.02)
    assert [told(*read_http(one)) for one in caller.connections] == ["200"] * TOGETHER


def test_requests_sent_ahead_on_one_connection_are_answered_in_their_order(provider: Box, caller: Caller) -> None:
    letters = [caller.letter(f"ahead-{at}") for at in range(4)]
    seal(letters, caller.signer())
    letters[2].body = b"changed"
    connection = caller.connections[0]
    connection.sendall(b"".join([one.http_request() for one in letters]))
    assert [told(*read_http(connection))[:6] for _ in letters] == ["200", "200", "server", "200"]


def test_a_caller_that_leaves_in_the_middle_leaves_nothing_behind(
    provider: Box, caller: Caller, office: Office
) -> None:
    letters = [caller.letter(f"gone-{at}", b"g" * 30_000) for at in range(TOGETHER)]
    seal(letters, caller.signer())
    for at, (letter, connection) in enumerate(zip(letters, caller.connections, strict=True)):
        sent = letter.http_request()
        connection.sendall(sent if at % 2 else sent[:20_000])
    caller.close()
    other = Caller(provider)
    try:
        letters = [other.letter(f"after-{at}") for at in range(TOGETHER)]
        seal(letters, other.signer())
        assert other.ask(letters) == ["200"] * TOGETHER
    finally:
        other.close()


# --- a hostile answerer ---

# what is sent in answer to each call, in pieces; None: the end of the connection
Deal = Callable[["Answerer", list[Letter]], list[list[bytes | None]]]


class Answerer(Side):
    """node-reg, called by node-edu over X-Road's wire; calls to "/warm" are answered well, the others wait for each other."""

    def __init__(self, box: Box, deal: Deal) -> None:
        super().__init__(box, "node-reg", "sign-GOV-70000002")
        self.deal = deal
        self.listening = socket.create_server(("127.0.0.1", box.plan.servers[1].server_port))
        self.open: list[ssl.SSLSocket] = []
        self.problems: list[BaseException] = []
        self.letters: list[Letter] = []
        self.dealt: dict[int, list[bytes | None]] = {}
        self.all_there = threading.Condition()
        self._tls = context(self.keys, server=True, alpn=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listening.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            plain.settimeout(20)
            connection = self._tls.wrap_socket(plain, server_side=True)
            self.open.append(connection)
            while True:
                head, body = read_http(connection)
                if not head:
                    return
                came = message_in(head, body)
                letter = self.answer(came)
                if b"/warm" in came.message:
                    seal([letter], self.signer())
                    connection.sendall(letter.http_answer())
                    continue
                for piece in self._pieces(letter):
                    if piece is None:
                        connection.close()
                        return
                    connection.sendall(piece)
                    time.sleep(0.001)
        except OSError:
            pass
        except BaseException as problem:  # told by the test
            self.problems.append(problem)

    def _pieces(self, letter: Letter) -> list[bytes | None]:
        """Waits until all calls are there; a connection is only ever used by its own thread."""
        with self.all_there:
            self.letters.append(letter)
            if len(self.letters) == TOGETHER:
                self.letters.sort(key=lambda one: one.content[one.content.index(b"x-road-id:") :])
                them = list(self.letters)
                self.dealt = {id(one): dealt for one, dealt in zip(them, self.deal(self, them), strict=True)}
                self.all_there.notify_all()
            else:
                assert self.all_there.wait_for(lambda: id(letter) in self.dealt, 10)
            return self.dealt[id(letter)]

    def answer(self, came: multipart.TransportMessage) -> Letter:
        asked = rest.decode_request(came.message)
        body = None if came.body is None else body_bytes(came.body)
        expected = rest.request_hash(sha512(came.message), None if body is None else sha512(body))
        made = rest.response_from_provider(200, "OK", ((b"Content-Type", b"text/plain"),), asked, expected)
        return Letter(made.encode(), b"answer", "")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for one in self.open:  # their threads close them
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """node-edu alone; where node-reg should be, a test stands."""
    box = make_box(tmp_path_factory.mktemp("consumer"))
    box.change("node-edu", limits={"peer_seconds": 1.9, "connect_seconds": 1}, link=False)
    try:
        box.start("node-edu")
        box.wait("node-edu")
        yield box
    finally:
        box.close()


def dealt(change: Callable[[Answerer, list[Letter]], None]) -> Deal:
    """All under one signature, changed, and each sent."""

    def deal(side: Answerer, letters: list[Letter]) -> list[list[bytes | None]]:
        seal(letters, side.signer())
        change(side, letters)
        return [[one.http_answer()] for one in letters]

    return deal


def well(_: Answerer, letters: list[Letter]) -> None:
    pass


def signed_each(side: Answerer, letters: list[Letter]) -> None:
    for letter in letters:
        letter.body = None
        seal([letter], side.signer())


def changed_body(_: Answerer, letters: list[Letter]) -> None:
    letters[1].body = b"other"


def anothers_answer(_: Answerer, letters: list[Letter]) -> None:
    one, two = letters[1], letters[2]
    one.content, two.content = two.content, one.content
    one.chain, two.chain = two.chain, one.chain


def answers_chain_swapped(_: Answerer, letters: list[Letter]) -> None:
    letters[1].chain = letters[2].chain


def not_what_was_asked(side: Answerer, letters: list[Letter]) -> None:
    letters[1].content = letters[1].content.replace(b"x-road-request-hash:", b"x-road-request-hash:0")
    seal(letters, side.signer())


def signed_by_another(side: Answerer, letters: list[Letter]) -> None:
    since = side.authority.ca.certificate.not_valid_before_utc
    pair = side.authority.sign_certificate(MemberId("KG", "GOV", "70000003"), "Education", "x", since)
    save_pair(pair, side.keys, "sign-stolen")
    seal(letters, side.signer("sign-stolen"))


def a_fault(_: Answerer, letters: list[Letter]) -> None:
    fault = faults.to_soap(faults.Fault("Server.ServerProxy.Odd", "as it is", "", ""))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml; charset=UTF-8\r\ncontent-length: %d\r\n\r\n" % len(fault)
    letters[1].data = head + fault


def a_refusal(_: Answerer, letters: list[Letter]) -> None:
    letters[1].data = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"


def nonsense(_: Answerer, letters: list[Letter]) -> None:
    letters[1].data = b"SSH-2.0-x\r\n\r\n"


def something_behind(_: Answerer, letters: list[Letter]) -> None:
    letters[1].data = letters[1].http_answer() + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def with_more_headers(_: Answerer, letters: list[Letter]) -> None:
    letters[1].more = b"server: another\r\nx-own: 1\r\n"


def crumbs_and_silence(side: Answerer, letters: list[Letter]) -> list[list[bytes | None]]:
    """The first in crumbs, the second only half."""
    seal(letters, side.signer())
    first, second, *others = (one.http_answer() for one in letters)
    rest_of: list[list[bytes | None]] = [[one] for one in others]
    crumbs: list[bytes | None] = [first[at : at + 1500] for at in range(0, len(first), 1500)]
    return [crumbs, [second[: len(second) // 2]], *rest_of]


def half_and_gone(side: Answerer, letters: list[Letter]) -> list[list[bytes | None]]:
    found = crumbs_and_silence(side, letters)
    found[1].append(None)
    return found


REFUSED = [200, 500, 200, 200, 200, 200]
ANSWERS: list[tuple[Deal, str, list[int], str, int]] = [
    (dealt(well), "well", [200] * 6, "", 6),
    (dealt(signed_each), "signed-each", [200] * 6, "", 6),
    (dealt(with_more_headers), "more-headers", [200] * 6, "", 6),
    (dealt(changed_body), "changed-body", REFUSED, "digest", 5),
    (dealt(anothers_answer), "anothers-answer", [200, 500, 500, 200, 200, 200], "", 4),
    (dealt(answers_chain_swapped), "chain-swapped", REFUSED, "", 5),
    (dealt(not_what_was_asked), "not-what-was-asked", REFUSED, "x-road-request-hash", 5),
    (dealt(signed_by_another), "signed-by-another", [500] * 6, "exchange.signer_wrong", 0),
    (dealt(a_fault), "fault", REFUSED, "as it is", 5),
    (dealt(a_refusal), "refusal", REFUSED, "answered HTTP 503", 5),
    (dealt(nonsense), "nonsense", REFUSED, "valid HTTP", 5),
    (dealt(something_behind), "something-behind", [200] * 6, "", 5),
    (crumbs_and_silence, "crumbs", REFUSED, "did not answer within 1.9 s", 5),
    (half_and_gone, "half", REFUSED, "closed the connection before answering", 5),
]


@pytest.mark.parametrize(
    ("deal", "name", "statuses", "reason", "many"), ANSWERS, ids=[name for _, name, _, _, _ in ANSWERS]
)
def test_each_call_is_answered_or_refused_once_and_logged_as_it_was(
    consumer: Box, deal: Deal, name: str, statuses: list[int], reason: str, many: int
) -> None:
    side = Answerer(consumer, deal)
    try:
        with Crowd(consumer) as crowd:
            crowd.warm()
            # so many connections to the other server that every call finds one
            assert {one.status for one in crowd.ask(*[request("/warm")] * (2 * TOGETHER))} == {200}
            before = lane_calls(consumer, "node-edu")[0]
            wires = [request(f"/{n}", message_id=f"{name}-{n}") for n in range(TOGETHER)]
            answers: list[Asked] = crowd.ask(*wires)
            count = lane_calls(consumer, "node-edu")[0] - before
    finally:
        side.close()
    assert side.problems == []
    assert [one.status for one in answers] == statuses, [one.body for one in answers]
    for one in answers:
        if one.status != 200:
            assert reason in f"{one.json['message']} {one.json['detail']}"
    assert count == many
    records = [(one.message_id, one.direction) for one in log_of(consumer, "node-edu")]
    assert len(set(records)) == len([one for one in records if one[0].startswith(name)]) + len(
        {one for one in records if not one[0].startswith(name)}
    )
    for n, one in enumerate(answers):
        assert (f"{name}-{n}", "request") in records
        assert ((f"{name}-{n}", "response") in records) == (one.status == 200)
        if one.status == 200:
            assert one.headers["x-road-id"] == f"{name}-{n}"
