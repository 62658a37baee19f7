"""Types of the native module `segments`."""

ABLE: bool
"""Whether this processor has what it takes; nothing is taken otherwise."""

def walk(data: bytes, at: int, link: bytes, number: int, marker: bytes) -> list[tuple[int, int, bytes, int, bytes]]: ...
