"""Descriptions without the provider's addresses: every place they may stand, hostile documents, and nothing else touched."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import openapi_wsdl as d

SECRET = "http://10.1.2.3:8080/inner"
V3 = {
    "openapi": "3.0.3",
    "info": {"title": "Калктын каттоосу", "version": "1.0"},
    "servers": [{"url": SECRET, "description": "inner"}],
    "paths": {
        "/persons/{pin}": {
            "servers": [{"url": SECRET}],
            "get": {
                "servers": [{"url": SECRET}],
                "responses": {"200": {"links": {"next": {"operationId": "x", "server": {"url": SECRET}}}}},
            },
        },
        "/persons": {"post": {"responses": {}}, "parameters": []},
    },
    "components": {"schemas": {"Farm": {"properties": {"servers": {"type": "array"}}, "example": {"servers": [1]}}}},
}


@pytest.mark.parametrize("write", [json.dumps, lambda v: yaml.safe_dump(v, allow_unicode=True)])
def test_no_address_is_left_wherever_it_stands(write) -> None:  # type: ignore[no-untyped-def]
    out = d.anonymous_openapi(write(V3).encode())
    assert b"10.1.2.3" not in out
    told = yaml.safe_load(out)
    assert told["servers"] == [{"url": d.PLACEHOLDER}]
    assert told["info"] == V3["info"]
    assert told["components"] == V3["components"], "a property named servers is the provider's own"


def test_swagger_2_loses_its_host_and_base_path() -> None:
    document = {"swagger": "2.0", "host": "10.1.2.3:8080", "basePath": "/inner", "paths": {"/a": {"get": {}}}}
    for written in (json.dumps(document), yaml.safe_dump(document)):
        told = yaml.safe_load(d.anonymous_openapi(written.encode()))
        assert (told["host"], told["basePath"]) == ("example.org", "/xroad-endpoint")
        assert told["paths"] == document["paths"]


def test_a_description_without_addresses_is_given_byte_for_byte() -> None:
    text = b"# a comment stays\nopenapi: '3.0.0'\npaths: {}\n"
    assert d.anonymous_openapi(text) is text
    assert d.anonymous_openapi(b'{ "openapi":"3.1.0" }') == b'{ "openapi":"3.1.0" }'


def test_scalars_keep_their_meaning_in_yaml() -> None:
    text = b"servers:\n- url: http://inner\nversion: '1.10'\nno: 'no'\nday: 2026-11-22\nsize: 010\n"
    out = d.anonymous_openapi(text)
    before, after = yaml.safe_load(text), yaml.safe_load(out)
    assert {**before, "servers": 0} == {**after, "servers": 0}


def test_an_alias_for_servers_is_replaced_too_and_a_bomb_of_aliases_stays_small() -> None:
    shared = b"x-s: &s\n- url: http://10.1.2.3\nservers: *s\npaths: {/a: {servers: *s}}\n"
    told = yaml.safe_load(d.anonymous_openapi(shared))
    assert told["servers"] == told["paths"]["/a"]["servers"] == [{"url": d.PLACEHOLDER}]
    bomb = b"a0: &a0 [x,x]\n" + b"".join(b"a%d: &a%d [*a%d,*a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60))
    assert len(d.anonymous_openapi(bomb + b"servers: [{url: http://10.1.2.3}]\n")) < 5 * len(bomb)
    merged = b"m0: &m0 {a: 1}\n" + b"".join(
        b"m%d: &m%d {<<: [*m%d,*m%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, 60)
    )
    assert len(d.anonymous_openapi(merged + b"servers: [{url: http://10.1.2.3}]\n")) < 5 * len(merged)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[" * 5000 + b"]" * 5000, "too deep"),
        (b'{"a":' * 150 + b"1" + b"}" * 150, "too deep"),
        (b"a: " + b"{a: " * 150 + b"1" + b"}" * 150, "too deep"),
        (b"a: [1", "neither"),
        (b"just words", "no OpenAPI"),
        (b"[1, 2]", "no OpenAPI"),
        (b"a: \xff\xfe\x00", "neither|UTF-8"),
        (b"!!python/object/apply:os.system [x]", "no OpenAPI"),
        (b" " * (d.LARGEST + 1), "larger"),
    ],
)
def test_what_is_no_description_is_refused_with_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        d.anonymous_openapi(data)


def test_endpoints_are_the_operations_with_parameters_as_patterns() -> None:
    expected = (("POST", "/persons"), ("GET", "/persons/*"))
    assert d.endpoints(json.dumps(V3).encode()) == expected
    assert d.endpoints(yaml.safe_dump(V3, allow_unicode=True).encode()) == expected
    assert d.endpoints(b"openapi: 3.0.0\npaths: {/a*b: {get: {}}, x-own: {get: {}}}") == (("GET", "/a\\*b"),)


words = st.text(st.characters(exclude_categories=("C", "Z")), max_size=8)
leaves = st.one_of(words, st.integers(), st.booleans(), st.none())
documents = st.dictionaries(
    st.sampled_from(["paths", "info", "get", "x-a", "server", "example", "tags"]),
    st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
        max_leaves=8,
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(documents)
def test_hiding_the_servers_changes_nothing_else_in_either_form(document: dict[str, object]) -> None:
    whole = {**document, "servers": [{"url": SECRET}]}
    expected = {**document, "servers": [{"url": d.PLACEHOLDER}]}
    assert json.loads(d.anonymous_openapi(json.dumps(whole).encode())) == expected
    assert yaml.safe_load(d.anonymous_openapi(yaml.safe_dump(whole, allow_unicode=True).encode())) == expected


WSDL = b"""<?xml version="1.0"?><wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
 xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s12="http://schemas.xmlsoap.org/wsdl/soap12/">
 <wsdl:documentation>keep me</wsdl:documentation><wsdl:service name="s">
 <wsdl:port name="a" binding="b"><soap:address location="http://10.1.2.3/a"/></wsdl:port>
 <wsdl:port name="c" binding="b"><s12:address location="http://10.1.2.3/c"/></wsdl:port></wsdl:service></wsdl:definitions>"""


def test_every_port_of_a_wsdl_loses_its_address() -> None:
    out = d.anonymous_wsdl(WSDL)
    assert b"10.1.2.3" not in out
    assert out.count(d.PLACEHOLDER.encode()) == 2
    assert b"keep me" in out


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<a/>", "no WSDL"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "DOCTYPE"),
        (b"<a", "well-formed"),
    ],
)
def test_what_is_no_wsdl_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        d.anonymous_wsdl(data)
