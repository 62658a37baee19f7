"""The door to the registers over HTTP: the consumer node's client port, one keep-alive pool for all threads.

Speaks the X-Road message protocol for REST towards the node (request line `/r1/<service>/<path>`, X-Road-* headers) and asks for the
canonical translation by `Accept`, with the register's own cells beside it where the call wants them. What the network does (refused,
reset, slow, nonsense) becomes an answer with a fault, never an exception: a decision must not hang on luck. Signing, logging,
translating are the node's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
import urllib3

from kerege.services.evidence import Answer, Call, unanswered

CANONICAL: Final = "application/vnd.kerege.canonical+json"
WITH_SOURCES: Final = f"{CANONICAL}; sources=1"
_MAX_BODY: Final = 64 * 1024 * 1024  # bytes; the nightly list of a whole country fits, a runaway answer does not


class NodeClient:
    """An `ExchangeClient` over the node at `base_url`, calling as subsystem `client` for the user `user`."""

    def __init__(
        self, base_url: str, client: str, *, user: str = "kerege-services", workers: int = 8, timeout: float = 20.0
    ) -> None:
        self._base = base_url.rstrip("/")
        self._client, self._user = client, user
        self._pool = urllib3.PoolManager(
            num_pools=2,
            maxsize=workers,
            block=True,
            retries=urllib3.Retry(total=0, redirect=False),
            timeout=urllib3.Timeout(connect=5.0, read=timeout),
        )

    def send(self, call: Call) -> Answer:
        message_id = str(uuid.uuid4())
        try:
            response = self._pool.request(
                call.method,
                self._url(call),
                headers=self._headers(call, message_id),
                body=call.body,
                preload_content=False,
            )
            try:
                body = response.read(_MAX_BODY + 1)
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError):
            return unanswered()
        if len(body) > _MAX_BODY:
            response.close()
            return unanswered(response.status, "services.answer_too_large")
        return read_answer(response.status, dict(response.headers), body, message_id, call.canonical)

    def close(self) -> None:
        """Close the pool's connections."""
        self._pool.clear()

    def _url(self, call: Call) -> str:
        path = f"/r1/{call.data_service}" + (f"/{quote(call.path)}" if call.path else "")
        return self._base + path + (f"?{urlencode(call.query)}" if call.query else "")

    def _headers(self, call: Call, message_id: str) -> dict[str, str]:
        headers = {
            "X-Road-Client": self._client,
            "X-Road-Id": message_id,
            "X-Road-UserId": self._user,
            "X-Road-Issue": call.issue,
            "Accept": (WITH_SOURCES if call.sources else CANONICAL) if call.canonical else "*/*",
        }
        if call.content_type:
            headers["Content-Type"] = call.content_type
        return headers


def read_answer(status: int, headers: dict[str, str], body: bytes, message_id: str, canonical: bool) -> Answer:
    """An answer from a status, headers and bytes; a fault header, a server error or unreadable JSON is a fault."""
    low = {name.lower(): value for name, value in headers.items()}
    at = datetime.now(UTC)
    message_id = low.get("x-road-id", message_id)
    content_type = low.get("content-type", "")
    if "x-road-error" in low:
        return Answer(status, at, message_id, body=body, content_type=content_type, fault=low["x-road-error"][:200])
    if status >= 500:
        return Answer(status, at, message_id, body=body, content_type=content_type, fault=f"status_{status}")
    if not canonical or not 200 <= status < 300:
        return Answer(status, at, message_id, body=body, content_type=content_type)
    try:
        message: Any = orjson.loads(body)
        mapping, original = message["mapping"], message["original"]
        records, sources = _texts(message["records"]), _texts(message.get("sources") or ())
        if sources and len(sources) != len(records):
            raise ValueError("records and their sources differ in number")
        return Answer(
            status,
            at,
            str(original.get("message_id") or message_id),
            records=records,
            sources=sources,
            problems=tuple(message.get("problems") or ()),
            withheld=tuple(int(item["record"]) for item in message.get("withheld") or ()),
            content_type=content_type,
            mapping_id=str(mapping["id"]),
            mapping_version=str(mapping["version"]),
            original_sha256=str(original["sha256"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
        return Answer(status, at, message_id, content_type=content_type, fault="services.not_canonical")


def _texts(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, str | None], ...]:
    return tuple({str(k): v if v is None else str(v) for k, v in row.items()} for row in rows)
