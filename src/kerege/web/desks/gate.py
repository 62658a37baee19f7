"""The gate page: owners, criteria with their verdicts and the facts behind, signatures, the permit's history."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def gate(request: HttpRequest) -> HttpResponse:
    return render(request, "desks/gate.html", {"view": None})
