"""A contract's whole way on the command line: added, approved by another, published, deprecated, taken back, held against a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from contract_births import ME, NOW, OTHER, SERVICE, made

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts import queries as contract_queries
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import Dataset
from kerege.cli import main
from kerege.ground import clock
from kerege.semantics.contracts.odcs import dumps

pytestmark = pytest.mark.django_db


def test_a_steward_goes_the_whole_way_on_the_command_line(dataset: Dataset, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path))
    file = tmp_path / "births.odcs.yaml"
    file.write_text(dumps(made()), encoding="utf-8")

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["contract", *words])
        assert done.exit_code == code, done.output
        return done.output

    why = ("--by", ME, "--reason", "agreed")
    said = run("publish", str(file), "--dataset", str(dataset), *why)
    assert "contract kg:birth version 1.0.0 is submitted." in said
    assert "kerege lifecycle act approve contract kg:birth 1.0.0" in said
    lifecycle.act(contracts.subject("kg:birth", "1.0.0"), "approve", OTHER, "looked at", clock.now())
    assert SERVICE in run("publish", "kg:birth", "--version", "1.0.0", *why)
    assert json.loads(run("list", "--json"))[0]["state"] == "published"
    assert run("list").splitlines()[-1] == "1 version."
    assert "act_number" in run("show", "kg:birth")
    assert "in force up to" in run("deprecate", "kg:birth", "1.0.0", "--ends", "2099-12-31", *why)
    (view,) = contract_queries.contracts(NOW)
    assert view.deprecation is not None
    assert view.deprecation.ends_at == datetime(2099, 12, 31, 17, 59, 59, tzinfo=UTC), (
        "a day means all of it, in Bishkek"
    )
    assert "catalogue.lifecycle_blocked" in run("retire", "kg:birth", "1.0.0", *why, code=2)
    assert "without an end" in run("reinstate", "kg:birth", "1.0.0", *why)
    assert "required" in run("schema", "kg:birth")
    births = tmp_path / "births.csv"
    births.write_text("act_number,sex\n1,1\n,1\n", encoding="utf-8")
    told = run("check", "kg:birth", str(births), "--record")
    assert "births.csv: 2 rows held against kg:birth 1.0.0, 1 breaks it" in told
    assert "BROKEN" in told
    last = contract_queries.contracts(NOW)[0].last_run
    assert last is not None
    assert (last["source"], last["rows"], last["broken_rows"], last["kept"]) == ("births.csv", 2, 1, False)


def test_a_version_that_is_not_there_is_not_called_a_draft(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path))
    for action in ("approve", "publish", "deprecate", "retire"):
        words = ("lifecycle", "act", action, "contract", "kg:example.births", "1.0.0", "--by", OTHER, "--reason", "x")
        done = CliRunner().invoke(main, words)
        assert (done.exit_code, "draft" in done.output) == (2, False), done.output
        assert "the catalogue holds no such version; add it first" in done.output


def test_a_difference_is_told_in_whole_sentences(tmp_path: Any) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(dumps(made()), encoding="utf-8")
    new.write_text(dumps(made()).replace("1.0.0", "0.9.0"), encoding="utf-8")
    done = CliRunner().invoke(main, ["contract", "diff", str(old), str(new)])
    assert done.output.splitlines()[-1] == "0.9.0 does not come after 1.0.0."
    new.write_text(dumps(made()).replace("act_number", "number_of_act").replace("1.0.0", "1.0.1"), encoding="utf-8")
    done = CliRunner().invoke(main, ["contract", "diff", str(old), str(new)])
    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == "The changes ask for a major version, 1.0.1 is a patch one."
