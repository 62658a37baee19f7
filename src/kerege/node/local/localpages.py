"""What the client listener answers by itself, unsigned and not logged: who is there, containers of one's own messages, and what verifies them.

Implements X-Road's GET /listClients (PR-META section 2.1), GET /asic and GET /verificationconf (UG-SIGDOC). Containers are given to the
information system they concern, which is known by its connection as for messages; the other two hold what every member may know.
Records are found by the message log, containers made by `exchange.asic`, the configuration written by `conflayout`.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from kerege.exchange import asic, confdir, conflayout, confwrite, faults, metaservices
from kerege.exchange.asic import BatchStamp
from kerege.exchange.conflayout import LaidOutPart
from kerege.exchange.errors import ExchangeError, MetaserviceInvalid
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import SubsystemId, check_part
from kerege.exchange.logrecord import LogRecord
from kerege.ground.errors import KeregeError
from kerege.node.conf.picture import Picture
from kerege.node.core import Core
from kerege.node.http.messages import HttpRequest, HttpResponse
from kerege.node.log.index import Found, TooMuch, own_of
from kerege.node.rest_consumer import fault_response

_FLAGS: Final = frozenset({"requestOnly", "responseOnly", "unique", "force"})
_NAMES: Final = frozenset({"queryId", "xRoadInstance", "memberClass", "memberCode", "subsystemCode"})
_MOST_CONTAINERS: Final = 64
_MOST_BYTES: Final = 256 * 1024 * 1024
_MOST_AT_ONCE: Final = 2  # answers being put together, each of them in memory
_XROAD_VERSION: Final = 2  # the form every container verifier reads
_TEXT: Final = (b"Content-Type", b"text/plain; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Logged:
    """A record found in the log. `waiting`: it will be time-stamped and is not yet."""

    record: LogRecord
    stamp: BatchStamp | None = None
    waiting: bool = False


Find = Callable[[str, SubsystemId, frozenset[str]], Awaitable[Sequence[Logged]]]
Authenticate = Callable[[SubsystemId, HttpRequest], None]
StampNow = Callable[[], Awaitable[None]]


class _Refused(Exception):
    """An answer in plain text other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class LocalPages:
    """`pages` is what `Consumer` takes as `local`.

    authenticate   raises a KeregeError when the connection is not the client's (`Connections.check`)
    find           the records with a message identifier, of these directions, that concern the client; raises TooMuch before more of
                   them than an answer may hold is loaded
    stamp_now      time-stamps what waits; None where nothing is stamped
    """

    def __init__(self, core: Core, authenticate: Authenticate, find: Find, stamp_now: StampNow | None = None) -> None:
        self._core, self._authenticate, self._find, self._stamp_now = core, authenticate, find, stamp_now
        self._making = asyncio.Semaphore(_MOST_AT_ONCE)

    @property
    def pages(self) -> dict[str, Callable[[HttpRequest], Awaitable[HttpResponse]]]:
        return {
            "/listClients": self.list_clients,
            "/asic": self.containers,
            "/verificationconf": self.verification_configuration,
        }

    # --- who is there ---

    async def list_clients(self, http: HttpRequest) -> HttpResponse:
        try:
            picture = self._core.keeper.current(self._core.clock())
            clients = metaservices.clients_of(self._instance(http, picture))
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            fault = self._core.fault(problem, faults.CLIENT_PROXY)
            return fault_response(fault, http.header(b"accept"), problem)
        kinds = [part.partition(";")[0].strip().lower() for part in http.header(b"accept").split(",")]
        if "application/json" in kinds:
            json_type = (b"Content-Type", b"application/json; charset=utf-8")
            return HttpResponse(200, (json_type,), metaservices.clients_json(clients))
        return HttpResponse(200, ((b"Content-Type", b"text/xml; charset=utf-8"),), metaservices.clients_xml(clients))

    def _instance(self, http: HttpRequest, picture: Picture) -> SharedParameters:
        given = parse_qsl(urlsplit(http.target).query, keep_blank_values=True, max_num_fields=20)
        asked = [value for name, value in given if name == "xRoadInstance"]
        if not asked or asked == [picture.shared.instance]:
            return picture.shared
        if len(asked) == 1 and asked[0] in picture.shared.partners:
            return picture.shared.partners[asked[0]]
        raise MetaserviceInvalid(service="listClients", reason="no configuration of that instance is in force here")

    # --- containers ---

    async def containers(self, http: HttpRequest) -> HttpResponse:
        try:
            return await self._containers(http)
        except _Refused as refused:
            return HttpResponse(refused.status, (_TEXT,), f"{refused}\n".encode())
        except Exception as problem:  # noqa: BLE001 - answered in plain text, with what `fault` may say of it
            fault = self._core.fault(problem, faults.CLIENT_PROXY)
            return HttpResponse(500, (_TEXT,), f"{fault.message}\n{fault.detail}\n".encode())

    async def _containers(self, http: HttpRequest) -> HttpResponse:
        query, client, flags = _parameters(http)
        if client not in self._core.config.clients:
            raise _Refused(401, f"{client} is not a client of this server.")
        try:
            self._authenticate(client, http)
        except KeregeError as refused:
            raise _Refused(401, f"{refused.text} {refused.next_step}") from None
        async with self._making:
            return await self._answer(query, client, flags)

    async def _answer(self, query: str, client: SubsystemId, flags: frozenset[str]) -> HttpResponse:
        found = await self._wanted(query, client, flags)
        if self._stamped_here() and any(one.waiting for one in found):
            if "force" not in flags or self._stamp_now is None:
                raise _Refused(404, "Some of the signatures are not time-stamped yet; ask later, or with force.")
            await self._stamp_now()
            found = await self._wanted(query, client, flags)
            if any(one.waiting for one in found):
                raise _Refused(500, "Some of the signatures could not be time-stamped; the server's own log says why.")
        if not found:
            raise _Refused(
                404,
                "No message of this client with that queryId is in the log. queryId is the message identifier (x-road-id; in SOAP the"
                " header's id), not the request id (x-road-request-id), which kerege node asic takes.",
            )
        if "unique" in flags and len(found) > 1:
            raise _Refused(400, f"{len(found)} messages bear that queryId; ask without unique.")
        if "unique" in flags:
            data = await asyncio.to_thread(asic.container, found[0].record, found[0].stamp)
            return _file(asic.MEDIA_TYPE, asic.name_of(found[0].record), data)
        return _file("application/zip", "containers.zip", await asyncio.to_thread(_zipped, found))

    def _stamped_here(self) -> bool:
        """Without an approved authority nothing will ever be stamped, and containers are given as they are."""
        picture = self._core.keeper.picture
        return picture is None or bool(picture.shared.timestamping)

    async def _wanted(self, query: str, client: SubsystemId, flags: frozenset[str]) -> list[Logged]:
        direction = {"requestOnly": "request", "responseOnly": "response"}
        wanted = frozenset(direction[flag] for flag in flags & direction.keys()) or frozenset(direction.values())
        try:
            found = await self._find(query, client, wanted)
        except TooMuch:
            text = "Too many or too large messages bear that queryId; they are in the log's archives."
            raise _Refused(500, text) from None
        return [one for one in found if one.record.direction in wanted and own_of(one.record) == client.client]

    # --- what verifies them ---

    async def verification_configuration(self, http: HttpRequest) -> HttpResponse:
        try:
            picture = self._core.keeper.current(self._core.clock())
            data = await asyncio.to_thread(_configuration, picture)
        except Exception as problem:  # noqa: BLE001 - as above
            fault = self._core.fault(problem, faults.CLIENT_PROXY)
            return HttpResponse(500, (_TEXT,), f"{fault.message}\n{fault.detail}\n".encode())
        return _file("application/zip", "verificationconf.zip", data)


