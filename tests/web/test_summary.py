"""The run summary is read with care: absent is nothing yet, wrong is an error that says what was expected."""

import copy
import json

import pytest
from web_pages import RUN

from kerege.web import summary
from kerege.web.errors import SummaryInvalid


def test_without_a_run_there_is_no_summary(home):
    assert summary.read() is None


def test_a_run_is_read_whole(run):
    read = summary.read()
    assert read.applications == 1000
    assert read.ways["data_first"].straight_through == 931
    assert read.chosen_case == "case-7fq2m9k4xw3d"
    assert read.nodes["node-edu"] == summary.NodeTraffic(5821, 17)
    assert read.dirt == (("spelling_loss", (("civil", 0.5),)), ("pin_missing", (("health", 0.3),)))


def test_agreement_counts_only_what_can_be_compared(run):
    fields = {field.field: field for field in summary.read().fields}
    assert fields["surname"].before == pytest.approx(520 / 2870)
    assert fields["surname"].after == pytest.approx(2830 / 2870)
    assert fields["pin"].before is None
    assert fields["pin"].after is None


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("applications",), 0, "applications"),
        (("applications",), True, "applications"),
        (("data_first",), [], "data_first"),
        (("data_first", "manual"), -1, "data_first.manual"),
        (("integration_only", "straight_through"), "213", "integration_only.straight_through"),
        (("fields", "sex", "equal"), None, "fields.sex.equal"),
        (("exchange", "nodes", "node-edu", "failed"), -3, "exchange.nodes.node-edu.failed"),
        (("exchange", "nodes", "node-reg"), 7, "exchange.nodes.node-reg"),
    ],
)
def test_a_wrong_figure_is_named(home, path, value, named):
    raw = copy.deepcopy(RUN)
    node = raw
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    (home / "summary.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(SummaryInvalid, match=named.replace(".", r"\.")):
        summary.read()


@pytest.mark.parametrize("text", ["", "{", "[]", "\ufeff"])
def test_half_a_file_is_refused_clearly(home, text):
    (home / "summary.json").write_text(text, encoding="utf-8")
    with pytest.raises(SummaryInvalid):
        summary.read()
