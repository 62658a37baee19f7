"""A provider's information system made with fastapi-xroad-soap; runs inside that library's own virtual environment: PORT is the argument.

`persons` answers with what it read from the X-Road header; a PIN that is not of 14 digits is refused with a SOAP fault of its own.
"""

import sys

import uvicorn
from fastapi_xroad_soap import MessageBody, SoapService, XroadHeader
from fastapi_xroad_soap.elements import Integer, String
from fastapi_xroad_soap.faults import ClientFault

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
    if not (body.pin.isdecimal() and len(body.pin) == 14):
        raise ClientFault("the PIN has 14 digits")
    return personsResponse(name=f"person {body.pin} for {header.client.member_code}", number=body.number + 1)


if __name__ == "__main__":
    uvicorn.run(soap, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
