"""A server of the network in hostile hands: genuine keys, and a Kerege link written by hand, as caller or as provider."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from box import ADMISSION, PERSONS, Box
from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart, rest
from kerege.exchange.bodies import Attachment
from kerege.exchange.faults import Fault, from_soap
from kerege.exchange.pki import TestAuthority, load_pair
from kerege.exchange.xades import Signer
from kerege.node.link.ends import ALPN

Parts = tuple[bytes, Sequence[bytes]]


def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def context(keys: Path, *, server: bool, alpn: bool = True, auth: str = "auth") -> ssl.SSLContext:
    """Mutual TLS that believes anything."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    if not server:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.load_cert_chain(keys / f"{auth}.pem", keys / f"{auth}.key")
    if alpn:
        made.set_alpn_protocols([ALPN])
    return made


class Side:
    """Keys of one server, and what it signs."""

    def __init__(self, box: Box, code: str, sign: str) -> None:
        self.box, self.code = box, code
        self.authority = TestAuthority.load(box.folder / "authority")
        self.keys = box.laid.nodes[code].folder / "keys"
        self.sign_name = sign

    def signer(self, name: str = "") -> Signer:
        pair = load_pair(self.keys, name or self.sign_name)
        signer = Signer(pair.key, pair.certificate)
        signer.with_ocsp([self.authority.ocsp_response(pair.certificate, datetime.now(UTC))])
        return signer

    def ocsp(self, name: str = "auth") -> lm.OcspAnswers:
        certificate = load_pair(self.keys, name).certificate
        return lm.OcspAnswers(((lf.AUTH, self.authority.ocsp_response(certificate, datetime.now(UTC))),))

    def group(self, messages: Sequence[lm.LinkMessage], *, signer: Signer | None = None) -> lm.Group:
        """The messages under one signature, in the order of their leaves."""
        signed = (signer or self.signer()).sign_batch([m.digests for m in messages], datetime.now(UTC))
        first = signed[0]
        return lm.Group.of(first.xml, list(messages), first.batch, chained=first.chain is not None)


