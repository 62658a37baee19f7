"""Pages for what went wrong: plain words, a way onward, nothing about the inside."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.template import loader

from kerege.ground.text import LANGUAGES
from kerege.web.words import word


def refused(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "403.html", status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "404.html", status=404)


def broken(request: HttpRequest) -> HttpResponse:
    """Our own fault. Made without database, session or context, any of which may be what broke."""
    language = request.path_info.lstrip("/").split("/", 1)[0]
    page = loader.get_template("500.html").render(
        {
            "language": language if language in LANGUAGES else "ky",
            "title": word("error.500_title"),
            "text": word("error.500"),
            "home": word("error.home"),
        }
    )
    return HttpResponseServerError(page)
