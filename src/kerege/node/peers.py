"""Connections to other servers: which wire is spoken with whom, and whether the other end is who it should be.

A server is asked at connection (TLS ALPN) whether it speaks the Kerege link; one that does not, as every X-Road server, is called over
X-Road's own wire, and asked again an hour later. Several servers of one provider are connected to at once; the first one wins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from kerege.exchange import certs
from kerege.exchange.errors import PeerUnreachable, PeerUntrusted
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.ids import ServerId
from kerege.ground.errors import KeregeError
from kerege.node.conf.keeper import Picture
from kerege.node.config_types import Address
from kerege.node.http.client import Connection, HttpFailed, NotConnected, Pool
from kerege.node.link.client import Link
from kerege.node.link.ends import LinkRefused
from kerege.node.ocsp.revocation import Revocation
from kerege.node.routes import Routes

_ASK_AGAIN_SECONDS: Final = 3600.0
_CHECKED_SECONDS: Final = 1.0
_MOST_CHECKED: Final = 256
_LOOK_HERE: Final = (
    "Mend this node's authentication certificate (keys.auth): kerege node check says what is wrong with it."
)
_LOOK_AT_BOTH: Final = (
    "See that it runs and that its address and port are right in the global configuration; kerege node check on this node says"
    " whether its own certificate is in order."
)

Dial = Callable[[Address], Awaitable[Link]]
_Where = tuple[ServerId, Address]  # several servers may stand behind one address: a link is one server's


@dataclass(slots=True)
class Reached:
    """A server that answered: over X-Road's wire (`connection`), or over the Kerege link."""

    server: SecurityServer
    address: Address
    connection: Connection | None
    link: Link | None
    ocsp: tuple[bytes, ...] = ()  # this node's answers about the certificate that was shown on `connection`
    under: int = 0  # which of its keys that was


