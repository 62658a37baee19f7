"""The last line of `kerege node check`: how much was found."""

from pathlib import Path

import pytest

from kerege.node.check.checking import Report, table


@pytest.mark.parametrize(
    ("errors", "warnings", "line"),
    [
        (0, 0, "node.yaml: no errors, no warnings"),
        (1, 1, "node.yaml: 1 error, 1 warning"),
        (2, 2, "node.yaml: 2 errors, 2 warnings"),
    ],
)
def test_one_of_a_kind_is_told_as_one(errors: int, warnings: int, line: str) -> None:
    report = Report(Path("node.yaml"))
    for number in range(errors):
        report.error("check.client_unknown", "clients", f"error {number}", "mend it")
    for number in range(warnings):
        report.warning("check.client_unserved", "clients", f"warning {number}", "mend it")
    assert table(report).splitlines()[-1] == line
