"""Placeholder."""
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
def listing(request: HttpRequest, **k: object) -> HttpResponse:
    return render(request, "404.html")
def story(request: HttpRequest, **k: object) -> HttpResponse:
    return render(request, "404.html")
