"""Crosswalks as SSSOM mapping sets, and the compiled form that every engine runs."""
