"""The two addresses of signing in and out; what happens between them is `web.signin`'s."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from kerege.web import signin as ways
from kerege.web.access import Audience, roles_of
from kerege.web.words import language


def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the way in, or take the answer and go where the person was going."""
    way = ways.way()
    if request.method != "POST":
        return way.begin(request, _safe(request, request.GET.get("next", "")))
    onward = _safe(request, request.POST.get("next", ""))
    person = way.complete(request)
    if person is None:
        return way.begin(request, onward, problem=True)
    ways.sign_in(request, person, way.name)
    return HttpResponseRedirect(onward or _first_page(person))


def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session. Only by a form: a picture on a foreign page must not sign people out."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    ways.sign_out(request)
    return HttpResponseRedirect(reverse("home", args=(language(),)))


def _safe(request: HttpRequest, onward: str) -> str:
    """`onward` when it stays on this hub, else nothing: no open redirects."""
    ok = url_has_allowed_host_and_scheme(onward, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return onward if ok and onward.startswith("/") else ""


def _first_page(person: ways.Person) -> str:
    if "officer" in person.roles:
        return reverse("applications", args=(language(),))
    if "parent" in person.roles:
        return reverse("child", args=(language(),))
    if roles_of(Audience.DESKS) & person.roles:
        return reverse("desks", args=(language(),))
    return reverse("home", args=(language(),))
