"""A management request on its way: signed with the node's keys, sent to the central services, and what they answered.

Implements the sender's side of X-Road PR-MSERV. Two ways lead there: straight to their address (`send`), and, as X-Road's servers do it,
through this node as an ordinary SOAP message of the server's owner to the management subsystem (`send_through`), signature, certificate
and OCSP answer being its attachments. What may be asked for is `registration`'s and `changes`' affair. Asking again is refused by the
other side with a code that says that it is so, or waits, already: that is no failure, so every command may be repeated.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPMessage
from typing import IO, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange import certs, faults, management, management_proof, management_read, management_wire
from kerege.exchange.errors import ManagementRefused
from kerege.exchange.ids import ClientId, MemberId
from kerege.exchange.management import Kind, ManagementRequest
from kerege.exchange.management_proof import Submission
from kerege.node import connections
from kerege.node.conf.keeper import Keeper, Picture
from kerege.node.config_types import Address, NodeConfig
from kerege.node.errors import (
    CertificateRevoked,
    KeyNotReady,
    NodeNotRunning,
    RegistrationUnreachable,
    RequestNotMade,
)
from kerege.node.keys.pairs import NodeKeys, load_keys
from kerege.node.ocsp.revocation import Revocation

AUTH_CERT_PATH: Final = "/managementservice/"
MANAGE_PATH: Final = "/managementservice/manage/"
_SECONDS: Final = 30.0
_SECONDS_THROUGH: Final = 120.0  # two servers and an agency's system, each with limits of its own, are in between
_LONGEST_SHOWN: Final = 200
REGISTERED: Final = "registered already"
_WAITS: Final = "asked for already, an operator of the central services decides"
_SO: Final = "so already"
# the last part of a fault's code that says that nothing is left to ask for, Kerege's and X-Road's own, and what to tell
_ALREADY: Final = {
    "management_request_already_registered": REGISTERED,
    "management_request_client_already_registered": REGISTERED,
    "management_request_security_server_exists": REGISTERED,
    "management_request_exists": _WAITS,
    "management_request_already_so": _SO,
    "management_request_client_already_owner": _SO,
}
# what X-Road says of a client that is not there is what was wished for only where it was to go
_ALREADY_GONE: Final = "management_request_server_client_not_found"
_MAINTENANCE: Final = ".maintenance_mode"
_ON_THE_WAY: Final = ("client.", f"{faults.CLIENT_PROXY}.", f"{faults.SERVER_PROXY}.")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request with where it goes."""

    request: ManagementRequest
    path: str
    submission: Submission


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request: its number at the central services, that it was there already, or why they refused it.

    heard   the central services said so; False where it was not carried to them, or what came back cannot be read
    """

    request: ManagementRequest
    number: int | None
    refused: str = ""
    already: str = ""
    heard: bool = True

    @property
    def good(self) -> bool:
        """Whether what was asked for is so, or is taken and waits for an operator or the next configuration."""
        return not self.refused

    @property
    def exit_code(self) -> int:
        """A command's: 0 for what is good, 1 for what was refused, 2 where nobody said either."""
        return 0 if self.good else 1 if self.heard else 2

    @property
    def told(self) -> str:
        """One line for the node's operator."""
        what = self.request.client or self.request.server
        sent = f"request {self.number} received" if self.number is not None else self.already
        return f"{self.request.kind} {what}: {sent or self.refused}"


@dataclass(frozen=True, slots=True)
class Papers:
    """What requests are made of and signed with.

    answers    OCSP answers by the certificate's SHA-256 in hex (`Revocation.own_answers`)
    provider   the management subsystem, from the private parameters
    """

    config: NodeConfig
    keys: NodeKeys
    answers: Mapping[str, bytes]
    provider: ClientId

    @property
    def owner(self) -> ClientId:
        """The server's owner, in whose name every request is sent."""
        return ClientId.parse(str(self.config.server.owner))

    def check_revoked(self, member: MemberId) -> None:
        """Raises CertificateRevoked when the member's signing certificate is revoked."""
        signer = self.keys.signers.get(member)
        said = "" if signer is None else self.keys.revoked_since(signer.certificate)
        if said:
            raise CertificateRevoked(server=self.keys.server, member=member, reason=said)

    def signed(self, request: ManagementRequest, member: MemberId) -> Submission:
        """`request` signed by `member`, an authCertReg by the authentication key too.

        Raises KeyNotReady when the signer or its OCSP answer is not at hand, CertificateRevoked, ManagementRequestInvalid.
        """
        signer = self.keys.signers.get(member)
        if signer is None:
            raise KeyNotReady(member=member, reason="this node holds no signing key of the member")
        self.check_revoked(member)
        answer = self.answers.get(hashlib.sha256(certs.der(signer.certificate)).hexdigest())
        if answer is None:
            raise KeyNotReady(member=member, reason="no OCSP answer for its signing certificate is at hand")
        soap = self.plain(request).soap
        own = management_proof.signature(signer.method, signer.sign_bytes(soap), signer.certificate)
        auth = self.keys.auth
        both = management_proof.sign(soap, auth.key, auth.certificate) if request.kind is Kind.AUTH_CERT_REG else None
        return Submission(soap, own, answer, both)

    def plain(self, request: ManagementRequest) -> Submission:
        """`request` without a signature. Raises ManagementRequestInvalid when nobody could read it as what it is."""
        soap = management.build(request, self.owner, self.provider)
        management_read.parse(soap)
        return Submission(soap)


