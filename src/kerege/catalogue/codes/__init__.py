"""Concepts, code lists and crosswalks: versions kept, codes suggested and decided on, what was not mapped."""
