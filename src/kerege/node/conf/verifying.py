"""The trust that signatures are verified under by commands that start nothing: of what a node keeps, or of an unpacked configuration.

An auditor has the second: `GET /verificationconf` of any node's client port, unpacked. It counts also after it expired, as what a node
keeps does: a signature is held to the time at which it was made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kerege.exchange import confdir, conflayout
from kerege.exchange.trust import Trust
from kerege.ground.clock import now as utc_clock
from kerege.node.conf.keeper import Keeper
from kerege.node.conf.picture import Fetched, picture_of
from kerege.node.config_types import NodeConfig
from kerege.node.errors import NoConfigurationKept

_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


def kept_trust(config: NodeConfig) -> Trust:
    """The trust under the configuration a node keeps on disk. Raises NoConfigurationKept, and what does not hold."""
    picture = Keeper.of(config, utc_clock).kept()
    if picture is None:
        raise NoConfigurationKept(state=config.state)
    return picture.trust


def folder_trust(folder: Path) -> Trust:
    """The trust under the configuration laid out in `folder`, its partners in it. Raises ConfigurationMalformed."""
    found = conflayout.read(folder)

    def fetched(one: conflayout.LaidOutInstance) -> Fetched:
        return Fetched(confdir.Directory(one.expires or _BEFORE_ALL, one.version, ()), b"", one.files)

    partners = {name: fetched(one) for name, one in found.partners.items() if one.expires is not None}
    closed = {name: problem.text.rstrip(".") for name, problem in found.problems.items()}
    return picture_of(fetched(found.own), None, str(folder)).federated(partners, closed, _BEFORE_ALL, None).trust
