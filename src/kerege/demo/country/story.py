"""The demo told from beginning to end: every step with what it showed, then the figures, then the pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kerege.catalogue.search import index as search_index
from kerege.demo.agencies import health
from kerege.demo.country import (
    clerks,
    inventory,
    keeping,
    measuring,
    network,
    people,
    publishing,
    registers,
    steps,
    stewards,
    storing,
)
from kerege.demo.country.options import Options
from kerege.demo.country.report import Report
from kerege.demo.country.run import Country, first_birth_date, raise_country, write_summary
from kerege.ground.clock import now
from kerege.identity import pseudonyms
from kerege.services.admission import Processed
from kerege.services.run import RunResult


def tell(options: Options, wait: Callable[[float], object], report: Report | None = None) -> dict[str, Any]:
    """Run it all; returns the summary. With `options.once` false all stays up until `wait`, given seconds, returns something true."""
    say = report or Report()
    with raise_country(options, say) as country:
        _introduce(country)
        definition = steps.definition()
        with search_index.together():
            steward = _data_first(country)
        gate_story = _gate(country, definition)
        plain, meant, client = steps.process(country, definition)
        summary = steps.summarise(country, definition, plain, meant)
        with say.step("Cases, discrepancies, events, reads of personal data; confirmations issued"):
            case_ids = storing.store(country, definition, plain, meant)
            office, issued = steps.issue(country, meant, case_ids)
            chosen = _chosen(meant)
            summary["chosen_case"] = case_ids[chosen.application.id]
            _write_people(country, chosen, case_ids)
            schools = steps.schools_of(country)
            _write_schools(country, schools)
        summary["catalogue"] = steward | _steward(country, schools, client.unmapped)
        summary["documents"] = {"issued": len(issued)}
        if chosen.application.id in issued:
            summary["documents"] |= steps.show_documents(country, office, issued, chosen.application.id)
        with say.step("One criterion broken on purpose, and mended"):
            summary["gate"] = {**gate_story, **steps.break_and_mend(country)}
        summary["exchange"] = {
            "nodes": steps.messages(country),
            "calls": dict(client.calls),
            "faults": dict(client.faults),
        }
        summary["seconds"] = round(say.seconds, 1)
        write_summary(country, summary)
        _conclude(country, summary, chosen)
        if not options.once:
            say.say("Everything stays up until you press Ctrl-C.")
            country.stay_up(wait)
    return summary


def _introduce(country: Country) -> None:
    world, say = country.world, country.report.say
    say(
        f"{len(world.persons):,} people in {len(world.households):,} families, {len(world.schools)} schools, "
        f"{len(world.areas):,} areas ({world.soate_source})"
    )
    for name, agency in country.agencies.items():
        note = f" ({agency.note})" if agency.note else ""
        say(f"{name}: process {agency.pid}, {agency.database}{note}")


def _data_first(country: Country) -> dict[str, Any]:
    """Inventory, contracts and harmonising, before anything is decided. Returns what was counted on the way."""
    say, ledger = country.report, country.ledger
    stewards.appoint(ledger, now())
    with say.step("Inventory of the registers: what exists, what it means, whose it is"):
        runner = country.client(country.edu, str(network.RUNNER))
        first = first_birth_date(steps.definition())
        datasets, columns = inventory.take_inventory(runner, country.pack, first, ledger, now())
        descriptions = country.options.folder / "descriptions"
        looked = registers.harvest_registers(country.agencies, descriptions, country.pack, ledger, now())
        registers.harvest_forms((form.raw for form in country.world.applications), country.pack, ledger, now())
    say.say(f"{datasets} datasets over the exchange, {columns} columns; rows were looked at and not kept")
    say.say(
        f"{len(looked.sources)} databases and descriptions behind them: {looked.tables} tables, {looked.columns} columns, "
        f"{looked.meant} with a meaning, {looked.owned} with an owner"
    )
    with say.step("Data contracts by two people, and obeyed by the nodes"):
        made = publishing.publish_contracts(ledger, now())
        country.publish()
    say.say(f"{len(made.published)} contracts in force")
    areas = steps.areas_of(country)
    with say.step("The education register's areas mapped to SOATE"):
        match = steps.map_areas(country, areas)
    say.say(f"{match.accepted:,} codes accepted by name and parent, {match.unsure + match.none} left open")
    with say.step("Codes that names left open, settled by linked records"):
        settled = steps.settle_by_links(country, match)
    for found in settled:
        say.say(f"{found.crosswalk}: {len(found.accepted)} codes settled, {len(found.open)} left to a steward")
    with say.step("Code lists, crosswalks and entries: versions, submitted by one and approved by another"):
        kept = keeping.keep_decisions(match, areas, settled, country.pack, now())
        put = [*publishing.publish_codes(country.pack, ledger, now()), publishing.publish_entries(ledger, now())]
    for one in put:
        held = f", {len(one.held_back)} held back by what is missing" if one.held_back else ""
        say.say(f"{one.kind}: {len(one.published)} published, {len(one.waiting)} wait for the reviewer{held}")
    say.say(f"{kept.decided} decisions kept beside {kept.suggested:,} suggestions; {kept.waiting} wait for a steward")
    return {
        "contracts": len(made.published),
        "published": {one.kind: len(one.published) for one in put},
        "waiting": {one.kind: len(one.waiting) for one in put},
        "decided": kept.decided,
        "undecided": kept.waiting,
    }


def _steward(
    country: Country, schools: Sequence[Mapping[str, str | None]], unmapped: Mapping[tuple[str, str], Mapping[str, int]]
) -> dict[str, Any]:
    """What passed the nodes, the requests of registers, the board, a reference dataset, the search: the steward's day is set."""
    say, ledger = country.report, country.ledger
    with say.step("Who used what, from both nodes; the board's first day; schools published for everybody"):
        with search_index.together():
            until = now()  # what was called up to here; nodes keep what they noted a second later
            open_codes = keeping.count_unmapped(unmapped, country.pack, now())
            requested = keeping.ask_for_registers(ledger, now())
            harmonised = country.options.folder / "harmonised"
            version = publishing.publish_schools(schools, country.pack, harmonised, ledger, now())
            first = first_birth_date(steps.definition())
            runner = country.client(country.edu, str(network.RUNNER))
            asked = clerks.ask_clerks(runner, country.pack, first, country.options.home, ledger, now())
            uses = registers.harvest_nodes(country.laid_out, country.pack, until)
            board = keeping.begin_board(now())
            keeping.leave_a_plan(country.agencies["health"].folder / health.NIGHTLY.strip("/"), now())
        findable = keeping.make_findable()
        ledger.sign_head(now())
    say.say(
        f"{uses.consumers} consumers called {uses.services} data services {uses.calls:,} times, {uses.fields} fields seen; "
        f"{version.rows} schools published; board: {board['done']} of {board['of']} done on day 1; {findable:,} things to find; "
        f"{open_codes} codes nobody mapped, counted for their owners; "
        f"{asked.pairs} pairs wait for a clerk, of {asked.unsure} of {asked.records} records placed"
    )
    return {
        "uses": asdict(uses),
        "board": board,
        "registers": list(requested),
        "findable": findable,
        "unmapped": open_codes,
        "clerks": asdict(asked),
    }


