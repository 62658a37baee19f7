"""What the engines say in English is said on a Kyrgyz or Russian page in its own words: every sentence, and none that is gone."""

import ast
import copy
import pickle
import re
import string
from pathlib import Path

import pytest
from django.utils import translation

import kerege
from kerege.catalogue.contracts.clock import may_retire
from kerege.catalogue.errors import CodeTwice
from kerege.delivery import criteria
from kerege.ground import clock
from kerege.ground.text import Said
from kerege.semantics.codelists.integrity import CHECKS
from kerege.semantics.contracts.contract import SEVERITIES
from kerege.semantics.contracts.diff import _LEVELS, _MEANING
from kerege.semantics.contracts.rules import KINDS
from kerege.web import told, words

SOURCE = Path(kerege.__file__).parent
LATIN = re.compile(r"[A-Za-z]{2,}")
PASSED_ON = {  # `diff._change` makes them
    "rule_gone", "rule_new", "rule_bound", "rule_other", "rule_values_added", "rule_values_removed",
}  # fmt: skip


def sentences():
    """Every `Said(code, template, fact=...)` of the source: code -> the names of its facts, None where they are not written there."""
    found = {check.code: None for check in CHECKS} | {"label_missing": None, "orphan": None}
    for file in (f for room in ("ground", "semantics", "catalogue") for f in (SOURCE / room).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if "Said(" in source else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Said":
                code = node.args[0]
                facts = None if any(k.arg is None for k in node.keywords) else {k.arg for k in node.keywords}
                for one in (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,):
                    if isinstance(one, ast.Constant):
                        found.setdefault(one.value, facts)
    return found


def test_every_sentence_has_words_with_its_facts_and_no_words_are_of_a_sentence_that_is_gone():
    known = sentences()
    assert len(known) > 90
    worded = {key.removeprefix("sentence.") for key in words.catalogue() if key.startswith("sentence.")}
    assert sorted(worded ^ (set(known) | PASSED_ON)) == []
    for code, facts in known.items():
        if facts is not None:
            line = words.catalogue()[f"sentence.{code}"].ky
            assert {name for _, name, _, _ in string.Formatter().parse(line) if name} <= facts, code


def test_every_coded_fact_has_words():
    asked = {
        "said-rule": KINDS,
        "said-level": _LEVELS,
        "said-weight": SEVERITIES,
        "said-meaning": _MEANING.values(),
    }
    assert [
        f"{group}.{one}" for group, all_of in asked.items() for one in all_of if not words.has(f"{group}.{one}")
    ] == []


@pytest.mark.parametrize("language", ["ky", "ru"])
def test_a_sentence_in_a_sentence_is_said_in_the_pages_language_and_on_an_english_page_as_it_was_written(language):
    change = Said("breach_mode", "a breach: {mode} in place of {was_mode}", mode="reject", was_mode="observe")
    whole = Said("at", "{where}: {what}", where="mode", what=change)
    both = Said.joined([whole, may_retire(None, clock.now()).reason])
    assert both == "mode: a breach: reject in place of observe; it was never deprecated: announce its end first"
    with translation.override("en"):
        assert told.told(both) == both
    with translation.override(language):
        assert LATIN.findall(told.told(both)) == ["mode"]
        assert told.marked(both) == told.told(both)
        assert told.marked("somebody's <own> words") == '<span lang="en">somebody&#x27;s &lt;own&gt; words</span>'
    for again in (copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))):
        assert (again, again.code, again.facts) == (whole, "at", whole.facts)


def test_a_refusal_tells_its_facts_by_name_and_an_english_sentence_as_english():
    error = CodeTwice(source="codes.csv", row=7, column="code", first=3, reason="somebody's words")
    with translation.override("ru"):
        facts = {one["name"]: (one["value"], one["english"]) for one in told.refusal(error)}
        assert facts == {
            "Источник": ("codes.csv", ""), "Строка": ("7", ""), "Поле": ("code", ""), "Первая": ("3", ""),
            "Причина": ("somebody's words", "en"),
        }  # fmt: skip
    with translation.override("en"):
        assert told.refusal(error) == []


def test_every_clause_of_a_looser_gate_has_words():
    source = Path(criteria.__file__).read_text(encoding="utf-8")
    clauses = set(re.findall(r'found\.append\(f?"(?:\{before\.id\} )?([a-z ]+?)(?: \{condition\})?"\)', source))
    assert clauses == {key.removeprefix("eased.") for key in words.catalogue() if key.startswith("eased.")}
    assert len(clauses) > 6
