"""Identifiers of the Kyrgyz Republic, each a module in python-stdnum's shape: compact, validate, is_valid, format."""
