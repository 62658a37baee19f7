"""Kerege: registers that understand each other. Data first, then exchange, then services, then delivery.

The rooms and who may import whom: docs/architecture.md.
"""

__version__ = "0.1.0"
