"""Mappings: documents read into the intermediate form (`ir`), what each operator means, and what can be asked of a mapping."""
