"""The TLS contexts of one node between servers: for its listener, for calls over X-Road's wire, for dialling the Kerege link."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509

from kerege.exchange.pki import KeyPair
from kerege.node import tls
from kerege.node.config_types import NodeConfig
from kerege.node.keys.pairs import tls_context
from kerege.node.link.ends import ALPN

PROTOCOLS = [ALPN, "http/1.1"]


@dataclass(frozen=True)
class Contexts:
    """One authentication key in all three."""

    listener: ssl.SSLContext
    wire: ssl.SSLContext
    link: ssl.SSLContext

    @classmethod
    def of(cls, config: NodeConfig) -> Contexts:
        """Raises NodeKeyInvalid."""
        out = cls(
            tls_context(config, server=True), tls_context(config, server=False), tls_context(config, server=False)
        )
        if config.link:
            out.listener.set_alpn_protocols(PROTOCOLS)
        out.link.set_alpn_protocols(PROTOCOLS)
        return out

    def add_authorities(self, authorities: Iterable[x509.Certificate]) -> None:
        known = list(authorities)
        for context in (self.listener, self.wire, self.link):
            tls.add_authorities(context, known)

    def forget(self) -> None:
        """Begin no session again: one goes on under the certificate the other end showed when it began."""
        for context in (self.wire, self.link):
            if isinstance(context, tls.ResumingContext):
                context.forget()

    def use_key(self, pair: KeyPair) -> None:
        """Show `pair` on connections made from now on."""
        tls.use_key(self.listener, pair, self.wire, self.link)
