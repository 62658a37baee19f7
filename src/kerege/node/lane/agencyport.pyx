# cython: language_level=3
"""Kept plain-HTTP connections to agencies, a batch of calls at a time: the native form of `node.http.client` and `node.http.connection`.

What they promise holds here: one request at a time per connection, no request sent twice, and a connection on which anything comes that
was not asked for is closed, for it would be read as the next answer. Connections are made elsewhere and adopted. An answer that is not
simple HTTP/1.1 is handed over with its connection and the bytes read.
"""

from libc.stdint cimport uint32_t

from kerege.exchange.lane.call cimport Call
from kerege.exchange.lane.restlines cimport OTHER, PARTIAL, WHOLE, http_request_of, read_http_answer
from kerege.node.lane.sockets cimport (
    BROKEN, ENDED, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, NOTHING, Socket, Watch, milliseconds,
)

cdef double NEVER = float("inf")
cdef enum:
    MOST_HEAD = 256 * 1024   # as `http.connection` has it; the reader's own bound is lower
    MOST_IDLE = 256          # kept for one place, as `http.client` has it
_CLOSED = "closed the connection before answering"


cdef class AgencyConnection(Socket):
    cdef object place
    cdef Call call             # None: idle
    cdef double seconds        # its call has, from when it was sent
    cdef double since          # when it became idle
    cdef bint forgotten, begun # closed after its answer; a byte of the answer came

    def __init__(self, *_):
        raise TypeError("connections are made by AgencyPort.adopt")


