"""A node asks the central services to be registered: its authentication certificate, and each of its clients.

Builds X-Road's authCertReg and clientReg (PR-MSERV) from the node's configuration, signed with the keys that must sign them
(authentication key and owner's signing key; for a client its own member's). What was asked for is registered once an operator approves.
How requests are signed and sent is `submitting`'s, every other kind is `changes`'.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerege.exchange import certs
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.management import Kind, ManagementRequest
from kerege.node.asking.changes import check_address
from kerege.node.asking.submitting import AUTH_CERT_PATH, MANAGE_PATH, REGISTERED, Asked, Outcome, Papers


def requests_of(papers: Papers, address: str) -> Iterator[Asked]:
    """The authCertReg of the node and a clientReg for each client, built and signed.

    address    the host under which peers reach this node

    Raises RequestNotMade when `address` is none and CertificateRevoked, both before the first one; KeyNotReady when a signer or
    its OCSP answer is not at hand.
    """
    config = papers.config
    check_address(Kind.AUTH_CERT_REG, address)
    for member in papers.keys.signers:
        papers.check_revoked(member)
    certificate = certs.der(papers.keys.auth.certificate)
    first = ManagementRequest(Kind.AUTH_CERT_REG, config.server, certificate=certificate, address=address)
    yield Asked(first, AUTH_CERT_PATH, papers.signed(first, config.server.owner))
    for client in config.clients:
        request = ManagementRequest(Kind.CLIENT_REG, config.server, client.client)
        yield Asked(request, MANAGE_PATH, papers.signed(request, client.member))


def otherwise(outcome: Outcome, shared: SharedParameters) -> str:
    """What is registered already but not as asked for, by the configuration, and how to change it; or nothing."""
    request = outcome.request
    server = next((one for one in shared.servers if one.id == request.server), None)
    if outcome.already != REGISTERED or server is None:
        return ""
    if request.kind is Kind.AUTH_CERT_REG:
        wished, there = request.address or "", server.address or ""
        if not there or wished.casefold() == there.casefold():
            return ""
        return (
            f"{server.id} is registered at {there}; to change it: kerege node request addressChange --address {wished}"
        )
    client = request.client
    if client is None or client in server.clients or client.subsystem is None:
        return ""
    return (
        f"{client} is not published at {server.id}: approved a moment ago, or disabled; "
        f"then: kerege node request clientEnable --client {client}"
    )
