"""Addresses of the central services: the signed configuration by version, and the management services.

Implements the HTTP side of X-Road PR-GCONF (`/internalconf?version=N`, `/externalconf?version=N`; 404 is "not offered") and of PR-MSERV
(`/managementservice/` for authCertReg, `/managementservice/manage/` for the rest). Both are open to everyone: configuration is public
to the network and signed, and a management request proves itself or is refused (`exchange.management_proof`); no session, so no CSRF. Faults are
SOAP faults with HTTP 200, as security servers expect. One failure says no more to the sender than its reason.
"""

from __future__ import annotations

import ipaddress
import logging
from pathlib import Path
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from kerege.exchange import faults, management, management_proof, management_read, management_wire
from kerege.exchange.confwrite import NEWEST
from kerege.exchange.errors import ManagementRequestInvalid
from kerege.exchange.globalconf import VERSIONS
from kerege.exchange.management import Kind
from kerege.exchange.management_proof import Proof
from kerege.exchange.trust import Trust
from kerege.ground import clock
from kerege.ground.clock import iso
from kerege.ground.errors import KeregeError
from kerege.ledger import open_signing
from kerege.membership import central_picture, requests
from kerege.web.api import machine

_LOG: Final = logging.getLogger("kerege.web.management")
_WHERE: Final = "server.managementservice"


def directory(request: HttpRequest, name: str) -> HttpResponse:
    """A signed directory in the version asked for, the newest without one; 404 where that version is not offered."""
    asked = request.GET.get("version")
    if asked is not None and asked not in {str(version) for version in VERSIONS}:
        raise Http404
    return machine.configuration(request, name if asked in {None, str(NEWEST)} else f"{name}.{asked}")


def internal(request: HttpRequest) -> HttpResponse:
    """The directory for the instance's own servers."""
    return directory(request, "internalconf")


def external(request: HttpRequest) -> HttpResponse:
    """The directory for partner instances: shared parameters only."""
    return directory(request, "externalconf")


@csrf_exempt
def registration(request: HttpRequest) -> HttpResponse:
    """authCertReg, sent by a server that is not known to the network yet."""
    return _serve(request, frozenset({Kind.AUTH_CERT_REG}))


@csrf_exempt
def manage(request: HttpRequest) -> HttpResponse:
    """Every other management request."""
    return _serve(request, frozenset(Kind) - {Kind.AUTH_CERT_REG})


def _serve(request: HttpRequest, kinds: frozenset[Kind]) -> HttpResponse:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        answer = _receive(request, kinds)
    except KeregeError as refused:
        _LOG.info("management request refused, %s: %s", iso(clock.now()), refused.code)
        answer = faults.to_soap(faults.fault_of(refused, _WHERE))
    except Exception as unforeseen:  # noqa: BLE001 - a bug is told as a fault, with nothing of its cause
        _LOG.exception("management request: unforeseen %s", type(unforeseen).__name__)
        answer = faults.to_soap(faults.internal_fault(_WHERE, "see the log of the central services"))
    return HttpResponse(answer, content_type="text/xml; charset=utf-8")


def _receive(request: HttpRequest, kinds: frozenset[Kind]) -> bytes:
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal() or len(length) > 9 or int(length) > management.LARGEST:
        raise ManagementRequestInvalid(reason=f"its length is not stated, or above {management.LARGEST} bytes")
    submission = management_wire.split(request.headers.get("Content-Type", ""), request.body)
    asked = management_read.parse(submission.soap).request
    now = clock.now()
    trust = Trust(central_picture.parameters(asked.server.instance).shared)
    proof: Proof = management_proof.verify(submission, trust, now)
    # before anything can refuse it: what was signed is not to be sent again by somebody else, later or elsewhere
    seen = requests.remember(proof, submission.soap, now=now, origin=_origin(request))
    if asked.kind not in kinds:
        raise ManagementRequestInvalid(reason=f"a {asked.kind} is not served at this address")
    with open_signing(Path(settings.HOME)) as ledger:
        received = requests.receive(seen, ledger=ledger, now=now)
        ledger.sign_head(now)
    if not asked.dry_run:
        waits = " for a decision: kerege network requests --waiting" if received.state == "waiting" else ""
        _LOG.info("management request %d, %s, %s: %s%s", received.number, asked.kind, iso(now), received.state, waits)
    return management_read.build_reply(submission.soap, received.number)


def _origin(request: HttpRequest) -> str:
    """The address it came from as far as it tells senders apart: of IPv6 the network, one sender has all of its addresses."""
    try:
        address = ipaddress.ip_address(str(request.META.get("REMOTE_ADDR", "")).partition("%")[0])
    except ValueError:
        return ""  # no address: a proxy on a socket
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
