"""Management requests as X-Road's servers send them: through the node itself, over the wire to the office's node, and from there to the hub.

Two real nodes and a real hub; what the office approves and publishes, the nodes obey.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kerege.cli.node_request import KINDS
from kerege.exchange import certs, confdir, globalconf
from kerege.exchange.confdir import SHARED
from kerege.exchange.globalconf import SecurityServer, SharedParameters

from .office import BY, PROFILE, Office, free_port
from .outside_pki import Holder, OutsidePki

pytestmark = pytest.mark.journey
EDU, POP, OFFICE = "KG/GOV/1", "KG/GOV/2", "KG/GOV/0"
SERVER = f"{EDU}/node-edu"
EMIS, REGISTER, MANAGEMENT = f"{EDU}/emis", f"{POP}/register", f"{OFFICE}/management"
HOLDERS = {
    "auth": Holder("KG/node-edu/GOV", "node-edu", "Education", signing=False),
    "old": Holder("KG/node-edu/GOV", "node-edu", "Education", signing=False),
    "sign": Holder("KG/node-edu/GOV", "1", "Education", signing=True),
    "sign-pop": Holder("KG/node-edu/GOV", "2", "Population", signing=True),
    "office": Holder("KG/node-office/GOV", "node-office", "Central office", signing=False),
    "office-sign": Holder("KG/node-office/GOV", "0", "Central office", signing=True),
}
PAGE = (Path(__file__).parents[2] / "docs/how-to/run-the-central-services.md").read_text(encoding="utf-8")


def of_the_page() -> dict[str, Any]:
    """The data service of the office's node as the how-to page has it."""
    (found,) = re.findall(r"```yaml\n(server:.*?)```", PAGE, re.DOTALL)
    service = yaml.safe_load(found.replace("KG/GOV/70000000", OFFICE))["services"][f"{MANAGEMENT}/clientDisable"]
    assert isinstance(service, dict)
    return service


