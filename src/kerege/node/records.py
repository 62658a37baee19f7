"""Log records of messages as the node sends and receives them: what is kept of a body is the log's policy, not the sender's."""

from __future__ import annotations

from datetime import datetime

from kerege.exchange.bodies import body_bytes, body_size
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import SubsystemId
from kerege.exchange.linkmessages import Group, LinkMessage
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.xades import Signed
from kerege.node.config_types import LogSettings
from kerege.node.message import REST, Asked, Message

REQUEST = "request"
RESPONSE = "response"
CLIENT = "client"
PROVIDER = "provider"


class Recorder:
    """Makes records by one node's log settings."""

    def __init__(self, settings: LogSettings) -> None:
        self._largest = settings.largest_kept
        self._keep = settings.bodies == "keep"
        self._of: dict[SubsystemId, bool] = {key: value == "keep" for key, value in settings.bodies_of.items()}

    def record(
        self,
        direction: str,
        side: str,
        asked: Asked,
        message: Message,
        signature: bytes,
        chain: HashChain | None,
        now: datetime,
    ) -> LogRecord:
        """The record of one signed message. SOAP attachments and bodies that the policy does not keep are there by digest."""
        return LogRecord(
            now,
            direction,
            side,
            asked.message_id,
            asked.request_id,
            asked.client,
            asked.service,
            message.content,
            self._kept(asked, message) if message.attachments else None,
            signature,
            chain,
            asked.protocol,
            message.digests[1],
        )

    def sealed(
        self, direction: str, side: str, asked: Asked, message: Message, signed: Signed, now: datetime
    ) -> LogRecord:
        """Of a message this node signed."""
        return self.record(direction, side, asked, message, signed.xml, signed.chain, now)

    def received(
        self, direction: str, side: str, asked: Asked, message: Message, group: Group, came: LinkMessage, now: datetime
    ) -> LogRecord:
        """Of a message that came by the Kerege link, in a group under one signature."""
        return self.record(direction, side, asked, message, group.signature, group.hash_chain(came), now)

    def _kept(self, asked: Asked, message: Message) -> bytes | None:
        if asked.protocol != REST:
            return None
        keep = self._keep
        if self._of and asked.service.subsystem is not None:
            keep = self._of.get(asked.service.provider, keep)
        body = message.attachments[0].body
        if not keep or body_size(body) > self._largest:
            return None
        return body_bytes(body)
