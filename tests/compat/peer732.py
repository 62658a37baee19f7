"""A stand-in for X-Road 7.3.2 between servers: its server proxy, its client proxy and its OCSP port, after the captures and its code.

Threads and blocking sockets, nothing of the node's own code. Every exchange is one connection. What was seen on the wire is kept in
`seen`. As a server it reads, checks and answers as 7.3.2 does, with its faults: before an answer is begun as the whole HTTP body, later
as the one part of a multipart. `tls=False` is its `ssl-enabled=false`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from wsgiref.handlers import format_date_time

from cryptography import x509
from pki732 import Authority, Pair, Server
from signature732 import Refused, b64, check_ocsp, sha512, sign, verify
from wire732 import Decoded, Http, boundary, chunked, decode, encode, nested, read_http, split

SUITES = "ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256:ECDHE-ECDSA-AES256-SHA384"
VERSION = "7.3.2"
Headers = list[tuple[str, str]]


@dataclass
class RestMessage:
    """The signed lines of a REST message."""

    first: str
    second: str
    headers: Headers

    @classmethod
    def read(cls, data: bytes) -> RestMessage:
        first, second, *lines = data.decode("latin-1").split("\r\n")
        assert lines.pop() == "", "the last line ends like the others"
        return cls(first, second, [(name, value) for name, _, value in (line.partition(":") for line in lines)])

    def header(self, name: str) -> str | None:
        return next((value for key, value in reversed(self.headers) if key.lower() == name), None)

    def write(self) -> bytes:
        return "".join(f"{line}\r\n" for line in (self.first, self.second, *map(":".join, self.headers))).encode(
            "latin-1"
        )


def rest_hash(message: bytes, body: bytes | None) -> str:
    return b64(sha512(message) if body is None else sha512(sha512(message) + sha512(body)))


def fault(code: str, text: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring><detail><faultDetail>"
        f"{uuid.uuid4()}</faultDetail></detail></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


class Late(Refused):
    """A fault after the answer was begun."""


@dataclass
class Service:
    """What an information system behind the stand-in answers: given the request's first two lines or SOAP bytes, and bodies."""

    rest: Callable[[RestMessage, bytes | None], tuple[int, str, Headers, bytes | None]] | None = None
    soap: Callable[[bytes, list[bytes]], tuple[bytes, list[tuple[str, Headers, bytes]]]] | None = None
    allowed: bool = True
    unreachable: bool = False


