"""OpenAPI and WSDL as sources: operations become datasets; what is hostile is refused with its place."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory.harvest import Harvest, Options, harvest_source
from kerege.catalogue.inventory.profile import FieldProfile, TableProfile
from kerege.catalogue.sources import Reading

PUPILS = """
openapi: 3.1.0
info: {title: Pupils, version: "1.0"}
paths:
  /pupils/{pin}:
    get:
      summary: One pupil
      responses:
        "404": {description: none}
        "200":
          description: found
          content:
            text/plain: {schema: {type: string}}
            application/json: {schema: {$ref: "#/components/schemas/Pupil"}}
  /pupils:
    get:
      responses:
        2XX:
          description: all
          content:
            application/json:
              schema: {type: array, items: {$ref: "#/components/schemas/Pupil"}}
    post: {responses: {"204": {description: taken}}}
components:
  schemas:
    Person:
      type: object
      required: [pin]
      properties:
        pin: {type: string, minLength: 14, maxLength: 14, description: Personal number}
        birth_date: {type: [string, "null"], format: date}
        sex: {enum: [no, M, F]}
    Pupil:
      allOf:
        - $ref: "#/components/schemas/Person"
        - type: object
          properties:
            grade: {type: integer}
            parents: {type: array, items: {$ref: "#/components/schemas/Person"}}
            mentor: {$ref: "#/components/schemas/Pupil"}
            marks: {type: object, additionalProperties: {type: number}}
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, text: str | bytes | dict[str, Any]) -> Path:
        path = tmp_path / name
        data = json.dumps(text) if isinstance(text, dict) else text
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def harvested(path: Path, *tables: str) -> Harvest:
    return harvest_source(str(path), Options(Reading(tables=tables)))


def by_name(table: TableProfile) -> dict[str, FieldProfile]:
    return {f.name: f for f in table.fields}


def an_api(schema: object, **components: object) -> dict[str, Any]:
    answer = {"description": "x", "content": {"application/json": {"schema": schema}}}
    return {
        "openapi": "3.0.3", "info": {"title": "x", "version": "1"}, "components": {"schemas": components},
        "paths": {"/a": {"get": {"responses": {"200": answer}}}},
    }  # fmt: skip


def test_operations_are_datasets_and_answers_their_fields(written: Callable[..., Path]) -> None:
    found = harvested(written("pupils.yaml", PUPILS))
    assert (found.kind, [t.name for t in found.tables]) == ("openapi", ["GET /pupils", "GET /pupils/{pin}"])
    one = next(t for t in found.tables if "pin" in t.name)
    fields = by_name(one)
    assert (one.description, one.described, one.rows) == ("One pupil", True, 0)
    assert list(fields) == [
        "pin", "birth_date", "sex", "grade", "parents[].pin", "parents[].birth_date", "parents[].sex", "mentor", "marks.*",
    ]  # fmt: skip
    assert fields["pin"].declared_type == "string, required"
    assert (fields["pin"].description, fields["pin"].max_length, fields["pin"].personal) == (
        "Personal number",
        14,
        True,
    )
    assert (fields["birth_date"].type, fields["birth_date"].declared_type) == ("date", "string(date)")
    assert fields["grade"].type == "integer"
    assert fields["mentor"].declared_type == "object, again Pupil"
    assert found.remarks == (("GET /pupils/{pin}", "1 other operation does not say what it answers; it is left out"),)
    assert harvested(written("pupils.yaml", PUPILS), "GET /pupils").tables[0].fields[0].name == "[].pin"


def test_the_code_no_of_a_list_is_a_text_and_not_a_truth_value(written: Callable[..., Path]) -> None:
    table = harvested(written("pupils.yaml", PUPILS), "GET /pupils/{pin}").tables[0]
    assert by_name(table)["sex"].codes == (("no", 0), ("M", 0), ("F", 0))


def test_json_and_yaml_of_one_description_say_the_same(written: Callable[..., Path]) -> None:
    import yaml

    document = yaml.safe_load(PUPILS.replace("[no, M, F]", '["no", M, F]'))
    assert harvested(written("p.json", document)).tables == harvested(written("p.yaml", PUPILS)).tables


