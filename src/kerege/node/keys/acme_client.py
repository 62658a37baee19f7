"""Ordering certificates by ACME (RFC 8555), HTTP-01: behind a port, so that another way of ordering can take its place.

An authority is asked for a certificate with a request (CSR) in the form its certificate profile wants; what ACME itself proves is that
the node answers at its host names, by a token served on a configured address. Blocking: for a thread. The account key is made once per
directory and kept. When to order, and what becomes of the certificate, is `acme_orders`. The libraries that speak ACME are loaded with the
first order: most nodes order nothing, and they are a quarter of what a node loads when it starts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from kerege.exchange.ids import MemberId
from kerege.exchange.xades import PrivateKey
from kerege.node.config_types import is_loopback
from kerege.node.errors import CertificateOrderFailed
from kerege.node.http.messages import HttpRequest, HttpResponse
from kerege.node.keys import files as keyfiles

if TYPE_CHECKING:
    from josepy.jwk import JWKEC

_PATH: Final = "/.well-known/acme-challenge/"
_TEXT: Final = ((b"content-type", b"application/octet-stream"),)
_REQUEST_SECONDS: Final = 20
_MOST_CHAIN: Final = 8
_LONGEST_REASON: Final = 200


class CertificateAuthorityPort(Protocol):
    """Whoever makes certificates. `order` blocks and raises CertificateOrderFailed."""

    def order(
        self, purpose: str, key: PrivateKey, subject: x509.Name, names: Sequence[str]
    ) -> tuple[x509.Certificate, ...]:
        """The certificate for `key` under `subject`, and its chain."""


class Challenges:
    """The tokens that are being asked for just now; answers the challenge listener, and nothing else."""

    def __init__(self) -> None:
        self._answers: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, path: str, answer: bytes) -> None:
        with self._lock:
            self._answers[path] = answer

    def drop(self, path: str) -> None:
        with self._lock:
            self._answers.pop(path, None)

    async def handle(self, http: HttpRequest) -> HttpResponse:
        with self._lock:
            answer = self._answers.get(urlsplit(http.target).path) if http.target.startswith(_PATH) else None
        if answer is None or http.method not in {"GET", "HEAD"}:
            return HttpResponse(404, _TEXT, b"")
        return HttpResponse(200, _TEXT, answer)


@dataclass(frozen=True, slots=True)
class Account:
    """Who orders where. `binding` ties the account to one the authority knows: key id, and the file of the MAC key."""

    directory: str
    contact: str | None = None
    binding: tuple[str, Path] | None = None
    trust: Path | None = None  # PEM of the directory's own TLS authority, where the system does not know it
    profile: str | None = None  # which of its kinds of certificates the authority is asked for


class AcmeAuthority:
    """A certificate authority with an ACME directory."""

    def __init__(self, account: Account, state: Path, challenge: Challenges, seconds: float = 120.0) -> None:
        self._account, self._state, self._challenges, self._seconds = account, state, challenge, seconds
        host = urlsplit(account.directory)
        if host.scheme != "https" and not is_loopback(host.hostname or ""):
            raise self._failed("(any)", "its directory's address is not https")

    def order(
        self, purpose: str, key: PrivateKey, subject: x509.Name, names: Sequence[str]
    ) -> tuple[x509.Certificate, ...]:
        import requests
        from acme import errors, messages
        from josepy.errors import Error as JoseError

        try:
            return self._order(key, subject, names)
        except messages.Error as problem:
            kind = str(problem.typ or "").rsplit(":", 1)[-1]
            raise self._failed(purpose, f"it answered {kind or 'an error'}: {_clean(problem.detail)}") from None
        except errors.ValidationError as problem:
            said = [c.error for one in problem.failed_authzrs for c in one.body.challenges if c.error is not None]
            detail = _clean(said[0].detail) if said else "no reason given"
            raise self._failed(purpose, f"it could not confirm the node's host name: {detail}") from None
        except (errors.Error, JoseError) as problem:
            raise self._failed(purpose, f"the order did not come to an end ({type(problem).__name__})") from None
        except requests.RequestException as problem:
            raise self._failed(purpose, f"it could not be reached ({type(problem).__name__})") from None
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise self._failed(purpose, f"its answer cannot be read ({type(problem).__name__})") from None

    def _failed(self, purpose: str, reason: str) -> CertificateOrderFailed:
        host = urlsplit(self._account.directory).netloc or self._account.directory
        return CertificateOrderFailed(purpose=purpose, authority=host, reason=reason)

    def _order(self, key: PrivateKey, subject: x509.Name, names: Sequence[str]) -> tuple[x509.Certificate, ...]:
        from acme import challenges, errors, messages

        acme, account_key = self._client()
        # the library takes a request's common name for a host name; here it is a member's or a server's code, so the order
        # is made with the host names alone and ended with the request itself
        order = acme.new_order(request_for(key, x509.Name([]), names), profile=self._account.profile)
        order = order.update(csr_pem=request_for(key, subject, names))
        deadline = datetime.now() + timedelta(seconds=self._seconds)  # noqa: DTZ005 - the library compares with local time
        served: list[str] = []
        try:
            for authorization in order.authorizations:
                if authorization.body.status == messages.STATUS_VALID:
                    continue
                found = [c for c in authorization.body.challenges if isinstance(c.chall, challenges.HTTP01)]
                if not found:
                    raise errors.ClientError("no http-01")
                response, validation = found[0].response_and_validation(account_key)
                served.append(found[0].chall.path)
                self._challenges.put(served[-1], validation.encode())
                acme.answer_challenge(found[0], response)
            done = acme.poll_and_finalize(order, deadline)
        finally:
            for path in served:
                self._challenges.drop(path)
        chain = tuple(x509.load_pem_x509_certificates(done.fullchain_pem.encode()))
        if len(chain) > _MOST_CHAIN or chain[0].public_key() != key.public_key():
            raise ValueError("the certificate is not for the key that was sent")
        return chain

    def _client(self) -> tuple[Any, JWKEC]:
        from acme import client, errors, messages
        from josepy.jwa import ES256
        from josepy.jwk import JWKEC

        account_key = JWKEC(key=self._account_key())
        network = client.ClientNetwork(account_key, alg=ES256, user_agent="kerege", timeout=_REQUEST_SECONDS)
        network.session.trust_env = False  # no proxies from the environment, no passwords from elsewhere
        if self._account.trust is not None:
            network.verify_ssl = str(self._account.trust)  # type: ignore[assignment]
        directory = client.ClientV2.get_directory(self._account.directory, network)
        acme = client.ClientV2(directory, network)
        binding = None
        if self._account.binding is not None:
            kid, file = self._account.binding
            mac = keyfiles.private_bytes(file).strip().decode("ascii")
            binding = messages.ExternalAccountBinding.from_data(account_key.public_key(), kid, mac, directory)
        wanted = messages.NewRegistration.from_data(
            email=self._account.contact, external_account_binding=binding, terms_of_service_agreed=True
        )
        try:
            acme.new_account(wanted)
        except errors.ConflictError as known:  # the account is there since an earlier order
            network.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())
        return acme, account_key

    def _account_key(self) -> ec.EllipticCurvePrivateKey:
        host = "".join(c if c.isalnum() or c in ".-" else "_" for c in self._account.directory.split("//", 1)[-1])
        file = self._state / "acme" / f"{host[:150]}.key"
        if file.exists():
            found = load_pem_private_key(keyfiles.private_bytes(file), None)
            if not isinstance(found, ec.EllipticCurvePrivateKey):
                raise ValueError("the account's key is not EC")
            return found
        made = ec.generate_private_key(ec.SECP256R1())
        keyfiles.write_private(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made


def subject_for(profile: str, member: MemberId, server: str, organisation: str, *, auth: bool) -> x509.Name:
    """The subject to ask for: what `exchange.certs.signer_of` reads again (for `auth`: with the server's code as common name).

    server   the code of the server the key is at; organisation   the member's name in words

    Raises ValueError for a profile nobody here knows how to ask for.
    """
    name = profile.rsplit(".", 1)[-1].removesuffix("CertificateProfileInfoProvider")
    code = server if auth else member.member_code
    # a country attribute of X-Road's profiles holds the instance, which need not have two letters
    country = x509.NameAttribute(NameOID.COUNTRY_NAME, member.instance, _validate=len(member.instance) == 2)
    pairs: list[tuple[x509.ObjectIdentifier, str]]
    if name in {"FiVRK", "CamDX"}:
        serial = f"{member.instance}/{server}/{member.member_class}"
        pairs = [(NameOID.ORGANIZATION_NAME, organisation[:64]), (NameOID.SERIAL_NUMBER, serial)]
        return x509.Name([x509.NameAttribute(*pair) for pair in (*pairs, (NameOID.COMMON_NAME, code))])
    if name == "Ejbca":
        pairs = [(NameOID.ORGANIZATION_NAME, member.member_class), (NameOID.COMMON_NAME, code)]
        if auth:
            pairs.insert(1, (NameOID.ORGANIZATIONAL_UNIT_NAME, member.member_code))
    elif name == "Basic":
        pairs = [(NameOID.ORGANIZATION_NAME, organisation[:64]), (NameOID.BUSINESS_CATEGORY, member.member_class)]
        pairs += [(NameOID.SERIAL_NUMBER, member.member_code), (NameOID.COMMON_NAME, code)]
    else:
        raise ValueError(f"how the profile {profile} names its subjects is not known")
    return x509.Name([country, *(x509.NameAttribute(*pair) for pair in pairs)])


def request_for(key: PrivateKey, subject: x509.Name, names: Sequence[str]) -> bytes:
    """A certificate request in PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _clean(text: object) -> str:
    """What an authority said, short and in one line."""
    return "".join(c if c.isprintable() else " " for c in str(text or "no reason given"))[:_LONGEST_REASON].rstrip(". ")
