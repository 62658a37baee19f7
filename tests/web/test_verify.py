"""Checking a document on the server, for those whose browser runs no scripts."""

import json
import time
import zlib

import base45
import pytest
import web_country as country
from web_pages import check

LANGUAGES = ("ky", "ru", "en")
TITLE = {
    "valid": "The document is valid",
    "revoked": "The document has been revoked",
    "refused": "The document is not valid",
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", ["paper", "wallet"])
def test_a_genuine_document_is_valid_and_says_what_it_says(visitor, cases, home, language, form):
    papers = country.lay_document(home, cases)
    page = check(visitor.post(f"/{language}/verify/", {"document": getattr(papers, form)}), language)
    assert [d.get("data-state") for d in page.all("div") if "data-state" in d] == ["valid"]
    assert "Токтосунова Айпери" in page.text


def test_a_tampered_document_is_refused_and_its_claims_are_not_shown(visitor, cases, home):
    paper = country.lay_document(home, cases).paper
    tampered = paper[:60] + ("A" if paper[60] != "A" else "B") + paper[61:]
    text = check(visitor.post("/en/verify/", {"document": tampered}), "en").text
    assert TITLE["refused"] in text
    assert "What the document says" not in text


def test_a_revoked_document_is_told_so(visitor, cases, home):
    paper = country.lay_document(home, cases, revoked=True).paper
    assert TITLE["revoked"] in check(visitor.post("/en/verify/", {"document": paper}), "en").text


def test_without_a_status_list_nothing_is_called_valid(visitor, cases, home):
    paper = country.lay_document(home, cases).paper
    (home / "credentials/public/status/1.jwt").unlink()
    text = check(visitor.post("/en/verify/", {"document": paper}), "en").text
    assert "The document was not checked" in text
    assert TITLE["valid"] not in text


@pytest.mark.parametrize(
    "text", ["x", "KRG1:", "KRG1:%%%", "a.b.c~", "\x01" * 100, "я" * 70_000, "<script>alert(1)</script>"]
)
def test_any_text_gets_an_answer(visitor, cases, home, text):
    country.lay_document(home, cases)
    page = check(visitor.post("/en/verify/", {"document": text}), "en")
    assert TITLE["refused"] in page.text


def test_what_is_no_text_at_all_is_told_so(visitor, cases, home):
    country.lay_document(home, cases)
    page = visitor.post("/en/verify/", {"document": "\x00" * 100})
    assert (page.status_code, "could not be read" in page.content.decode()) == (400, True)


def test_a_broken_trust_list_checks_nothing(visitor, cases, home):
    paper = country.lay_document(home, cases).paper
    (home / "credentials/public/trust.json").write_text("{}", encoding="utf-8")
    assert "was not checked" in check(visitor.post("/en/verify/", {"document": paper}), "en").text


def test_an_answer_is_kept_by_no_cache(visitor, cases, home):
    paper = country.lay_document(home, cases).paper
    assert visitor.post("/en/verify/", {"document": paper}).headers["Cache-Control"] == "no-store"


def test_the_browser_gets_what_it_needs_to_check_by_itself(visitor, cases, home):
    country.lay_document(home, cases)
    html = visitor.get("/ky/verify/").content.decode()
    block = html.split('<script id="verify-data" type="application/json">')[1].split("</script>")[0]
    data = json.loads(block)
    assert json.loads(data["trust"])["version"] == 1
    assert len(data["lists"]) == 1
    assert data["words"]["valid"] == "Документ жарактуу"


def test_the_published_lists_can_be_fetched(visitor, cases, home):
    country.lay_document(home, cases)
    assert json.loads(visitor.get("/trust.json").content)["version"] == 1
    assert visitor.get("/status/1.jwt").headers["Content-Type"] == "application/statuslist+jwt"
    assert visitor.get("/status/../trust.json").status_code == 404
    assert visitor.get("/status/2.jwt").status_code == 404


def test_a_form_larger_than_any_document_is_refused_unread(visitor, cases, home):
    country.lay_document(home, cases)
    answer = visitor.post("/en/verify/", {"document": "A" * 300_000})
    assert answer.status_code == 413
    assert "At most 256 KB are taken at once" in check(answer, "en").text


def test_a_document_of_shared_values_is_refused_at_once(visitor, cases, home):
    """Sixty CBOR items, each the one before it twice: followed, they are 2^60 values and the thread never comes back."""
    country.lay_document(home, cases)
    shared = b"".join(
        b"\xd8\x1c\x82" + 2 * (b"\xd8\x1d" + (bytes([i]) if i < 24 else bytes([0x18, i]))) for i in range(59)
    )
    packed = zlib.compress(b"\x98\x3c\xd8\x1c\x81\x00" + shared)
    started = time.monotonic()
    page = check(visitor.post("/en/verify/", {"document": "KRG1:" + base45.b45encode(packed).decode()}), "en")
    assert TITLE["refused"] in page.text
    assert time.monotonic() - started < 5
