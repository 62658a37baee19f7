"""Discrepancies between registers, and who is the same person: the pure decisions, and the desk's queue.

    compare.compare_field / compare_records   equal | equal_after_harmonising | conflict | missing | not_comparable
    link.same_person, link.pick               same | different | unsure, with reasons; Linked | NoneThere | Unsure
    doings.report_discrepancies, queries.*    the hub's side (models are never imported here)

What a value means is `semantics`'; which evidence a public service asks for is `services`'.
"""
