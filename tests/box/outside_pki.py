"""A certification authority, an OCSP responder and a time-stamping authority that are not Kerege's: certomancer's, served on loopback.

certomancer makes the certificates and the answers from one declarative configuration; here are only that configuration, and the HTTP
around its services (RFC 6960 by POST and by GET, RFC 3161 by POST). The responder is delegated, the authority's keys are RSA.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from asn1crypto import ocsp, tsp
from certomancer.registry import ArchLabel, CertLabel, CertomancerConfig, ServiceLabel
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kerege.exchange.pki import new_key

ARCH = "box"


@dataclass(frozen=True)
class Holder:
    """A certificate to make: its subject as X-Road's FiVRK profile wants it, and what for."""

    serial_number: str
    common_name: str
    organization: str
    signing: bool
    algorithm: str = "rsa"


@lru_cache(maxsize=64)
def _key(name: str, algorithm: str) -> bytes:
    """A holder's key, made once for all networks of a process: RSA keys take longer to make than nodes to start."""
    return new_key(algorithm).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _usage(*names: str) -> dict[str, Any]:
    return {"id": "key_usage", "critical": True, "smart-value": {"schema": "key-usage", "params": list(names)}}


@dataclass
class OutsidePki:
    """The three services, running. `revoke` and `away` change what they answer from then on.

    away    services that answer HTTP 503: "ocsp", "tsa"
    asked   how often each was asked
    """

    folder: Path
    holders: Mapping[str, Holder]
    away: set[str] = field(default_factory=set)
    asked: dict[str, int] = field(default_factory=lambda: {"ocsp": 0, "tsa": 0})
    revoked: dict[str, datetime] = field(default_factory=dict)
    answer_minutes: int = 60 * 24

    def __post_init__(self) -> None:
        keys = self.folder / "keys"
        keys.mkdir(parents=True)
        algorithms = {"root": "rsa", "responder": "rsa", "stamper": "rsa"}
        algorithms |= {name: holder.algorithm for name, holder in self.holders.items()}
        for name, algorithm in algorithms.items():
            (keys / f"{name}.key").write_bytes(_key(name, algorithm))
            (keys / f"{name}.key").chmod(0o600)
        self._keys = list(algorithms)
        self._start = datetime.now(UTC) - timedelta(days=1)
        self._arch = self._build()
        self._lock = threading.Lock()
        for name in algorithms:
            (keys / f"{name}.pem").write_bytes(self.certificate(name).public_bytes(Encoding.PEM))
        self._server = _serve(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    # --- certomancer's configuration ---

    def _build(self) -> Any:
        validity = {"valid-from": self._start.isoformat(), "valid-to": (self._start + timedelta(days=3650)).isoformat()}
        entities: dict[str, Any] = {
            "root": {"common-name": "Independent Root CA"},
            "responder": {"common-name": "Independent OCSP responder"},
            "stamper": {"common-name": "Independent time-stamping authority"},
        }
        authority = [{"id": "basic_constraints", "critical": True, "value": {"ca": True}}]
        certs: dict[str, Any] = {
            "root": {
                "subject": "root",
                "subject-key": "root",
                "issuer": "root",
                "authority-key": "root",
                "validity": validity,
                "extensions": [*authority, _usage("key_cert_sign", "crl_sign")],
            },
            "responder": {
                "issuer": "root",
                "validity": validity,
                "extensions": [
                    _usage("digital_signature"),
                    {"id": "extended_key_usage", "critical": True, "value": ["ocsp_signing"]},
                    {"id": "ocsp_no_check"},
                ],
            },
            "stamper": {
                "issuer": "root",
                "validity": validity,
                "extensions": [
                    _usage("digital_signature"),
                    {"id": "extended_key_usage", "critical": True, "value": ["time_stamping"]},
                ],
            },
        }
        for name, holder in self.holders.items():
            entities[name] = {
                "organization-name": holder.organization,
                "serial-number": holder.serial_number,
                "common-name": holder.common_name,
            }
            extensions = [_usage("non_repudiation")]
            if not holder.signing:
                extensions = [
                    _usage("digital_signature", "key_encipherment"),
                    {"id": "extended_key_usage", "value": ["client_auth", "server_auth"]},
                ]
            certs[name] = {"issuer": "root", "validity": validity, "extensions": extensions}
            if name in self.revoked:
                since = self.revoked[name].isoformat()
                certs[name]["revocation"] = {"revoked-since": since, "reason": "key_compromise"}
        config = {
            "keysets": {ARCH: {"path-prefix": "keys", "keys": {name: {"path": f"{name}.key"} for name in self._keys}}},
            "pki-architectures": {
                ARCH: {
                    "keyset": ARCH,
                    "entity-defaults": {"organization-name": "Independent trust services"},
                    "entities": entities,
                    "certs": certs,
                    "services": {
                        "ocsp": {
                            "main": {
                                "for-issuer": "root",
                                "responder-cert": "responder",
                                "validity-period": {"minutes": self.answer_minutes},
                            }
                        },
                        "time-stamping": {"main": {"signing-cert": "stamper", "digest-algo": "sha512"}},
                    },
                }
            },
        }
        return CertomancerConfig(config, key_search_dir=str(self.folder)).get_pki_arch(ArchLabel(ARCH))

    # --- what tests use ---

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_der_x509_certificate(self._arch.get_cert(CertLabel(name)).dump())

    def pem(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.key"

    def revoke(self, name: str) -> None:
        """From now on the responder says that the certificate is revoked."""
        with self._lock:
            self.revoked[name] = datetime.now(UTC) - timedelta(seconds=2)
            self._arch = self._build()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # --- the services ---

    def answer_ocsp(self, request: bytes) -> bytes:
        with self._lock:
            now = datetime.now(UTC).replace(microsecond=0)
            responder = self._arch.service_registry.summon_responder(ServiceLabel("main"), now)
            answer: bytes = responder.build_ocsp_response(ocsp.OCSPRequest.load(request)).dump()
            return answer

    def answer_stamp(self, request: bytes) -> bytes:
        with self._lock:
            stamper = self._arch.service_registry.summon_timestamper(
                ServiceLabel("main"), datetime.now(UTC).replace(microsecond=0)
            )
            answer: bytes = stamper.request_tsa_response(tsp.TimeStampReq.load(request)).dump()
            return answer


def _serve(pki: OutsidePki) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: object) -> None:
            pass

        def _send(self, status: int, kind: str = "text/plain", content: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _answer(self, service: str, request: bytes) -> None:
            pki.asked[service] += 1
            if service in pki.away:
                return self._send(503)
            try:
                if service == "ocsp":
                    return self._send(200, "application/ocsp-response", pki.answer_ocsp(request))
                return self._send(200, "application/timestamp-reply", pki.answer_stamp(request))
            except (ValueError, TypeError):
                return self._send(400)

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers.get("content-length") or 0))
            service = self.path.strip("/").partition("/")[0]
            if service not in pki.asked:
                return self._send(404)
            return self._answer(service, request)

        def do_GET(self) -> None:
            service, _, encoded = self.path.strip("/").partition("/")
            if service != "ocsp":
                return self._send(404)
            text = unquote(encoded).replace("-", "+").replace("_", "/")
            try:
                request = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            except binascii.Error:
                return self._send(400)
            return self._answer(service, request)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server
