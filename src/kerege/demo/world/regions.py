"""The regions in each agency's own words, by the first five digits of SOATE: civil registry, health, and Kyrgyz for addresses.

These are the agencies' code lists; the country pack's crosswalks `kg:civil-region--soate` and `kg:health-region--soate` map them. The
variants are wordings outside the lists, as a hurried clerk writes them (dirt `region_variant`).
"""

from __future__ import annotations

from typing import Final

CIVIL: Final = {
    "41702": "ИССЫК-КУЛЬСКАЯ ОБЛ.",
    "41703": "ДЖАЛАЛ-АБАДСКАЯ ОБЛ.",
    "41704": "НАРЫНСКАЯ ОБЛ.",
    "41705": "БАТКЕНСКАЯ ОБЛ.",
    "41706": "ОШСКАЯ ОБЛ.",
    "41707": "ТАЛАССКАЯ ОБЛ.",
    "41708": "ЧУЙСКАЯ ОБЛ.",
    "41711": "Г.БИШКЕК",
    "41721": "Г.ОШ",
}
CIVIL_VARIANT: Final = {
    "41702": "И-КУЛЬ",
    "41703": "ДЖ-АБАД",
    "41704": "НАРЫН",
    "41705": "БАТКЕН",
    "41706": "ОШ ОБЛ",
    "41707": "ТАЛАС",
    "41708": "ЧУЙ",
    "41711": "ФРУНЗЕ",
    "41721": "ОШ ГОР.",
}
HEALTH: Final = {
    "41702": "Ысык-Көл облусу",
    "41703": "Жалал-Абад облусу",
    "41704": "Нарын облусу",
    "41705": "Баткен облусу",
    "41706": "Ош облусу",
    "41707": "Талас облусу",
    "41708": "Чуй облусу",
    "41711": "Бишкек ш.",
    "41721": "Ош ш.",
}
HEALTH_VARIANT: Final = {
    "41702": "Ыс-Көл",
    "41703": "Ж-Абад обл",
    "41704": "Нарын обл",
    "41705": "Баткен обл",
    "41706": "Ош обл",
    "41707": "Талас обл",
    "41708": "Чүй өрөөнү",
    "41711": "Биш.",
    "41721": "Ош шаар",
}
KYRGYZ: Final = {
    "41702": "Ысык-Көл облусу",
    "41703": "Жалал-Абад облусу",
    "41704": "Нарын облусу",
    "41705": "Баткен облусу",
    "41706": "Ош облусу",
    "41707": "Талас облусу",
    "41708": "Чүй облусу",
    "41711": "Бишкек шаары",
    "41721": "Ош шаары",
}


def region_of(soate: str) -> str:
    """The region's five digits; Osh's second code lies outside the regions and means the city."""
    return "41721" if soate == "41700000000021" else soate[:5]
