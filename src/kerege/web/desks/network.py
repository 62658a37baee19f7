"""The network page: members, nodes, rights, contracts and permits as the nodes' signed configuration has them, and what waits.

Everybody may read it, so the address a request came from is not shown: `kerege network requests` tells it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.exchange.management import Kind
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.membership import queries
from kerege.membership.queries import ReceivedRequest, ServerStanding
from kerege.membership.renewal import Standing, standing
from kerege.web import labels, summary
from kerege.web.errors import SummaryInvalid
from kerege.web.publisher import served_folder
from kerege.web.summary import NodeTraffic

_MOST_REQUESTS: Final = 50  # shown; hundreds may wait


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
        _node(server, known) | {"traffic": traffic.get(_short(server.code))}
        for server in queries.servers_standing(picture.instance)
    ]
    # anybody can send what nobody signed: it comes last, and keeps nothing else off the page
    waiting = sorted(queries.requests_received(waiting=True), key=lambda one: not one.signer)
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
        "certified": any(node["certificates"] for node in nodes),
        "waiting": len(waiting),
        "waiting_more": max(0, len(waiting) - _MOST_REQUESTS),
        "requests": [_asked(one, known) for one in waiting[:_MOST_REQUESTS]],
        "rights": rights,
        "contracts": contracts,
        "permits": permits,
    }
    return render(request, "desks/network.html", context)


def _short(server: str) -> str:
    return server.rsplit("/", 1)[-1]


def _node(server: ServerStanding, known: Mapping[str, Text]) -> dict[str, Any]:
    """A node as `kerege network` tells it."""
    return {
        "name": _short(server.code),
        "owner": labels.organisation(server.owner, known),
        "address": server.address,
        "clients": [(labels.register(code), code in server.disabled) for code in server.clients],
        "maintained": server.maintenance is not None,
        "maintenance": server.maintenance,
        "certificates": tuple(zip(server.certificates, server.good_until, strict=True)),
    }


def _asked(one: ReceivedRequest, known: Mapping[str, Text]) -> dict[str, Any]:
    """A request that waits, with all that is compared before it is decided."""
    owner = one.kind == Kind.OWNER_CHANGE
    return {
        "request": one,
        "node": _short(one.server),
        "client": labels.organisation(one.client, known) if owner and one.client else labels.register(one.client or ""),
        "client_is": "asked_owner" if owner else "asked_client",
        "signer": labels.organisation(one.signer, known) if one.signer else "",
    }


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
