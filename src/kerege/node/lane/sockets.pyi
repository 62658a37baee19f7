"""Types of the native module `sockets`: nothing of it is for Python but what its heirs (`clientport`, `agencyport`) show."""

class Socket: ...

class Watch:
    def fileno(self) -> int:
        """The epoll descriptor, for a loop's `add_reader`; -1 after the end."""
