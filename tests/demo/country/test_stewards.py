"""The demo's stewards may open the hub's desks, and nothing more."""

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
