"""A provider's information system made with fastapi-xroad-soap; runs inside that library's own virtual environment: PORT is the argument.

`persons` answers with what it read from the X-Road header; a PIN not of 14 digits is refused with a SOAP fault and
HTTP 500 as SOAP 1.1 says, one with letters with the library's own ClientFault, which it sends with HTTP 400.
"""

import sys

import uvicorn
from fastapi_xroad_soap import MessageBody, SoapService, XroadHeader
from fastapi_xroad_soap.elements import Integer, String
from fastapi_xroad_soap.faults import ClientFault, SoapFault

soap = SoapService(name="population", this_namespace="http://population.box/producer")


PAYLOAD = {"pop": "http://population.box/producer"}


class persons(MessageBody):
    pin = String()
    number = Integer()


class personsResponse(MessageBody, tag="personsResponse", ns="pop", nsmap=PAYLOAD):
    name = String(ns="")
    number = Integer(ns="")


@soap.action("persons")
def persons_action(body: persons, header: XroadHeader) -> personsResponse:
    if not body.pin.isdecimal():
        raise ClientFault("the PIN is of digits")
    if len(body.pin) != 14:
        raise SoapFault(string="the PIN has 14 digits", http_status_code=500)
    return personsResponse(name=f"person {body.pin} for {header.client.member_code}", number=body.number + 1)


if __name__ == "__main__":
    uvicorn.run(soap, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