class Country:
    """The office with its node, and the node of education that serves a client of another member too."""

    def __init__(self, office: Office, pki: OutsidePki, folder: Path) -> None:
        self.office, self.pki, self.folder = office, pki, folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {name: {p: free_port() for p in ("clients", "servers", "admin")} for name in ("edu", "office")}

    def build(self) -> None:
        self.office.kerege("network", "keys", "--url", self.office.url)
        (self.folder / "network.yaml").write_text(yaml.safe_dump(self.declared()), encoding="utf-8")
        self.office.kerege("network", "apply", "network.yaml", *BY)
        self.office.kerege("network", "publish")
        self.office.start()
        service = of_the_page()
        service["url"] = service["url"].replace("http://127.0.0.1:8000", self.office.url)
        services = {f"{MANAGEMENT}/{kind}": service for kind in KINDS}
        self.node("edu", SERVER, "auth", {EDU: "sign", POP: "sign-pop"}, [EDU, EMIS, REGISTER], {})
        self.node("office", f"{OFFICE}/node-office", "office", {OFFICE: "office-sign"}, [MANAGEMENT], services)
        for name in self.ports:
            self.wait(name)

    def declared(self) -> dict[str, Any]:
        pem = {name: str(self.pki.pem(name)) for name in (*HOLDERS, "root", "responder")}
        ocsp = {"url": f"{self.pki.url}/ocsp", "certificate": pem["responder"], "cost": "FREE"}
        return {
            "instance": "KG",
            "settings": {"management_provider": MANAGEMENT, "auto_approve": []},
            "member_classes": {"GOV": "Government"},
            "certification": [
                {"name": "Independent", "certificate": pem["root"], "profile": PROFILE, "ocsp": [ocsp]},
            ],
            "members": [
                {"id": OFFICE, "name": "Central office", "subsystems": ["management"]},
                {"id": EDU, "name": "Education", "subsystems": ["emis"]},
                {"id": POP, "name": "Population", "subsystems": ["register"]},
            ],
            "servers": [
                {
                    "id": f"{OFFICE}/node-office",
                    "address": "127.0.0.1",
                    "clients": [MANAGEMENT],
                    "certificates": [pem["office"]],
                },
                {
                    "id": SERVER,
                    "address": "127.0.0.1",
                    "clients": [EMIS, REGISTER],
                    "certificates": [pem["auth"], pem["old"]],
                },
            ],
        }

    def node(self, name: str, server: str, auth: str, sign: dict[str, str], clients: list[str], services: Any) -> None:
        folder, ports = self.folder / name, self.ports[name]
        folder.mkdir(exist_ok=True)
        (folder / "anchor.xml").write_bytes(
            (self.folder / "central/keys/configuration/internal-anchor.xml").read_bytes()
        )

        def pair(one: str) -> dict[str, str]:
            return {"key": str(self.pki.key(one)), "certificate": str(self.pki.pem(one))}

        config = {
            "server": server,
            "listen": {what: f"127.0.0.1:{port}" for what, port in ports.items()},
            "keys": {"auth": pair(auth), "sign": [{"member": member, **pair(one)} for member, one in sign.items()]},
            "configuration": {"anchor": "anchor.xml"},
            "clients": clients,
            "services": services,
            "link": False,  # X-Road's own wire
            "peers": {
                SERVER: f"127.0.0.1:{self.ports['edu']['servers']}",
                f"{OFFICE}/node-office": f"127.0.0.1:{self.ports['office']['servers']}",
            },
        }
        (folder / "node.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [sys.executable, "-m", "kerege", "node", "--config", str(folder / "node.yaml")]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("KEREGE_", "DJANGO_"))}
        with (folder / "output.txt").open("wb") as log:
            self.running[name] = subprocess.Popen(command, env=inherited, stdout=log, stderr=log)

    def admin(self, name: str, path: str, method: str = "GET") -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[name]['admin']}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as answer:
            return answer.code
        except OSError:
            return 0

    def wait(self, name: str) -> None:
        for _ in range(200):
            if self.admin(name, "/ready") == 200:
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / name / "output.txt").read_text())

    def refusal(self, client: str) -> str:
        """The code of the fault that `client` gets of its own node."""
        url = f"http://127.0.0.1:{self.ports['edu']['clients']}/r1/{OFFICE}/management/any"
        request = urllib.request.Request(url, headers={"X-Road-Client": client})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        with refused.value as answer:
            return str(answer.headers["X-Road-Error"])

    def ask(self, *words: str, status: int = 0) -> str:
        return self.office.kerege("node", "--config", "edu/node.yaml", "request", *words, status=status)

    def approve_all(self, *kinds: str) -> SharedParameters:
        """These wait for the office, which approves and publishes; the nodes take it up. The parameters they obey then."""
        waiting = json.loads(self.office.kerege("network", "requests", "--waiting", "--json"))
        assert sorted(one["kind"] for one in waiting) == sorted(kinds)
        for one in waiting:
            self.office.kerege("network", "approve", str(one["number"]), "--reason", "called back", *BY)
        self.office.kerege("network", "publish")
        for name in self.ports:
            assert self.admin(name, "/refresh", "POST") == 200
        return self.published()

    def published(self) -> SharedParameters:
        anchor = confdir.parse_anchor((self.folder / "edu/anchor.xml").read_bytes())
        part = confdir.verify_directory(self.fetch("/internalconf"), [c for _, c in anchor.sources], "hub").part(SHARED)
        return globalconf.parse_shared(confdir.check_file(part, self.fetch(part.location), "hub"))

    def fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(self.office.url + path, timeout=10) as answer:
            return bytes(answer.read())

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        process.wait(20)

    def close(self) -> None:
        for name in list(self.running):
            self.stop(name)
        self.office.stop()


@pytest.fixture
def pki(tmp_path: Path) -> Iterator[OutsidePki]:
    made = OutsidePki(tmp_path / "pki", HOLDERS)
    yield made
    made.close()


