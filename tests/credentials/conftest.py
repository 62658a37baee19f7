"""One small world for the tests: an education issuer and a health issuer, a trust list, a published status list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kerege.credentials import (
    Issuer,
    PaperCredential,
    StatusList,
    StatusRef,
    StatusSource,
    TrustList,
    create_issuer,
    status_from_texts,
)
from kerege.ground.text import Text

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
DAY = timedelta(days=1)
ADMISSION = "urn:kg:credential:grade1-admission:1"
VACCINATION = "urn:kg:credential:vaccination:1"
EDU = "https://edu.example.kg"
HEALTH = "https://health.example.kg"
CLAIMS: dict[str, Any] = {"child": "Өмүрбек уулу Ыңтымак", "school": "Школа-гимназия № 61", "grade": 1, "year": "2027"}


@dataclass
class World:
    edu: Issuer
    health: Issuer
    trust: TrustList
    list: StatusList
    at_publication: datetime

    def source(self, at: datetime = NOW, ttl: timedelta = DAY) -> StatusSource:
        return status_from_texts([self.list.to_jwt(self.edu, at, ttl)])

    def wallet(self, ref: StatusRef | None = None, **more: Any) -> str:
        used = ref or self.list.allocate()
        arguments: dict[str, Any] = {"disclosable": ["child", "school"], "expires": NOW + 90 * DAY, "now": NOW} | more
        return self.edu.issue_sd_jwt_vc(ADMISSION, CLAIMS, status_index=used, **arguments)

    def paper(self, ref: StatusRef | None = None, **more: Any) -> PaperCredential:
        used = ref or self.list.allocate()
        arguments: dict[str, Any] = {"claims": CLAIMS, "expires": NOW + 90 * DAY, "now": NOW} | more
        return self.edu.issue_paper(ADMISSION, status_index=used, **arguments)


@pytest.fixture(scope="session")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Issuer, Issuer]:
    edu: Path = tmp_path_factory.mktemp("edu")
    health: Path = tmp_path_factory.mktemp("health")
    return create_issuer(edu, EDU, "Ministry of Education", NOW - DAY), create_issuer(
        health, HEALTH, "Ministry of Health", NOW - DAY
    )


@pytest.fixture
def world(issuers: tuple[Issuer, Issuer]) -> World:
    edu, health = issuers
    trust = TrustList(
        (
            edu.as_trusted(
                Text(ky="Билим берүү министрлиги", ru="Министерство просвещения", en="Ministry of Education"),
                [ADMISSION],
            ),
            health.as_trusted(
                Text(ky="Саламаттык сактоо министрлиги", ru="Министерство здравоохранения", en="Ministry of Health"),
                [VACCINATION],
            ),
        )
    )
    status = StatusList.new(1024, "https://edu.example.kg/status/1")
    status.to_jwt(edu, NOW, DAY)
    return World(edu, health, trust, status, NOW)


Maker = Callable[[], str]