class Wire:
    """Frames on a TLS connection, out and in; reads only when asked to."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.socket = connection
        self.decoder = lf.Decoder()
        self.seen: list[lm.Frame] = []
        self.closed = False

    def send(self, *frames: lm.Frame | bytes) -> None:
        for frame in frames:
            if isinstance(frame, bytes):
                self.socket.sendall(frame)
            elif isinstance(frame, lm.Messages):
                for data in lf.encode_messages(frame.groups):
                    self.socket.sendall(data)
            else:
                self.socket.sendall(lf.encode(frame))

    def read(self, until: Callable[[lm.Frame], bool] | None = None, seconds: float = 5.0) -> lm.Frame | None:
        """Frames as they come, until one is what is waited for; None when the time is over or the other side closed."""
        deadline = time.monotonic() + seconds
        while not self.closed:
            for at, frame in enumerate(self.seen):
                if until is not None and until(frame):
                    del self.seen[: at + 1]
                    return frame
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return None
            except OSError:
                data = b""
            finally:
                with contextlib.suppress(OSError):
                    self.socket.settimeout(20)
            if not data:
                self.closed = True
            self.seen += self.decoder.feed(data)
        return next((frame for frame in self.seen if until is not None and until(frame)), None)

    def closes(self, seconds: float = 5.0) -> bool:
        """Whether the other side closes the connection within that time."""
        self.read(seconds=seconds)
        return self.closed

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # also where another thread reads
        with contextlib.suppress(OSError):
            self.socket.close()


class Caller(Side):
    """node-edu, calling node-reg."""

    def __init__(self, box: Box) -> None:
        super().__init__(box, "node-edu", "sign-GOV-70000003")
        self.port = box.plan.servers[1].server_port
        self.wires: list[Wire] = []

    def connect(self, *, alpn: bool = True, hello: bool = True, ocsp: bool = True, auth: str = "auth") -> Wire:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        wire = Wire(context(self.keys, server=False, alpn=alpn, auth=auth).wrap_socket(plain))
        self.wires.append(wire)
        if hello:
            wire.send(lm.Hello("KG/GOV/70000003/node-edu"))
        if ocsp:
            wire.send(self.ocsp())
        return wire

    def request(
        self,
        stream: int,
        body: bytes | None = None,
        *,
        service: str = str(PERSONS),
        path: str = "/x",
        client: str = str(ADMISSION),
        announced: bool = False,
        verb: str = "POST",
        leaf: int = 0,
        message_id: str = "hostile",
        headers: lm.Fields = (),
        also: tuple[tuple[bytes, bytes], ...] = (),
    ) -> lm.LinkMessage:
        made = rest.request_from_client(
            verb,
            f"/r1/{service}{path}",
            ((b"X-Road-Client", client.encode()), *also),
            new_message_id=message_id,
            request_id=str(uuid.uuid4()),
        )
        attachments: tuple[Attachment | lm.Announced, ...] = ()
        if body is not None:
            attachments = (lm.Announced((), len(body), sha512(body)) if announced else Attachment((), body),)
        return lm.LinkMessage(stream, multipart.REST_REQUEST, made.encode(), attachments, headers, leaf)

    def close(self) -> None:
        for wire in self.wires:
            wire.close()


def fault_of(frame: lm.Frame | None) -> Fault:
    assert isinstance(frame, lm.FaultFrame), frame
    fault = from_soap(frame.fault)
    assert fault is not None
    return fault


def of_stream(stream: int) -> Callable[[lm.Frame], bool]:
    """Frames that end a stream or carry its answer."""

    def matches(frame: lm.Frame) -> bool:
        if isinstance(frame, lm.FaultFrame | lm.Cancel):
            return frame.stream == stream
        return isinstance(frame, lm.Messages) and any(m.stream == stream for g in frame.groups for m in g.messages)

    return matches


def is_messages(frame: lm.Frame) -> bool:
    return isinstance(frame, lm.Messages)


class Answerer(Side):
    """node-reg, called by node-edu; `script` is what it does on every connection."""

    def __init__(self, box: Box, script: Callable[[Answerer, Wire], None]) -> None:
        super().__init__(box, "node-reg", "sign-GOV-70000002")
        self.script = script
        self.listening = socket.create_server(("127.0.0.1", box.plan.servers[1].server_port))
        self.connections = 0
        self.wires: list[Wire] = []
        self.problems: list[BaseException] = []
        self._tls = context(self.keys, server=True)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            plain.settimeout(20)
            wire = Wire(self._tls.wrap_socket(plain, server_side=True))
            self.wires.append(wire)
            self.script(self, wire)
        except OSError:
            pass
        except BaseException as problem:  # told by the test
            self.problems.append(problem)

    def answer(
        self, request: lm.LinkMessage, body: bytes | None = b"answer", *, announced: bool = False, stream: int = 0
    ) -> lm.LinkMessage:
        """A consistent answer to a REST request."""
        asked = rest.decode_request(request.content)
        content, attached = request.digests
        expected = rest.request_hash(content, attached[0] if attached else None)
        headers = ((b"Content-Type", b"text/plain"),)
        made = rest.response_from_provider(200, "OK", headers, asked, expected)
        attachments: tuple[Attachment | lm.Announced, ...] = ()
        if body is not None:
            attachments = (lm.Announced((), len(body), sha512(body)) if announced else Attachment((), body),)
        return lm.LinkMessage(stream or request.stream, multipart.REST_RESPONSE, made.encode(), attachments)

    def reply(self, wire: Wire, *messages: lm.LinkMessage) -> None:
        for message in messages:
            wire.send(lm.Messages((self.group([message]),)))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for wire in self.wires:
            wire.close()


def requests_in(frame: lm.Frame | None) -> list[lm.LinkMessage]:
    assert isinstance(frame, lm.Messages), frame
    return [message for group in frame.groups for message in group.messages]


def resident(pid: int, field: str = "VmRSS") -> int:
    """Bytes of a process in memory now (VmRSS), or at most until now (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


def open_files(pid: int, holding: str) -> int:
    """How many descriptors of a process lead to files under `holding`."""
    count = 0
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            count += holding in str(one.readlink())
    return count