@pytest.fixture
def country(pki: OutsidePki, tmp_path: Path) -> Iterator[Country]:
    made = Country(Office(tmp_path), pki, tmp_path)
    try:
        made.build()
        yield made
    finally:
        made.close()


def server_of(shared: SharedParameters, name: str = SERVER) -> SecurityServer:
    (found,) = (one for one in shared.servers if str(one.id) == name)
    return found


def clients_of(shared: SharedParameters) -> set[str]:
    return {str(client) for client in server_of(shared).clients}


def test_every_change_is_asked_for_through_the_node_approved_and_obeyed(country: Country, pki: OutsidePki) -> None:
    ask = country.ask
    old, auth = (pki.certificate(name) for name in ("old", "auth"))
    assert "--in-use if that is meant" in ask("authCertDeletion", "--certificate", str(pki.pem("auth")), status=2)
    for number, words in enumerate(
        (
            ("clientDisable", "--client", REGISTER),
            ("clientRename", "--client", EMIS, "--name", "Билим & EMIS"),
            ("addressChange", "--address", "edu.example"),
            ("maintenanceModeEnable", "--message", "back at noon"),
            ("authCertDeletion", "--certificate", str(pki.pem("old"))),
        ),
        start=1,
    ):
        assert f"request {number} received" in ask(*words)
    assert "asked for already" in ask("clientDisable", "--client", REGISTER)
    told = country.approve_all(
        "clientDisable", "clientRename", "addressChange", "maintenanceModeEnable", "authCertDeletion"
    )
    here = server_of(told)
    assert clients_of(told) == {EMIS}
    assert [s.name for m in told.members for s in m.subsystems if str(m.id) == EDU] == ["Билим & EMIS"]
    assert (here.address, here.maintenance) == ("edu.example", "back at noon")
    assert here.auth_cert_hashes.isdisjoint(certs.auth_hashes(old))
    assert not here.auth_cert_hashes.isdisjoint(certs.auth_hashes(auth))
    assert "maintenanceModeEnable KG/GOV/1/node-edu: so already" in ask("maintenanceModeEnable")

    looked_at = country.office.kerege("node", "--config", "edu/node.yaml", "check", status=1)
    assert "[check.client_disabled]" in looked_at
    assert f"kerege node request clientEnable --client {REGISTER}" in looked_at
    assert country.refusal(REGISTER) == "server.clientproxy.unknown_member"

    ask("clientEnable", "--client", REGISTER)
    ask("maintenanceModeDisable")
    assert f"Then take {EMIS} out of clients" in ask("clientDeletion", "--client", EMIS, "--unsigned")
    told = country.approve_all("clientEnable", "maintenanceModeDisable", "clientDeletion")
    assert clients_of(told) == {REGISTER}
    assert server_of(told).maintenance is None

    ask("clientReg", "--client", EMIS, "--name", "EMIS")
    told = country.approve_all("clientReg")
    assert clients_of(told) == {EMIS, REGISTER}

    moved = f"{POP}/node-edu"
    assert f"Then write server: {moved} in the node's file" in ask("ownerChange", "--owner", POP)
    told = country.approve_all("ownerChange")
    assert {str(one.id) for one in told.servers} == {moved, f"{OFFICE}/node-office"}
    assert server_of(told, moved).auth_cert_hashes == here.auth_cert_hashes

    country.stop("edu")
    country.node("edu", moved, "auth", {EDU: "sign", POP: "sign-pop"}, [POP, EMIS, REGISTER], {})
    country.wait("edu")
    assert f"maintenanceModeEnable {moved}: request " in ask("maintenanceModeEnable")  # who owns a server may call

    shut = ("node", "--config", "office/node.yaml", "request", "maintenanceModeEnable", "--url", country.office.url)
    told = country.office.kerege(*shut, status=1)
    assert "through this server alone" in told, "else nobody's request could come through a node any more"
    assert "sets it by hand" in told
