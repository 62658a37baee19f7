"""The demo's stewards may open the hub's desks, and nothing more."""

from kerege.demo.country.keeping import next_release
from kerege.demo.country.stewards import POSTS, SCOPE, listed
from kerege.web.access import RIGHTS, Audience
from kerege.web.signin import ROLES


def test_each_post_has_exactly_the_right_its_desk_asks_for():
    asked = {audience.value: (right.action, right.scope) for audience, right in RIGHTS.items()}
    assert {post.role: (post.action, SCOPE) for post in POSTS} == {post.role: asked[post.role] for post in POSTS}
    assert {post.role for post in POSTS} == {
        a.value for a in (Audience.STEWARD, Audience.REVIEWER, Audience.DATA_OWNER, Audience.CLERK)
    }


def test_nobody_holds_two_posts_and_everyone_has_a_role_the_sign_in_knows():
    people = listed()
    assert len({one["id"] for one in people}) == len(people) == 4
    assert all(set(one["roles"]) <= set(ROLES) and len(one["roles"]) == 1 for one in people)


def test_the_plan_that_waits_is_of_a_file_with_a_new_column_and_a_new_code(tmp_path):
    nightly = tmp_path / "vaccinations.csv"
    lines = ["N_SPR;STATUS", *(f"06-{n:06};Д" for n in range(40)), "#ROWS;40"]
    nightly.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig", newline="")
    sample = next_release(nightly)
    assert (sample.name, sample.parent.parent) == (nightly.name, tmp_path)
    head, *rows, last = sample.read_text(encoding="utf-8-sig").splitlines()
    assert (head, last) == ("N_SPR;STATUS;KOD_MO", "#ROWS;40")
    assert [row.split(";")[1] for row in rows].count("В") == 2
    assert {len(row.split(";")) for row in rows} == {3}
