"""Catalogue: what registers hold, who owns each attribute, which register is the source of truth of a concept, and how that changes.

A harvest reads a register without touching it (`sources`, `profile`, `harvest`), compares it with what is known (`plans`), and stores the
difference as a frozen plan; only `doings.apply_plan` brings it into the catalogue, and only if nothing changed in between. Codes and
columns are suggested by the engine in `semantics`, accepted by people (`crosswalks`), and applied to files (`harmonise`).

Who owns an attribute and which one decides for a concept, each for a time and by a law, is `ownership` (an unowned attribute is not published);
`lifecycle` is the approval of everything that is published; `requests` a register's own (establish, take into use, modify, close); `board` the
first ninety days of the critical datasets.

Others use: `queries` (overview, dataset, concepts), `doings`, `harvest.harvest_source`, `crosswalks`, `harmonise`,
`ownership`, `lifecycle`, `requests`, `board` and their `*_queries`.
Left to others: mappings and crosswalk files as such (`semantics`), comparing two registers record by record (`reconcile`).
"""