cdef class AgencyPort(Watch):
    """Connections to agencies by place (any hashable). Its descriptor (`fileno`) is readable when `drain` has work.

    answered(calls)                   their answers are read (`call.status`, `call.answer`, `call.response_in`)
    failed(call, reason, unanswered)  no answer; `reason` is a clause, `unanswered`: nothing of one came, as `HttpFailed` has them
    odd(call, fd, data)               the answer is not this port's affair: descriptor and bytes read are the callee's from the call on
    largest                           bytes of an answer, head and body
    idle_seconds                      so long a connection is kept that nobody uses
    clock                             seconds that deadlines are reckoned in; the monotonic clock where none is given
    """

    cdef object answered, failed, odd
    cdef readonly Py_ssize_t largest
    cdef public double idle_seconds
    cdef dict places           # place -> idle connections, the last used at the end
    cdef readonly Py_ssize_t busy
    cdef list calls            # answered in this turn

    def __init__(self, answered, failed, odd, Py_ssize_t largest, double idle_seconds=20.0, clock=None):
        self.clock = clock
        self.answered, self.failed, self.odd = answered, failed, odd
        self.largest, self.idle_seconds = largest, idle_seconds
        self.places, self.calls = {}, []

    @property
    def connections(self):
        return self.count

    def idle(self, place):
        """How many connections to this place wait for a call."""
        found = self.places.get(place)
        return len(found) if found is not None else 0

    def adopt(self, place, int fd):
        """Keep a connected socket for calls to `place`; where enough wait there it is closed. OSError: it stays the caller's."""
        cdef AgencyConnection one = AgencyConnection.__new__(AgencyConnection)
        self.places.get(place)  # raises where a place can be no key, before anything is changed
        one.place = place
        self.add(one, fd)
        self.rest(one, self.now())

    # --- asking ---

    def ask(self, place, list calls, double deadline, double seconds=-1):
        """Send calls on idle connections, the last used first. Gives back those for which there was none, or that are not this path's.

        deadline   seconds of the port's clock until which the whole answer must be there
        seconds    how long that is, for whoever reads that it was not
        """
        cdef list idle = self.places.get(place), written, left
        cdef AgencyConnection one
        cdef Call call
        cdef double now
        cdef long long now_ms
        cdef Py_ssize_t i, n = len(calls)
        cdef int done
        if not idle:
            return list(calls)
        written = []
        for i in range(min(n, len(idle))):
            call = <Call?>calls[i]
            written.append(http_request_of(call) if call.request is not None and call.way is not None else None)
        now, now_ms, left = self.now(), milliseconds(), []
        for i in range(n):
            call = <Call?>calls[i]
            while True:
                one = self.young(idle, now) if i < len(written) and written[i] is not None else None
                if one is None:
                    left.append(call)
                    break
                one.out = written[i]
                done = self.write(one)
                if done < 0 and one.sent == 0:  # it is dead, and the agency has nothing of the call
                    self.shut(one)
                    continue
                one.call, one.deadline, one.seconds, one.begun = call, deadline, seconds if seconds >= 0 else deadline - now, False
                self.busy += 1
                call.request_out = now_ms
                if done < 0 or (done == 0 and not self.arm(one, EPOLLIN | EPOLLOUT)):
                    self.fail(one, _CLOSED, True)
                break
        self.tell()
        return left

    cdef AgencyConnection young(self, list idle, double now):
        """The idle connection used last; those that waited too long are closed."""
        cdef AgencyConnection one
        while idle:
            one = <AgencyConnection>idle.pop()
            if now - one.since < self.idle_seconds:
                return one
            self.shut(one)
        return None

    cdef int rest(self, AgencyConnection one, double now) except -1:
        """Keep it for the next call."""
        cdef list idle = self.places.get(one.place)
        if idle is None:
            idle = self.places[one.place] = []
        if one.forgotten or len(idle) >= MOST_IDLE:
            self.shut(one)
            return 0
        one.since = now
        one.deadline = now + self.idle_seconds
        idle.append(one)
        return 0

    cdef void leave(self, AgencyConnection one) noexcept:
        """An idle connection is of no use any more."""
        cdef list idle = self.places.get(one.place)
        if idle is not None and one in idle:
            idle.remove(one)
        self.shut(one)

    # --- reading ---

    cdef int begin(self) except -1:
        self.calls = []
        return 0

    cdef int ready(self, Socket found, uint32_t what) except -1:
        cdef AgencyConnection one = <AgencyConnection>found
        cdef int done
        if one.call is None:  # bytes nobody asked for, or its end
            self.leave(one)
            return 0
        if what & EPOLLOUT and one.out is not None:
            done = self.write(one)
            if done < 0:
                one.out, one.forgotten = None, True  # what it answered before may still be read
            if done != 0 and not self.arm(one, EPOLLIN):
                self.fail(one, _CLOSED, not one.begun)
                return 0
        if what & (EPOLLIN | EPOLLERR | EPOLLHUP):
            self.readable(one)
        return 0

    cdef void give_up(self, Socket one) noexcept:
        self.fail(<AgencyConnection>one, _CLOSED, False)

    cdef Py_ssize_t deliver(self) except -1:
        cdef list calls = self.calls
        cdef Py_ssize_t whole = len(calls)
        self.calls = None
        if whole > 0:
            self.answered(calls)
        return whole

    cdef int readable(self, AgencyConnection one) except -1:
        cdef const unsigned char* data
        cdef Py_ssize_t size, got, used = 0
        cdef Call call = one.call
        cdef bytes read
        cdef int outcome, fd
        got = self.read(one, &data, &size)
        if got == NOTHING:
            return 0
        if got == ENDED or got == BROKEN:
            self.fail(one, _CLOSED, not one.begun)
            return 0
        one.begun = True
        if one.size > 0 and not self.worth_a_look(one, data, size):
            one.looked = size
            return 0
        outcome = read_http_answer(data, size, self.largest, call, &used)
        if one.fd < 0:
            return 0
        if outcome == WHOLE and used == size:
            call.response_in = self.moment_ms
            self.calls.append(call)
            self.keep(one, NULL, 0)
            one.wanted = one.looked = 0
            one.call = None
            self.busy -= 1
            if one.out is not None:
                self.shut(one)  # it answered before it had the whole request: what it reads next is the rest of that
            else:
                self.rest(one, self.moment)
            return 0
        if outcome != PARTIAL or size > self.largest + MOST_HEAD:
            if one.out is not None:
                self.fail(one, "answered before it had taken the whole request", False)
                return 0
            read = data[:size]
            fd = self.part(one)
            one.call = None
            self.busy -= 1
            self.told.append((self.odd, (call, fd, read)))
            return 0
        if used > size:
            one.wanted = used
        self.keep(one, data, size)
        one.looked = size
        return 0

    # --- ending ---

    cdef void fail(self, AgencyConnection one, str reason, bint unanswered) noexcept:
        """Close it; `tell` tells of its call."""
        cdef Call call = one.call
        if one.fd < 0:
            return
        self.shut(one)
        if call is not None:
            one.call = None
            self.busy -= 1
            self.told.append((self.failed, (call, reason, unanswered)))

    def sweep(self, double now):
        """Fail calls whose time is over (`now`: seconds of the port's clock), and close what nobody uses."""
        cdef AgencyConnection one
        for found in list(self.table):
            if found is None:
                continue
            one = <AgencyConnection>found
            if one.deadline > now:
                continue
            if one.call is None:
                self.leave(one)
            else:
                self.fail(one, f"did not answer within {one.seconds:g} s", False)
        for place in [place for place, idle in self.places.items() if not idle]:
            del self.places[place]
        self.tell()

    def forget(self, place):
        """Use no connection to this place again: close those that wait now, and those under way after their answers."""
        cdef AgencyConnection one
        for one in self.places.pop(place, ()):
            self.shut(one)
        for found in self.table:
            if found is not None and (<AgencyConnection>found).place == place:
                (<AgencyConnection>found).forgotten = True

    def forget_idle(self):
        """As `forget`, for all places."""
        for place in list(self.places):
            self.forget(place)
        for found in self.table:
            if found is not None:
                (<AgencyConnection>found).forgotten = True

    def close(self):
        """Close all connections and the port itself; calls under way fail."""
        cdef AgencyConnection one
        for found in list(self.table):
            if found is not None:
                one = <AgencyConnection>found
                if one.call is None:
                    self.leave(one)
                else:
                    self.fail(one, "was not waited for", not one.begun)
        self.places.clear()
        self.end()
        self.tell()
