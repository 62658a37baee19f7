"""The watchers on a real node's core: what the admin listener answers, what is kept, what a configuration may not name."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from box import Box, make_box
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.exchange.opmon_query import OperationalQuery, Sight
from kerege.node.config import load
from kerege.node.errors import NodeConfigInvalid
from kerege.node.http.messages import HttpRequest
from kerege.node.local.admin import Admin
from kerege.node.serve import Node

NO_AUTHORITY = "time-stamps: the global configuration approves no authority; messages are logged without"


@pytest.fixture
def own_box(tmp_path: Path) -> Iterator[Box]:
    box = make_box(tmp_path, poll_seconds=60.0, valid_for=timedelta(days=1))
    yield box
    box.close()


async def get(admin: Admin, path: str) -> tuple[int, bytes]:
    http = HttpRequest("GET", path, ((b"host", b"127.0.0.1:1"),), b"", None, "127.0.0.1")
    answer = await admin.handle(http)
    assert isinstance(answer.body, bytes)
    return answer.status, answer.body


def test_a_running_node_tells_its_health_by_part_and_its_metrics(own_box: Box) -> None:
    async def main() -> dict[str, Any]:
        node = Node(load(own_box.laid.nodes["node-edu"].config))
        await node.start()
        try:
            at = int(datetime.now(UTC).timestamp() * 1000) - 120_000
            node.core.monitor.note(Exchange(PRODUCER, at, response_out=at + 5, status=200))
            told: dict[str, Any] = {
                path: await get(node.admin, path) for path in ("/health", "/ready", "/live", "/metrics")
            }
            task = node.core.background["configuration"]
            task.cancel()
            await asyncio.wait([task])
            told["ended"] = await get(node.admin, "/ready")
            return told
        finally:
            await node.stop()
            told["kept"] = node.parts.store.find(OperationalQuery(0, 2**40), Sight(None)).lines

    told = asyncio.run(main())
    status, body = told["/health"]
    health = orjson.loads(body)
    assert (status, health["problems"]) == (200, [NO_AUTHORITY])
    assert set(health["parts"]) >= {"configuration", "keys", "ocsp", "log", "stamps", "disk"}
    assert told["/ready"] == (200, b'{"ready":true,"failed":[]}')
    assert told["/live"][0] == 200
    names = {family.name for family in text_string_to_metric_families(told["/metrics"][1].decode())}
    assert {"kerege_exchange_seconds", "kerege_configuration_expires_seconds", "kerege_disk_free_bytes"} <= names
    assert told["ended"][0] == 503
    assert len(told["kept"]) == 1


@pytest.mark.parametrize("code", ["listMethods", "getwsdl", "getSecurityServerMetrics"])
def test_a_configuration_that_gives_a_data_service_the_code_of_a_metaservice_is_refused(
    own_box: Box, code: str
) -> None:
    file = own_box.laid.nodes["node-reg"].config
    text = file.read_text()
    assert "/persons" in text
    file.write_text(text.replace("/persons:", f"/{code}:"))
    with pytest.raises(NodeConfigInvalid, match="reserved"):
        load(file)
