"""The catalogue in other people's formats: DCAT-AP 3, SKOS, SSSOM, ODCS, Spinta's DSA manifest, RIHA's system card.

`publication` decides what may leave at all, once for every format. Each other module writes (or reads) one format.
"""
