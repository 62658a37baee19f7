"""The network page: members, nodes, rights, contracts and permits as the nodes' signed configuration has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.ground import clock
from kerege.membership import queries
from kerege.membership.renewal import Standing, standing
from kerege.web import labels, summary
from kerege.web.errors import SummaryInvalid
from kerege.web.publisher import served_folder
from kerege.web.summary import NodeTraffic


def overview(request: HttpRequest) -> HttpResponse:
    now = clock.now()
    view = queries.network_view(now)
    picture = view.picture
    known = labels.organisations()
    traffic = _traffic()
    members = [
        {
            "code": member.code,
            "name": member.name,
            "subsystems": [labels.register(code) for code in picture.subsystems if code.startswith(f"{member.code}/")],
        }
        for member in picture.members
    ]
    nodes = [
        {
            "name": server.code.rsplit("/", 1)[-1],
            "code": server.code,
            "owner": labels.organisation(server.owner, known),
            "address": server.address,
            "clients": [labels.register(code) for code in server.clients],
            "traffic": traffic.get(server.code.rsplit("/", 1)[-1]),
        }
        for server in picture.servers
    ]
    rights = [
        {
            "client": labels.register(right.holder),
            "client_of": labels.organisation(right.holder, known),
            "service": labels.data_service(right.data_service),
            "call": "" if (right.method, right.path) == ("*", "/**") else f"{right.method} {right.path}",
            "until": right.until,
        }
        for right in picture.rights
    ]
    contracts = [
        {
            "service": labels.data_service(contract.data_service),
            "path": contract.path,
            "mapping": contract.mapping,
            "at": contract.at,
            "owner": labels.responsible(contract.owner, known),
            "legal_basis": contract.legal_basis,
        }
        for contract in picture.contracts
    ]
    permits = [
        {
            "service": labels.public_service(permit.public_service),
            "state": permit.state.value,
            "carries": permit.state.carries,
            "until": permit.until,
        }
        for permit in picture.permits
    ]
    context = {
        "view": view,
        "now": now,
        "stands": _stands(),
        "members": members,
        "nodes": nodes,
        "counted": any(node["traffic"] for node in nodes),
        "rights": rights,
        "contracts": contracts,
        "permits": permits,
    }
    return render(request, "desks/network.html", context)


def _stands() -> Standing | None:
    """What the hub serves now; the register's own row is of the moment when this version was first published."""
    try:
        return standing(served_folder(Path(settings.HOME)))
    except OSError:
        return None


def _traffic() -> Mapping[str, NodeTraffic]:
    """What the nodes counted in the last run; nothing where there was none, or where its summary is broken (the home page says so)."""
    try:
        run = summary.read()
    except SummaryInvalid:
        return {}
    return run.nodes if run else {}
