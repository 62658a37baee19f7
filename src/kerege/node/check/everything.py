"""One look at everything: the file, what it names here, and, when asked, everybody the node will ask."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from kerege.ground.clock import iso
from kerege.ground.clock import now as utc_now
from kerege.ground.errors import KeregeError
from kerege.node.check import online as checking_online
from kerege.node.check import parts as checking_parts
from kerege.node.check.checking import Report, read_all, set_aside
from kerege.node.conf.keeper import Keeper
from kerege.node.conf.kept import advice
from kerege.node.conf.picture import Picture
from kerege.node.config_types import NodeConfig


def check(file: Path, now: datetime, *, online: bool = False) -> Report:
    """Everything that is wrong with the configuration in `file`. Raises nothing: whatever is wrong is in the report."""
    report = Report(file)
    config = read_all(report)
    if config is None:
        return report
    picture = checking_online.fetched(report, config) if online else None
    if picture is None:
        picture = _kept(report, config, now)
    checking_parts.look(report, config, picture, now)
    if online:
        checking_online.look(report, config, picture)
    return report


def _kept(report: Report, config: NodeConfig, now: datetime) -> Picture | None:
    """The configuration the node keeps (in its state, or laid out in a folder); told when there is none that can be used."""
    if set_aside(config.anchor):
        return None
    key = "configuration.anchor" if config.anchor is not None else "configuration.folder"
    try:
        keeper = Keeper.of(config, utc_now)
        picture = keeper.kept()
    except KeregeError as problem:
        report.refused("check.configuration_missing", key, problem)
        return None
    except OSError as trouble:
        kept = config.state / "configuration"
        do = "Put it there." if config.anchor is None else f"Let the node's user read {kept}."
        report.error("check.configuration_missing", key, advice(kept, trouble), do)
        return None
    if picture is None:
        report.warning(
            "check.configuration_missing",
            "configuration",
            "none is kept yet, so nothing was held against it",
            "Start the node once, or check with --online.",
        )
        return None
    if now >= picture.directory.expires:
        report.error(
            "check.configuration_ended",
            "configuration",
            f"what is kept of {picture.shared.instance} ended {iso(picture.directory.expires)}; traffic stops until a newer one comes",
            "See that its source answers (kerege node check --online), and that this machine's clock is right.",
        )
    else:
        report.ok("configuration", f"{picture.shared.instance}, until {iso(picture.directory.expires)}")
    return picture
