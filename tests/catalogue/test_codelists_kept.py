"""When a version of a code list is looked at, and when it is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from kerege.catalogue.codes import versions
from kerege.catalogue.models import CodeListVersion
from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.codelists.integrity import check_list


@pytest.mark.django_db
def test_a_list_is_looked_at_before_its_transaction_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    depth = []

    def looked(found: CodeList) -> tuple[Any, ...]:
        depth.append(len(connection.savepoint_ids))
        return check_list(found)

    monkeypatch.setattr(versions, "check_list", looked)
    outside = len(connection.savepoint_ids)
    one = CodeList("t:one", (Concept("1", {"ky": "а", "ru": "б", "en": "c"}),), {"en": "One"}, "1")
    versions.import_codelist(one, "unit", datetime(2026, 9, 1, tzinfo=UTC))
    assert depth == [outside]
    assert CodeListVersion.objects.get().codes == 1
