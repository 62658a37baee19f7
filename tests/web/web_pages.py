"""Shared by the tests of the hub: what a demo run leaves behind, a plain reader of HTML, and checks every page has to pass."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

from django.test import Client

import kerege
from kerege.reconcile.compare import CLASSES

GATES = sorted((Path(kerege.__file__).parent / "country/kg/gates").glob("*.yaml"))
RUN = {
    "applications": 1000,
    "seed": 7,
    "integration_only": {
        "straight_through": 213, "manual": 702, "asked_again": 85, "wrong_automatic": 4, "seconds_per_application": 0.0312
    },
    "data_first": {
        "straight_through": 931, "manual": 54, "asked_again": 15, "wrong_automatic": 0, "seconds_per_application": 0.0331
    },
    "fields": {
        "surname": dict(zip(CLASSES, (520, 0, 2310, 0, 40, 0, 12, 3), strict=True)),
        "sex": dict(zip(CLASSES, (0, 0, 2880, 0, 5, 0, 0, 0), strict=True)),
        "pin": dict(zip(CLASSES, (0, 0, 0, 0, 0, 0, 360, 5), strict=True)),
    },
    "dirt": {"version": 1, "dirt": {"spelling_loss": {"civil": 0.5, "health": 0}, "pin_missing": {"health": 0.3}}, "cases": {"twins": 0.03}},
    "exchange": {"nodes": {"node-edu": {"exchanges": 5821, "failed": 17}, "node-reg": {"exchanges": 4103, "failed": 14}}},
    "chosen_case": "case-7fq2m9k4xw3d",
}  # fmt: skip


def signed_in(person_id):
    client = Client()
    answer = client.post("/en/sign-in/", {"person": person_id})
    assert answer.status_code == 302, answer.content
    return client


PEOPLE = {
    "people": [
        {
            "id": "officer-1",
            "name": {"ky": "Айгүл Токтосунова", "ru": "Айгуль Токтосунова", "en": "Aigul Toktosunova"},
            "roles": ["officer"],
            "member": "KG/GOV/70000003/admission",
        },
        {"id": "parent-1", "name": "Бакыт уулу Эрлан", "roles": ["parent"], "holder": "b" * 64, "children": []},
        {"id": "steward-1", "name": "Steward", "roles": ["steward"], "member": "KG/GOV/70000003/emis"},
        {"id": "reviewer-1", "name": "Reviewer", "roles": ["reviewer"]},
        {"id": "owner-1", "name": "Data owner", "roles": ["data-owner"], "member": "KG/GOV/70000001/civil"},
        {"id": "clerk-1", "name": "Clerk", "roles": ["clerk"], "member": "KG/GOV/70000003"},
        {"id": "clerk-2", "name": "Second clerk", "roles": ["clerk"]},
    ]
}

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """Elements with their attributes, in order; and whether every element was closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append(("svg-title" if tag == "title" and "svg" in self.open else tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if "script" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def check(response, language):
    """Structure that screen readers, the content policy and a phone rely on. Gives the page for more."""
    html = response.content.decode()
    page = Page(html)
    assert page.all("html") == [{"lang": language}]
    assert len(page.all("h1")) == 1
    assert len(page.all("title")) == 1
    assert len(page.all("main")) == 1
    assert re.search(r"<title>\s*\S.*\S\s*</title>", html, re.S)
    assert page.all("a")[0] == {"class": "skip", "href": "#content"}
    assert any(attrs.get("name") == "viewport" for attrs in page.all("meta"))

    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids)), "an id stands twice"
    for _, attrs in page.elements:
        assert "style" not in attrs
        assert not any(name.startswith("on") for name in attrs)
        for reference in ("aria-labelledby", "aria-describedby", "for"):
            for target in (attrs.get(reference) or "").split():
                assert target in ids, f"{reference} points at #{target}, which is not there"
    assert not page.all("style")
    assert all(
        "src" in attrs or attrs.get("type") in {"application/json", "application/ld+json"}
        for attrs in page.all("script")
    )

    labelled = {attrs.get("for") for attrs in page.all("label")}
    for tag in ("input", "select", "textarea"):
        for attrs in page.all(tag):
            if attrs.get("type") != "hidden":
                assert attrs.get("id") in labelled, f"no label for {attrs}"
    assert all("alt" in attrs for attrs in page.all("img"))
    for tag, attrs in page.elements:
        if tag == "th":
            assert attrs.get("scope") in {"col", "row"}
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or attrs.get("role") == "img"
    heads = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(heads)), f"headings jump: {heads}"

    policy = response.headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy
    assert "default-src 'none'" in policy
    assert re.search(r"\{[a-z_]+\}", page.text) is None, "an unfilled place in a line"
    return page
