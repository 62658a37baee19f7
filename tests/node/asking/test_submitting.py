"""How a management request leaves a node: by which door, and what is told of the answer."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from box import Box, free_ports
from kerege.cli import main
from kerege.cli.node_request import KINDS
from kerege.exchange import faults, management, management_read, management_wire
from kerege.exchange.faults import Fault
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.management import Kind, ManagementRequest
from kerege.exchange.management_proof import Submission
from kerege.exchange.pki import save_pair
from kerege.node import connections, tls
from kerege.node.asking import submitting
from kerege.node.asking.submitting import MANAGE_PATH, Asked
from kerege.node.config import load
from kerege.node.config_types import Address, ClientSettings, NodeConfig
from kerege.node.errors import NodeNotRunning, RegistrationUnreachable, RequestNotMade
from kerege.node.network import NetworkPlan, PlannedMember, PlannedServer, lay_out

EDU = MemberId("KG", "GOV", "70000003")
OWNER = ClientId.parse(str(EDU))
SERVER = ServerId.parse(f"{EDU}/node-edu")
EMIS = ClientId.parse(f"{EDU}/emis")
PROVIDER = ClientId.parse("KG/GOV/70000000/management")
PLAN = NetworkPlan(
    "KG",
    "http://127.0.0.1:1/internalconf",
    (PlannedMember(EDU, "Education", ()),),
    (PlannedServer(SERVER, (), (), 1, 2, 3),),
)


class Door(HTTPServer):
    """What listens for clients: notes each body with its type, and answers as told."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        door = self
        self.seen: list[tuple[str, bytes]] = []
        self.answer: tuple[int, bytes] = (200, b"")
        self.location = ""

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                door.seen.append((self.headers["Content-Type"], body))
                self.send_response(door.answer[0])
                if door.location:
                    self.send_header("Location", door.location)
                self.end_headers()
                self.wfile.write(door.answer[1])

            def do_GET(self) -> None:
                door.seen.append(("GET", b""))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.address = Address("127.0.0.1", self.server_address[1])
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


Doors = Callable[..., Door]


@pytest.fixture
def door() -> Iterator[Doors]:
    made: list[Door] = []

    def opened(context: ssl.SSLContext | None = None) -> Door:
        made.append(Door(context))
        return made[-1]

    yield opened
    for one in made:
        one.shutdown()
        one.server_close()


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    laid = lay_out(tmp_path, PLAN, datetime.now(UTC))
    return replace(load(laid.nodes["node-edu"].config), members={EDU: ClientSettings()})


def asked(kind: Kind = Kind.CLIENT_DELETION) -> Asked:
    client = EMIS if kind in management.OF_CLIENT else None
    request = ManagementRequest(kind, SERVER, client)
    return Asked(request, MANAGE_PATH, Submission(management.build(request, OWNER, PROVIDER)))


def fault(code: str, detail: str = "") -> tuple[int, bytes]:
    return 200, faults.to_soap(Fault(code, "It is not to be", detail))


def now() -> datetime:
    return datetime.now(UTC)


def test_where_nobody_offers_management_services_nothing_is_made(shared_box: Box, tmp_path: Path) -> None:
    config = replace(load(shared_box.laid.nodes["node-edu"].config), state=tmp_path)
    with pytest.raises(RequestNotMade, match="names no management services"):
        asyncio.run(submitting.gather(config, now))
    file = str(shared_box.laid.nodes["node-edu"].config)
    done = CliRunner().invoke(main, ["node", "--config", file, "request", "MAINTENANCEMODEDISABLE"])  # in any spelling
    assert (done.exit_code, "node.request_not_made" in done.output) == (2, True)
    assert (
        list(tmp_path.iterdir()) == []
    )  # neither the configuration fetched nor the OCSP answers: the folder is the node's


def test_the_configuration_names_the_certificate_that_https_to_the_central_services_shows() -> None:
    """Only where TLS is spoken, and only where it names one."""
    pair = connections.self_signed("cs", ["cs.example"], now())
    named = SimpleNamespace(private=SimpleNamespace(auth_cert_registration_certificate=pair.certificate))
    for url, picture, found in (
        ("https://cs.example", named, pair.certificate),
        ("http://cs.example", named, None),
        ("https://cs.example", SimpleNamespace(private=None), None),
    ):
        assert submitting.pinned_for(url, picture) == found  # type: ignore[arg-type]


