"""A small ACME server for tests: every request's JWS is verified, every host name asked for its token, then a CA signs."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from acme import jws
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from josepy.jwk import JWK

from kerege.exchange.pki import TestAuthority


def _thumb(key: JWK) -> str:
    return base64.urlsafe_b64encode(key.thumbprint()).decode().rstrip("=")


class Refused(Exception):
    def __init__(self, kind: str, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.status = kind, detail, status


class AcmeServer:
    """`url` is its directory. It asks for tokens at `challenge_port` of the loopback address, whatever the host name."""

    def __init__(self, authority: TestAuthority, challenge_port: int, usage: x509.KeyUsage, days: int = 90) -> None:
        self.authority, self.challenge_port, self.usage, self.days = authority, challenge_port, usage, days
        self.subject: Callable[[x509.Name], x509.Name] = lambda name: name  # what the authority makes of a subject
        self.nonces: set[str] = set()
        self.accounts: dict[str, JWK] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.contacts: list[Any] = []
        self.refuse: Refused | None = None
        self.external: list[Any] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: object) -> None:
                pass

            def answer(self, status: int, value: Any, more: dict[str, str], kind: str = "application/json") -> None:
                body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                self.send_response(status)
                nonce = secrets.token_urlsafe(16)
                server.nonces.add(nonce)
                for name, text in {"Replay-Nonce": nonce, "Content-Type": kind, **more}.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.answer(200, "", {})

            def do_GET(self) -> None:
                root = server.root
                self.answer(
                    200,
                    {n: f"{root}/{n}" for n in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")},
                    {},
                )

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    self.answer(*server.post(self.path, data))
                except Refused as no:
                    body = {"type": f"urn:ietf:params:acme:error:{no.kind}", "detail": no.detail}
                    self.answer(no.status, body, {}, "application/problem+json")

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        self.root = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.url = f"{self.root}/directory"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def verified(self, path: str, data: bytes) -> tuple[Any, str | None, JWK]:
        """Payload, account and key of a request whose signature, nonce and address hold."""
        signed = jws.JWS.json_loads(data.decode())
        header = signed.signature.combined
        nonce = base64.urlsafe_b64encode(header.nonce).decode().rstrip("=")
        if nonce not in self.nonces:
            raise Refused("badNonce", "the nonce is not known")
        self.nonces.remove(nonce)
        if header.url != self.root + path or header.alg.name != "ES256" or bool(header.kid) == bool(header.jwk):
            raise Refused("malformed", "the protected header is wrong")
        key = header.jwk or self.accounts.get(str(header.kid))
        if key is None:
            raise Refused("accountDoesNotExist", "register first", 400)
        if not signed.verify(key):
            raise Refused("unauthorized", "the signature does not hold", 403)
        return (json.loads(signed.payload) if signed.payload else None), header.kid, key

    def post(self, path: str, data: bytes) -> tuple[Any, ...]:
        payload, _, key = self.verified(path, data)
        if self.refuse is not None and path != "/newAccount":
            raise self.refuse
        parts = path.strip("/").split("/")
        if parts[0] == "newAccount":
            self.contacts.append(payload.get("contact"))
            self.external.append(payload.get("externalAccountBinding"))
            place = f"{self.root}/account/{_thumb(key)}"
            known = place in self.accounts
            self.accounts[place] = key
            return (200 if known else 201), {"status": "valid"}, {"Location": place}
        if parts[0] == "newOrder":
            number = str(len(self.orders))
            token = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
            names = [one["value"] for one in payload["identifiers"]]
            self.orders[number] = {"names": names, "token": token, "valid": None, "pem": None}
            return 201, self.order(number), {"Location": f"{self.root}/order/{number}"}
        order = self.orders[parts[1]]
        if parts[0] == "order":
            return 200, self.order(parts[1]), {}
        if parts[0] == "authz":
            return 200, self.authorization(parts[1]), {}
        if parts[0] == "challenge":
            self.validate(order, key)
            return 200, self.challenge(parts[1]), {"Link": f'<{self.root}/authz/{parts[1]}>;rel="up"'}
        if parts[0] == "finalize":
            if not order["valid"]:
                raise Refused("orderNotReady", "not validated", 403)
            request = x509.load_der_x509_csr(base64.urlsafe_b64decode(payload["csr"] + "=="))
            if not request.is_signature_valid:
                raise Refused("badCSR", "its signature does not hold")
            san = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            if sorted(san.get_values_for_type(x509.DNSName)) != sorted(order["names"]):
                raise Refused("badCSR", "other names")
            order["pem"] = self.sign(request)
            return 200, self.order(parts[1]), {"Location": f"{self.root}/order/{parts[1]}"}
        if parts[0] == "certificate":
            return 200, order["pem"], {}, "application/pem-certificate-chain"
        raise Refused("malformed", "unknown", 404)

    def order(self, number: str) -> dict[str, Any]:
        order = self.orders[number]
        status = "valid" if order["pem"] else "ready" if order["valid"] else "pending"
        out = {
            "status": status,
            "identifiers": [{"type": "dns", "value": name} for name in order["names"]],
            "authorizations": [f"{self.root}/authz/{number}"],
            "finalize": f"{self.root}/finalize/{number}",
        }
        return {**out, "certificate": f"{self.root}/certificate/{number}"} if order["pem"] else out

    def authorization(self, number: str) -> dict[str, Any]:
        order = self.orders[number]
        status = {None: "pending", True: "valid", False: "invalid"}[order["valid"]]
        identifier = {"type": "dns", "value": order["names"][0]}
        return {"status": status, "identifier": identifier, "challenges": [self.challenge(number)]}

    def challenge(self, number: str) -> dict[str, Any]:
        order = self.orders[number]
        out = {"type": "http-01", "url": f"{self.root}/challenge/{number}", "token": order["token"]}
        if order["valid"] is False:
            wrong = {"type": "urn:ietf:params:acme:error:unauthorized", "detail": "the token was not there"}
            return {**out, "status": "invalid", "error": wrong}
        return {**out, "status": "valid" if order["valid"] else "pending"}

    def validate(self, order: dict[str, Any], key: JWK) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.challenge_port, timeout=5)
        try:
            path = f"/.well-known/acme-challenge/{order['token']}"
            self.asked.append(path)
            connection.request("GET", path, headers={"Host": order["names"][0]})
            answer = connection.getresponse()
            order["valid"] = answer.status == 200 and answer.read().decode() == f"{order['token']}.{_thumb(key)}"
        except OSError:
            order["valid"] = False
        finally:
            connection.close()

    def sign(self, request: x509.CertificateSigningRequest) -> str:
        now = datetime.now(UTC)
        ca = self.authority.ca
        built = (
            x509.CertificateBuilder()
            .subject_name(self.subject(request.subject))
            .issuer_name(ca.certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=self.days))
            .add_extension(self.usage, critical=True)
            .sign(ca.key, hashes.SHA256())  # type: ignore[arg-type]
        )
        return (built.public_bytes(Encoding.PEM) + ca.certificate.public_bytes(Encoding.PEM)).decode()
