"""Log records of messages as the node sends and receives them: what is kept of a body is the log's policy, not the sender's."""

from __future__ import annotations

from datetime import datetime

from kerege.exchange import soap
from kerege.exchange.bodies import body_bytes, body_size
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.linkmessages import Group, LinkMessage
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.xades import Signed
from kerege.node.config_types import LogSettings
from kerege.node.message import REST, Asked, Message

REQUEST = "request"
RESPONSE = "response"
CLIENT = "client"
PROVIDER = "provider"


class Policy:
    """Which bodies the log holds; of the others it holds the digest."""

    def __init__(self, settings: LogSettings) -> None:
        self._largest = settings.largest_kept
        self._keep = settings.bodies == "keep"
        self._of: dict[ClientId, bool] = {key.client: value == "keep" for key, value in settings.bodies_of.items()}

    def keeps(self, asked: Asked, size: int) -> bool:
        """Whether a body of `size` bytes of this exchange is kept.

        A subsystem whose bodies are by hash only is heeded on either side of the exchange: what the owner of the data does not want
        in a log must not stand there because the other side's entry says so.
        """
        return size <= self.largest(asked.service, asked.client)

    def largest(self, service: DataServiceId, client: ClientId) -> int:
        """Bodies of up to so many bytes are kept of calls of `client` to `service`; -1: of none."""
        keep = self._keep
        if self._of:
            named = [self._of[party] for party in (service.provider_client, client) if party in self._of]
            keep = all(named) if named else keep
        return self._largest if keep else -1


class Recorder:
    """Makes records by one node's log settings."""

    def __init__(self, settings: LogSettings) -> None:
        self.policy = Policy(settings)

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
        """The record of one signed message. SOAP attachments and bodies that the policy does not keep are there by digest; of a SOAP
        envelope X-Road's own header fields stay then."""
        content, (whole, attachments) = message.content, message.digests
        header_only = asked.protocol != REST and self.policy.largest(asked.service, asked.client) < 0
        return LogRecord(
            now,
            direction,
            side,
            asked.message_id,
            asked.request_id,
            asked.client,
            asked.service,
            soap.header_only(content) if header_only else content,
            self._kept(asked, message) if message.attachments else None,
            signature,
            chain,
            asked.protocol,
            attachments,
            whole if header_only else None,
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
        body = message.attachments[0].body
        return body_bytes(body) if self.policy.keeps(asked, body_size(body)) else None
