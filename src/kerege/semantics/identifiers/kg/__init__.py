"""Identifiers of the Kyrgyz Republic: `pin` (people), `okpo` (organisations, statistics), `inn` (taxpayers)."""
