import pytest

from kerege.catalogue.errors.publishing import ReconciliationSlow
from kerege.ground.errors import KeregeError


def test_an_error_says_what_came_what_to_do_and_its_code():
    class Lost(KeregeError):
        code = "ground.test_lost"
        message = "{file}, row {row}: expected a date."
        hint = "Open {file} and correct row {row}."

    error = Lost(file="a.csv", row=3)
    assert str(error) == "a.csv, row 3: expected a date. Open a.csv and correct row 3. [ground.test_lost]"
    assert error.as_dict()["hint"] == "Open a.csv and correct row 3."
    assert KeregeError.catalogue()["ground.test_lost"] is Lost


def test_a_code_belongs_to_one_error_only():
    def first():
        class One(KeregeError):
            code = "ground.test_taken"
            message = "m"
            hint = "h"

    def second():
        class Two(KeregeError):
            code = "ground.test_taken"
            message = "m"
            hint = "h"

    first()
    with pytest.raises(TypeError, match="already belongs"):
        second()


def test_an_error_without_a_hint_cannot_be_written():
    with pytest.raises(TypeError, match="hint"):

        class Silent(KeregeError):
            code = "ground.test_silent"
            message = "m"


def test_an_error_counts_in_the_singular_what_is_one():
    told = [ReconciliationSlow(seconds=8, done=n, asked=n).text for n in (1, 2)]
    assert told[0].endswith("1 of 1 query was answered.")
    assert told[1].endswith("2 of 2 queries were answered.")
