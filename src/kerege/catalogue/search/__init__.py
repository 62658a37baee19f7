"""Search over the catalogue in three languages, its index, and matching by the W3C Reconciliation API."""