def test_through_the_node_a_request_is_posted_to_its_own_client_listener(config: NodeConfig, door: Doors) -> None:
    listener, one = door(), asked()
    listener.answer = (200, management_read.build_reply(one.submission.soap, 12))
    outcome = submitting.send_through(replace(config, clients_address=listener.address), one, now())
    assert (outcome.number, outcome.good) == (12, True)
    assert outcome.told == "clientDeletion KG/GOV/70000003/emis: request 12 received"
    ((kind, body),) = listener.seen
    assert management_wire.split(kind, body) == one.submission


def test_who_listens_everywhere_is_called_on_this_machine(config: NodeConfig, door: Doors) -> None:
    listener, one = door(), asked()
    listener.answer = (200, management_read.build_reply(one.submission.soap, 3))
    everywhere = replace(config, clients_address=Address("0.0.0.0", listener.address.port))
    assert submitting.send_through(everywhere, one, now()).number == 3
    six = replace(config, clients_address=Address("::1", free_ports(1)[0]))
    with pytest.raises(NodeNotRunning, match=r"listen.clients \[::1\]:"):
        submitting.send_through(six, one, now())


def test_a_certificate_of_the_central_services_that_is_not_believed_is_told_with_the_setting_that_names_it(
    door: Doors,
) -> None:
    own, other = (connections.self_signed("cs", ["127.0.0.1"], now()) for _ in range(2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.use_key(context, own)
    url = f"https://{door(context).address}"
    for pinned, words in ((None, "they name it in the configuration"), (other.certificate, "and it is another")):
        with pytest.raises(RegistrationUnreachable) as told:
            submitting.send(url, asked(), pinned)
        assert "the certificate it shows is not believed (self" in told.value.text
        assert "_ssl.c" not in told.value.text
        assert words in told.value.next_step
        assert "auth_cert_registration_certificate" in told.value.next_step


def test_an_owner_that_comes_over_https_believes_the_nodes_own_certificate_and_no_other(
    config: NodeConfig, door: Doors, tmp_path: Path
) -> None:
    config = replace(config, members={EDU: ClientSettings("https")})
    with pytest.raises(RequestNotMade, match="give --url"):  # no such listener
        submitting.send_through(config, asked(), now())
    silent = replace(config, clients_tls_address=Address("127.0.0.1", free_ports(1)[0]))
    with pytest.raises(RequestNotMade, match="no internal certificate that is valid; start it"):
        submitting.send_through(silent, asked(), now())
    assert not (config.state / "keys").exists()  # what the node shows, the node makes
    one = asked()
    for name, pair, believed in (
        ("own", connections.internal_pair(config, now()), True),
        ("strange", connections.self_signed("node-edu", ["127.0.0.1"], now()), False),
    ):
        save_pair(pair, tmp_path, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        listener = door(context)
        listener.answer = (200, management_read.build_reply(one.submission.soap, 5))
        there = replace(config, clients_tls_address=listener.address)
        if believed:
            assert submitting.send_through(there, one, now()).number == 5
        else:
            with pytest.raises(RegistrationUnreachable, match="the certificate it shows is not believed"):
                submitting.send_through(there, one, now())
            assert listener.seen == []


def test_an_owner_that_is_no_client_or_must_show_a_certificate_is_told_what_to_do(config: NodeConfig) -> None:
    with pytest.raises(RequestNotMade, match="KG/GOV/70000003 is not among clients"):
        submitting.send_through(replace(config, members={}), asked(), now())
    with pytest.raises(RequestNotMade, match="is https-certificate"):
        submitting.send_through(replace(config, members={EDU: ClientSettings("https-certificate")}), asked(), now())


def test_a_node_that_does_not_run_is_told_as_that_with_how_to_start_it(config: NodeConfig) -> None:
    silent = replace(config, clients_address=Address("127.0.0.1", free_ports(1)[0]))
    with pytest.raises(NodeNotRunning) as told:
        submitting.send_through(silent, asked(), now())
    assert (
        told.value.text == f"This node does not answer at listen.clients {silent.clients_address}: Connection refused."
    )
    assert told.value.next_step.startswith(f"Start it: kerege node --config {config.file}.")
    assert "--url" in told.value.next_step


def test_why_the_central_services_do_not_answer_is_told_in_words_and_not_in_numbers() -> None:
    with pytest.raises(RegistrationUnreachable, match=r"request: Connection refused\. See"):
        submitting.send(f"http://127.0.0.1:{free_ports(1)[0]}", asked())


def test_what_was_refused_not_carried_and_not_readable_have_exit_codes_of_their_own(
    config: NodeConfig, door: Doors
) -> None:
    listener = door()
    there = replace(config, clients_address=listener.address)
    done = (200, management_read.build_reply(asked().submission.soap, 12))
    refusal, lost = fault("server.managementservice.invalid_request"), fault("server.clientproxy.network_error")
    for answer, code in ((done, 0), (refusal, 1), (lost, 2), ((200, b"<html/>"), 2), ((200, b"no XML"), 2)):
        listener.answer = answer
        assert submitting.send_through(there, asked(), now()).exit_code == code
    outcome = submitting.send(f"http://{listener.address}", asked())
    assert outcome.exit_code == 2
    assert "refused" not in outcome.told
    assert "Nobody knows whether it was taken, their answer cannot be read" in outcome.told


def test_maintenance_on_the_way_is_told_with_the_way_past_it(config: NodeConfig, door: Doors) -> None:
    listener = door()
    there = replace(config, clients_address=listener.address)
    for code, past in (("server.serverproxy.maintenance_mode", True), ("server.serverproxy.access_denied", False)):
        listener.answer = fault(code, "Try again later")
        assert ("With --url it goes straight" in submitting.send_through(there, asked(), now()).refused) == past


@pytest.mark.parametrize(
    ("typed", "told"),
    [("clientRge", "is clientReg meant?"), ("clientdisabel", "is clientDisable meant?"), ("x", "there are clientReg,")],
)
def test_a_kind_that_is_none_is_told_with_the_one_it_is_like(config: NodeConfig, typed: str, told: str) -> None:
    done = CliRunner().invoke(main, ["node", "--config", str(config.file), "request", typed])
    assert (done.exit_code, told in " ".join(done.output.split())) == (2, True), done.output


def test_the_help_spells_every_kind_as_x_road_does(config: NodeConfig) -> None:
    said = CliRunner().invoke(main, ["node", "--config", str(config.file), "request", "--help"]).output
    assert "[OPTIONS] KIND" in said
    assert all(kind in said for kind in KINDS)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_answer_that_points_elsewhere_is_not_followed(config: NodeConfig, door: Doors, status: int) -> None:
    listener, elsewhere = door(), door()
    listener.answer, listener.location = (status, b""), f"http://{elsewhere.address}/{'x' * 999}"
    what = rf"answered {status} and points to http://{elsewhere.address}/x{{1,200}}, where nothing was sent; .* give it"
    with pytest.raises(RegistrationUnreachable, match=what):
        submitting.send(f"http://{listener.address}", asked())
    with pytest.raises(RegistrationUnreachable, match=what):
        submitting.send_through(replace(config, clients_address=listener.address), asked(), now())
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    "code", ["client.bad_request", "server.clientproxy.unknown_member", "Server.ServerProxy.AccessDenied"]
)
def test_what_a_server_on_the_way_refused_is_not_told_as_the_central_services_word(
    config: NodeConfig, door: Doors, code: str
) -> None:
    listener = door()
    listener.answer = fault(code, "ask the office")
    outcome = submitting.send_through(replace(config, clients_address=listener.address), asked(), now())
    assert not outcome.good
    assert (
        outcome.refused
        == f"It was not carried to the central services ({code}): It is not to be. They add: ask the office"
    )


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ("server.managementservice.management_request_already_so", Kind.MAINTENANCE_DISABLE, "so already"),
        ("management_request_client_already_owner", Kind.OWNER_CHANGE, "so already"),
        ("management_request_server_client_not_found", Kind.CLIENT_DELETION, "so already"),
        ("server.managementservice.management_request_exists", Kind.CLIENT_DISABLE, "asked for already"),
        ("management_request_server_client_not_found", Kind.CLIENT_DISABLE, ""),
        ("server.managementservice.invalid_request", Kind.CLIENT_DISABLE, ""),
    ],
)
def test_what_is_so_or_waits_already_is_no_failure_by_either_way(
    config: NodeConfig, door: Doors, code: str, kind: Kind, told: str
) -> None:
    listener, one = door(), asked(Kind.CLIENT_DISABLE)
    one = replace(one, request=replace(one.request, kind=kind))
    listener.answer = fault(code)
    there = replace(config, clients_address=listener.address)
    for outcome in (
        submitting.send_through(there, one, now()),
        submitting.send(f"http://{listener.address}", one),
    ):
        assert outcome.number is None
        assert outcome.good == bool(told)
        assert outcome.already.startswith(told)
        assert bool(outcome.already) == bool(told)
        assert ("It is not to be" in outcome.refused) != bool(told)
        assert outcome.told.startswith(f"{kind} KG/GOV/70000003/emis: ")
