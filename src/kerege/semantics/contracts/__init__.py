"""Data contracts (ODCS 3.1): read, written, checked, compared, and compiled for messages and for tables."""
