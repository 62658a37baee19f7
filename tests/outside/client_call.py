"""A SOAP client made with pyxroad; runs inside that library's own virtual environment and prints one JSON object.

Arguments: the client's own security server (URL), client, service, WSDL file, PIN, number, message id. The WSDL is a file that was
handed over, as a consumer gets it; its address is replaced by the server's.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from lxml import etree
from XRoad import XClient
from XRoad.Members import Members
from zeep.exceptions import Fault
from zeep.transports import Transport


class OnTheEnvelope(Transport):
    """Sends the same envelope with the payload's namespace declared on its root and no XML declaration before it.

    fastapi-xroad-soap looks for namespaces on an Envelope that begins the text, and nowhere else; what zeep writes is as valid.
    """

    def post_xml(self, address, envelope, headers):
        payload = etree.QName(envelope.find("{*}Body")[0]).namespace
        root = etree.Element(envelope.tag, nsmap={"soapenv": etree.QName(envelope).namespace, "pop": payload})
        root.extend(list(envelope))
        etree.cleanup_namespaces(root, keep_ns_prefixes=["soapenv", "pop"], top_nsmap=root.nsmap)
        return self.post(address, etree.tostring(root, encoding="utf-8", xml_declaration=False), headers)


def main() -> None:
    server, client, service, wsdl, pin, number, message_id = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        handed = Path(folder) / "service.wsdl"
        handed.write_text(Path(wsdl).read_text().replace("ADDRESS", server))
        Members.wsdl_url = lambda self, ssu: str(handed)  # the description comes from a file, not from GET /wsdl
        caller = XClient(server, client, service, transport=OnTheEnvelope())
        if (
            "DIRECT" in os.environ
        ):  # the library takes the server it is given for an HTTP proxy; a security server takes that
            caller.transport.session.proxies.clear()
        try:
            result = caller.request(Pin=pin, Number=int(number), xroad_id=message_id)
            out = {"result": result}
        except Fault as fault:
            inner = fault.message if isinstance(fault.message, Fault) else fault
            out = {"fault": {"code": inner.code, "message": str(inner.message)}}
    print(json.dumps(out, default=str))


if __name__ == "__main__":
    main()
