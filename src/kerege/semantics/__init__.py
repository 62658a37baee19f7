"""Semantics: what registers mean. Mappings, code lists, crosswalks and named normalisers, run per message and per table alike."""
