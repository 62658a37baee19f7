"""The home page: one set of applications, decided twice, with every figure read from the run summary and none made here."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header

from kerege.ground.text import LANGUAGES
from kerege.web import summary
from kerege.web.access import Audience, in_force
from kerege.web.charts import CLASSES
from kerege.web.errors import SummaryInvalid
from kerege.web.signin import who

_LINKS = ("catalogue", "discrepancies", "network", "gate", "measures", "verify")


def choose_language(request: HttpRequest) -> HttpResponse:
    """The bare address leads to the browser's first language that the hub has, Kyrgyz otherwise."""
    response = HttpResponseRedirect(reverse("home", args=(_preferred(request.META.get("HTTP_ACCEPT_LANGUAGE", "")),)))
    response["Vary"] = "Accept-Language"
    return response


def _preferred(header: str) -> str:
    for code, _ in parse_accept_lang_header(header):
        try:
            found = get_supported_language_variant(code)
        except LookupError:
            continue
        if found in LANGUAGES:
            return found
    return "ky"


def home(request: HttpRequest) -> HttpResponse:
    broken = None
    run = None
    try:
        run = summary.read()
    except SummaryInvalid as error:
        broken = error
    measures = []
    if run:
        for name in ("manual", "asked_again", "wrong_automatic"):
            ways = [
                {
                    "way": way,
                    "count": getattr(run.ways[way], name),
                    "share": getattr(run.ways[way], name) / run.applications,
                    "automatic": run.ways[way].straight_through if name == "wrong_automatic" else None,
                }
                for way in summary.WAYS
            ]
            measures.append({"name": f"home.{name}", "note": f"home.{name}_note", "ways": ways})
    context = {
        "run": run,
        "broken": broken,
        "shares": {way: run.ways[way].straight_through / run.applications for way in summary.WAYS} if run else {},
        "measures": measures,
        "classes": CLASSES,
        # to whom it would be refused, the way to one application is not offered; who is not signed in is asked to sign in
        "case": who(request) is None or in_force(request, Audience.OFFICER),
        "links": [(name, f"nav.{name}", f"home.look_{name}") for name in _LINKS],
    }
    return render(request, "portal/home.html", context)
