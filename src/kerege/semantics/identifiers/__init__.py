"""Identifiers by country, each a module in the shape of python-stdnum: compact, validate, is_valid, format, and its errors.

python-stdnum has no modules for the Kyrgyz Republic (2.2); these could be its `stdnum.kg`. They raise `stdnum.exceptions`; the rest of the engine
uses `semantics.kg`, which raises Kerege's own errors with a next step.
"""
