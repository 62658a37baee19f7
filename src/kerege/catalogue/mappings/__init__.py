"""Mappings and crosswalks run over files and inside databases, and what rests on what."""
