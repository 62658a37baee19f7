"""The desks' forms: without a token nothing changes, and what is refused is told where it was typed."""

from html import escape

import web_desks as desks
from django.test import Client
from web_pages import check

from kerege.catalogue.models import Owner, Plan
from kerege.web.access import Audience


def test_a_form_without_its_token_changes_nothing(people, home, db):
    desks.grant(home, "steward-1", Audience.STEWARD)
    client = Client(enforce_csrf_checks=True)
    client.get("/en/sign-in/")
    token = client.cookies["csrftoken"].value
    client.post("/en/sign-in/", {"person": "steward-1", "csrfmiddlewaretoken": token})
    made = desks.plan(desks.register(home))
    address = f"/en/desks/harvests/{made.plan_id}/"
    refused = client.post(address, {"do": "apply"})
    assert refused.status_code == 403
    assert "The page is out of date" in check(refused, "en").text, "the right is there: the token is what is missing"
    assert Plan.objects.get().status == "open"
    [token] = {
        i["value"] for i in check(client.get(address), "en").all("input") if i.get("name") == "csrfmiddlewaretoken"
    }
    assert client.post(address, {"do": "apply", "csrfmiddlewaretoken": token}).status_code == 302
    assert Plan.objects.get().status == "applied"


def test_no_attribute_chosen_names_no_owner(steward, dataset):
    told = {"do": "name", "organisation": "70000001", "unit": "registry", "legal_basis": "Law 5, article 1"}
    page = steward.post(f"/en/desks/owners/{dataset.pk}/", told, follow=True)
    assert "No field was chosen" in check(page, "en").text
    assert not Owner.objects.exists()


def test_a_pasted_contract_that_is_refused_stays_where_it_was_typed_and_the_line_is_named(steward, dataset):
    text = "kind: DataContract\nid: [a\nversion: <1>\n"
    page = steward.post("/en/desks/contracts/", {"do": "paste", "document": text, "about": "clinic.csv#clinic"})
    told = check(page, "en")
    assert page.status_code == 200
    assert "line 3" in told.text
    assert escape(text) in page.content.decode()
    assert [a["value"] for a in told.all("input") if a.get("name") == "about"] == ["clinic.csv#clinic"]
    assert "line 3" not in check(steward.get("/en/desks/contracts/"), "en").text
    assert [a["label"] for a in told.all("optgroup")] == ["clinic.csv"]
