"""Every change a node can ask for, from its own configuration and keys to the central register: asked, approved, seen there, asked again."""

import base64
import hashlib

import pytest
from web_management import (
    EMIS,
    POP,
    POPULATION,
    SERVER,
    Answers,
    answering,
    node_to_be_registered,
    post,
    put,
)

from kerege.exchange import certs, management_read
from kerege.exchange.management import Kind
from kerege.ground import clock
from kerege.ledger import open_signing
from kerege.membership import central, central_picture, requests
from kerege.membership.models import ManagementRequestRow
from kerege.node.asking import changes, submitting


@pytest.fixture
def joined(home, db):
    """A node in the register with two clients and two certificates, and the one it does not use; nothing passes without an operator."""
    papers, authority = node_to_be_registered(home)
    old = certs.der(authority.auth_certificate(SERVER, "Education", clock.now()).certificate)
    certificates = [
        ("certificate", hashlib.sha256(d).hexdigest(), {"server": str(SERVER), "der": base64.b64encode(d).decode()})
        for d in (old, certs.der(papers.keys.auth.certificate))
    ]
    put(
        home,
        ("subsystem", str(EMIS), {"name": ""}),
        ("subsystem", str(POPULATION), {"name": ""}),
        ("server", str(SERVER), {"address": "old.kg"}),
        *(("client", f"{SERVER} {client}", {"enabled": True}) for client in (EMIS, POPULATION)),
        *certificates,
        ("setting", "auto_approve", {"value": []}),
    )
    return papers, old


@pytest.fixture
def central_services():
    with answering() as url:
        yield url


@pytest.mark.parametrize(
    ("kind", "said", "entry", "body"),
    [
        (Kind.CLIENT_DISABLE, {"client": POPULATION.client}, ("client", f"{SERVER} {POPULATION}"), {"enabled": False}),
        (Kind.CLIENT_DELETION, {"client": POPULATION.client}, ("client", f"{SERVER} {POPULATION}"), None),
        (Kind.CLIENT_RENAME, {"client": EMIS.client, "name": "Билим"}, ("subsystem", str(EMIS)), {"name": "Билим"}),
        (
            Kind.ADDRESS_CHANGE,
            {"address": "new.kg"},
            ("server", str(SERVER)),
            {"address": "new.kg", "maintenance": None},
        ),
        (
            Kind.MAINTENANCE_ENABLE,
            {"message": "back at noon"},
            ("server", str(SERVER)),
            {"address": "old.kg", "maintenance": "back at noon"},
        ),
        (Kind.OWNER_CHANGE, {"owner": POP}, ("client", f"{POP}/node-edu {EMIS}"), {"enabled": True}),
        (Kind.AUTH_CERT_DELETION, {}, None, None),
    ],
)
def test_a_change_the_node_asks_for_waits_is_approved_and_is_seen_in_the_register(
    visitor, joined, home, central_services, kind, said, entry, body
):
    papers, old = joined
    if kind is Kind.AUTH_CERT_DELETION:
        said, entry = {"certificate": old}, ("certificate", hashlib.sha256(old).hexdigest())
    before = central.entries("KG").get(entry)

    def send(kind, **said):
        asked = changes.asked_of(changes.Wish(kind, **said), papers, central_picture.parameters("KG").shared)
        Answers.answer = (200, post(visitor, asked).content)
        return submitting.send(central_services, asked)

    def approve(number):
        with open_signing(home) as ledger:
            requests.approve(number, by="operator", reason="called back", ledger=ledger, now=clock.now())

    number = send(kind, **said).number
    assert central.entries("KG").get(entry) == before != body
    assert "asked for already" in send(kind, **said).already
    approve(number)
    assert central.entries("KG").get(entry) == body
    undone = {Kind.CLIENT_DISABLE: Kind.CLIENT_ENABLE, Kind.MAINTENANCE_ENABLE: Kind.MAINTENANCE_DISABLE}.get(kind)
    if undone is not None:
        assert send(kind, **said).already == "so already"
        said.pop("message", None)
        approve(send(undone, **said).number)
        assert central.entries("KG").get(entry) == before
        assert send(undone, **said).already == "so already"
    elif kind is Kind.CLIENT_DELETION:
        assert send(kind, **said).already == "so already"
        approve(send(Kind.CLIENT_REG, **said).number)
        assert central.entries("KG").get(entry) == before
    elif kind is Kind.OWNER_CHANGE:
        assert central.entries("KG").get(("server", str(SERVER))) is None
        assert "is not registered" in send(Kind.MAINTENANCE_ENABLE).refused  # as long as the file says what was


def test_an_unsigned_deletion_of_the_node_waits_though_the_owners_would_pass(visitor, joined, home):
    papers, _ = joined
    put(home, ("setting", "auto_approve", {"value": ["clientDeletion"]}))
    shared = central_picture.parameters("KG").shared
    for unsigned, state in ((True, "waiting"), (False, "approved")):
        wish = changes.Wish(Kind.CLIENT_DELETION, client=EMIS.client, unsigned=unsigned)
        number = management_read.parse_reply(post(visitor, changes.asked_of(wish, papers, shared)).content)
        assert ManagementRequestRow.objects.get(pk=number).state == state
