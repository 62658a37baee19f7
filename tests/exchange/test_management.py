"""Management requests as they are built: valid against X-Road's schema, and so is the answer made from each."""

from pathlib import Path

import pytest
from lxml import etree

from kerege.exchange import certs, management, management_read
from kerege.exchange.management import Kind
from kerege.exchange.pki import KeyPair

from .management_samples import OWNER, PROVIDER, asked, keys

__all__ = ["keys"]


@pytest.mark.vectors
@pytest.mark.parametrize("kind", list(Kind))
def test_every_request_and_reply_is_valid_against_x_roads_schema(
    kind: Kind, keys: dict[str, KeyPair], vectors: Path
) -> None:
    schema = etree.XMLSchema(etree.parse(str(vectors / "xsd/request.xsd")))
    soap = management.build(asked(kind, certs.der(keys["auth"].certificate)), OWNER, PROVIDER)
    (element,) = etree.fromstring(soap).find("{*}Body")
    schema.assertValid(element)
    reply = management_read.build_reply(soap, 17)
    assert management_read.parse_reply(reply) == 17
    (element,) = etree.fromstring(reply).find("{*}Body")
    assert etree.QName(element).localname == f"{kind}Response"
    element.tag = element.tag.removesuffix("Response")
    schema.assertValid(element)
