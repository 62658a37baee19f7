"""The catalogue's public pages: search, datasets, attributes, concepts, code lists, crosswalks, organisations, contracts, reference data, use.

One module per page; `frame` has what all share (breadcrumbs, paging, names, addresses for machines), `addresses` the table of their paths.
Metadata only: no value or mask of a register, and no address of a source (docs/decisions/0146).
"""
