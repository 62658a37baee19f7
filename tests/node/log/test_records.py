"""Log records as the node makes them: which bodies are kept is the log's policy."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kerege.exchange import multipart
from kerege.exchange.bodies import Attachment, Spool
from kerege.exchange.ids import ClientId, DataServiceId, SubsystemId
from kerege.node.config_types import LogSettings
from kerege.node.log.records import CLIENT, REQUEST, Recorder
from kerege.node.message import REST, SOAP, Asked, Message

NOW = datetime.now(UTC)
CALLER = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


def made(
    settings: LogSettings, body: bytes | Spool | None, protocol: str = REST
) -> tuple[bytes | None, tuple[bytes, ...]]:
    asked = Asked(protocol, CALLER, SERVICE, None, "m", "r", "POST", "/")
    attachments = () if body is None else (Attachment((), body),)
    kind = multipart.REST_REQUEST if protocol == REST else multipart.SOAP
    record = Recorder(settings).record(REQUEST, CLIENT, asked, Message(kind, b"x", attachments), b"<s/>", None, NOW)
    return record.body, tuple(record.attachment_digests)


def digest(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def test_a_body_is_kept_with_its_digest(tmp_path: Path) -> None:
    assert made(LogSettings(tmp_path), b"body") == (b"body", (digest(b"body"),))
    assert made(LogSettings(tmp_path), b"") == (b"", (digest(b""),))
    assert made(LogSettings(tmp_path), None) == (None, ())


@pytest.mark.parametrize(("size", "kept"), [(100, True), (101, False)])
def test_a_body_beyond_the_largest_is_there_by_digest_only_also_from_a_spool(
    tmp_path: Path, size: int, kept: bool
) -> None:
    data = bytes(size)
    settings = LogSettings(tmp_path, largest_kept=100)
    for body in (data, Spool.of([data], tmp_path)):
        assert made(settings, body) == (data if kept else None, (digest(data),))


def test_the_policy_of_a_subsystem_goes_before_the_general_one(tmp_path: Path) -> None:
    mine = {SubsystemId.parse("KG/GOV/70000002/population"): "hash"}
    assert made(LogSettings(tmp_path, bodies_of=mine), b"body") == (None, (digest(b"body"),))
    mine = {SubsystemId.parse("KG/GOV/70000002/population"): "keep"}
    assert made(LogSettings(tmp_path, bodies="hash", bodies_of=mine), b"body")[0] == b"body"
    assert made(LogSettings(tmp_path, bodies="hash"), b"body") == (None, (digest(b"body"),))


def test_a_body_is_kept_by_the_stricter_of_the_subsystems_named(tmp_path: Path) -> None:
    provider, own = SERVICE.provider, SubsystemId.parse("KG/GOV/70000003/admission")
    for policies in ({own: "hash"}, {provider: "hash", own: "keep"}, {provider: "keep", own: "hash"}):
        assert made(LogSettings(tmp_path, bodies_of=policies), b"body") == (None, (digest(b"body"),))
    assert made(LogSettings(tmp_path, bodies="hash", bodies_of={own: "keep"}), b"body")[0] == b"body"
    assert made(LogSettings(tmp_path, bodies_of={SubsystemId.parse("KG/GOV/1/other"): "hash"}), b"body")[0] == b"body"


def test_soap_attachments_are_there_by_digest(tmp_path: Path) -> None:
    assert made(LogSettings(tmp_path), b"scan", SOAP) == (None, (digest(b"scan"),))


def test_of_a_soap_message_whose_body_is_not_to_be_kept_the_header_and_the_digest_of_the_whole_stay(
    tmp_path: Path,
) -> None:
    whole = (
        b"<e:Envelope xmlns:e='u'><e:Header><id xmlns='http://x-road.eu/xsd/xroad.xsd'>4711</id></e:Header>"
        b"<e:Body><get><pin>1</pin></get></e:Body></e:Envelope>"
    )
    asked = Asked(SOAP, CALLER, SERVICE, None, "m", "r", "POST", "/")
    message = Message(multipart.SOAP, whole, ())

    def kept(settings: LogSettings) -> tuple[bytes, bytes | None]:
        one = Recorder(settings).record(REQUEST, CLIENT, asked, message, b"<s/>", None, NOW)
        return one.message, one.signed_digest

    less = whole.replace(b"<e:Body><get><pin>1</pin></get></e:Body>", b"<e:Body/>"), digest(whole)
    assert kept(LogSettings(tmp_path)) == (whole, None)
    assert kept(LogSettings(tmp_path, largest_kept=10)) == (whole, None)  # that is about bodies beside the envelope
    assert kept(LogSettings(tmp_path, bodies="hash")) == less
    assert kept(LogSettings(tmp_path, bodies_of={SERVICE.provider: "hash"})) == less
