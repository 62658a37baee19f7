"""The parent's page: my child's application, the document, and who read my child's data.

Only cases of the parent who is signed in are ever looked up; another case's address answers like one that does not exist.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.ground import clock
from kerege.identity.models import Person as Officer
from kerege.identity.queries import ReadView, reads_about
from kerege.services import queries
from kerege.services.errors import CaseUnknown
from kerege.services.queries import CaseStory
from kerege.web import documents, labels, reading, story_view, trusted
from kerege.web.signin import Person, who
from kerege.web.words import say, word

_READS_MOST = 200


def overview(request: HttpRequest) -> HttpResponse:
    parent = who(request)
    assert parent is not None  # the guard let only parents in
    stories = stories_of(parent)
    context = {"cases": [_case(story) for story in stories], "reads": _reads(parent, stories)}
    return render(request, "portal/child.html", context)


def download(request: HttpRequest, case_id: str) -> HttpResponse:
    """The document as a file: `?form=paper` the text of the QR, else the form for a wallet."""
    parent = who(request)
    assert parent is not None
    story = next((story for story in stories_of(parent) if story.row.case_id == case_id), None)
    document = _document(story) if story else None
    paper = request.GET.get("form") == "paper"
    text = (document.paper if paper else document.sd_jwt) if document else ""
    if not text:
        raise Http404
    response = HttpResponse(text, content_type="text/plain; charset=us-ascii" if paper else "application/dc+sd-jwt")
    name = "kerege-document.txt" if paper else "kerege-document.sd-jwt"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def stories_of(parent: Person) -> list[CaseStory]:
    """The parent's own cases, the newest submission first; of an application stored for both ways, the data-first one."""
    numbers = [*parent.cases]
    if parent.holder:
        numbers += [row.case_id for row in queries.case_list(holder=parent.holder)]
    found: dict[str, CaseStory] = {}
    for number in dict.fromkeys(numbers):
        try:
            story = queries.case_story(number)
        except CaseUnknown:
            continue
        kept = found.get(story.row.application_no)
        if kept is None or kept.run.startswith("integration"):
            found[story.row.application_no] = story
    return sorted(found.values(), key=lambda story: story.row.submitted_at, reverse=True)


def _document(story: CaseStory) -> documents.IssuedDocument | None:
    for _, reference, issued_at in reversed(story.documents):
        document = documents.find(reference, issued_at)
        if document:
            return document
    return None


def _case(story: CaseStory) -> dict[str, Any]:
    document = _document(story)
    verdict = trusted.check(document.paper or document.sd_jwt, clock.now()) if document else None
    return {
        **story_view.of(story),
        "document": document,
        "qr": document.qr(word("child.qr_alt")) if document and document.paper else "",
        "revoked": verdict is not None and verdict.state == "revoked",
    }


def _reads(parent: Person, stories: list[CaseStory]) -> list[dict[str, Any]]:
    """Every recorded read about this parent's children, newest first, in words."""
    about = dict.fromkeys([*parent.children, *(reading.subject(story) for story in stories)])
    views = sorted((view for pseudonym in about for view in reads_about(pseudonym)), key=lambda v: v.at, reverse=True)
    known = labels.organisations()
    officers = {view.reader for view in views}
    names = dict(Officer.objects.filter(person_id__in=officers).values_list("person_id", "display_name"))
    return [_read(view, names, known) for view in views[:_READS_MOST]]


def _read(view: ReadView, names: dict[str, str], known: dict[str, Any]) -> dict[str, Any]:
    if view.reader.startswith("process:"):
        reader = word("child.process")
    else:
        reader = names.get(view.reader) or word("child.officer")
    return {
        "organisation": labels.organisation(view.member, known),
        "reader": reader,
        "channel": view.channel,
        "what": labels.data_service(view.data_service),
        "purpose": say(labels.public_service(view.purpose)),
        "legal": labels.legal(view.legal_basis),
        "at": view.at,
        "entry": view.ledger_index,
        "intact": view.intact,
    }
