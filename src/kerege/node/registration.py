"""A node asks the central services to be registered: its authentication certificate, and each of its clients.

Builds X-Road's authCertReg and clientReg (PR-MSERV) from the node's configuration, signed with the keys that must sign them
(authentication key and owner's signing key; for a client its own member's). What was asked for is registered once an operator approves.
How requests are signed and sent is `submitting`'s, every other kind is `changes`'.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerege.exchange import certs
from kerege.exchange.management import Kind, ManagementRequest
from kerege.node.submitting import AUTH_CERT_PATH, MANAGE_PATH, Asked, Papers


def requests_of(papers: Papers, address: str) -> Iterator[Asked]:
    """The authCertReg of the node and a clientReg for each client, built and signed.

    address    the host under which peers reach this node

    Raises CertificateRevoked before the first one, KeyNotReady when a signer or its OCSP answer is not at hand.
    """
    config = papers.config
    for member in papers.keys.signers:
        papers.check_revoked(member)
    certificate = certs.der(papers.keys.auth.certificate)
    first = ManagementRequest(Kind.AUTH_CERT_REG, config.server, certificate=certificate, address=address)
    yield Asked(first, AUTH_CERT_PATH, papers.signed(first, config.server.owner))
    for client in config.clients:
        request = ManagementRequest(Kind.CLIENT_REG, config.server, client.client)
        yield Asked(request, MANAGE_PATH, papers.signed(request, client.member))
