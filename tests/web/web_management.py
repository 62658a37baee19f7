"""Shared by the tests of management requests: a node with its keys, the central register it is to be in, and somebody who answers it."""

import base64
import contextlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from kerege.exchange import certs, faults, management_wire
from kerege.exchange.ids import ClientId, MemberId, ServerId, SubsystemId
from kerege.exchange.pki import TestAuthority
from kerege.ground import clock
from kerege.ledger import open_signing
from kerege.membership import central
from kerege.node.asking.submitting import Papers
from kerege.node.config import load
from kerege.node.keys.pairs import load_keys
from kerege.node.network import NetworkPlan, PlannedMember, PlannedServer, lay_out

EDU = MemberId("KG", "GOV", "70000003")
POP = MemberId("KG", "GOV", "70000002")
SERVER = ServerId("KG", "GOV", "70000003", "node-edu")
EMIS = SubsystemId("KG", "GOV", "70000003", "emis")
POPULATION = SubsystemId("KG", "GOV", "70000002", "population")
PROVIDER = ClientId("KG", "GOV", "70000000", "management")
PLAN = NetworkPlan(
    "KG",
    "http://127.0.0.1:1/internalconf",
    (PlannedMember(EDU, "Education", ("emis",)), PlannedMember(POP, "Population", ("population",))),
    (PlannedServer(SERVER, (EMIS, POPULATION), (), 1, 2, 3),),
)


def put(home, *entries):
    """Enter (kind, name, body) each into the central register."""
    with open_signing(home) as ledger:
        for kind, name, entry in entries:
            central.put(kind, name, entry, ledger=ledger, now=clock.now(), by="operator")


def node_to_be_registered(home):
    """The papers of a node whose members and authority are in the register, and the authority."""
    now = clock.now()
    laid = lay_out(home / "network", PLAN, now)
    authority = TestAuthority.load(laid.authority)
    ca = certs.der(authority.ca.certificate)
    body = {"certificate": base64.b64encode(ca).decode(), "profile": authority.approved("http://x").profile, "ocsp": []}
    put(
        home,
        ("ca", "TEST", body),
        ("class", "GOV", {"description": "Government"}),
        ("member", str(EDU), {"name_ky": "Билим", "name_ru": "Образование", "name_en": "Education"}),
        ("member", str(POP), {"name_ky": "Калк", "name_ru": "Население", "name_en": "Population"}),
    )
    config = load(laid.nodes["node-edu"].config)
    keys = load_keys(config)
    answers = {
        certs.der_sha256(signer.certificate): authority.ocsp_response(signer.certificate, now)
        for signer in keys.signers.values()
    }
    return Papers(config, keys, answers, PROVIDER), authority


def post(visitor, asked):
    kind, made = management_wire.join(asked.submission)
    return visitor.generic("POST", asked.path, made, kind)


def fault(response):
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/xml")
    found = faults.from_soap(response.content)
    assert found is not None, response.content
    return found


class Answers(BaseHTTPRequestHandler):
    answer = (200, b"")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.answer[0])
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def answering():
    """The URL of somebody who answers every POST with `Answers.answer`."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
