"""The services the node itself offers through the exchange: what is offered and allowed, descriptions, monitoring.

Called by `provider` in place of an agency, for a message that was decoded, whose signature holds and which is logged: any client known to the
configuration may ask, no right is needed (X-Road PR-META, PR-MREST, PR-OPMON, PR-ENVMON). Who may see which monitoring data is
decided here. The answers are `exchange.metaservices`', `opmon_query`'s, `opmon_health`'s and `metrics_xml`'s; they leave unsigned.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from lxml import etree

from kerege.exchange import metaservices, metrics_xml, multipart, opmon_query, soap
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import AccessDenied, MetaserviceInvalid, ServiceUnknown
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.metaservices import Offered
from kerege.exchange.opmon import Exchange
from kerege.exchange.parts import new_boundary
from kerege.exchange.rest import RestRequest
from kerege.exchange.safexml import parse_xml
from kerege.node.config_types import Service
from kerege.node.core import Core, milliseconds
from kerege.node.local.descriptions import Description, Descriptions
from kerege.node.message import REST, Asked, Extras, Message
from kerege.node.rest_provider import reply
from kerege.node.telling.environment import Environment
from kerege.node.telling.opmonitor import Store

_JSON: Final = (b"content-type", b"application/json")
_BODY: Final = f"{{{soap.ENVELOPE}}}Body"
_PLACE: Final = "kerege-body-goes-here"

Answer = tuple[etree._Element, tuple[Attachment, ...]]


class Metaservices:
    """`serves` and `call`, as `provider.Metaservices` wants them."""

    def __init__(self, core: Core, store: Store, environment: Environment, descriptions: Descriptions) -> None:
        self._core, self._store, self._environment = core, store, environment
        self._descriptions = descriptions

    def serves(self, asked: Asked) -> bool:
        """Whether the service code is one of the node's own in this protocol."""
        return metaservices.is_metaservice(asked.service, asked.protocol)

    async def call(self, asked: Asked, message: Message, extras: Extras, exchange: Exchange) -> Message:
        """The unsigned answer. Raises MetaserviceInvalid, DescriptionUnavailable, ServiceUnknown, AccessDenied."""
        code = asked.service.service
        if code in metaservices.MONITORING_CODES and asked.service.subsystem is not None:
            raise ServiceUnknown(
                service=asked.service, reason="it is a service of the server's owner, not of a subsystem"
            )
        if asked.protocol == REST:
            return await self._rest(asked, message, exchange)
        root = parse_xml(message.content, soap.LARGEST)
        body = root.find(_BODY)
        question = None if body is None else next(body.iterchildren(tag=etree.Element), None)
        if body is None or question is None:
            raise MetaserviceInvalid(service=code, reason="its SOAP body is empty")
        element, attachments = await self._soap(asked, question)
        content = soap.with_request_hash(_enveloped(root, body, element), message.digests[0])
        content_type = "text/xml; charset=UTF-8"
        if attachments:  # collectors look for a boundary that begins like this one
            content_type = f'multipart/related; type="text/xml"; charset=UTF-8; boundary={new_boundary("xroad")}'
        answer = Message(multipart.SOAP, content, attachments, content_type=content_type)
        exchange.response_size, exchange.response_attachments = len(content), len(attachments)
        exchange.response_mime_size = answer.size if attachments else None
        return answer

    # --- REST ---

    async def _rest(self, asked: Asked, message: Message, exchange: Exchange) -> Message:
        request, code = asked.detail, asked.service.service
        assert isinstance(request, RestRequest)
        if request.verb != "GET":
            raise MetaserviceInvalid(service=code, reason="it is called with GET")
        if code == metaservices.GET_OPENAPI:
            description = await self._openapi(asked, request)
            media_type = description.media_type.encode("latin-1", "replace")
            return reply(asked, message, 200, "OK", ((b"content-type", media_type),), description.data, exchange)
        offered = await self._offered(asked, ("rest", "openapi"))
        if code == metaservices.ALLOWED_METHODS:
            offered = self._allowed(asked, offered)
        return reply(asked, message, 200, "OK", (_JSON,), metaservices.methods_json(offered), exchange)

    async def _openapi(self, asked: Asked, request: RestRequest) -> Description:
        given = parse_qsl(request.query or "", keep_blank_values=True, max_num_fields=20)
        codes = [value for name, value in given if name == "serviceCode"]
        if len(codes) != 1 or not codes[0]:
            raise MetaserviceInvalid(service=metaservices.GET_OPENAPI, reason="serviceCode is missing, or given twice")
        service = self._described(asked, codes[0], None, ("rest", "openapi"))
        if service.kind != "openapi":
            reason = "it is a REST service, which has no description"
            raise MetaserviceInvalid(service=metaservices.GET_OPENAPI, reason=reason)
        return await self._descriptions.anonymous(service)

    # --- SOAP ---

    async def _soap(self, asked: Asked, question: etree._Element) -> Answer:
        code = asked.service.service
        if code == opmon_query.OPERATIONAL:
            return await self._operational(asked, question)
        if code == opmon_query.HEALTH:
            return self._health(asked, question), ()
        if code == metaservices.METRICS:
            return await self._metrics(asked, question), ()
        if code == metaservices.GET_WSDL:
            return await self._wsdl(asked, question)
        offered = await self._offered(asked, ("wsdl",))
        if code == metaservices.ALLOWED_METHODS:
            offered = self._allowed(asked, offered)
        return metaservices.methods_element(code, offered), ()

    async def _wsdl(self, asked: Asked, question: etree._Element) -> Answer:
        code, version = metaservices.read_get_wsdl(question)
        service = self._described(asked, code, version, ("wsdl",))
        description = await self._descriptions.anonymous(service)
        attachment = Attachment(metaservices.wsdl_headers(), description.data)
        return metaservices.wsdl_element(code, version), (attachment,)

    # --- what is offered and allowed ---

    async def _offered(self, asked: Asked, kinds: tuple[str, ...]) -> list[Offered]:
        provider = asked.service.provider_client
        services = [
            service
            for name, service in sorted(self._core.config.services.items())
            if name.provider_client == provider and service.kind in kinds
        ]
        endpoints = await asyncio.gather(*map(self._descriptions.endpoints, services))
        return [Offered(s.id, s.kind, listed) for s, listed in zip(services, endpoints, strict=True)]

    def _allowed(self, asked: Asked, offered: list[Offered]) -> list[Offered]:
        core, now = self._core, self._core.clock()
        picture = core.keeper.current(now)
        rules, groups = core.rights.rules(picture), core.rights.groups_of(asked.client, picture)
        return metaservices.allowed(offered, asked.client, rules, groups, now)

    def _described(self, asked: Asked, code: str, version: str | None, kinds: tuple[str, ...]) -> Service:
        """The provider's service with that code; without a version asked for, the one there is, or the last of several."""
        of = asked.service.provider_client
        wanted = DataServiceId(of.instance, of.member_class, of.member_code, of.subsystem, code, version)
        services = self._core.config.services
        found = services.get(wanted)
        if found is None and version is None:
            versions = [name for name in services if name.unversioned == wanted]
            found = services[max(versions)] if versions else None
        if found is None or found.kind not in kinds:
            raise ServiceUnknown(
                service=wanted, reason=f"the server {self._core.config.server} offers none by that code"
            )
        return found

    # --- monitoring ---

    def _central(self) -> ClientId | None:
        picture = self._core.keeper.picture
        return None if picture is None else picture.optional.monitoring_client

    def _sees_all(self, client: ClientId) -> bool:
        return opmon_query.sight(client, None, self._core.config.server.owner, self._central()).everything

    async def _operational(self, asked: Asked, question: etree._Element) -> Answer:
        query = opmon_query.read_operational(question)
        sight = opmon_query.sight(asked.client, query.client, self._core.config.server.owner, self._central())
        found = await asyncio.to_thread(self._store.find, query, sight)
        packed = await asyncio.to_thread(opmon_query.payload, found.lines, query.fields)
        element = opmon_query.operational_response(len(found.lines), found.next_from)
        return element, (Attachment(opmon_query.attachment_headers(), packed),)

    def _health(self, asked: Asked, question: etree._Element) -> etree._Element:
        provider = opmon_query.read_health(question)
        if not self._sees_all(asked.client):
            if provider not in (None, asked.client):
                raise self._denied(asked, "only its own services' health is shown to it")
            provider = asked.client
        self._core.monitor.flush()
        return self._store.health.response(milliseconds(), provider)

    def _denied(self, asked: Asked, reason: str) -> AccessDenied:
        server = self._core.config.server
        do = f"No right can be granted for it: ask as the owner of {server}, or as the instance's monitoring client."
        return AccessDenied(client=asked.client, service=asked.service, reason=reason, server=server, do=do)

    async def _metrics(self, asked: Asked, question: etree._Element) -> etree._Element:
        if not self._sees_all(asked.client):
            reason = "only the server's owner and the instance's monitoring client may ask"
            raise self._denied(asked, reason)
        names = metrics_xml.read_metrics(question)
        tree = await asyncio.to_thread(self._environment.tree)
        return metrics_xml.response(metrics_xml.picked(tree, names))


def _enveloped(root: etree._Element, body: etree._Element, element: etree._Element) -> bytes:
    """The request's envelope with its header as it is, and `element` in its body.

    `element` is put in as text: joined to the tree it could lose its own prefixes, and collectors look for those in the bytes.
    """
    for child in list(body):
        body.remove(child)
    body.text = _PLACE
    whole: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    before, _, after = whole.rpartition(_PLACE.encode())
    return before + etree.tostring(element, encoding="UTF-8", xml_declaration=False) + after
