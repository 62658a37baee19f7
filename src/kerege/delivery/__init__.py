"""What must be true before a public service may carry traffic, who says so, and what happens when it stops being true.

Implements the stage gate of the delivery discipline, sections 3.1 to 3.4 (first cut: one gate, pilot admission). A gate has
criteria; a criterion is judged on evidence that the platform measured itself wherever it can; a verdict is PASS, FAIL or
NO-EVIDENCE, and only PASS opens; every layer signs; the result is a permit in the nodes' configuration.

The face of the room:
- `criteria`  gates and criteria as data, and when a new version is looser (pure)
- `facts`     raw measurements as typed values, and the collectors that turn them into evidence (pure)
- `evaluate`  one criterion against its evidence, three-valued (pure)
- `gates`     the whole gate: waivers, signatures, whether it opens, what a broken criterion does (pure)
- `doings`    register_service, make_release, adopt_gate, record_evidence, waive, assess, sign, issue_permit, withdraw_permit,
              reconsider
- `queries`   gate_view

Leaves to others: measuring (whoever runs the tests and reads the logs hands the numbers in), publishing the permit
(`membership`), obeying it (`exchange`).
"""
