"""What a registered node asks the central services to change: of its clients, certificates, owner, address, and its maintenance.

Builds those management requests of X-Road PR-MSERV that concern a server in the register. Denied by default: a client is one of this
node's file or one registered at this server, a certificate one registered for it, a new owner a member whose signing key is here. Each is
signed by the member that must: the client's own, for a new owner that one, else the server's owner, who also signs both deletions (they
may come unsigned, which proves nothing: an operator has to look then).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from kerege.exchange import certs, management
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, MemberId
from kerege.exchange.management import AUTO_APPROVED, Kind, ManagementRequest
from kerege.node.asking.submitting import MANAGE_PATH, Asked, Papers
from kerege.node.errors import RequestNotMade

KINDS: Final = tuple(kind for kind in Kind if kind is not Kind.AUTH_CERT_REG)
# what each kind is told, by the names of `Wish`: what it needs, and what it may have
_FIELDS: Final[dict[Kind, tuple[frozenset[str], frozenset[str]]]] = {
    Kind.CLIENT_REG: (frozenset({"client"}), frozenset({"name"})),
    Kind.CLIENT_DELETION: (frozenset({"client"}), frozenset()),
    Kind.CLIENT_DISABLE: (frozenset({"client"}), frozenset()),
    Kind.CLIENT_ENABLE: (frozenset({"client"}), frozenset()),
    Kind.CLIENT_RENAME: (frozenset({"client", "name"}), frozenset()),
    Kind.AUTH_CERT_DELETION: (frozenset({"certificate"}), frozenset()),
    Kind.OWNER_CHANGE: (frozenset({"owner"}), frozenset()),
    Kind.ADDRESS_CHANGE: (frozenset({"address"}), frozenset()),
    Kind.MAINTENANCE_ENABLE: (frozenset(), frozenset({"message"})),
    Kind.MAINTENANCE_DISABLE: (frozenset(), frozenset()),
}
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
_LONGEST_HOST: Final = 253


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants changed; None is what was not said.

    certificate   DER of an authentication certificate
    in_use        that certificate may be the one this node uses now
    unsigned      leave the signature out, where the kind may come without one
    """

    kind: Kind
    client: ClientId | None = None
    owner: MemberId | None = None
    certificate: bytes | None = None
    address: str | None = None
    name: str | None = None
    message: str | None = None
    in_use: bool = False
    unsigned: bool = False


def asked_of(wish: Wish, papers: Papers, shared: SharedParameters) -> Asked:
    """The request for what is wished, built and signed.

    Raises RequestNotMade when it is not this node's to ask for, KeyNotReady and CertificateRevoked when it cannot be signed,
    ManagementRequestInvalid when a text does not fit into a request.
    """
    request = _request(wish, papers, shared)
    if wish.unsigned:
        if wish.kind not in management.PLAIN:
            raise RequestNotMade(what=wish.kind, reason="only deletions may come without a signature")
        return Asked(request, MANAGE_PATH, papers.plain(request))
    signer = papers.config.server.owner if wish.kind in management.PLAIN else request.concerned
    return Asked(request, MANAGE_PATH, papers.signed(request, signer))


def comes_when(wish: Wish) -> str:
    """When what was taken comes into force. X-Road's answer is a number: whether an operator looks first is by the kind and who signed."""
    if wish.kind in AUTO_APPROVED and not wish.unsigned:
        return "It comes into force with the next configuration, unless the central services keep this kind for an operator to approve."
    if wish.unsigned:
        return "It waits: an operator of the central services must approve what is not signed. It comes into force with the configuration after that."
    return (
        "It waits until an operator of the central services approves it, unless they let this kind pass. It comes into force with the "
        "configuration after that."
    )


def afterwards(request: ManagementRequest) -> str:
    """What is left for the node's operator to do when a request has come into force, or nothing."""
    server, client = request.server, request.client
    match request.kind:
        case Kind.CLIENT_DELETION:
            return f"Then take {client} out of clients in the node's file."
        case Kind.OWNER_CHANGE:
            return f"Then write server: {client}/{server.server} in the node's file and start the node anew."
        case Kind.AUTH_CERT_DELETION:
            return "Then no other server believes that certificate."
        case Kind.MAINTENANCE_ENABLE:
            return "Then other servers' calls are refused until maintenanceModeDisable."
        case _:
            return ""


