"""The answer of getSecurityServerMetrics: X-Road's structure, whatever stands in names and values."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kerege.exchange import metrics_xml as x
from kerege.exchange.errors import MetaserviceInvalid
from kerege.exchange.ids import ServerId
from kerege.exchange.safexml import parse_xml

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SERVER = ServerId.parse("KG/GOV/70000003/node-edu")
# what PR-ENVMON's schema says: a name first, then any metrics, at least one; decimals without exponent
SCHEMA = etree.RelaxNG(
    etree.fromstring(
        f"""<grammar xmlns="http://relaxng.org/ns/structure/1.0" ns="{x.NS}"
     datatypeLibrary="http://www.w3.org/2001/XMLSchema-datatypes">
  <start><element name="getSecurityServerMetricsResponse"><ref name="set"/></element></start>
  <define name="name"><element name="name"><data type="string"/></element></define>
  <define name="set"><element name="metricSet"><ref name="name"/><oneOrMore><choice>
    <ref name="set"/>
    <element name="numericMetric"><ref name="name"/><element name="value"><data type="decimal"/></element></element>
    <element name="stringMetric"><ref name="name"/><element name="value"><data type="string"/></element></element>
    <element name="histogramMetric"><ref name="name"/>
      <element name="updated"><data type="dateTime"/></element>
      <element name="min"><data type="decimal"/></element><element name="max"><data type="decimal"/></element>
      <element name="mean"><data type="decimal"/></element><element name="median"><data type="decimal"/></element>
      <element name="stddev"><data type="decimal"/></element></element>
  </choice></oneOrMore></element></define></grammar>"""
    )
)

numbers = st.one_of(st.integers(-(10**15), 10**15), st.floats(-1e15, 1e15), st.just(1e-9), st.just(float("inf")))
plain = st.one_of(
    st.builds(x.Number, st.text(max_size=8), numbers),
    st.builds(x.Text, st.text(max_size=8), st.text(max_size=12)),
    st.builds(x.Histogram, st.text(max_size=8), st.just(NOW), st.lists(st.integers(0, 10**12), max_size=4)),
)
trees = st.recursive(
    plain,
    lambda inner: st.builds(x.MetricSet, st.text(max_size=8), st.lists(inner, max_size=4).map(tuple)),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(trees, max_size=4))
def test_whatever_is_measured_the_answer_fits_the_schema(metrics: list[x.Metric]) -> None:
    always = x.Text("proxyVersion", "7.8.0")
    answer = x.response(x.server_set(SERVER, [always, *metrics]))
    SCHEMA.assertValid(etree.fromstring(etree.tostring(answer)))


def test_a_histogram_says_what_its_samples_say() -> None:
    answer = x.response(x.server_set(SERVER, [x.Histogram("CpuLoad", NOW, [1, 2, 3, 10])]))
    node = answer.find(f".//{{{x.NS}}}histogramMetric")
    assert node is not None
    assert [child.text for child in node] == ["CpuLoad", "2026-11-22T00:00:00Z", "1", "10", "4.0", "2.5", "3.535534"]


def test_metrics_named_come_with_the_sets_that_lead_to_them_and_no_others() -> None:
    tree = x.server_set(
        SERVER, [x.Text("proxyVersion", "1"), x.MetricSet("systemMetrics", (x.Number("a", 1), x.Number("b", 2)))]
    )
    asked = parse_xml(
        f'<m:getSecurityServerMetrics xmlns:m="{x.NS}"><m:outputSpec><m:outputField>b</m:outputField></m:outputSpec>'
        "</m:getSecurityServerMetrics>".encode()
    )
    picked = x.picked(tree, x.read_metrics(asked))
    assert picked.metrics == (x.MetricSet("systemMetrics", (x.Number("b", 2),)),)
    with pytest.raises(MetaserviceInvalid):
        x.response(x.picked(tree, frozenset({"nothing"})))


@pytest.mark.vectors
def test_x_roads_own_question_is_understood(vectors: Path) -> None:
    root = parse_xml((vectors / "soap/proxymonitor/getMetrics.query").read_bytes())
    body = root.find("{http://schemas.xmlsoap.org/soap/envelope/}Body")
    assert body is not None
    assert x.read_metrics(body[0]) == frozenset()
