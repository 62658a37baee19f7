# cython: language_level=3
"""Connections of plain-HTTP clients, a batch of requests at a time: the native form of `node.http.server` for simple requests.

What `http.server` promises holds here: one request at a time per connection, those sent ahead wait (in the kernel beyond what one read
gave), a client that dawdles over a request or an answer is closed, and one that is gone is not answered. Nothing is refused here: a
connection on which anything comes that is not simple HTTP/1.1 is handed over with the bytes read, and is no more of this port's.
"""

from libc.stdint cimport uint32_t

from kerege.exchange.lane.call cimport Call
from kerege.exchange.lane.restlines cimport OTHER, PARTIAL, WHOLE, http_answer_of, read_http_request
from kerege.node.lane.sockets cimport (
    BROKEN, ENDED, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, NOTHING, PROGRESS, Socket, Watch, peer_ended,
)

cdef double NEVER = float("inf")
cdef enum:
    MOST_HEAD = 16 * 1024


cdef class ClientConnection(Socket):
    """One client's connection: to a listener what `HttpProtocol` is."""

    cdef readonly str address
    cdef readonly object lost
    cdef readonly bint stopping      # closed after the answer under way
    cdef ClientPort port
    cdef Call call                   # the request under way; None where none is
    cdef Py_ssize_t body             # bytes of it that count as held
    cdef bint keep, queued
    cdef double since

    def __init__(self, *_):
        raise TypeError("connections are made by ClientPort.adopt")

    @property
    def busy(self):
        """A request is under way, or its answer is not all out."""
        return self.call is not None

    @property
    def idle(self):
        """Connected, and no request is begun or under way: closing it costs nobody an answer."""
        return self.fd >= 0 and self.call is None and self.size == 0

    @property
    def connected(self):
        """Open, and this port's."""
        return self.fd >= 0

    @property
    def quiet_since(self):
        """Seconds of the port's clock: when it was adopted, or its last answer was out."""
        return self.since

    @property
    def ahead(self):
        """The bytes read that follow the request under way; whoever takes the connection over has to read them first."""
        return self.kept()

    def fileno(self):
        """Its descriptor; -1 when it is not the port's any more."""
        return self.fd

    def stop(self):
        """Close now where no request is under way, else after the answer."""
        self.stopping = True
        if self.call is None and self.fd >= 0:
            self.port.lose(self)
            self.port.tell()

    def drop(self):
        """Close at once."""
        if self.fd >= 0:
            self.port.lose(self)
            self.port.tell()

    def take_over(self):
        """Give away the descriptor of a connection whose request is under way and not answered yet.

        The port forgets the connection, and `lost` is not told; `ahead` are the bytes it had read beyond the request.
        Raises ValueError where there is no such request: the connection is gone.
        """
        if self.fd < 0 or self.call is None or self.out is not None:
            raise ValueError("no request of this connection waits for its answer")
        return self.port.hand_over(self)


