"""One word for one thing: the texts that people read use the words of docs/reference/words.md, in three languages, none left empty."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "kerege"
TABLE = ROOT / "docs" / "reference" / "words.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
LANGUAGES = ("ky", "ru", "en")
CYRILLIC = re.compile("[\u0400-\u04ff]")
MAKERS = {
    "Text": 0,
    "_text": 0,
    "_column": 1,
}  # functions that take the three languages in this order, and where the first stands
PLACE = re.compile(r"\{[^{}]*\}")  # what a program fills in
LABEL = re.compile(r'"((?:[^"\\]|\\.)*)"@(ky|ru|en)\b')

# Where a twin may stand, and why: (end of the file's path, part of the text).
MAY_STAND = (
    ("roles.yaml", "Классификаторлорду жана код тизмелерин"),  # classifications are the statistics office's own word
    ("roles.yaml", "классификаторы и справочники"),
    (
        "gates/grade1-admission.yaml",
        "мыйзамдуу негизи",
    ),  # a criterion's words are signed: they change with its next version
    (
        "mappings/health.vaccination.yaml",
        "Эмдөө тастыктамасы",
    ),  # documents with a version: their words change with the next
    ("mappings/health.vaccination.yaml", "Прививочная справка"),
    ("kg-vaccination-status.ttl", "Эмдөө тастыктамасынын абалы"),
    ("kg-vaccination-status.ttl", "Статус прививочной справки"),
    ("contracts/health.vaccination.odcs.yaml", "Эмдөө тастыктамасы"),
    ("contracts/health.vaccination.odcs.yaml", "Прививочная справка"),
    ("credentials/reasons.py", "Доказательство предъявителя неверно."),  # a cryptographic proof, no evidence
)
# Lines of several English words that are rightly the same in another language.
SAME = {"n = {n}"}


class Words(NamedTuple):
    """One text in three languages, as it stands in a file."""

    file: str
    line: int
    said: dict


def _yaml_texts(file):
    stack = [yaml.compose(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))]
    while stack:
        node = stack.pop()
        if isinstance(node, yaml.SequenceNode):
            stack += node.value
        elif isinstance(node, yaml.MappingNode):
            said = {k.value: v.value for k, v in node.value if k.value in LANGUAGES and isinstance(v, yaml.ScalarNode)}
            if said:
                yield Words(str(file.relative_to(ROOT)), node.start_mark.line + 1, said)
            stack += [v for _, v in node.value]


def _written(node):
    """The text of a literal, joined strings and f-strings too; None where it is made otherwise."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def _python_texts(file, source):
    for node in ast.walk(ast.parse(source)):
        said = {}
        if isinstance(node, ast.Dict):
            keys = [k.value if isinstance(k, ast.Constant) else None for k in node.keys]
            said = {k: _written(v) for k, v in zip(keys, node.values, strict=True) if k in LANGUAGES}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
            first = MAKERS[node.func.id]
            said = dict(zip(LANGUAGES, map(_written, node.args[first : first + 3]), strict=False))
            said |= {k.arg: _written(k.value) for k in node.keywords if k.arg in LANGUAGES}
        if set(said) == set(LANGUAGES) and all(v is not None for v in said.values()):
            yield Words(str(file.relative_to(ROOT)), node.lineno, said)


