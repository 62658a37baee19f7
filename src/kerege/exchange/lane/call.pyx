# cython: language_level=3
"""What the native modules share: one message (`Part`), one exchange (`Call`), and the way exchanges go (`Way`)."""


cdef class Part:
    def __init__(self, bytes content=None, bytes body=None, unsigned int stream=0, unsigned int index=0):
        self.content, self.body, self.stream, self.index = content, body, stream, index

    @property
    def size(self):
        """Bytes of the signed content and the body, as `Message.size`."""
        return len(self.content) + (len(self.body) if self.body is not None else 0)

    @property
    def digests(self):
        """As `Message.digests`; after `digest.digest_parts`."""
        return self.digest, (() if self.body is None else (self.body_digest,))


cdef class Way:
    def __init__(self, client, service, bytes client_written, bytes service_written):
        self.client, self.service = client, service
        self.client_written, self.service_written = client_written, service_written
        self.kept, self.lines = -1, {}


cdef class Call:
    pass
