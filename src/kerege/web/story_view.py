"""One case as pages show it: actions, decision, checks and evidence in words. No HTML here, no database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kerege.ground.text import Text
from kerege.services.queries import ActionLine, CaseRow, CaseStory, DecisionLine, EvidenceLine
from kerege.web import labels, values
from kerege.web.words import has, say, term, word

_ONE_LINE = frozenset({"street", "house", "flat"})  # read from one line of the register
_CHECKS = ("guardian", "age_class", "in_catchment", "vaccinated", "enrolled_elsewhere")


def of(story: CaseStory) -> dict[str, Any]:
    """What the templates of the officer's and the parent's pages need."""
    decision = story.decisions[-1] if story.decisions else None
    return {
        "story": story,
        "row": story.row,
        "title": story.titles,
        "school": labels.school(story.row.school_code),
        "look": look(story.row),
        "outcome": story.row.decision or story.row.status,
        "child": child_name(story),
        "decision": decision,
        "checks": list(_checks(decision)) if decision else [],
        "actions": [_action(action) for action in story.actions],
        "evidence": _evidence(story.evidence),
        "waiting": _open_texts(story.actions) if decision is None else [],
        "to_do": _to_do(story.actions) if decision is None else [],
    }


def look(row: CaseRow) -> str:
    """The colour of an outcome; the word beside it says the same."""
    if row.decision == "admit":
        return "good"
    if row.decision in {"refuse", "no-place"}:
        return "bad"
    return "wait"


def child_name(story: CaseStory) -> str:
    """The child's name as the civil registry has it, for a heading; empty where no birth record was found."""
    parts = {line.field: line.value for line in story.evidence if line.concept == "child.birth"}
    return " ".join(part for name in ("surname", "given_name", "patronymic") if (part := parts.get(name)))


def _checks(decision: DecisionLine) -> Iterable[dict[str, str]]:
    """Each rule's fact as it stood: met, not met, or not established."""
    for name in _CHECKS:
        value = decision.facts.get(name)
        if name == "age_class":
            state = {"ok": "holds", None: "undecided"}.get(value if value is None else str(value), "fails")
        elif value is None:
            state = "undecided"
        else:
            state = "holds" if bool(value) is not (name == "enrolled_elsewhere") else "fails"
        look_ = {"holds": "good", "fails": "bad", "undecided": "wait"}[state]
        yield {"name": word(f"check.{name}"), "state": word(f"story.{state}"), "look": look_}


def _action(action: ActionLine) -> dict[str, Any]:
    actor = term("actor", action.actor) if has(f"actor.{action.actor}") else term("actor", "officer")
    if action.kind == "evidence_gathered":
        told: list[str | Text] = [labels.register(code) for code in action.codes]
    else:
        told = list(action.texts)
    return {"name": term("action", action.kind), "at": action.at, "actor": actor, "told": [say(line) for line in told]}


def _open_texts(actions: Iterable[ActionLine]) -> list[Text]:
    """Why the case waits: the texts of the last action that sent it to a person."""
    last = _handed_over(actions)
    return list(last.texts) if last else []


def _to_do(actions: Iterable[ActionLine]) -> list[str]:
    """What the officer should look at, one line for each open reason; what `_open_texts` says is why."""
    last = _handed_over(actions)
    codes = last.codes if last else ()
    return list(dict.fromkeys(word(f"to-do.{code}") for code in codes if has(f"to-do.{code}")))


def _handed_over(actions: Iterable[ActionLine]) -> ActionLine | None:
    """The last action that sent the case to a person."""
    return next((a for a in reversed(list(actions)) if a.kind in {"sent_to_officer", "applicant_asked"}), None)


def _evidence(lines: Iterable[EvidenceLine]) -> list[dict[str, Any]]:
    """Evidence grouped by what was asked, of whom, in which message: values together, their common origin told once."""
    groups: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for line in lines:
        key = (line.concept, line.register, line.message_id, line.record_no)
        group = groups.setdefault(
            key,
            {
                "name": line.preview or line.concept,
                "register": labels.register(line.register),
                "data_service": labels.data_service(line.data_service),
                "service_code": line.data_service,
                "message_id": line.message_id,
                "mapping": line.mapping_id,
                "mapping_version": line.mapping_version,
                "original": line.original_sha256,
                "fetched_at": line.fetched_at,
                "values": [],
                "written": set(),
                "problems": [],
            },
        )
        group["values"].append(
            {
                "name": labels.field(line.field),
                "shown": values.shown(line.concept, line.field, line.value),
                "came_as": _came_as(line, group["written"]),
            }
        )
        group["problems"] += [(labels.field(line.field), term("problem", problem)) for problem in line.problems]
    return list(groups.values())


def _came_as(line: EvidenceLine, told: set[str]) -> str:
    """The register's own letters where they differ from the canonical value; a line several values were read from is told once."""
    written = (line.came_as or "").strip()
    if not written or written == line.value or (line.field in _ONE_LINE and written in told):
        return ""
    told.add(written)
    return written