def _gate(country: Country, definition: Any) -> dict[str, Any]:
    say = country.report
    before = steps.try_traffic(country)
    with say.step("The gate: measured, signed by every layer, permit in signed configuration"):
        opened = steps.open_gate(country, definition)
    after = steps.try_traffic(country)
    refused = measuring.refused(before)
    say.say(f"before the permit the node {'refused' if refused else 'DID NOT REFUSE'}: {before.fault or before.status}")
    passed = sum(verdict == "PASS" for verdict in opened.verdicts.values())
    waived = f", waived by two layers: {', '.join(opened.waived)}" if opened.waived else ""
    say.say(f"{passed} of {len(opened.verdicts)} criteria PASS{waived}; permit {opened.permit.state.value}")
    say.say(f"after the permit the node {'carried' if after.ok else 'DID NOT CARRY'} the same call")
    return {
        "refused_before": refused,
        "carried_after": after.ok,
        "verdicts": opened.verdicts,
        "waived": list(opened.waived),
    }


def _chosen(run: RunResult) -> Processed:
    """An application worth telling: admitted, with evidence from the most registers; else the one with the most evidence."""
    admitted = [item for item in run.processed if item.decision is not None and item.decision.kind == "admit"]
    return max(
        admitted or run.processed,
        key=lambda item: (len({v.source.register for v in item.evidence}), len(item.evidence)),
    )


