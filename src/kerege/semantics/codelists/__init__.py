"""Code lists after SKOS: read, written, compared, checked for integrity."""