def test_alternatives_are_one_field_with_the_codes_of_both(written: Callable[..., Path]) -> None:
    a = {"type": "object", "properties": {"kind": {"enum": ["a"]}, "x": {"type": "integer"}}}
    b = {"type": "object", "properties": {"kind": {"const": "b"}, "x": {"type": "string"}}}
    fields = by_name(harvested(written("x.json", an_api({"oneOf": [a, b]}))).tables[0])
    assert [c for c, _ in fields["kind"].codes] == ["a", "b"]
    assert fields["x"].declared_type == "any"


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("https://evil.example/x.yaml#/Person", "an address"),
        ("//evil.example/x", "an address"),
        ("file:///etc/passwd", "an address"),
        ("../secret.yaml#/A", "a file"),
        ("/etc/passwd", "a file"),
    ],
)
def test_a_remote_or_file_reference_is_refused_with_its_place(
    written: Callable[..., Path], target: str, kind: str
) -> None:
    with pytest.raises(errors.ReferenceRefused) as error:
        harvested(written("evil.json", an_api({"type": "array", "items": {"$ref": target}})))
    assert error.value.params["place"] == "/paths/~1a/get/responses/200/content/application~1json/schema/items/$ref"
    assert error.value.params["kind"] == kind
    assert "bundling" in error.value.next_step


def test_a_reference_that_no_operation_uses_is_refused_too_and_one_in_an_example_is_data(
    written: Callable[..., Path],
) -> None:
    hidden = an_api(
        {"type": "object", "properties": {"a": {"type": "string"}}}, Unused={"$ref": "http://evil.example/a"}
    )
    with pytest.raises(errors.ReferenceRefused, match="Unused"):
        harvested(written("evil.json", hidden))
    example = an_api({"type": "object", "properties": {"a": {"type": "string", "example": {"$ref": "http://x"}}}})
    assert harvested(written("good.json", example)).tables[0].fields[0].name == "a"


def test_references_in_a_circle_end_and_are_told(written: Callable[..., Path]) -> None:
    circle = an_api(
        {"$ref": "#/components/schemas/A"}, A={"$ref": "#/components/schemas/B"}, B={"$ref": "#/components/schemas/A"}
    )
    with pytest.raises(errors.DescriptionBroken, match="circle"):
        harvested(written("c.json", circle))
    missing = an_api({"$ref": "#/components/schemas/Nobody"})
    with pytest.raises(errors.DescriptionBroken, match="not in the document"):
        harvested(written("m.json", missing))


def test_a_billion_laughs_in_yaml_aliases_cost_nothing(written: Callable[..., Path]) -> None:
    levels = ["a0: &a0 {type: string}"]
    for i in range(1, 12):
        many = ", ".join(f"p{j}: *a{i - 1}" for j in range(10))
        levels.append(f"a{i}: &a{i} {{type: object, properties: {{{many}}}}}")
    head = "openapi: 3.0.0\npaths: {/a: {get: {responses: {'200': {description: x, content: {application/json: {schema: *a11}}}}}}}\n"
    began = time.process_time()
    with pytest.raises(errors.DescriptionTooLarge):
        harvested(written("laughs.yaml", "\n".join(levels) + "\n" + head))
    assert time.process_time() - began < 3


def test_merge_keys_by_which_aliases_would_be_copied_are_refused(written: Callable[..., Path]) -> None:
    levels = ["a0: &a0 {k0: v}"]
    levels += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 10)]
    with pytest.raises(errors.DescriptionBroken, match="merge key") as error:
        harvested(written("merge.yaml", "\n".join(levels) + "\nopenapi: 3.0.0\npaths: {}\n"))
    assert error.value.params["place"] == "line 2"


@pytest.mark.parametrize("name", ["deep.json", "deep.yaml"])
def test_what_is_nested_too_deep_is_refused(written: Callable[..., Path], name: str) -> None:
    with pytest.raises(errors.DescriptionTooLarge, match="levels"):
        harvested(written(name, '{"openapi": "3.0.0", "paths": ' + "[" * 5000 + "]" * 5000 + "}"))


def test_a_huge_description_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.write(b"openapi: 3.0.0\n")
        file.seek(2_000_000_000)  # a hole: it takes no disk
        file.write(b"\n")
    began = time.process_time()
    with pytest.raises(errors.DescriptionTooLarge, match="bytes"):
        harvested(path)
    assert time.process_time() - began < 1


def test_an_answer_of_too_many_fields_is_refused(written: Callable[..., Path]) -> None:
    wide = {"type": "object", "properties": {f"f{i}": {"type": "string"} for i in range(2_500)}}
    with pytest.raises(errors.DescriptionTooLarge, match="fields of one answer"):
        harvested(written("wide.json", an_api(wide)))