@cache
def texts():
    """Every text of the project that is written in three languages; labels of code lists stand for themselves, a language each."""
    out = []
    for file in sorted(SOURCE.rglob("*.yaml")):
        out += _yaml_texts(file)
    for file in sorted(SOURCE.rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if CYRILLIC.search(source):
            out += _python_texts(file, source)
    return tuple(out)


@cache
def labels():
    """Labels of the code lists, with their places."""
    return tuple(
        Words(str(file.relative_to(ROOT)), number, {language: label})
        for file in sorted(SOURCE.rglob("*.ttl"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for label, language in LABEL.findall(line)
    )


def rows():
    """The table's rows: English, Russian, Kyrgyz, and the twins by language."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in line.replace("\\*", "*").strip("|").split("|")]
        if len(cells) == 4 and cells[0] not in ("English", "---"):
            twins = dict(part.strip().split(": ", 1) for part in cells[3].split(";") if part.strip())
            yield cells[0], cells[1], cells[2], {k: [t.strip() for t in v.split(",")] for k, v in twins.items()}


def pattern(twin):
    r"""A twin as a pattern: whole words, a star for any ending.

    >>> bool(pattern("находк*").search("Открытых Находок и находки")), bool(pattern("табылга").search("табылган жок"))
    (True, False)
    """
    return re.compile(r"\b" + re.escape(twin).replace(r"\*", r"\w*").replace(r"\ ", r"\s+") + r"\b", re.IGNORECASE)


@cache
def forbidden():
    """Language -> one pattern of all its twins, each with the word that stands instead."""
    instead = {language: {} for language in LANGUAGES}
    for english, russian, kyrgyz, twins in rows():
        for language, listed in twins.items():
            for twin in listed:
                instead[language][twin] = {"en": english, "ru": russian, "ky": kyrgyz}[language]
    return {
        language: (re.compile("|".join(pattern(t).pattern for t in known), re.IGNORECASE), known)
        for language, known in instead.items()
    }


def twins_in(words):
    """What of the forbidden words stands in a text, each with the word to use."""
    for language, text in words.said.items():
        every, known = forbidden()[language]
        for hit in every.finditer(PLACE.sub("{}", text)):
            if not any(words.file.endswith(end) and part in text for end, part in MAY_STAND):
                use = next(word for twin, word in known.items() if pattern(twin).fullmatch(hit.group()))
                yield f"{words.file}:{words.line}: {language} “{hit.group()}” in “{text}”: say “{use}”"


def test_one_thing_has_one_word_wherever_people_read():
    assert len(texts()) > 1500
    assert [fault for words in (*texts(), *labels()) for fault in twins_in(words)] == []


@pytest.mark.parametrize(
    ("language", "text", "word"),
    [
        ("ru", "Подпишите договор о данных", "контракт данных"),
        ("ru", "3 открытых находки", "замечание"),
        ("ru", "У СТОЛБЦА нет владельца", "поле"),
        ("ky", "Ачык табылгалардын саны", "кемчилик"),
        ("ky", "Мекеменин коду", "уюм"),
        ("ky", "эч нерсе табылган жок", ""),
        ("ru", "договорились в пути", ""),
        ("en", "columns without an owner", "field"),
    ],
)
def test_a_forbidden_word_is_seen_in_any_case_and_ending_and_no_other(language, text, word):
    found = list(twins_in(Words("a.yaml", 7, {language: text})))
    assert bool(found) == bool(word)
    assert all(one.startswith("a.yaml:7: ") and f"say “{word}" in one for one in found)


def test_no_word_of_the_table_is_forbidden_by_another_row():
    for english, russian, kyrgyz, _ in rows():
        said = {"en": english.split(" (")[0], "ru": russian, "ky": kyrgyz}
        assert list(twins_in(Words("words.md", 0, said))) == []


def test_the_glossary_says_the_same_words():
    rows_of = [line.strip().strip("|").split("|") for line in GLOSSARY.read_text(encoding="utf-8").splitlines()]
    told = [
        (n, cells) for n, cells in enumerate(rows_of, 1) if len(cells) == 5 and cells[0].strip() not in ("word", "---")
    ]
    assert len(told) > 20
    assert [f for n, c in told for f in twins_in(Words("docs/glossary.md", n, {"ky": c[3], "ru": c[4]}))] == []


def test_each_thing_stands_in_the_table_once():
    every = [english.split(" (")[0] for english, *_ in rows()]
    assert len(every) > 40
    assert sorted(every) == sorted(set(every))


def test_every_text_speaks_all_three_languages():
    faults = [
        f"{w.file}:{w.line}: {w.said}" for w in texts() if any(not w.said.get(lang, "").strip() for lang in LANGUAGES)
    ]
    assert faults == []


def test_kyrgyz_and_russian_are_no_copies_of_the_english():
    faults = [
        f"{w.file}:{w.line}: {w.said}"
        for w in texts()
        if len(w.said["en"].split()) > 1 and w.said["en"] not in SAME and w.said["en"] in (w.said["ky"], w.said["ru"])
    ]
    assert faults == []


def test_a_dash_is_written_in_one_way():
    told = (
        w for w in (*texts(), *labels()) if "country/kg/gates/" not in w.file
    )  # a criterion's words are signed, dashes and all
    wrong = [f"{w.file}:{w.line}: {text}" for w in told for text in w.said.values() if re.search(r"—| -- | - ", text)]
    assert wrong == []


def test_every_exception_is_still_needed():
    for end, part in MAY_STAND:
        held = [
            w for w in (*texts(), *labels()) if w.file.endswith(end) and any(part in text for text in w.said.values())
        ]
        assert held, (end, part)


def test_pages_and_scripts_hold_no_words_of_their_own():
    room = SOURCE / "web"
    wordy = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in (*room.rglob("*.html"), *room.rglob("*.js"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if CYRILLIC.search(line)
    ]
    assert wordy == []
