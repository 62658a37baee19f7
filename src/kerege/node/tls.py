"""TLS contexts of the node: mutual between servers, X-Road's cipher suites still offered, modern ones preferred.

1.2 and 1.3 both. In 1.2 ECDHE with AES-GCM comes first; the three CBC suites that X-Road's servers speak by default stay offered
for older peers (PR-MESSTRANSP; OpenSSL calls them ECDHE-RSA-AES256-SHA384, DHE-RSA-AES256-SHA256, ECDHE-ECDSA-AES256-SHA384), with
encrypt-then-mac where the peer knows it. Whose certificate a peer showed is decided per connection by the global configuration:
a client must show one of an approved authority to end its handshake; of a server the handshake proves that it has the key, and all
else is `peers`' to check before anything is sent, because X-Road's authentication certificates need name no purpose but client
authentication, which OpenSSL refuses in a server. Sessions: a server resumes them as OpenSSL does, bound to
the client's certificate; a client context remembers its peers' sessions, because X-Road's servers close after each exchange and a
full mutual handshake each time is the dearest part of it.
"""

from __future__ import annotations

import os
import secrets
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from kerege.exchange.pki import KeyPair

CIPHERS: Final = ":".join(
    (
        "ECDHE+AESGCM",
        "ECDHE+CHACHA20",
        "DHE-RSA-AES256-GCM-SHA384",
        "DHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-SHA384",
        "ECDHE-RSA-AES256-SHA384",
        "DHE-RSA-AES256-SHA256",
    )
)
# the group ffdhe2048 of RFC 7919: a public constant
FFDHE2048: Final = """-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
_MOST_SESSIONS: Final = 1024


def server_context(auth: KeyPair) -> ssl.SSLContext:
    """For the listener of other servers: a certificate is demanded; `add_authorities` says of whom."""
    context = modern(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.verify_mode = ssl.CERT_REQUIRED
    use_key(context, auth)
    return context


def client_context(auth: KeyPair) -> ssl.SSLContext:
    """For connections to other servers: `Peers.check` believes their certificates or not, chain, registration and OCSP.

    Host names are not looked at: the configuration says whose each certificate is.
    """
    context = modern(ResumingContext(ssl.PROTOCOL_TLS_CLIENT))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    use_key(context, auth)
    return context


def modern(context: ssl.SSLContext) -> ssl.SSLContext:
    """The versions and cipher suites of this module for any context; a listed certificate may be the end of its own chain."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        _load_group(context)
    return context


def _load_group(context: ssl.SSLContext) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ffdhe2048.pem"
        file.write_text(FFDHE2048)
        context.load_dh_params(str(file))


def use_key(context: ssl.SSLContext, pair: KeyPair, *others: ssl.SSLContext) -> None:
    """Show `pair` on connections made from now on, in all of these contexts or, where it cannot be, in none; those there are keep theirs.

    The ssl module takes keys from files only, so the key passes through one, encrypted under a secret made for the moment.
    """
    secret = secrets.token_hex(32)
    protection = BestAvailableEncryption(secret.encode())
    data = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    data += b"".join(one.public_bytes(Encoding.PEM) for one in (pair.certificate, *pair.chain))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pair.pem"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as open_file:
            open_file.write(data)
        if others:  # what is refused is refused by one that nobody uses
            ssl.SSLContext(context.protocol).load_cert_chain(file, password=secret)
        for one in (context, *others):
            one.load_cert_chain(file, password=secret)
    for one in (context, *others):
        if isinstance(one, ResumingContext):
            one.forget()  # a resumed session would go on under the certificate it began with


def add_authorities(context: ssl.SSLContext, authorities: Iterable[x509.Certificate]) -> None:
    """Let `context` finish handshakes with certificates of these authorities; known ones are passed over."""
    known = set(context.get_ca_certs(binary_form=True))
    for certificate in authorities:
        der = certificate.public_bytes(Encoding.DER)
        if der not in known:
            known.add(der)
            context.load_verify_locations(cadata=der)


class _Resuming(ssl.SSLObject):
    """A client's end of a connection that tells its context the session, once, when the first bytes came: in 1.3 tickets
    come after the handshake, before the first answer."""

    _told = False

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        found = super().read(len, buffer)
        if not self._told:  # taking a session out costs a copy of it
            self._told = True
            session, context = self.session, self.context
            if session is not None and isinstance(context, ResumingContext):
                context.remember(str(self.server_hostname), session)
        return found


class ResumingContext(ssl.SSLContext):
    """A client context whose connections, made by an event loop, begin with the last session of the same server name.

    A session offered to another server than the one it came from is passed over by that server, and a full handshake follows.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> ResumingContext:
        context = super().__new__(cls, *args, **kwargs)
        context.sslobject_class = _Resuming
        context._sessions = OrderedDict()
        return context

    _sessions: OrderedDict[str, ssl.SSLSession]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        name = kwargs.get("server_hostname")
        known = self._sessions.get(str(name))
        if known is not None and kwargs.get("session") is None:
            kwargs["session"] = known
        return super().wrap_bio(*args, **kwargs)

    def remember(self, name: str, session: ssl.SSLSession) -> None:
        self._sessions[name] = session
        self._sessions.move_to_end(name)
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)

    def forget(self) -> None:
        self._sessions.clear()
