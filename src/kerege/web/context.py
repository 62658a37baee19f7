"""What every page knows."""

from __future__ import annotations

from django.http import HttpRequest


def page(request: HttpRequest) -> dict[str, object]:
    """Nothing yet but the language of the page."""
    return {"language": getattr(request, "LANGUAGE_CODE", "ky")}