def _write_people(country: Country, chosen: Processed, case_ids: Mapping[str, str]) -> None:
    """The invented people who may sign in to the demo's hub."""
    key = pseudonyms.open_key(country.options.home)
    pins = [v.value for v in chosen.evidence if v.concept == "child.birth" and v.field == "pin" and v.value]
    ministry = {"ky": "Агартуу министрлиги", "ru": "Министерство просвещения", "en": "Ministry of Education"}
    listed = [
        {
            "id": "parent-1",
            "name": {
                "ky": "Ата-эне (тандалган арыз)",
                "ru": "Родитель (выбранное заявление)",
                "en": "A parent (the chosen application)",
            },
            "roles": ["parent"],
            "holder": key.of(chosen.application.parent_pin),
            "cases": [case_ids[chosen.application.id]],
            "children": [key.of(pin) for pin in pins],
        },
        {
            "id": people.OFFICER,
            "name": people.NAMES[people.OFFICER],
            "roles": ["officer"],
            "office": ministry,
            "member": str(network.ADMISSION),
        },
        {
            "id": people.POLICY_OWNER,
            "name": people.NAMES[people.POLICY_OWNER],
            "roles": ["policy-owner"],
            "office": ministry,
            "member": str(network.ADMISSION),
        },
        {
            "id": people.TECHNICAL_OWNER,
            "name": people.NAMES[people.TECHNICAL_OWNER],
            "roles": ["technical-owner"],
            "office": ministry,
            "member": str(network.ADMISSION),
        },
        *stewards.listed(),
    ]
    path = country.options.home / "demo-people.json"
    path.write_text(json.dumps({"people": listed}, ensure_ascii=False, indent=1), encoding="utf-8")
    path.chmod(0o600)


def _write_schools(country: Country, schools: Sequence[Mapping[str, str | None]]) -> None:
    """Names for the hub's pages to show where a case has a school's code."""
    path = country.options.home / "schools.json"
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(json.dumps(steps.named(schools), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


def _conclude(country: Country, summary: Mapping[str, Any], chosen: Processed) -> None:
    report, gate, documents = country.report, summary["gate"], summary["documents"]
    report.dirt(summary["measured_dirt"])
    report.figures(summary)
    report.provenance(chosen)
    report.say(
        f"criterion broken on purpose: {', '.join(gate['failed'])}; permit {gate['closed']}, node "
        f"{'refused' if gate['refused'] else 'DID NOT REFUSE'}; mended: permit {gate['reopened']}, node "
        f"{'carried' if gate['carried'] else 'DID NOT CARRY'}"
    )
    checked = ", ".join(f"{name}: {state}" for name, state in documents.items() if name != "issued")
    report.say(f"{documents['issued']} confirmations issued; checked offline: {checked}")
    for node, seen in summary["exchange"]["nodes"].items():
        report.say(f"{node}: {seen['exchanges']:,} exchanges, {seen['failed']} of them refused or failed")
    report.say(f"{summary['seconds']} s in all")
    if not country.options.once:
        for language in ("ky", "ru", "en"):
            report.say(f"pages: {country.hub_url}/{language}/")
        report.say(f"folder: {country.options.folder}")
