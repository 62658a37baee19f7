"""Every address of the hub in one table: path, view, name, and for whom it is. Nothing is served that is not listed here."""

from __future__ import annotations

from typing import Final

from kerege.web.access import Audience, View
from kerege.web.api import catalogue as catalogue_api
from kerege.web.api import machine, management, reconciliation
from kerege.web.desks import applications, desk_routes, discrepancies, gate, measures, network
from kerege.web.desks.catalogue import addresses as catalogue
from kerege.web.portal import child, home, signin, verify

EVERYONE, OFFICER, PARENT = Audience.EVERYONE, Audience.OFFICER, Audience.PARENT

# Pages in three languages: everything below /<language>/.
PAGES: Final[tuple[tuple[str, View, str, Audience], ...]] = (
    ("", home.home, "home", EVERYONE),
    *((path, view, name, EVERYONE) for path, view, name in catalogue.PAGES),
    ("discrepancies/", discrepancies.overview, "discrepancies", EVERYONE),
    ("network/", network.overview, "network", EVERYONE),
    ("gate/", gate.gate, "gate", EVERYONE),
    ("measures/", measures.measures, "measures", EVERYONE),
    ("verify/", verify.verify, "verify", EVERYONE),
    ("applications/", applications.listing, "applications", OFFICER),
    ("applications/<str:case_id>/", applications.story, "applications-story", OFFICER),
    *desk_routes.PAGES,
    ("my-child/", child.overview, "child", PARENT),
    ("my-child/<str:case_id>/document/", child.download, "child-document", PARENT),
    ("sign-in/", signin.sign_in, "sign-in", EVERYONE),
    ("sign-out/", signin.sign_out, "sign-out", EVERYONE),
)

# For machines and browsers: no language in the address.
BARE: Final[tuple[tuple[str, View, str, Audience], ...]] = (
    ("", home.choose_language, "start", EVERYONE),
    ("health", machine.health, "health", EVERYONE),
    ("api/summary", machine.summary, "summary", EVERYONE),
    ("internalconf", management.internal, "internalconf", EVERYONE),
    ("externalconf", management.external, "externalconf", EVERYONE),
    ("managementservice/", management.registration, "management-registration", EVERYONE),
    ("managementservice/manage/", management.manage, "management", EVERYONE),
    ("internalconf/<path:name>", machine.configuration, "internalconf-file", EVERYONE),
    # X-Road's configuration clients look for the files at the host's root, as the directory names them.
    ("V<int:version>/<path:name>", machine.configuration_part, "configuration-part", EVERYONE),
    ("trust.json", machine.trust, "trust", EVERYONE),
    ("status/<str:name>", machine.status_list, "status-list", EVERYONE),
    ("ledger/checkpoint", machine.ledger_checkpoint, "ledger-checkpoint", EVERYONE),
    ("ledger/key", machine.ledger_key, "ledger-key", EVERYONE),
    ("static/<path:name>", machine.static, "static", EVERYONE),
    *((path, view, name, EVERYONE) for path, view, name in (*catalogue_api.ROUTES, *reconciliation.ROUTES)),
)
