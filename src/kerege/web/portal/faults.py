"""Pages for what went wrong: plain words, a way onward, nothing about the inside."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.template import loader

from kerege.ground.text import LANGUAGES
from kerege.web.words import word


def unreadable(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A form that was not read: too much of it, or not what a browser sends."""
    large = isinstance(exception, RequestDataTooBig)
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
    return render(request, "400.html", {"large": large, "most": most}, status=413 if large else 400)


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