class Peers:
    """All connections of a node to other servers."""

    def __init__(
        self,
        pool: Pool,
        routes: Routes,
        revocation: Revocation,
        clock: Callable[[], datetime],
        dial: Dial | None,
        tls: bool = True,
    ) -> None:
        self._pool, self._routes, self._revocation, self._clock = pool, routes, revocation, clock
        self._dial_link, self._tls = dial, tls
        self._links: dict[_Where, Link] = {}
        self._dialling: dict[_Where, asyncio.Task[Link | None]] = {}
        self._no_link_until: dict[Address, float] = {}
        self._checked: dict[
            bytes, tuple[Picture, SecurityServer, float]
        ] = {}  # by certificate, as `Connection.checked`
        self._key = 0  # counts this node's authentication keys
        self.forget: Callable[[], None] = lambda: None  # what TLS remembers of other servers
        self.own_trouble: Callable[[], str] = lambda: ""  # why no server takes the certificate that this node shows

    def renew(self) -> None:
        """This node shows another certificate from now on: connections made with the old one finish what is under way."""
        self._key += 1
        links, self._links = list(self._links.values()), {}
        for link in links:
            link.retire()
        self._pool.close()

    def use_limits(self, limit: int, connect_seconds: float, memory: int, spool: Path | None) -> None:
        """Other limits, for connections made from now on."""
        self._pool.use(limit, connect_seconds, memory, spool)

    def use_link(self, dial: Dial | None) -> None:
        """Speak the Kerege link from now on, or (None) X-Road's wire only; calls under way on links end where they are."""
        self._dial_link = dial
        self._no_link_until.clear()
        if dial is not None:
            return
        links, self._links = list(self._links.values()), {}
        for link in links:
            link.retire()

    @property
    def links(self) -> list[Link]:
        return [link for link in self._links.values() if link.alive]

    def link_to(self, server: SecurityServer) -> Link | None:
        """The link to `server` that is up, if there is one."""
        link = self._links.get((server.id, self._routes.address(server)))
        return link if link is not None and link.alive else None

    async def reach(self, servers: list[SecurityServer], picture: Picture, *, preferred: bool) -> Reached:
        """The first of `servers` that can be reached and is trusted. Raises PeerUnreachable, PeerUntrusted, RevocationUnknown.

        preferred   the first of them answered of late: it is tried alone first
        """
        if len(servers) > 1 and not preferred:
            return await self._race(servers, picture)
        problem: KeregeError | None = None
        for server in servers:
            try:
                return await self._reach(server, picture)
            except KeregeError as refused:  # unreachable, untrusted, revoked: another server may be well
                problem = refused
        assert problem is not None
        raise problem

    async def _race(self, servers: list[SecurityServer], picture: Picture) -> Reached:
        tasks = [asyncio.ensure_future(self._reach(server, picture)) for server in servers]
        waiting = set(tasks)
        problem: KeregeError | None = None
        winner: asyncio.Task[Reached] | None = None
        try:
            while waiting and winner is None:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if error is None:
                        winner = winner or task
                    elif isinstance(error, KeregeError):
                        problem = error
                    else:
                        raise error
        finally:
            for task in tasks:
                if task is not winner:
                    task.add_done_callback(self._keep)
        if winner is None:
            assert problem is not None
            raise problem
        return winner.result()

    def _keep(self, task: asyncio.Task[Reached]) -> None:
        """One that lost the race: its connection is kept for the next call."""
        if not task.cancelled() and task.exception() is None:
            self.release(task.result())

    async def _reach(self, server: SecurityServer, picture: Picture) -> Reached:
        address = self._routes.address(server)
        if self._dial_link is not None:
            for last in (False, True):
                link = await self._link(server, address)
                if link is None:
                    break
                try:
                    await self.check_link(link, server, picture)
                    return Reached(server, address, None, link)
                except KeregeError:
                    if last:
                        raise
                    self.forget()  # on a new one, in a session of its own, the other end may show another certificate
        under, ocsp, anew = self._key, self._revocation.auth_answer, False
        while True:
            try:
                connection = await self._pool.acquire(address.host, address.port)
            except NotConnected as refused:
                raise self.unreachable(server.id, address, refused) from None
            try:
                if self._tls:
                    await self._check_again(connection, server, picture)
                break
            except BaseException as problem:
                connection.close()
                if not isinstance(problem, KeregeError) or (anew and not connection.used):
                    raise
                anew = anew or not connection.used
                self.forget()  # as above; connections that were kept are tried before a new one
        if under == self._key:
            ocsp = self._revocation.auth_answer or ocsp  # they may have been renewed meanwhile
        return Reached(server, address, connection, None, ocsp, under)

    def kept(self, server: SecurityServer, picture: Picture) -> Reached | None:
        """A kept connection to `server` over X-Road's wire, found trusted a moment ago; None where `reach` must be waited for."""
        address = self._routes.address(server)
        connection = self._pool.idle(address.host, address.port)
        if connection is None:
            return None
        if self._tls:
            known, now = connection.checked, time.monotonic()
            if known is None or known[0] is not picture or known[1] is not server or known[2] < now:
                found = self._checked.get(connection.certificate or b"")
                if found is None or found[0] is not picture or found[1] is not server or found[2] < now:
                    self._pool.release(address.host, address.port, connection)
                    return None
                connection.checked = found
        return Reached(server, address, connection, None, self._revocation.auth_answer, self._key)

    def release(self, reached: Reached) -> None:
        if reached.connection is None:
            return
        if reached.under != self._key:
            reached.connection.close()
        else:
            self._pool.release(reached.address.host, reached.address.port, reached.connection)

    async def _link(self, server: SecurityServer, address: Address) -> Link | None:
        """The link to `server`, dialled when there is none; None when the other side speaks X-Road's wire only."""
        where = server.id, address
        link = self._links.get(where)
        if link is not None and link.alive:
            return link
        if self._no_link_until.get(address, 0.0) > time.monotonic():
            return None
        task = self._dialling.get(where)
        if task is None:
            task = asyncio.ensure_future(self._dial(server.id, address))
            self._dialling[where] = task
            task.add_done_callback(lambda _: self._dialling.pop(where, None))
        return await asyncio.shield(task)

    async def _dial(self, server: ServerId, address: Address) -> Link | None:
        assert self._dial_link is not None
        under = self._key
        try:
            link = await self._dial_link(address)
        except LinkRefused:
            self._no_link_until[address] = time.monotonic() + _ASK_AGAIN_SECONDS
            return None
        except NotConnected as refused:
            raise self.unreachable(server, address, refused) from None
        if under != self._key:  # the key changed in the middle of the handshake
            link.close()
            return await self._dial(server, address)
        self._links[server, address] = link
        return link

    def unreachable(self, server: ServerId, address: Address, problem: HttpFailed) -> PeerUnreachable:
        """What it means that `server` could not be connected to, or gave no answer: the fault may be this node's own."""
        reason, do = problem.reason, ""
        if problem.cut and self._tls:
            own = self.own_trouble()
            reason += f", as every server does while {own}" if own else ", or it refused this node's certificate"
            do = _LOOK_HERE if own else _LOOK_AT_BOTH
        return PeerUnreachable(server=server, address=address, reason=reason, do=do)

    async def check(self, der: bytes | None, server: SecurityServer, picture: Picture) -> None:
        """The other end must hold a certificate registered for `server`, good now. Cheap when it was checked before."""
        if der is None or not server.auth_cert_hashes.intersection(certs.auth_hashes(der)):
            raise PeerUntrusted(peer=server.id, reason="its authentication certificate is not registered for it")
        now = self._clock()
        certificate, answer = await self._revocation.of_peer(picture.trust, der, now, self._routes.ocsp_address(server))
        picture.trust.check_auth(certificate, (answer,), now)

    async def _check_again(self, connection: Connection, server: SecurityServer, picture: Picture) -> None:
        """As `check`; of a kept connection once a second, and anew under every configuration."""
        now, known = time.monotonic(), connection.checked
        if known is None or known[0] is not picture or known[1] is not server or known[2] < now:
            await self.check(connection.certificate, server, picture)
            if len(self._checked) >= _MOST_CHECKED:
                self._checked.clear()
            found = connection.checked = (picture, server, now + _CHECKED_SECONDS)
            self._checked[connection.certificate or b""] = found

    async def check_link(self, link: Link, server: SecurityServer, picture: Picture) -> None:
        """As `check`, once a second and anew under every configuration: a link carries many calls."""
        now = time.monotonic()
        known = link.checked
        if known is None or known[0] is not picture or known[1] is not server or known[2] < now:
            try:
                await self.check(link.certificate, server, picture)
            except KeregeError:
                link.retire()  # what the other end shows on a new one decides the next call
                raise
            link.checked = (picture, server, now + _CHECKED_SECONDS)

    async def still_good(self, link: Link, server: SecurityServer, picture: Picture) -> bool:
        """Whether the other end of a link that was good is still trusted; if not, no call goes over it any more."""
        try:
            await self.check_link(link, server, picture)
        except KeregeError:
            return False
        return True

    def close(self) -> None:
        for task in self._dialling.values():
            task.cancel()
        for link in self._links.values():
            link.close()
        self._pool.close()
