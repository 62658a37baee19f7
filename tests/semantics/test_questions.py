"""Questions as people type them: a closed grammar, refused with the place where it ends being one."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from kerege.cli.mapping import map_group
from kerege.semantics.errors import QuestionUnreadable
from kerege.semantics.mappings.pushback import All, Between, Equals, OneOf, Some
from kerege.semantics.mappings.questions import DEPTH, LENGTH, TOKENS, read_question

FIELDS = ("sex", "born", "name")


def test_and_binds_closer_than_or_and_brackets_closest() -> None:
    sex, born = Equals("sex", "1"), Between("born", "2019-01-01", "2019-12-31")
    name = OneOf("name", ("Асан", "O'Neil, J"))
    typed = "born from 2019-01-01 to 2019-12-31"
    assert read_question(f"sex=1 or {typed} and name in (Асан, 'O''Neil, J')", FIELDS) == Some((sex, All((born, name))))
    assert read_question(f"(sex = 1 or {typed}) and sex=1", FIELDS) == All((Some((sex, born)), sex))


def test_a_quoted_word_of_the_grammar_is_a_value() -> None:
    assert read_question("""name="and" and name=''""", FIELDS) == All((Equals("name", "and"), Equals("name", "")))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 1),
        ("sex", 4),
        ("sex=", 5),
        ("sex=and", 5),
        ("age=1", 1),
        ("sex=1 born=2", 7),
        ("(sex=1", 7),
        ("sex in 1", 8),
        ("sex='1", 5),
        ("sex=1; drop table x", 8),
        ("name=\ud800", 6),
        ("(" * (DEPTH + 1) + "sex=1", DEPTH + 2),
    ],
)
def test_what_is_no_question_is_refused_with_its_place(text: str, at: int) -> None:
    with pytest.raises(QuestionUnreadable) as refused:
        read_question(text, FIELDS)
    assert refused.value.params["at"] == at


@pytest.mark.parametrize("text", ["x" * (LENGTH + 1), "( " * (TOKENS + 1)])
def test_a_question_is_bounded_before_anything_is_built(text: str) -> None:
    with pytest.raises(QuestionUnreadable):
        read_question(text, FIELDS)


def test_the_command_prints_the_sql_and_whether_it_is_exact() -> None:
    asked = ["query", "kg:health.vaccination", "certificate_no='V1'' OR 1=1 --'", "--table", 'agency.per"sons']
    found = CliRunner().invoke(map_group, asked)
    assert found.exit_code == 0, found.output
    assert 'FROM "agency"."per""sons"' in found.output
    refused = CliRunner().invoke(map_group, ["query", "kg:health.vaccination", "sex=1 and"])
    assert isinstance(refused.exception, QuestionUnreadable)
