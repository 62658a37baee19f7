"""What can be wrong with a SOAP message of a client or of an agency's system, with its parts and with how it was sent."""

from __future__ import annotations

from kerege.exchange.errors import ExchangeError


class SoapInvalid(ExchangeError):
    code = "exchange.soap_invalid"
    message = "The SOAP message cannot be used: {reason}."
    hint = "Send a SOAP 1.1 envelope, document/literal wrapped, in UTF-8, without DOCTYPE."


class SoapMissing(ExchangeError):
    code = "exchange.soap_missing"
    message = "The multipart message holds no SOAP part."
    hint = "Send the SOAP envelope as the first part of multipart/related, with the boundary the Content-Type names."


class SoapIdentifierInvalid(ExchangeError):
    code = "exchange.soap_identifier_invalid"
    message = "The identifier in the SOAP header field {field} cannot be used: {reason}."
    hint = "Give objectType and the parts that belong to it, each once (PR-MESS, section 2)."


class SoapHeaderAbsent(ExchangeError):
    code = "exchange.soap_header_absent"
    message = "The SOAP message has no header."
    hint = "Add a SOAP header with client, service, id and protocolVersion."


class SoapFieldMissing(ExchangeError):
    code = "exchange.soap_field_missing"
    message = "The SOAP header field {field} is required: {reason}."
    hint = "Add {field} to the SOAP header, in the namespace http://x-road.eu/xsd/xroad.xsd."


class SoapFieldDuplicate(ExchangeError):
    code = "exchange.soap_field_duplicate"
    message = "The SOAP header field {field} occurs more than once."
    hint = "Send {field} once."


class SoapFieldInvalid(ExchangeError):
    code = "exchange.soap_field_invalid"
    message = "The SOAP header field {field} cannot be used: {reason}."
    hint = "Correct or remove {field}."


class SoapVersionUnknown(ExchangeError):
    code = "exchange.soap_version_unknown"
    message = "The SOAP message's protocolVersion is none of 4.x."
    hint = "Send protocolVersion 4.0; other versions of the message protocol are not spoken."


class SoapBodyMissing(ExchangeError):
    code = "exchange.soap_body_missing"
    message = "The SOAP message has no body."
    hint = "Add a SOAP body with one element, named as the service code."


class SoapBodyInvalid(ExchangeError):
    code = "exchange.soap_body_invalid"
    message = "The SOAP body holds {count} elements."
    hint = "Send exactly one element in the SOAP body, named as the service code."


class SoapHeadersInconsistent(ExchangeError):
    code = "exchange.soap_headers_inconsistent"
    message = "The element in the SOAP body is not named as the service code {service_code}."
    hint = "Name the element {service_code}, in an answer {service_code}Response; or correct the header's serviceCode."


class SoapActionInvalid(ExchangeError):
    code = "exchange.soap_action_invalid"
    message = "The HTTP header SOAPAction cannot be used: {reason}."
    hint = 'Leave SOAPAction out or empty, or send one URI in double quotes: "urn:example".'


class ContentTypeInvalid(ExchangeError):
    code = "exchange.content_type_invalid"
    message = "The content type of {what} cannot be used: {reason}."
    hint = "Send text/xml, or multipart/related with the SOAP envelope as its first part."


class MimeMalformed(ExchangeError):
    code = "exchange.mime_malformed"
    message = "The multipart message is malformed at {where}: {reason}."
    hint = "Compare the boundary in Content-Type with the one in the body; send every part whole, with its headers."


class HttpMethodInvalid(ExchangeError):
    code = "exchange.http_method_invalid"
    message = "Nothing is answered here to the HTTP method {method}."
    hint = "Send SOAP messages with POST; REST calls begin with /r1/; GET /listClients lists clients."


class ServiceAnswerInvalid(ExchangeError):
    """The agency's system answered with something that is no answer; `cause` is the fault suffix of what is wrong with it."""

    code = "exchange.service_answer_invalid"
    message = "The answer of the agency's system behind {service} cannot be passed on. {problem}"
    hint = "The request reached the agency's system. The provider compares its answer with the service description."
