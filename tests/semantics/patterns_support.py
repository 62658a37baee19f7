"""Patterns that several tests use."""

from __future__ import annotations

import yaml

from kerege.semantics.patterns.documents import read_patterns
from kerege.semantics.patterns.pattern import Pattern

_DOCUMENT = """
address:
  - - any: [г., гор., с.]
    - blanks
    - {as: locality, of: {not: ","}}
    - ","
    - blanks
    - any: [ул., пр.]
    - blanks
    - {as: street, of: {not: ",0123456789"}}
    - optional: [",", blanks, {any: [д.]}, blanks]
    - {as: house, of: [digits, {optional: [{letters: 1}]}]}
    - optional: [{any: [", кв. ", "-"]}, {as: flat, of: digits}]
  - - {as: locality, upto: [" ш.", " айылы"]}
    - optional: [","]
    - blanks
    - {as: street, upto: [" көч.", " көчөсү"]}
    - optional: [","]
    - blanks
    - {as: house, of: [digits, {optional: [{letters: 1}]}]}
    - optional: [",", blanks, {as: flat, of: digits}, {any: [-батир]}]
house:
  - - {as: number, of: {digits: [1, 4]}}
    - optional: [{as: letter, of: {letters: [1, 2]}}]
    - optional: ["/", {as: of, of: digits}]
  - - {as: number, of: [digits]}
    - {any: [-үй, үй]}
  - - {as: rest, of: {not: "0123456789"}}
    - optional: [{as: number, of: {digits: 2}}]
"""
PATTERNS: dict[str, Pattern] = read_patterns(yaml.safe_load(_DOCUMENT), "(test)")
ADDRESS, HOUSE = PATTERNS["address"], PATTERNS["house"]
