"""A network from nothing, as docs/how-to/run-the-central-services.md and join-a-network.md go: keys, register, hub, a node that asks, approval."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .office import BY, PROFILE, Office, free_port
from .outside_pki import Holder, OutsidePki

pytestmark = pytest.mark.journey
PAGE = (Path(__file__).parents[2] / "docs/how-to/run-the-central-services.md").read_text(encoding="utf-8")
HOLDERS = {
    "auth": Holder("KG/node-edu/GOV", "node-edu", "Education", signing=False),
    "sign": Holder("KG/node-edu/GOV", "1", "Education", signing=True),
}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def pki(tmp_path: Path) -> Iterator[OutsidePki]:
    made = OutsidePki(tmp_path / "pki", HOLDERS)
    yield made
    made.close()


def declare(folder: Path, pki: OutsidePki, url: str) -> None:
    network = {
        "instance": "KG",
        "settings": {"management_provider": "KG/GOV/0/management", "auth_cert_registration_address": url},
        "member_classes": {"GOV": "Government"},
        "certification": [
            {
                "name": "Independent",
                "certificate": str(pki.pem("root")),
                "profile": PROFILE,
                "ocsp": [{"url": f"{pki.url}/ocsp", "certificate": str(pki.pem("responder")), "cost": "FREE"}],
            }
        ],
        "members": [
            {"id": "KG/GOV/0", "name": "Central office", "subsystems": ["management"]},
            {"id": "KG/GOV/1", "name": "Education"},
        ],
    }
    (folder / "network.yaml").write_text(yaml.safe_dump(network), encoding="utf-8")


def node_file(folder: Path, pki: OutsidePki) -> None:
    node = folder / "node"
    (node / "keys").mkdir(parents=True)
    for name in ("auth", "sign"):
        for ending in ("key", "pem"):
            copy = node / "keys" / f"{name}.{ending}"
            copy.write_bytes((pki.folder / "keys" / f"{name}.{ending}").read_bytes())
            copy.chmod(0o600)
    (node / "anchor.xml").write_bytes((folder / "central/keys/configuration/internal-anchor.xml").read_bytes())
    listen = {name: f"127.0.0.1:{free_port()}" for name in ("clients", "servers", "ocsp", "admin")}
    config = {
        "server": "KG/GOV/1/node-edu",
        "listen": listen,
        "keys": {
            "auth": {"key": "keys/auth.key", "certificate": "keys/auth.pem"},
            "sign": [{"member": "KG/GOV/1", "key": "keys/sign.key", "certificate": "keys/sign.pem"}],
        },
        "configuration": {"anchor": "anchor.xml"},
        "clients": ["KG/GOV/1/emis"],
    }
    (node / "node.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def test_a_network_is_started_from_nothing_and_a_node_joins_it(office: Office, pki: OutsidePki, tmp_path: Path) -> None:
    declare(tmp_path, pki, office.url)
    assert "keys made" in office.kerege("network", "keys", "--url", office.url)
    assert "+ member KG/GOV/1" in office.kerege("network", "plan", "network.yaml")
    office.kerege("network", "apply", "network.yaml", *BY)
    assert "version 1 of KG" in office.kerege("network", "publish")
    office.start()
    node_file(tmp_path, pki)

    def register(status: int) -> str:
        command = ("node", "--config", "node/node.yaml", "register", "--url", office.url, "--address", "127.0.0.1")
        return office.kerege(*command, status=status)

    def approve(kind: str) -> None:
        (asked,) = json.loads(office.kerege("network", "requests", "--waiting", "--json"))
        assert asked["kind"] == kind
        office.kerege("network", "approve", str(asked["number"]), "--reason", "known to us", *BY)

    told = register(1)
    assert "authCertReg KG/GOV/1/node-edu: request 1 received" in told
    assert "The server KG/GOV/1/node-edu is not registered" in told
    assert "authCertReg comes first" in told
    assert "asked for already" in register(1)
    (shown,) = re.findall(r"certificate SHA-256 ([0-9A-F:]{95}) \(read it out", told)
    waits = office.kerege("network", "requests", "--waiting")
    assert f"  certificate  SHA-256 {shown}\n" in waits, "what both sides compare is written the same"
    assert "  address      127.0.0.1\n" in waits
    approve("authCertReg")
    assert f"certificate SHA-256 {shown}" in office.kerege("network")
    told = register(0)
    assert "authCertReg KG/GOV/1/node-edu: registered already" in told
    assert "clientReg KG/GOV/1/emis: request 2 received" in told
    approve("clientReg")
    assert register(0).count("registered already") == 2
    office.kerege("network", "publish")
    told = office.kerege("node", "--config", "node/node.yaml", "check", "--online", status=0)
    assert "clients: 1 is registered at this server" in told
    granted = office.kerege("network", "grant", "KG/GOV/1/emis", "KG/GOV/1/emis/self", "--until", "2099-12-31", *BY)
    assert "KG/GOV/1/emis -> KG/GOV/1/emis/self" in granted
    for made in (tmp_path / "node/state").rglob("*"):
        assert stat.S_IMODE(made.stat().st_mode) & 0o077 == 0, made.name


@pytest.fixture
def nginx(office: Office, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """nginx as the page sets it up before the hub; its port without TLS and the one with."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or shutil.which("openssl") is None:
        pytest.skip("not there: nginx, openssl")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cs", "-days", "30"]
    for name in ("tls", "strange"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run([*command, *files], check=True, capture_output=True, cwd=tmp_path)
    (found,) = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    plain, secure = free_port(), free_port()
    for said, here in (
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 4001 ssl;", f"listen 127.0.0.1:{secure} ssl;"),
        ("http://127.0.0.1:8000", office.url),
        ("/etc/ssl/private/cs", f"{tmp_path}/tls"),
        ("/etc/ssl/certs/cs", f"{tmp_path}/tls"),
    ):
        assert said in found, said
        found = found.replace(said, here)
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; events {{}}\n"
    (tmp_path / "nginx.conf").write_text(f"{head}http {{ access_log off; {folders}\n{found}}}\n", encoding="utf-8")
    running = subprocess.Popen([program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", secure), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield plain, secure
    running.terminate()
    running.wait(20)


def test_behind_tls_the_node_believes_the_certificate_that_the_configuration_names_and_no_other(
    office: Office, pki: OutsidePki, tmp_path: Path, nginx: tuple[int, int]
) -> None:
    plain, secure = (f"{scheme}://127.0.0.1:{port}" for scheme, port in zip(("http", "https"), nginx, strict=True))
    declare(tmp_path, pki, secure)
    office.kerege("network", "keys", "--url", plain)
    office.kerege("network", "apply", "network.yaml", *BY)
    certificate = ("network", "set", "setting", "auth_cert_registration_certificate")
    office.kerege(*certificate, "value=@strange.pem", *BY)
    office.kerege("network", "publish")
    office.start()
    node_file(tmp_path, pki)
    command = ("node", "--config", "node/node.yaml", "register", "--url", secure, "--address", "127.0.0.1")
    assert "the certificate it shows is not believed" in office.kerege(*command, status=2)
    office.kerege(*certificate, "value=@tls.pem", *BY)
    office.kerege("network", "publish")
    assert "authCertReg KG/GOV/1/node-edu: request 1 received" in office.kerege(*command, status=1)
    with urllib.request.urlopen(f"{plain}/internalconf?version=2", timeout=5) as answer:
        assert answer.status == 200
    trusting = ssl._create_unverified_context()  # only to see that pages are not given away on that port
    for place in (f"{plain}/en/", f"{secure}/en/", f"{secure}/internalconf"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(place, timeout=5, context=trusting if place.startswith("https") else None)
