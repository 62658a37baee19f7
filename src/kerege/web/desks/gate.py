"""Placeholder."""
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
def gate(request: HttpRequest, **k: object) -> HttpResponse:
    return render(request, "404.html")
