"""The clerical desk: two records side by side, read when they are asked for and not before."""

import web_desks as desks
from web_pages import check


def test_two_records_of_one_register_stand_side_by_side_each_with_its_own_values(clerk, home, db):
    task = desks.pair_of_one(home)
    page = clerk.post(f"/en/desks/pairs/{task}/", {"do": "open"})
    text = check(page, "en").text
    assert "АСАНОВА" in text.upper()
    assert "БЕКОВА" in text.upper()


def test_a_post_that_asks_for_nothing_reads_nobody(clerk, home, db):
    task = desks.pair_of_one(home)
    page = clerk.post(f"/en/desks/pairs/{task}/", {"do": "x"})
    assert "АСАНОВА" not in check(page, "en").text.upper()
