# What the ports share: sockets that one epoll descriptor watches, read and written without waiting.
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "sys/epoll.h" nogil:
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLERR
        EPOLLHUP
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
        EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int most, int milliseconds)

cdef enum:
    EVENTS = 256               # looked at in one turn; what is ready beyond them stays ready
    SCRATCH = 128 * 1024       # bytes read at once
    PIECE = 16 * 1024          # bytes read at once where a message is begun and its length is not known
    PROGRESS = 1024 * 1024     # bytes after which a deadline moves on, as `http.bodies.PROGRESS`
    ENDED = 0                  # `Watch.read`: the other end says no more
    NOTHING = -1               # there is nothing yet
    BROKEN = -2                # the connection is gone

cdef class Socket:
    """One connection. `fd` is -1 when it is not a watch's any more."""
    cdef int fd
    cdef uint32_t serial            # an event of an earlier socket with the same descriptor is not this one's
    cdef uint32_t armed             # the events asked for
    cdef unsigned char* data        # read, and not part of a whole message yet
    cdef Py_ssize_t size, room      # of `data`: bytes there, bytes it can hold
    cdef Py_ssize_t looked          # bytes of `data` known to end in the middle of a line
    cdef Py_ssize_t wanted          # bytes that make the message whole; 0: not known
    cdef bytes out                  # to be written; None: nothing is
    cdef Py_ssize_t sent, marked    # of `out`: bytes written, and bytes when the deadline last moved
    cdef double deadline            # seconds of the watch's clock
    cdef bytes kept(self)           # `data`

cdef class Watch:
    cdef int epoll, waker
    cdef bint woken, draining
    cdef object clock               # gives seconds; None: the monotonic clock
    cdef list table                 # sockets by descriptor
    cdef uint32_t serial
    cdef unsigned char* scratch
    cdef Py_ssize_t count, bytes_kept
    cdef double moment              # of this turn: the clock's seconds
    cdef long long moment_ms        # and the milliseconds since 1970
    cdef list told                  # (callback, arguments) for when nothing is being read
    cdef Socket of_event(self, uint64_t data)
    cdef int add(self, Socket one, int fd) except -1
    cdef bint arm(self, Socket one, uint32_t events) noexcept
    cdef int part(self, Socket one) noexcept
    cdef void shut(self, Socket one) noexcept
    cdef int events(self, epoll_event* found) noexcept
    cdef void wake(self) noexcept
    cdef void woke(self) noexcept
    cdef Py_ssize_t read(self, Socket one, const unsigned char** data, Py_ssize_t* size) except -3
    cdef bint worth_a_look(self, Socket one, const unsigned char* data, Py_ssize_t size) noexcept
    cdef int keep(self, Socket one, const unsigned char* data, Py_ssize_t size) except -1
    cdef int write(self, Socket one) noexcept
    cdef double now(self)
    cdef int begin(self) except -1                          # of a turn: an heir's
    cdef int ready(self, Socket one, uint32_t what) except -1
    cdef void give_up(self, Socket one) noexcept
    cdef Py_ssize_t deliver(self) except -1
    cdef int tell(self) except -1
    cdef void end(self) noexcept

cdef bint peer_ended(int fd) noexcept
cdef long long milliseconds() noexcept  # since 1970
