"""What was noted of a call of the native path, as monitoring has it of every other: `opmon.exchange_of`, under this room's roof."""

from kerege.exchange.opmon import exchange_of

__all__ = ["exchange_of"]
