"""What every other server will hold against this node's authentication certificate, told before the other servers are blamed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kerege.exchange import certs
from kerege.exchange.ids import ServerId
from kerege.exchange.pki import TestAuthority
from kerege.node.http.answers import NotConnected
from kerege.node.keys.belonging import refused_everywhere
from kerege.node.link.dial import _not_connected

NOW = datetime(2026, 5, 4, tzinfo=UTC)
SERVER = ServerId.parse("KG/GOV/70000001/node-edu")


@pytest.fixture(scope="module")
def certificate() -> Any:
    return TestAuthority.create("KG", NOW, "ec").auth_certificate(SERVER, "Education", NOW, "ec").certificate


def told(certificate: Any, now: datetime, *, listed: bool = True, revoked: str | None = None) -> str:
    hashes = frozenset(certs.auth_hashes(certificate)) if listed else frozenset()
    shared = SimpleNamespace(servers=[SimpleNamespace(id=SERVER, auth_cert_hashes=hashes)])
    keys: Any = SimpleNamespace(auth=SimpleNamespace(certificate=certificate), revoked_since=lambda _: revoked)
    config: Any = SimpleNamespace(server=SERVER)
    picture: Any = SimpleNamespace(shared=shared)
    return refused_everywhere(config, keys, picture, now)


def test_a_certificate_that_is_over_early_revoked_or_unlisted_is_told_and_a_good_one_not(certificate: Any) -> None:
    assert told(certificate, NOW) == ""
    assert "certificate is over (since " in told(certificate, certificate.not_valid_after_utc + timedelta(seconds=1))
    assert "is valid only from" in told(certificate, certificate.not_valid_before_utc - timedelta(seconds=1))
    assert "is revoked (since then)" in told(certificate, NOW, revoked="since then")
    assert told(certificate, NOW, listed=False) == (
        f"the global configuration does not list the authentication certificate for {SERVER}"
    )


@pytest.mark.parametrize(
    ("problem", "connected", "cut"),
    [
        (ConnectionResetError(), True, True),
        (ssl.SSLError(1, "alert"), False, True),
        (TimeoutError(), True, False),
        (ConnectionRefusedError(111, "Connection refused"), False, False),
    ],
)
def test_only_a_handshake_or_a_greeting_that_was_cut_leaves_room_for_that(
    problem: Exception, connected: bool, cut: bool
) -> None:
    if isinstance(problem, ssl.SSLError):
        problem.reason = "ALERT"  # where the library puts it
    refused = _not_connected(problem, connected, 5.0)
    assert isinstance(refused, NotConnected)
    assert refused.cut is cut