@dataclass
class Peer:
    """The stand-in: member EE/BUSINESS/producer with its subsystem `sub`, at `host`."""

    authority: Authority
    auth: Pair
    signing: Pair
    servers: list[Server]
    folder: Path
    tls: bool
    host: str = "127.0.0.2"
    code: str = "producer"
    services: dict[str, Service] = field(default_factory=dict)
    seen: list[Http] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cut: int = 0  # bytes left out at the end of answers
    abrupt: bool = False  # end connections without a word of TLS about it
    asked_hashes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.auth.save(self.folder, "auth")
        (self.folder / "ca.pem").write_bytes(pem(self.authority.ca.certificate))
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def context(self, *, server: bool) -> ssl.SSLContext:
        """As Java with 7.3.2's defaults: TLS 1.2, CBC suites, no tickets, no ALPN; whom to believe is decided afterwards."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED if server else ssl.CERT_NONE
        context.load_verify_locations(str(self.folder / "ca.pem"))
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(SUITES)
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        context.load_cert_chain(str(self.folder / "auth.pem"), str(self.folder / "auth.key"))
        return context

    # --- server proxy ---

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(plain,), daemon=True).start()

    def _connection(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        context = self.context(server=True) if self.tls else None
        with contextlib.suppress(OSError, EOFError), plain:
            stream = context.wrap_socket(plain, server_side=True) if context else plain
            with stream:
                request = read_http(stream)
                if request is None:
                    return
                self.seen.append(request)
                certificate = stream.getpeercert(True) if isinstance(stream, ssl.SSLSocket) else None
                answer = self._answer(request, certificate)
                stream.sendall(answer[: len(answer) - self.cut])
                if isinstance(stream, ssl.SSLSocket) and not self.abrupt:
                    with contextlib.suppress(OSError):
                        stream.unwrap()

    def _answer(self, request: Http, certificate: bytes | None) -> bytes:
        mark = boundary()
        more: Headers = []
        try:
            kind, body = (
                f"multipart/mixed; charset=UTF-8; boundary={mark}",
                self._serve(request, certificate, mark, more),
            )
        except Late as problem:
            kind = f"multipart/mixed; charset=UTF-8; boundary={mark}"
            body = encode(mark, [("text/xml; charset=utf-8", fault(f"Server.ServerProxy.{problem.code}", problem.why))])
        except Refused as problem:
            self.problems.append(str(problem))
            kind, body = "text/xml;charset=utf-8", fault(f"Server.ServerProxy.{problem.code}", problem.why)
        headers = [("Date", format_date_time(0)), ("Connection", "close"), ("Content-Type", kind)]
        if kind.startswith("multipart"):
            headers += [("x-hash-algorithm", "SHA-512"), *more]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        # neither a length nor chunks: the end of the connection ends it
        return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode("latin-1") + body

    def _serve(self, request: Http, certificate: bytes | None, mark: str, more: Headers) -> bytes:
        if request.first != "POST / HTTP/1.1":
            raise Refused("InvalidHttpMethod", request.first)
        if not re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", request.header("x-proxy-version") or ""):
            raise Refused("InternalError", "the version is no semantic version")
        if request.header("x-hash-algorithm") != "SHA-512":
            raise Refused("InternalError", "hash algorithm")
        parts = decode(request.header("content-type") or "", request.body)
        if parts.fault is not None:
            raise Refused("InvalidMessage", "a fault as a request")
        if self.tls:
            if not parts.ocsp:
                raise Refused("SslAuthenticationFailed", "corresponding OCSP response is missing")
            assert certificate is not None
            check_ocsp(parts.ocsp, x509.load_der_x509_certificate(certificate), self.authority)
            if hashlib.sha1(certificate).digest() not in {one.auth.sha1 for one in self.servers}:
                raise Refused("SslAuthenticationFailed", "the certificate is not registered")
        if not parts.signature:
            raise Refused("MissingSignature", "Request does not have signature")
        if request.header("x-road-message-type") == "REST":
            return self._rest(parts, mark)
        return self._soap(request, parts, mark, more)

    def _service(self, code: str) -> Service:
        service = self.services.get(code)
        if service is None:
            raise Refused("UnknownService", f"Unknown service: {code}")
        if not service.allowed:
            raise Refused("AccessDenied", "Request is not allowed")
        return service

    def _checked(self, parts: Decoded, member: str) -> None:
        inputs = {"/message.xml": sha512(parts.message)}
        bodies = [parts.body] if parts.body is not None else [content for _, content in parts.attachments]
        inputs |= {f"/attachment{n}": sha512(body) for n, body in enumerate(bodies, 1)}
        verify(parts.signature, parts.chain, inputs, member, self.authority)

    def _rest(self, parts: Decoded, mark: str) -> bytes:
        message = RestMessage.read(parts.message)
        empty, r1, *service = message.second.partition("?")[0].split("/")[:7]
        if (empty, r1) != ("", "r1") or service[:4] != ["EE", "BUSINESS", self.code, "sub"]:
            raise Refused("UnknownMember", "Client not found")
        answerer = self._service(service[4])
        client = (message.header("x-road-client") or "").split("/")
        self._checked(parts, "/".join(client[:3]))
        if answerer.unreachable:
            raise Late("ServiceFailed.NetworkError", "Connect to 127.0.0.1:9 failed: Connection refused")
        assert answerer.rest is not None
        status, reason, headers, body = answerer.rest(message, parts.body)
        own = [
            ("x-road-id", message.header("x-road-id") or ""),
            ("x-road-client", message.header("x-road-client") or ""),
            ("x-road-service", "/".join(service)),
            ("x-road-request-id", message.header("x-road-request-id") or ""),
            ("x-road-request-hash", rest_hash(parts.message, parts.body)),
        ]
        content = RestMessage(str(status), reason, [*headers, *own]).write()
        return self._signed(mark, "application/x-road-rest-response", content, body, [])

    def _soap(self, request: Http, parts: Decoded, mark: str, more: Headers) -> bytes:
        (code,) = re.findall(rb"<\w+:serviceCode>(\w+)<", parts.message)
        client = b"/".join(re.findall(rb"(?:xRoadInstance|memberClass|memberCode)>([^<]+)<", parts.message)[:3])
        answerer = self._service(code.decode())
        self._checked(parts, client.decode())
        assert answerer.soap is not None
        if answerer.unreachable:
            raise Late("ServiceFailed.NetworkError", "Connect to 127.0.0.1:9 failed: Connection refused")
        content, attachments = answerer.soap(parts.message, [body for _, body in parts.attachments])
        if b":Fault>" in content:
            code, text = (
                re.search(rb"<%b>(.*?)</" % name, content)[1].decode() for name in (b"faultcode", b"faultstring")
            )
            alone = fault(code, text)
            more.append(("x-original-content-type", "text/xml;charset=utf-8"))
            return encode(mark, [("text/xml; charset=utf-8", alone)])
        kind = 'multipart/related; type="text/xml"; boundary="theirs"' if attachments else "text/xml;charset=utf-8"
        more.append(("x-original-content-type", kind))
        put = f'<xroad:requestHash algorithmId="http://www.w3.org/2001/04/xmlenc#sha512">{b64(sha512(parts.message))}</xroad:requestHash>'
        content = content.replace(b"</xroad:id>", b"</xroad:id>" + put.encode())
        return self._signed(mark, "text/xml; charset=utf-8", content, None, attachments)

    def _signed(
        self,
        mark: str,
        kind: str,
        content: bytes,
        body: bytes | None,
        attachments: list,
        ocsp_parts: list | None = None,
    ) -> bytes:
        digests = {"/message.xml": sha512(content)}
        out = [*(ocsp_parts or []), (kind, content)]
        if body is not None:
            digests["/attachment1"] = sha512(body)
            out.append(("application/x-road-rest-body", body))
        if attachments:
            digests |= {f"/attachment{n}": sha512(data) for n, (_, _, data) in enumerate(attachments, 1)}
            out.append(nested(attachments))
        xml, chain = sign(self.authority, self.signing, digests)
        if chain is not None:
            out += [("application/hash-chain-result", chain[0]), ("application/hash-chain", chain[1])]
        return encode(mark, [*out, ("signature/bdoc-1.0/ts", xml)])

    # --- client proxy ---

    def call_rest(
        self,
        address: tuple[str, int],
        ocsp_port: int,
        verb: str,
        target: str,
        headers: Headers,
        body: bytes | None = None,
    ) -> tuple[RestMessage, bytes | None]:
        """As a client's call goes out from 7.3.2, and what comes back, checked as there. Refused: a fault, or what does not hold."""
        request_id = str(uuid.uuid4())
        message = RestMessage(verb, target, [*headers, ("x-road-request-id", request_id)]).write()
        kind = {k.lower(): v for k, v in headers}.get("content-type", "")
        first = [("x-road-message-type", "REST"), ("x-hash-algorithm", "SHA-512"), ("x-original-content-type", kind)]
        parts = self._exchange(
            address, ocsp_port, first, request_id, "application/x-road-rest-request", message, body, []
        )[1]
        member = "/".join(target.split("/")[2:5])
        self._checked(parts, member)
        answer = RestMessage.read(parts.message)
        asked = RestMessage.read(message)
        for name in ("x-road-client", "x-road-id", "x-road-request-id"):
            if answer.header(name) != asked.header(name):
                raise Refused("InconsistentResponse", name)
        if answer.header("x-road-service") != "/".join(target.partition("?")[0].split("/")[2:7]):
            raise Refused("InconsistentResponse", "x-road-service")
        if answer.header("x-road-request-hash") != rest_hash(message, body):
            raise Refused("InconsistentResponse", "x-road-request-hash")
        return answer, parts.body

    def call_soap(
        self, address: tuple[str, int], ocsp_port: int, message: bytes, provider: str, kind: str, attachments: list
    ) -> tuple[Http, Decoded]:
        first = [("x-hash-algorithm", "SHA-512"), ("x-original-content-type", kind), ("x-original-soapaction", '""')]
        http, parts = self._exchange(
            address, ocsp_port, first, str(uuid.uuid4()), "text/xml; charset=UTF-8", message, None, attachments
        )
        self._checked(parts, provider)
        if f">{b64(sha512(message))}</".encode() not in parts.message:
            raise Refused("InconsistentResponse", "requestHash")
        return http, parts

    def _exchange(
        self,
        address: tuple[str, int],
        ocsp_port: int,
        first: Headers,
        request_id: str,
        kind: str,
        message: bytes,
        body: bytes | None,
        attachments: list,
    ) -> tuple[Http, Decoded]:
        mark = boundary()
        auth_answer = ("application/ocsp-response", self.authority.answer(self.auth.certificate))
        data = self._signed(mark, kind, message, body, attachments, [auth_answer])
        headers = [
            *first,
            ("x-road-request-id", request_id),
            ("x-proxy-version", VERSION),
            ("Transfer-Encoding", "chunked"),
            ("Content-Type", f"multipart/mixed; charset=UTF-8; boundary={mark}"),
            ("Host", f"{address[0]}:{address[1]}"),
            ("Connection", "Keep-Alive"),
            ("User-Agent", "Apache-HttpClient/4.5.14 (Java/17.0.15)"),
            ("Accept-Encoding", "gzip,deflate"),
        ]
        head = "POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
        with socket.create_connection(address, timeout=10) as plain:
            stream = self.context(server=False).wrap_socket(plain) if self.tls else plain
            if isinstance(stream, ssl.SSLSocket):
                self._believe(stream.getpeercert(True), address[0], ocsp_port)
            raw = head.encode() + chunked(data)
            self.sent.append(raw)
            stream.sendall(raw)
            answer = read_http(stream)
        assert answer is not None
        self.seen.append(answer)
        content_type = answer.header("content-type") or ""
        if content_type.split(";")[0] == "text/xml":
            raise as_refused(answer.body)
        parts = decode(content_type, answer.body)
        if parts.fault is not None:
            raise as_refused(parts.fault)
        if answer.header("x-hash-algorithm") != "SHA-512":
            raise Refused("InternalError", "hash algorithm")
        if not parts.signature:
            raise Refused("MissingSignature", "Response does not have signature")
        return answer, parts

    def _believe(self, der: bytes | None, host: str, ocsp_port: int) -> None:
        """The server's certificate: registered, and good by what its own OCSP port says, asked by SHA-1."""
        assert der is not None
        digest = hashlib.sha1(der).digest()
        if digest not in {one.auth.sha1 for one in self.servers}:
            raise Refused("SslAuthenticationFailed", "the certificate is not registered")
        with socket.create_connection((host, ocsp_port), timeout=10) as stream:
            stream.sendall(f"GET /?cert={digest.hex()} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = read_http(stream)
        assert answer is not None
        if not answer.first.startswith("HTTP/1.1 200"):
            raise Refused("InternalError", answer.first)
        answers = [content for _, content in split(answer.header("content-type") or "", answer.body)]
        if len(answers) != 1:
            raise Refused("InternalError", "Could not get all OCSP responses from server")
        check_ocsp(answers, x509.load_der_x509_certificate(der), self.authority)


def as_refused(data: bytes) -> Refused:
    code, text = (re.search(rf"<{name}>(.*?)</{name}>".encode(), data, re.S) for name in ("faultcode", "faultstring"))
    assert code is not None, data
    assert text is not None, data
    return Refused(code[1].decode(), text[1].decode())


def pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)
