"""A node asks the central services to be registered: its authentication certificate, and each of its clients.

Builds the management requests of X-Road PR-MSERV from the node's configuration and keys (`exchange.management`), signs them with the keys
that must sign them (authentication key and owner's signing key; for a client its own member's), adds the OCSP answers at hand, and
posts them. What was asked for is registered once an operator approves. Asking again is refused by the other side with a code that says
that it is registered, or waits, already: that is no failure, so the command may be repeated.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange import certs, faults, management, management_wire
from kerege.exchange.errors import ManagementRefused
from kerege.exchange.ids import ClientId, MemberId
from kerege.exchange.management import Kind, ManagementRequest, Submission
from kerege.exchange.pki import KeyPair
from kerege.exchange.xades import Signer
from kerege.node.config import NodeConfig
from kerege.node.errors import KeyNotReady, RegistrationUnreachable

AUTH_CERT_PATH: Final = "/managementservice/"
MANAGE_PATH: Final = "/managementservice/manage/"
_SECONDS: Final = 30.0
# the last part of a fault's code that says that nothing is left to ask for, Kerege's and X-Road's own, and what to tell
_ALREADY: Final = {
    "management_request_already_registered": "registered already",
    "management_request_client_already_registered": "registered already",
    "management_request_security_server_exists": "registered already",
    "management_request_exists": "asked for already, an operator of the central services decides",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request with where it goes."""

    request: ManagementRequest
    path: str
    submission: Submission


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request: its number at the central services, that it was there already, or why they refused it."""

    request: ManagementRequest
    number: int | None
    refused: str = ""
    already: str = ""

    @property
    def good(self) -> bool:
        """Whether what was asked for is registered or waits for an operator."""
        return not self.refused


def requests_of(
    config: NodeConfig,
    auth: KeyPair,
    signers: Mapping[MemberId, Signer],
    answers: Mapping[str, bytes],
    provider: ClientId,
    address: str,
) -> Iterator[Asked]:
    """The authCertReg of the node and a clientReg for each client, built and signed.

    answers    OCSP answers by the certificate's SHA-256 in hex (`Revocation.own_answers`)
    provider   the management subsystem, from the private parameters
    address    the host under which peers reach this node

    Raises KeyNotReady when a signer or its OCSP answer is not at hand.
    """
    owner = ClientId.parse(str(config.server.owner))

    def submission(request: ManagementRequest, member: MemberId) -> Submission:
        signer = signers.get(member)
        if signer is None:
            raise KeyNotReady(member=member, reason="this node holds no signing key of the member")
        answer = answers.get(hashlib.sha256(certs.der(signer.certificate)).hexdigest())
        if answer is None:
            raise KeyNotReady(member=member, reason="no OCSP answer for its signing certificate is at hand")
        soap = management.build(request, owner, provider)
        own = management.signature(signer.method, signer.sign_bytes(soap), signer.certificate)
        both = management.sign(soap, auth.key, auth.certificate) if request.kind is Kind.AUTH_CERT_REG else None
        return Submission(soap, own, answer, both)

    first = ManagementRequest(
        Kind.AUTH_CERT_REG, config.server, certificate=certs.der(auth.certificate), address=address
    )
    yield Asked(first, AUTH_CERT_PATH, submission(first, config.server.owner))
    for client in config.clients:
        request = ManagementRequest(Kind.CLIENT_REG, config.server, client.client)
        yield Asked(request, MANAGE_PATH, submission(request, client.member))


def send(base: str, asked: Asked, pinned: x509.Certificate | None = None) -> Outcome:
    """Post one request to the central services at `base`. Raises RegistrationUnreachable.

    pinned   the TLS certificate the private parameters name; without one, TLS is checked against the machine's authorities
    """
    kind, body = management_wire.join(asked.submission)
    url = base.rstrip("/") + asked.path
    if not url.startswith(("http://", "https://")):
        raise RegistrationUnreachable(url=base, reason="the address is not http(s)")
    context = ssl.create_default_context()
    if pinned is not None:
        context = ssl.create_default_context(cadata=pinned.public_bytes(Encoding.PEM).decode())
        context.check_hostname = False  # the certificate itself is what was agreed on
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    question = urllib.request.Request(url, data=body, headers={"Content-Type": kind}, method="POST")  # noqa: S310
    try:
        reply = _reply(opener, question, url)
    except http.client.HTTPException as problem:
        reason = f"it did not answer in valid HTTP ({type(problem).__name__})"
        raise RegistrationUnreachable(url=url, reason=reason) from None
    except (OSError, ValueError) as problem:
        raise RegistrationUnreachable(url=url, reason=str(getattr(problem, "reason", None) or problem)) from None
    try:
        return Outcome(asked.request, management.parse_reply(reply))
    except ManagementRefused as refused:
        return _refusal(asked.request, refused)


def _reply(opener: urllib.request.OpenerDirector, question: urllib.request.Request, url: str) -> bytes:
    """What was answered; a SOAP fault may come with a status of 500, as SOAP 1.1 says over HTTP."""
    try:
        with opener.open(question, timeout=_SECONDS) as answer:
            return bytes(answer.read(management.LARGEST + 1))
    except urllib.error.HTTPError as problem:
        with problem:
            reply = bytes(problem.read(management.LARGEST + 1))
        if b"Envelope" in reply:
            return reply
        raise RegistrationUnreachable(url=url, reason=f"it answered {problem.code}") from None


def _refusal(request: ManagementRequest, refused: ManagementRefused) -> Outcome:
    code = faults.snake(str(refused.params["fault_code"])).rpartition(".")[2]
    if code in _ALREADY:
        return Outcome(request, None, already=_ALREADY[code])
    detail = str(refused.params["detail"])
    return Outcome(request, None, refused.text + (f" They add: {detail}" if detail else ""))
