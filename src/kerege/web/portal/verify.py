"""Checking a document: in the browser by `verify.js` where scripts run, here by a form where they do not. Nothing of it is kept.

The form is a POST, so a document never stands in an address or a log.
"""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.credentials import Verdict
from kerege.credentials.errors import TrustListInvalid
from kerege.credentials.reasons import REASONS
from kerege.ground import clock
from kerege.web import labels, trusted
from kerege.web.words import catalogue, has, language, say, word

_MOST: Final = 64_000  # characters; a QR holds at most some thousand, an SD-JWT VC some tens of thousands
_LOOKS: Final = {"valid": "good", "revoked": "bad", "refused": "bad", "unknown": "wait", "not_checked": "grey"}


def verify(request: HttpRequest) -> HttpResponse:
    document = request.POST.get("document", "").strip() if request.method == "POST" else ""
    problem = request.method == "POST" and not document
    context: dict[str, Any] = {
        "document": document if len(document) <= _MOST else "",
        "problem": problem,
        "ready": (trusted.folder() / "trust.json").is_file(),
        "browser": _for_the_browser(),
    }
    if document:
        context["result"] = _result(document)
    response = render(request, "portal/verify.html", context, status=400 if problem else 200)
    if request.method == "POST":
        response["Cache-Control"] = "no-store"
    return response


def _result(document: str) -> dict[str, Any]:
    """What the page says about the verdict, in words."""
    try:
        verdict = trusted.check(document[:_MOST], clock.now())
    except TrustListInvalid:
        verdict = None
    if verdict is None:
        return {
            "state": "not_checked",
            "look": "grey",
            "title": word("verify.not_checked"),
            "note": word("verify.not_set_up"),
        }
    return {
        "state": verdict.state,
        "look": _LOOKS[verdict.state],
        "title": word("verify.not_checked" if verdict.state == "unknown" else f"verify.{verdict.state}"),
        "note": word("verify.not_checked_note" if verdict.state == "unknown" else f"verify.{verdict.state}_note"),
        "reasons": [say(text) for text in verdict.texts],
        "verdict": verdict,
        "claims": claims(verdict),
    }


def _for_the_browser() -> dict[str, Any] | None:
    """What `verify-page.js` needs to check a paper document without asking anybody: lists and wording."""
    try:
        trust = trusted.trust_list()
    except TrustListInvalid:
        return None
    if trust is None:
        return None
    states = ("valid", "revoked", "refused", "not_checked")
    words = {key: word(f"verify.{key}") for state in states for key in (state, f"{state}_note")}
    words |= {key: word(f"verify.{key}") for key in ("where_browser", "issuer", "expires", "status_at", "contents")}
    return {
        "language": language(),
        "trust": trust.to_json(),
        "lists": trusted.status_lists(),
        "words": words | {"issued": word("child.issued")},
        "reasons": {code: say(text) for code, text in REASONS.items()},
        "claims": {key.removeprefix("claim."): word(key) for key in catalogue() if key.startswith("claim.")},
    }


def claims(verdict: Verdict) -> list[tuple[str, str]]:
    """The document's statements in words; what has no wording keeps its own name."""
    found = []
    for name, value in verdict.claims.items():
        if value is None or isinstance(value, list):
            continue
        shown = labels.school(str(value)) if name == "school" else say(value) if isinstance(value, dict) else str(value)
        found.append(
            (
                word(f"claim.{name}")
                if has(f"claim.{name}")
                else word(f"field.{name}")
                if has(f"field.{name}")
                else name,
                shown,
            )
        )
    return found