async def gather(config: NodeConfig, clock: Callable[[], datetime]) -> tuple[Papers, Picture]:
    """The node's papers and the configuration they were gathered under, fetched anew.

    Nothing is written: the state folder is the node's, which runs beside, mostly as another user.
    Raises what keeps keys or configuration from being read, and RequestNotMade when nobody offers management services.
    """
    keys = load_keys(config)
    keeper, revocation = Keeper.of(config, clock, keeps=False), Revocation(keys, config.state, clock, keeps=False)
    await keeper.start()
    picture = keeper.current(clock())
    await revocation.refresh_own(picture.trust)
    if picture.private is None or picture.private.management_provider is None:
        raise RequestNotMade(what="to the central services", reason="the configuration names no management services")
    return Papers(config, keys, revocation.own_answers(), picture.private.management_provider), picture


# --- straight to the central services --------------------------------------------------------------------------------


def pinned_for(url: str, picture: Picture) -> x509.Certificate | None:
    """The TLS certificate that the central services at `url` must show, where the configuration names one."""
    private = picture.private
    return None if private is None or not url.startswith("https:") else private.auth_cert_registration_certificate


def send(base: str, asked: Asked, pinned: x509.Certificate | None = None) -> Outcome:
    """Post one request to the central services at `base`. Raises RegistrationUnreachable.

    pinned   the TLS certificate the private parameters name; without one, TLS is checked against the machine's authorities
    """
    url = base.rstrip("/") + asked.path
    if not url.startswith(("http://", "https://")):
        raise RegistrationUnreachable(url=base, reason="the address is not http(s)")
    reply = _posted(url, asked, _context(pinned), _SECONDS)
    try:
        return Outcome(asked.request, management_read.parse_reply(reply))
    except ManagementRefused as refused:
        return _refusal(asked.request, refused)


def _context(pinned: x509.Certificate | None) -> ssl.SSLContext:
    if pinned is None:
        return ssl.create_default_context()
    context = ssl.create_default_context(cadata=pinned.public_bytes(Encoding.PEM).decode())
    context.check_hostname = False  # the certificate itself is what was agreed on
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _posted(url: str, asked: Asked, context: ssl.SSLContext, seconds: float) -> bytes:
    """What was answered. Raises RegistrationUnreachable."""
    kind, body = management_wire.join(asked.submission)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoOtherAddress()
    )
    question = urllib.request.Request(url, data=body, headers={"Content-Type": kind}, method="POST")  # noqa: S310
    try:
        return _reply(opener, question, url, seconds)
    except http.client.HTTPException as problem:
        reason = f"it did not answer in valid HTTP ({type(problem).__name__})"
        raise RegistrationUnreachable(url=url, reason=reason) from None
    except (OSError, ValueError) as problem:
        why = getattr(problem, "reason", None) or problem
        if isinstance(why, ssl.SSLCertVerificationError):
            reason = f"the certificate it shows is not believed ({why.verify_message})"
            raise RegistrationUnreachable(
                url=url, reason=reason, do=_BELIEVE if context.check_hostname else _ANOTHER
            ) from None
        said = getattr(why, "strerror", None) or why
        silent = isinstance(why, ConnectionRefusedError)
        raise RegistrationUnreachable(url=url, reason=str(said), silent=silent) from None


_BELIEVE: Final = (
    "Where it is the central services' own, they name it in the configuration (auth_cert_registration_certificate, published anew), and"
    " this node takes that one; any other must be of an authority that this machine knows."
)
_ANOTHER: Final = (
    "The configuration names the certificate that the central services show (auth_cert_registration_certificate), and it is another:"
    " see that the address is theirs, or have them publish the one they have now."
)


