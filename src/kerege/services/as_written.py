"""A register's row as it wrote it, under the names of the compared fields: the raw side of a comparison. Pure.

Rows come from the agencies' own messages (`raw`) or, beside canonical records, as the cells those were made of; both have the agencies'
names. Parts of one cell (a full name, an address line) are told as a careful script tells them: words by position, a father's name with
уулу or кызы kept together; a street and a house by the whole line they stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

Row = Mapping[str, str | None]
Written = dict[str, str | None]

_CHILD_OF: Final = frozenset({"уулу", "кызы", "uulu", "kyzy"})


def split_name(text: str | None) -> tuple[str | None, str | None, str | None]:
    """A one-cell name by position, the official order assumed: surname, given name, the rest."""
    words: list[str] = []
    for word in (text or "").split():
        if words and word.casefold() in _CHILD_OF:
            words[-1] += f" {word}"
        else:
            words.append(word)
    given = words[1] if len(words) > 1 else None
    return (words[0] if words else None), given, (" ".join(words[2:]) or None)


def _form(row: Row) -> Written:
    surname, given, patronymic = split_name(row.get("child_name"))
    line = row.get("address_text")
    return {
        "surname": surname,
        "given_name": given,
        "patronymic": patronymic,
        "birth_date": row.get("child_birth_date"),
        "sex": row.get("child_sex"),
        "pin": row.get("child_pin"),
        "locality": line,
        "street": line,
        "house": line,
        "address": line,
    }


def _civil(row: Row) -> Written:
    return {
        "surname": row.get("Fam"),
        "given_name": row.get("Imya"),
        "patronymic": row.get("Otch"),
        "birth_date": row.get("DataRozhd"),
        "sex": row.get("Pol"),
        "pin": row.get("Pin"),
        "region": row.get("Oblast"),
    }


def _population(row: Row) -> Written:
    line = row.get("text", row.get("address"))  # the message's name, and the cell's in the mapping
    return {
        "surname": row.get("lastName"),
        "given_name": row.get("firstName"),
        "patronymic": row.get("middleName"),
        "birth_date": row.get("dob"),
        "sex": row.get("gender"),
        "pin": row.get("pin"),
        "locality": row.get("soate"),
        "street": line,
        "house": line,
        "address": line,
    }


def _education(row: Row) -> Written:
    line = row.get("address")
    return {
        "surname": row.get("last_name"),
        "given_name": row.get("first_name"),
        "patronymic": row.get("middle_name"),
        "birth_date": row.get("date_of_birth"),
        "sex": row.get("gender_id"),
        "pin": row.get("identity_number"),
        "locality": row.get("area_administrative_code"),
        "street": line,
        "house": line,
        "address": line,
        "status": row.get("student_status"),
        "school_code": row.get("institution_code"),
        "grade": row.get("education_grade"),
    }


def _health(row: Row) -> Written:
    surname, given, patronymic = split_name(row.get("FIO"))
    return {
        "surname": surname,
        "given_name": given,
        "patronymic": patronymic,
        "birth_date": row.get("DATA_R"),
        "sex": row.get("POL"),
        "pin": row.get("PIN"),
        "region": row.get("OBLAST"),
        "status": row.get("STATUS"),
        "certificate_no": row.get("N_SPR"),
        "issued": row.get("DATA_VYD"),
    }


_READERS: Final[dict[str, Callable[[Row], Written]]] = {
    "application": _form,
    "civil": _civil,
    "population": _population,
    "emis": _education,
    "health": _health,
}

# Fields that share a cell with others: register -> field -> the canonical field that says whether the cell has this part at all.
_NAME: Final = {"surname": "surname", "given_name": "given_name", "patronymic": "patronymic"}
_ADDRESS: Final = {"street": "street_key", "house": "house"}
_PARTS: Final[dict[str, dict[str, str]]] = {
    "application": _NAME | _ADDRESS | {"locality": "soate"},
    "population": _ADDRESS,
    "emis": _ADDRESS,
    "health": _NAME,
}


def _in_place(field: str, text: str | None) -> bool:
    """Whether a father's name stands where the surname does: a mapping may read "Бакыт уулу" as either."""
    return field == "surname" and bool(text) and str(text).split()[-1].casefold() in _CHILD_OF


def as_written(register: str, row: Row) -> Written:
    """The compared fields, and those a decision shows, as the register wrote them."""
    return _READERS[register](row)


def beside(register: str, row: Row | None, canonical: Row) -> Written | None:
    """The same beside the canonical record made of the row: a part the shared cell does not have is not there. None without a row."""
    if row is None:
        return None
    parts = _PARTS.get(register, {})
    return {
        field: text if field not in parts or canonical.get(parts[field]) or _in_place(field, text) else None
        for field, text in as_written(register, row).items()
    }