def _parameters(http: HttpRequest) -> tuple[str, SubsystemId, frozenset[str]]:
    """queryId, the client and the flags. A flag counts when it is there without a value, or as true."""
    try:
        given = parse_qsl(urlsplit(http.target).query, keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise _Refused(400, "The parameters cannot be read.") from None
    values: dict[str, str] = {}
    for name, value in given:
        if name not in _NAMES | _FLAGS or name in values:
            raise _Refused(400, "A parameter is not known, or comes twice.")
        values[name] = value
    flags = frozenset(name for name in _FLAGS & values.keys() if values[name].lower() in ("", "true", "1"))
    for name in sorted(_NAMES):
        if not values.get(name):
            raise _Refused(400, f"The parameter {name} is missing.")
    if {"requestOnly", "responseOnly"} <= flags:
        raise _Refused(400, "requestOnly and responseOnly exclude each other.")
    if "unique" in flags and not flags & {"requestOnly", "responseOnly"}:
        raise _Refused(400, "unique goes with requestOnly or responseOnly.")
    try:
        parts = (check_part(values[n], n) for n in ("xRoadInstance", "memberClass", "memberCode", "subsystemCode"))
        client = SubsystemId(*parts)
    except ExchangeError as problem:
        raise _Refused(400, problem.text) from None
    if len(values["queryId"]) > 1024:
        raise _Refused(400, "queryId is too long.")
    return values["queryId"], client, flags


def _zipped(found: Sequence[Logged]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # containers are compressed already
        names: set[str] = set()
        for number, one in enumerate(found):
            name = asic.name_of(one.record)
            if name in names:
                name = f"{number}-{name}"
            names.add(name)
            archive.writestr(name, asic.container(one.record, one.stamp))
    return out.getvalue()


def _configuration(picture: Picture) -> bytes:
    """The shared parameters of the instance and its partners, laid out as container verifiers read them."""
    expires = {picture.shared.instance: picture.directory.expires}
    expires |= {name: fetched.directory.expires for name, fetched in picture.partners.items()}
    parts = [
        LaidOutPart(
            confdir.SHARED,
            shared.instance,
            confwrite.build_shared(_for_verifiers(shared), _XROAD_VERSION),
            expires.get(shared.instance, picture.directory.expires),
            f"/V{_XROAD_VERSION}/{picture.directory.generation or '0'}/shared-params.xml",
            _XROAD_VERSION,
        )
        for shared in (picture.shared, *picture.shared.partners.values())
    ]
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "verificationconf"
        conflayout.write(home, picture.shared.instance, parts)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(home.rglob("*")):
                if file.is_file():
                    archive.write(file, str(file.relative_to(folder)))
    return out.getvalue()


def _for_verifiers(shared: SharedParameters) -> SharedParameters:
    """Without the servers' own certificates: no container is verified by them, and this version names them by SHA-1 only."""
    return replace(shared, servers=tuple(replace(s, auth_cert_hashes=frozenset()) for s in shared.servers))


def from_log(find: Callable[..., Awaitable[Sequence[Found]]], stamping: bool) -> Find:
    """How `LocalPages` finds records in `LogKeeping` (`keeping.find`). `stamping`: whether records are time-stamped at all."""

    async def found(message_id: str, client: SubsystemId, directions: frozenset[str]) -> list[Logged]:
        own = await find(
            message_id, own=client.client, directions=directions, most=_MOST_CONTAINERS, most_bytes=_MOST_BYTES
        )
        return [Logged(one.record, one.stamp, stamping and one.stamp is None) for one in own]

    return found


def _file(media_type: str, name: str, data: bytes) -> HttpResponse:
    disposition = f'attachment; filename="{name}"'.encode("ascii", "replace")
    return HttpResponse(200, ((b"Content-Type", media_type.encode()), (b"Content-Disposition", disposition)), data)