class _NoOtherAddress(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: they would turn the request into a question, put to whoever the answer names."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        fp.close()
        reason = (
            f"it answered {code} and points to {newurl[:_LONGEST_SHOWN]}, where nothing was sent; "
            "if that is the central services' address, give it as the address"
        )
        raise RegistrationUnreachable(url=req.full_url, reason=reason)


def _reply(opener: urllib.request.OpenerDirector, question: urllib.request.Request, url: str, seconds: float) -> bytes:
    """A SOAP fault may come with a status of 500, as SOAP 1.1 says over HTTP."""
    try:
        with opener.open(question, timeout=seconds) as answer:
            return bytes(answer.read(management.LARGEST + 1))
    except urllib.error.HTTPError as problem:
        with problem:
            reply = bytes(problem.read(management.LARGEST + 1))
        if b"Envelope" in reply:
            return reply
        raise RegistrationUnreachable(url=url, reason=f"it answered {problem.code}") from None


def _refusal(request: ManagementRequest, refused: ManagementRefused) -> Outcome:
    if refused.params["fault_code"] == management_read.NO_FAULT:
        said = f"Nobody knows whether it was taken, {refused.params['reason'].rstrip('?.')}. See that the address is theirs and send again."
        return Outcome(request, None, said, heard=False)
    code = faults.snake(str(refused.params["fault_code"])).rpartition(".")[2]
    already = _SO if code == _ALREADY_GONE and request.kind is Kind.CLIENT_DELETION else _ALREADY.get(code, "")
    if already:
        return Outcome(request, None, already=already)
    return Outcome(request, None, refused.text + _added(refused))


def _added(refused: ManagementRefused) -> str:
    detail = str(refused.params["detail"])
    return f" They add: {detail}" if detail else ""


# --- through this node -----------------------------------------------------------------------------------------------


def send_through(config: NodeConfig, asked: Asked, now: datetime) -> Outcome:
    """Post one request to this node, which runs, as the owner's call of the management service.

    Raises RequestNotMade when the owner may not call from here, NodeNotRunning and RegistrationUnreachable when the node does not answer.
    """
    url, pinned = _own_door(config, asked.request.kind, now)
    try:
        reply = _posted(url, asked, _context(pinned), _SECONDS_THROUGH)
    except RegistrationUnreachable as problem:
        if problem.params.get("silent"):
            listener = f"listen.clients{'_tls' if pinned else ''} {url.partition('//')[2].rstrip('/')}"
            raise NodeNotRunning(listener=listener, reason=problem.params["reason"], file=config.file) from None
        reason = f"{problem.params['reason']}; sent through this node, it must be running at {url}"
        raise RegistrationUnreachable(url=url, reason=reason) from None
    try:
        return Outcome(asked.request, management_read.parse_reply(reply))
    except ManagementRefused as refused:
        code = str(refused.params["fault_code"])
        if faults.snake(code).startswith(_ON_THE_WAY):
            said = f"It was not carried to the central services ({code}): {refused.params['reason']}."
            if faults.snake(code).endswith(_MAINTENANCE):
                said += " With --url it goes straight to them, maintenance or not."
            return Outcome(asked.request, None, said + _added(refused), heard=False)
        return _refusal(asked.request, refused)


def _own_door(config: NodeConfig, kind: Kind, now: datetime) -> tuple[str, x509.Certificate | None]:
    """Where this node takes the owner's own calls, and the certificate it shows there."""
    owner = config.server.owner
    settings = config.members.get(owner)
    if settings is None:
        reason = f"through this node it is a call of the owner, and {owner} is not among clients; add it, or give --url"
        raise RequestNotMade(what=kind, reason=reason)
    if settings.connection == connections.HTTP:
        return f"http://{_reachable(config.clients_address)}/", None
    if settings.connection == connections.HTTPS and config.clients_tls_address is not None:
        shown = connections.internal_kept(config, now)
        if shown is None:
            reason = (
                "the node has no internal certificate that is valid; start it (anew), which makes one, or give --url"
            )
            raise RequestNotMade(what=kind, reason=reason)
        return f"https://{_reachable(config.clients_tls_address)}/", shown.certificate
    reason = (
        f"the connection of {owner} (clients) is {settings.connection}, this command has http and https; give --url"
    )
    raise RequestNotMade(what=kind, reason=reason)


def _reachable(address: Address) -> str:
    """An address as it is called from this machine: who listens everywhere listens on the loopback addresses too."""
    everywhere = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104
    host = everywhere.get(address.host, address.host)
    return f"[{host}]:{address.port}" if ":" in host and not host.startswith("[") else f"{host}:{address.port}"