# --- what may be asked for -------------------------------------------------------------------------------------------


def _request(wish: Wish, papers: Papers, shared: SharedParameters) -> ManagementRequest:
    _check_fields(wish)
    server = papers.config.server
    if wish.client is not None:
        _check_client(wish.kind, wish.client, papers, shared)
    if wish.certificate is not None:
        _check_certificate(wish, papers, shared)
    client = wish.client
    if wish.owner is not None:
        _check_owner(wish.owner, papers, shared)
        client = ClientId.parse(str(wish.owner))
    if wish.address is not None:
        check_address(wish.kind, wish.address)
    name, message = (None if text is None else text.strip() for text in (wish.name, wish.message))
    return ManagementRequest(wish.kind, server, client, wish.certificate, wish.address, name, message)


def _check_fields(wish: Wish) -> None:
    names = ("client", "owner", "certificate", "address", "name", "message")
    said = {name for name in names if getattr(wish, name) is not None}
    if wish.kind not in _FIELDS:
        raise RequestNotMade(what=wish.kind, reason="that is asked for by kerege node register")
    needed, may = _FIELDS[wish.kind]
    for name in sorted(needed - said):
        raise RequestNotMade(what=wish.kind, reason=f"it needs --{name}")
    for name in sorted(said - needed - may):
        raise RequestNotMade(what=wish.kind, reason=f"{wish.kind} takes no --{name}")
    if wish.in_use and wish.kind is not Kind.AUTH_CERT_DELETION:
        raise RequestNotMade(what=wish.kind, reason=f"{wish.kind} takes no --in-use")


def _check_client(kind: Kind, client: ClientId, papers: Papers, shared: SharedParameters) -> None:
    config = papers.config
    listed = {one.client for one in config.clients} | {ClientId.parse(str(member)) for member in config.members}
    registered = {one for server in shared.servers if server.id == config.server for one in server.clients}
    if client not in listed | registered:
        reason = f"{client} is neither among clients in the node's file nor registered at {config.server}"
        raise RequestNotMade(what=kind, reason=reason)


def _check_certificate(wish: Wish, papers: Papers, shared: SharedParameters) -> None:
    server, der = papers.config.server, wish.certificate or b""
    used = der == certs.der(papers.keys.auth.certificate)
    registered = {digest for one in shared.servers if one.id == server for digest in one.auth_cert_hashes}
    if not used and registered.isdisjoint(certs.auth_hashes(der)):
        raise RequestNotMade(what=wish.kind, reason=f"the certificate is not one registered for {server}")
    if used and not wish.in_use:
        reason = (
            "this node uses the certificate, no other server would talk with it any more; --in-use if that is meant"
        )
        raise RequestNotMade(what=wish.kind, reason=reason)


def _check_owner(owner: MemberId, papers: Papers, shared: SharedParameters) -> None:
    kind, server = Kind.OWNER_CHANGE, papers.config.server
    if owner == server.owner:
        raise RequestNotMade(what=kind, reason=f"{owner} owns {server} already")
    if owner not in papers.keys.signers:
        raise RequestNotMade(what=kind, reason=f"this node holds no signing key of {owner} (keys.sign)")
    if not shared.is_registered(ClientId.parse(str(owner))):
        raise RequestNotMade(what=kind, reason=f"{owner} is not registered as a member")


def check_address(kind: Kind, address: str) -> None:
    """A host name or an IP address, as X-Road's configuration has them: without port. Raises RequestNotMade."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        labels = address.split(".")
        named = all(map(_LABEL.match, labels)) and not labels[-1].isdecimal() and len(address) <= _LONGEST_HOST
        if not named:
            reason = "the address is a host name or an IP address, without scheme and port"
            raise RequestNotMade(what=kind, reason=reason) from None