cdef class ClientPort(Watch):
    """Client connections of one listener. Its descriptor (`fileno`) is readable when `drain` has work.

    take(calls, others)         whole requests: of the lane, and simple HTTP that goes the long way (`call.request` is None, the body
                                in `call.more`); each is answered by `answer` or `respond`, or its connection taken over
    odd(connection, fd, data)   what came is not this port's affair: the descriptor and the bytes read are the callee's from the call on
    largest                     bytes of a request, head and body
    idle_seconds, head_seconds, request_seconds   as `ServerLimits` has them; changed values hold from then on
    clock                       seconds that deadlines are reckoned in; the monotonic clock where none is given
    most_held                   bytes of requests in memory; who would go beyond it is handed over, to be refused
    """

    cdef object take, odd
    cdef readonly Py_ssize_t largest
    cdef public double idle_seconds, head_seconds, request_seconds
    cdef public Py_ssize_t most_held
    cdef Py_ssize_t bodies
    cdef list queue          # connections with kept bytes to be looked at
    cdef list calls, others  # read in this turn

    def __init__(
        self, take, odd, Py_ssize_t largest, double idle_seconds=75.0, double head_seconds=10.0, double request_seconds=60.0,
        clock=None, *, Py_ssize_t most_held=160 * 1024 * 1024,
    ):
        self.clock = clock
        self.take, self.odd, self.largest, self.most_held = take, odd, largest, most_held
        self.idle_seconds, self.head_seconds, self.request_seconds = idle_seconds, head_seconds, request_seconds
        self.queue, self.calls, self.others = [], [], []

    @property
    def connections(self):
        return self.count

    @property
    def held(self):
        """Bytes of requests in memory: bodies of those under way, and what was read of those begun or sent ahead."""
        return self.bodies + self.bytes_kept

    def adopt(self, int fd, str address, lost):
        """Take over a connected socket. `lost(connection)` is called once when it is closed, not when it is handed over.

        Raises OSError; the descriptor is then still the caller's.
        """
        cdef ClientConnection one = ClientConnection.__new__(ClientConnection)
        one.address, one.lost, one.port = address, lost, self
        self.add(one, fd)
        one.since = self.now()
        one.deadline = one.since + min(self.head_seconds, self.request_seconds)
        return one

    # --- reading ---

    cdef int begin(self) except -1:
        """Requests that were sent ahead, and read with the one before."""
        cdef list waiting = self.queue
        cdef ClientConnection one
        self.woke()
        self.calls, self.others = [], []
        if waiting:
            self.queue = []
            for one in waiting:
                one.queued = False
                if one.fd >= 0 and one.call is None and one.size > 0:
                    try:
                        self.look(one, one.data, one.size)
                    except BaseException:  # noqa: BLE001 - memory does not suffice for it
                        self.lose(one)
        return 0

    cdef int ready(self, Socket found, uint32_t what) except -1:
        cdef ClientConnection one = <ClientConnection>found
        if what & (EPOLLERR | EPOLLHUP):
            self.lose(one)
            return 0
        if what & EPOLLOUT and one.out is not None:
            self.pour(one, self.moment)
        if what & EPOLLIN and one.fd >= 0:
            if one.call is None:
                self.readable(one)
            else:
                self.sent_early(one)
        return 0

    cdef Py_ssize_t deliver(self) except -1:
        """Give the requests to `take`; those it raises over are closed, for nobody may be left waiting for good."""
        cdef list calls = self.calls, others = self.others
        cdef Py_ssize_t whole = len(calls) + len(others)
        cdef ClientConnection one
        self.calls = self.others = None
        if whole == 0:
            return 0
        try:
            self.take(calls, others)
        except BaseException:
            for item in (*calls, *others):
                one = self.asker(<Call>item) if isinstance(item, Call) else None
                if one is not None:
                    self.lose(one)
            raise
        return whole

    cdef int readable(self, ClientConnection one) except -1:
        cdef const unsigned char* data
        cdef Py_ssize_t size, got
        got = self.read(one, &data, &size)
        if got == NOTHING:
            return 0
        if got == ENDED or got == BROKEN:
            self.lose(one)
            return 0
        if one.size > 0 and not self.worth_a_look(one, data, size):
            one.looked = size
            if self.bodies + self.bytes_kept > self.most_held:
                self.stray(one, data, size)
            return 0
        return self.look(one, data, size)

    cdef int look(self, ClientConnection one, const unsigned char* data, Py_ssize_t size) except -1:
        """See whether a whole request stands at the beginning of what was read."""
        cdef Call call = Call.__new__(Call)
        cdef Py_ssize_t used = 0, body
        cdef int outcome = read_http_request(data, size, self.largest, call, &used)
        if one.fd < 0:
            return 0
        if outcome == WHOLE and 0 < used <= size:
            body = max(0, used - len(call.head)) if call.head is not None else used
            if self.bodies + self.bytes_kept + body > self.most_held:
                self.stray(one, data, size)
                return 0
            self.keep(one, data + used, size - used)
            one.wanted = one.looked = 0
            one.call, one.body, one.deadline = call, body, NEVER
            self.bodies += body
            call.end, call.request_in = one, self.moment_ms
            (self.calls if call.request is not None else self.others).append(call)
            return 0
        if outcome != PARTIAL or size > self.largest + MOST_HEAD or self.bodies + self.bytes_kept + size - one.size > self.most_held:
            self.stray(one, data, size)
            return 0
        if one.looked == 0:
            one.deadline = self.moment + min(self.head_seconds, self.request_seconds)
        if used > size and one.wanted == 0:  # the head is there
            one.wanted = used
            one.deadline = self.moment + self.request_seconds
        self.keep(one, data, size)
        one.looked = size
        return 0

    cdef void sent_early(self, ClientConnection one) noexcept:
        """Readable while its request is under way: sent ahead, which waits in the kernel, or closed."""
        if peer_ended(one.fd):
            if one.out is None:
                self.lose(one)
                return
            one.stopping = True  # it may still read the answer that is on its way
        if not self.arm(one, EPOLLOUT if one.out is not None else 0):
            self.lose(one)

    cdef void stray(self, ClientConnection one, const unsigned char* data, Py_ssize_t size):
        """Not this port's affair."""
        cdef bytes read = data[:size]
        cdef int fd = self.hand_over(one)
        one.size = 0
        self.told.append((self.odd, (one, fd, read)))

    cdef int hand_over(self, ClientConnection one) noexcept:
        cdef int fd = self.part(one)
        self.settle(one)
        return fd

    # --- answering ---

    def answer(self, list calls):
        """Write the answers (`call.answer`) of requests that `take` was given. Those of connections that are gone are dropped.

        An answer that cannot be written closes its connection; ValueError says so when the others are written.
        """
        cdef double now = self.now()
        cdef Call call
        cdef ClientConnection one
        cdef bytes data
        problem = None
        for item in calls:
            call = <Call?>item
            one = self.asker(call)
            if one is None:
                continue
            try:
                data = http_answer_of(call) if call.answer is not None else None
            except Exception as raised:  # noqa: BLE001 - raised again below
                data, problem = None, raised
            if data is None:
                problem = problem or ValueError("an answer is not there, or is not one of this path")
                self.lose(one)
                continue
            one.keep = True
            one.out = said_to_close(data) if one.stopping else data
            self.pour(one, now)
        self.tell()
        if problem is not None:
            raise problem

    def waits(self, Call call not None):
        """Whether this very request is under way on its connection and has no answer yet."""
        return self.asker(call) is not None

    def respond(self, ClientConnection connection not None, bytes data not None, bint keep):
        """Write a whole HTTP response for the request under way, and close after it where it is not to be kept.

        Does nothing where no request waits for its answer: the connection is gone.
        """
        if connection.port is not self or connection.fd < 0 or connection.call is None or connection.out is not None:
            return
        connection.out, connection.keep = data, keep
        self.pour(connection, self.now())
        self.tell()

    cdef ClientConnection asker(self, Call call):
        """Whose request this is, if it still waits for its answer."""
        cdef ClientConnection one
        if not isinstance(call.end, ClientConnection):
            return None
        one = <ClientConnection>call.end
        return one if one.call is call and one.fd >= 0 and one.out is None and one.port is self else None

    cdef void pour(self, ClientConnection one, double now) noexcept:
        """Write what the socket takes; when all is out the connection waits for its next request."""
        cdef bint begun = one.deadline == NEVER
        cdef int done = self.write(one)
        if done == 1:
            self.answered(one, now)
        elif done < 0 or not self.arm(one, EPOLLOUT | (one.armed & EPOLLIN)):
            self.lose(one)
        elif begun or one.sent >= one.marked + PROGRESS:
            one.marked = one.sent
            one.deadline = now + self.request_seconds

    cdef void answered(self, ClientConnection one, double now) noexcept:
        self.settle(one)
        if one.stopping or not one.keep:
            self.lose(one)
            return
        one.since = now
        if one.size > 0:
            one.deadline = now + min(self.head_seconds, self.request_seconds)
            if not one.queued:
                one.queued = True
                self.queue.append(one)
            self.wake()
        else:
            one.deadline = now + self.idle_seconds
        if not self.arm(one, EPOLLIN):
            self.lose(one)

    cdef void settle(self, ClientConnection one) noexcept:
        """Its request is not under way here any more."""
        self.bodies -= one.body
        one.body = 0
        one.call = None

    # --- ending ---

    cdef void give_up(self, Socket one) noexcept:
        self.lose(<ClientConnection>one)

    cdef void lose(self, ClientConnection one) noexcept:
        """Close it; its listener is told by `tell`."""
        if one.fd < 0:
            return
        self.shut(one)
        self.settle(one)
        if one.lost is not None:
            self.told.append((one.lost, (one,)))

    def sweep(self, double now):
        """Close connections whose time is over (`now`: seconds of the port's clock)."""
        cdef ClientConnection one
        for found in list(self.table):
            if found is not None:
                one = <ClientConnection>found
                if one.deadline <= now:
                    self.lose(one)
        self.tell()

    def close(self):
        """Close all connections and the port itself."""
        for found in list(self.table):
            if found is not None:
                self.lose(<ClientConnection>found)
        self.end()
        self.tell()


cdef bytes said_to_close(bytes answer):
    """The answer with what its head says of a connection that is not kept (as `http.messages.encode_head`)."""
    cdef Py_ssize_t at = answer.find(b"\r\n\r\n")
    return answer if at < 0 else answer[: at + 2] + b"connection: close\r\n" + answer[at + 2 :]
