"""Public services: definitions, evidence, rules, cases and their decisions.

The face of the room (models are never imported here):

    definitions.load(path) / definitions.of(service_id)   the declared service
    rules.decide(facts, definition)                        the decision on facts, three-valued
    places.allocate(claims, free)                          who gets a place, with holds for the undecided
    admission.DataFirst / admission.IntegrationOnly        two ways to process one application
    run.process_all(...)                                   many applications at once
    doings.store_run(...), queries.case_story(...)         the hub's side

What same-person and same-value mean is `reconcile`'s; what a value means is `semantics`'.
"""
