"""The desk of harvests: a plan is looked at, applied or left, and is refused when its file is another or gone."""

import web_desks as desks
from web_pages import check

from kerege.catalogue.models import Dataset, Plan


def test_a_reviewer_may_look_at_a_plan_and_not_apply_it(reviewer, home):
    made = desks.plan(desks.register(home))
    assert reviewer.get(f"/en/desks/harvests/{made.plan_id}/").status_code == 200
    assert reviewer.post(f"/en/desks/harvests/{made.plan_id}/", {"do": "apply"}).status_code == 403
    assert Plan.objects.get().status == "open"


def test_a_plan_is_left_with_a_reason_and_cannot_be_applied_after(steward, home):
    made = desks.plan(desks.register(home))
    address = f"/en/desks/harvests/{made.plan_id}/"
    assert "catalogue.action_incomplete" in check(steward.post(address, {"do": "leave"}, follow=True), "en").text
    left = check(steward.post(address, {"do": "leave", "reason": "a test file"}, follow=True), "en").text
    assert "The plan was left" in left
    assert "a test file" in left
    assert "catalogue.plan_done" in check(steward.post(address, {"do": "apply"}, follow=True), "en").text
    assert not Dataset.objects.exists()


def test_a_plan_whose_file_changed_is_refused_in_the_language_of_the_page(steward, home):
    file = desks.register(home)
    made = desks.plan(file)
    desks.register(home, rows=61)
    page = check(steward.post(f"/ru/desks/harvests/{made.plan_id}/", {"do": "apply"}, follow=True), "ru").text
    assert "План устарел" in page
    assert "catalogue.plan_stale" in page


def test_the_page_says_that_the_server_cannot_read_a_file_that_moved(steward, home):
    file = desks.register(home)
    made = desks.plan(file)
    file.rename(home / "elsewhere.csv")
    page = check(steward.get(f"/en/desks/harvests/{made.plan_id}/"), "en")
    assert "cannot read it" in page.text
    assert "apply" not in {b.get("value") for b in page.all("button")}
