"""Reference data through the exchange: a consumer's system fetches a published code list from the hub, over two nodes, and checks its bytes."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "node"))  # for `box`
sys.path.insert(0, str(Path(__file__).parents[1] / "catalogue"))  # for `open_catalogue`

import open_catalogue as world

from box import ADMISSION, EMIS, Answer, Box, base_rules, far, http, make_box
from kerege.catalogue.packs import current_pack
from kerege.exchange.ids import DataServiceId
from kerege.exchange.rules import Right

DATA = DataServiceId.parse("KG/GOV/70000002/population/reference")


@pytest.fixture
def network(live_server: Any, settings: Any, tmp_path: Path) -> Iterator[Box]:
    """Two nodes; behind the register's node stands the hub, with a code list published twice."""
    settings.HOME = tmp_path / "hub"
    world.organisation("KG/GOV/70000003", "Ministry of Education")
    world.reference("kg-sex", "kg:sex", "2022")
    box = make_box(tmp_path / "box")
    described = http("GET", f"{live_server.url}/api/v1/openapi.json?part=reference")
    assert described.status == 200
    config = box.laid.nodes["node-reg"].config
    told = yaml.safe_load(config.read_text())
    (config.parent / "reference.json").write_bytes(described.body)
    told["services"][str(DATA)] = {
        "kind": "openapi",
        "url": f"{live_server.url}/api/v1",
        "description": "reference.json",
    }
    config.write_text(yaml.safe_dump(told))
    rules = base_rules()
    right = Right("reference", ADMISSION, DATA, "GET", "/reference/**", far())
    box.publish(replace(rules, rights=(*rules.rights, right)))
    with box.running():
        yield box


def fetched(network: Box, path: str, **how: Any) -> Answer:
    return network.call(f"/reference/{path}", service=str(DATA), **how)


@pytest.mark.django_db(transaction=True)
def test_a_consumer_fetches_a_published_code_list_and_its_bytes_are_those_published(network: Box) -> None:
    described = network.call("?serviceCode=reference", service="KG/GOV/70000002/population/getOpenAPI")
    assert described.status == 200
    assert "/reference/{ref_id}/{version}/{name}" in yaml.safe_load(described.body)["paths"]
    assert b"127.0.0.1" not in described.body, "where the hub stands is the provider's own affair"

    told = fetched(network, "kg-sex")
    assert told.status == 200
    (version,) = json.loads(told.body)["versions"]
    published = {file["name"]: file for file in version["files"]}
    for name in ("kg-sex.json", "kg-sex.csv", "kg-sex.csv-metadata.json", "kg-sex.parquet"):
        answer = fetched(network, f"kg-sex/latest/{name}", headers={"Accept": "*/*"})
        assert (answer.status, len(answer.body)) == (200, published[name]["bytes"]), answer.body[:300]
        assert hashlib.sha256(answer.body).hexdigest() == published[name]["sha256"]
        headers = {k.lower(): v for k, v in answer.headers.items()}
        assert headers["content-type"].split(";")[0] == published[name]["media_type"]
        assert headers["digest"] == "sha-256=" + base64.b64encode(hashlib.sha256(answer.body).digest()).decode()
        assert headers["x-kerege-version"] == "2022"
        assert headers["x-road-request-hash"]

    codes = current_pack().codelist("kg:sex")
    rows = list(csv.DictReader(io.StringIO(fetched(network, "kg-sex/2022/kg-sex.csv").body.decode())))
    items = json.loads(fetched(network, "kg-sex/2022/kg-sex.json").body)["items"]
    assert [row["code"] for row in rows] == [item["code"] for item in items] == [code.notation for code in codes]

    # what is not reference data is not behind the right, nor is anything for who has none
    assert network.call("/datasets", service=str(DATA)).status in (403, 500)
    assert b"access_denied" in network.call("/datasets", service=str(DATA)).body.lower()
    assert b"access_denied" in fetched(network, "kg-sex", client=str(EMIS)).body.lower()
    missing = fetched(network, "kg-sex/2099/kg-sex.csv")
    assert (missing.status, json.loads(missing.body)["code"]) == (404, "web.not_here")
