"""Log records of messages as the node sends and receives them: what is kept of a body is the log's policy, not the sender's."""

from __future__ import annotations

from datetime import datetime

from kerege.exchange.bodies import body_size
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import SubsystemId
from kerege.exchange.logrecord import LogRecord
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
        body = None
        if message.attachments and asked.protocol == REST:
            content = message.attachments[0].body
            keep = self._keep
            if self._of and asked.service.subsystem is not None:
                keep = self._of.get(asked.service.provider, keep)
            if keep and isinstance(content, bytes) and len(content) <= self._largest:
                body = content
            elif keep and not isinstance(content, bytes) and body_size(content) <= self._largest:
                body = content.read()
        return LogRecord(
            now,
            direction,
            side,
            asked.message_id,
            asked.request_id,
            asked.client,
            asked.service,
            message.content,
            body,
            signature,
            chain,
            asked.protocol,
            message.digests[1],
        )
