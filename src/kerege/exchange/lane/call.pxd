# What the native modules of both rooms share: one message, one exchange, and the way exchanges go.


cdef class Part:
    """One REST message, request or answer, as it is signed, logged and sent."""
    cdef public bytes content        # the signed bytes (`exchange.rest`)
    cdef public bytes body           # None: the message has none (of length 0 is a body)
    cdef public bytes digest         # SHA-512 of content; None until `digest.digest_parts`
    cdef public bytes body_digest    # SHA-512 of body; None where there is no body
    cdef public bytes leaf           # its leaf in the tree of a signature: `digest`, or the digest of the step over both
    cdef public bytes content_type   # the caller's own Content-Type beside the signed bytes on the link; None where there is none
    cdef public unsigned int stream  # on its link
    cdef public unsigned int index   # which leaf of its signature's tree it is


cdef class Way:
    """How calls of one client to one data service go just now: what was decided, and what every message of theirs repeats."""
    cdef public object client          # ClientId
    cdef public object service         # DataServiceId
    cdef public bytes client_written   # as headers carry them (`rest.written`)
    cdef public bytes service_written
    cdef public Py_ssize_t kept        # bodies of up to so many bytes are kept in the log, of larger ones the digest; -1: of none
    cdef public bytes base             # provider: the path of the agency's address, as it stands there
    cdef public bytes netloc           # provider: its host and port, as the Host header says them
    cdef public object decided         # consumer: the Plan; provider: the _Admission
    cdef public object more            # the node's own
    cdef public dict lines             # the ends of monitoring lines by what they depend on (`lines`)
    cdef public double until           # seconds of the monotonic clock


cdef class Call:
    """One exchange on one side: on the consumer's from the client's request to its answer, on the provider's the same for the agency."""
    cdef public object end             # consumer: the client's connection (`node.lane.ports`); provider: the link's end
    cdef public Way way                # None until it is known
    cdef public Part request
    cdef public Part answer            # None until it came
    cdef public bytes head             # consumer: the HTTP request's head as it came, with the empty line after it
    cdef public str verb
    cdef public bytes target           # as it came
    cdef public bytes service_raw      # of the target: the five identifier parts, without "/r1/" before them
    cdef public bytes path             # of the target: what follows the service, with its first slash; b"" where nothing does
    cdef public bytes query            # of the target; None where there is no question mark
    cdef public bytes client_raw       # the value of X-Road-Client
    cdef public bytes accept           # the value of Accept; None where there is none
    cdef public bytes message_id
    cdef public bytes request_id
    cdef public bytes request_hash     # base64, as X-Road-Request-Hash says it; None until `digest.request_hashes`
    cdef public int status             # the answer's
    cdef public unsigned int stream
    cdef public bint answered          # consumer: verified, and being logged
    cdef public double deadline        # seconds of the loop's clock
    cdef public long long request_in, request_out, response_in, response_out  # milliseconds since 1970; 0: not yet
    cdef public object exchange        # an opmon.Exchange where it had to be made; None otherwise
    cdef public object more            # the node's own
