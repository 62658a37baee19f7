"""SOAP messages for the tests: one envelope with its parts to be changed."""

from __future__ import annotations

CLIENT = (
    '<xroad:client id:objectType="SUBSYSTEM"><id:xRoadInstance>KG</id:xRoadInstance><id:memberClass>GOV</id:memberClass>'
    "<id:memberCode>70000003</id:memberCode><id:subsystemCode>admission</id:subsystemCode></xroad:client>"
)
SERVICE = (
    '<xroad:service id:objectType="SERVICE"><id:xRoadInstance>KG</id:xRoadInstance><id:memberClass>GOV</id:memberClass>'
    "<id:memberCode>70000002</id:memberCode><id:subsystemCode>population</id:subsystemCode>"
    "<id:serviceCode>getPerson</id:serviceCode><id:serviceVersion>v1</id:serviceVersion></xroad:service>"
)
ID = "<xroad:id>m-1</xroad:id>"
VERSION = "<xroad:protocolVersion>4.0</xroad:protocolVersion>"
FIELDS = CLIENT + SERVICE + "<xroad:userId>EE123</xroad:userId>" + ID + VERSION


def envelope(
    fields: str = FIELDS, body: str = '<p:getPerson xmlns:p="urn:p"><code>1</code></p:getPerson>', **kept: str
) -> bytes:
    start = kept.get("start", '<?xml version="1.0" encoding="UTF-8"?>\n')
    header = kept.get("header", f"<soap:Header>{fields}</soap:Header>")
    return (
        f'{start}<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xroad="http://x-road.eu/xsd/xroad.xsd"'
        f' xmlns:id="http://x-road.eu/xsd/identifiers"{kept.get("attributes", "")}>{header}<soap:Body>{body}</soap:Body></soap:Envelope>'
    ).encode(kept.get("encoding", "utf-8"))


def answer(fields: str = FIELDS, **kept: str) -> bytes:
    return envelope(fields, '<p:getPersonResponse xmlns:p="urn:p"><name>A</name></p:getPersonResponse>', **kept)