def test_what_is_no_openapi_is_told_so(written: Callable[..., Path]) -> None:
    for name, text in (("a.json", '{"a": 1}'), ("b.yaml", "a: b\n"), ("c.yaml", "a: [1\n"), ("d.json", b"\xff\xfe{")):
        with pytest.raises(errors.DescriptionBroken):
            harvested(written(name, text))


WSDL = """<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema"
    xmlns:t="urn:civil" xmlns:o="urn:other" targetNamespace="urn:civil">
  <wsdl:types><xs:schema targetNamespace="urn:civil">
    <xs:import namespace="urn:other" schemaLocation="http://evil.example/other.xsd"/>
    <xs:simpleType name="Sex"><xs:restriction base="xs:string"><xs:enumeration value="М"/><xs:enumeration value="Ж"/></xs:restriction></xs:simpleType>
    <xs:complexType name="Person"><xs:sequence>
      <xs:element name="pin" type="xs:string"><xs:annotation><xs:documentation>Personal number</xs:documentation></xs:annotation></xs:element>
      <xs:element name="birthDate" type="xs:date" minOccurs="0"/>
      <xs:element name="sex" type="t:Sex"/>
      <xs:element name="child" type="t:Person" minOccurs="0" maxOccurs="unbounded"/>
      <xs:element ref="o:address"/>
    </xs:sequence><xs:attribute name="updated" type="xs:dateTime" use="required"/></xs:complexType>
    <xs:complexType name="Citizen"><xs:complexContent><xs:extension base="t:Person"><xs:sequence>
      <xs:element name="passport" type="xs:string"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
    <xs:element name="getPersonResponse"><xs:complexType><xs:sequence>
      <xs:element name="person" type="t:Citizen"/></xs:sequence></xs:complexType></xs:element>
    <xs:element name="getPerson"><xs:complexType/></xs:element>
  </xs:schema></wsdl:types>
  <wsdl:message name="in"><wsdl:part name="p" element="t:getPerson"/></wsdl:message>
  <wsdl:message name="out"><wsdl:part name="p" element="t:getPersonResponse"/></wsdl:message>
  <wsdl:portType name="Civil"><wsdl:operation name="getPerson"><wsdl:documentation>A person by PIN</wsdl:documentation>
    <wsdl:input message="t:in"/><wsdl:output message="t:out"/></wsdl:operation></wsdl:portType>
</wsdl:definitions>"""


def test_a_wsdl_gives_its_operations_with_types_and_enumerations(written: Callable[..., Path]) -> None:
    found = harvested(written("civil.wsdl", WSDL))
    (table,) = found.tables
    fields = by_name(table)
    assert (found.kind, table.name, table.description) == ("wsdl", "getPerson", "A person by PIN")
    assert list(fields) == [
        "person.pin", "person.birthDate", "person.sex", "person.child[]", "person.address", "person.@updated", "person.passport",
    ]  # fmt: skip
    assert (fields["person.pin"].description, fields["person.pin"].personal) == ("Personal number", True)
    assert fields["person.birthDate"].type == "date"
    assert [c for c, _ in fields["person.sex"].codes] == ["М", "Ж"]
    assert fields["person.child[]"].declared_type == "object, again Person"
    assert fields["person.@updated"].type == "moment"


def test_imports_of_a_wsdl_are_not_followed_and_told(written: Callable[..., Path]) -> None:
    found = harvested(written("civil.wsdl", WSDL))
    assert by_name(found.tables[0])["person.address"].declared_type == "any, not in this document"
    assert "1 import or include is" in found.remarks[0][1]


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE d [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE d SYSTEM "http://evil.example/d.dtd">',
        '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_a_doctype_in_a_wsdl_is_refused(written: Callable[..., Path], doctype: str) -> None:
    evil = WSDL.replace("<wsdl:definitions", doctype + "<wsdl:definitions", 1)
    with pytest.raises(errors.DescriptionBroken, match="DOCTYPE"):
        harvested(written("evil.wsdl", evil))


def test_what_is_no_wsdl_is_told_so(written: Callable[..., Path]) -> None:
    for text in ("<a/>", "no xml", WSDL.replace("<wsdl:output", "<wsdl:outpu"), WSDL[:-40]):
        with pytest.raises(errors.DescriptionBroken):
            harvested(written("x.wsdl", text))
