# cython: language_level=3
"""Sockets that one epoll descriptor watches, read and written without waiting: what `clientport` and `agencyport` share.

The event loop watches the epoll descriptor alone, so that a batch of messages costs one turn of the loop, not one callback each. Nothing
here blocks, raises no SIGPIPE, and takes EINTR for what it is. A socket is known by its descriptor and a serial number: an event that
was fetched before the socket was closed finds nobody, even where the descriptor was given out again meanwhile.
"""

import errno as _errno
import os as _os

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy, memmove
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport close as close_descriptor, read as read_descriptor, write as write_descriptor

cdef extern from "sys/eventfd.h" nogil:
    enum:
        EFD_CLOEXEC
        EFD_NONBLOCK
    int eventfd(unsigned int start, int flags)

cdef extern from "sys/socket.h" nogil:
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
        MSG_PEEK
    ssize_t recv(int fd, void* data, size_t size, int flags)
    ssize_t send(int fd, const void* data, size_t size, int flags)

cdef enum:
    MOST_HEAD = 16 * 1024  # a line longer than a head may be is looked at though it has no end


cdef long long milliseconds() noexcept:
    """Since 1970."""
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <long long>now.tv_sec * 1000 + now.tv_nsec // 1000000


cdef bint peer_ended(int fd) noexcept:
    """Whether the other end has closed and nothing of it is left to read; bytes that wait stay where they are."""
    cdef unsigned char one
    cdef ssize_t got
    while True:
        got = recv(fd, &one, 1, MSG_PEEK | MSG_DONTWAIT)
        if got > 0:
            return False
        if got == 0:
            return True
        if errno != EINTR:
            return errno != EAGAIN


cdef class Socket:
    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        free(self.data)
        if self.fd >= 0:
            close_descriptor(self.fd)

    cdef bytes kept(self):
        """What was read and is no part of a whole message."""
        return self.data[: self.size] if self.size > 0 else b""


cdef class Watch:
    def __cinit__(self):
        cdef epoll_event event
        self.epoll = self.waker = -1
        self.table, self.told = [], []
        self.scratch = <unsigned char*>malloc(SCRATCH)
        if self.scratch is NULL:
            raise MemoryError
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        event.events, event.data.u64 = EPOLLIN, 0  # serial numbers begin with 1
        if self.epoll < 0 or self.waker < 0 or epoll_ctl(self.epoll, EPOLL_CTL_ADD, self.waker, &event) < 0:
            raise OSError(errno, _os.strerror(errno))

    def __dealloc__(self):
        self.end()
        free(self.scratch)

    cdef void end(self) noexcept:
        """Give back the descriptors of the watch itself; its sockets are closed before."""
        if self.epoll >= 0:
            close_descriptor(self.epoll)
        if self.waker >= 0:
            close_descriptor(self.waker)
        self.epoll = self.waker = -1

    cdef double now(self):
        """Seconds of the clock that deadlines go by."""
        cdef timespec moment
        if self.clock is not None:
            return self.clock()
        clock_gettime(CLOCK_MONOTONIC, &moment)
        return moment.tv_sec + moment.tv_nsec * 1e-9

    def fileno(self):
        """The epoll descriptor, for a loop's `add_reader`; -1 after the end."""
        return self.epoll

    def drain(self):
        """Look at all sockets that are ready, then give the whole messages on in one go; how many there were.

        Nothing that another end does raises here. What a callback raises is raised when all callbacks were called.
        """
        cdef epoll_event events[EVENTS]
        cdef Socket one
        cdef Py_ssize_t whole = 0
        cdef int n, i
        if self.draining or self.epoll < 0:
            return 0
        self.draining = True
        problem = None
        try:
            n = self.events(events)
            self.moment, self.moment_ms = self.now(), milliseconds()
            self.begin()
            for i in range(n):
                one = self.of_event(events[i].data.u64)
                if one is not None:
                    try:
                        self.ready(one, events[i].events)
                    except BaseException:  # noqa: BLE001 - memory does not suffice for its message
                        self.give_up(one)
            whole = self.deliver()
        except BaseException as raised:  # noqa: BLE001 - raised again below
            problem = raised
        self.draining = False
        try:
            self.tell()
        except BaseException as raised:  # noqa: BLE001
            problem = problem or raised
        if problem is not None:
            raise problem
        return whole

    cdef int begin(self) except -1:
        return 0

    cdef int ready(self, Socket one, uint32_t what) except -1:
        """A socket has these events."""
        return 0

    cdef void give_up(self, Socket one) noexcept:
        """Close it, and have it told."""
        self.shut(one)

    cdef Py_ssize_t deliver(self) except -1:
        """Give on what was read in this turn; how many messages."""
        return 0

    cdef int tell(self) except -1:
        """Call what is to be called, when nothing is being read. The first problem is raised when all were called."""
        cdef list told = self.told
        if self.draining or not told:
            return 0
        self.told = []
        problem = None
        for callback, arguments in told:
            try:
                callback(*arguments)
            except BaseException as raised:  # noqa: BLE001 - raised again below
                problem = problem or raised
        if problem is not None:
            raise problem
        return 0

    cdef Socket of_event(self, uint64_t data):
        cdef uint64_t fd = data & 0xFFFFFFFF
        cdef object found
        cdef Socket one
        if fd >= <uint64_t>len(self.table):
            return None
        found = self.table[<Py_ssize_t>fd]
        if found is None:
            return None
        one = <Socket>found
        return one if one.serial == data >> 32 else None

    cdef int add(self, Socket one, int fd) except -1:
        """Watch a connected socket; it is the watch's to close from now on. Raises OSError, and the descriptor stays the caller's."""
        cdef epoll_event event
        if self.epoll < 0 or fd < 0 or one.fd >= 0:
            raise OSError(_errno.EBADF, "no such descriptor, or the port is closed")
        while len(self.table) <= fd:
            self.table.append(None)
        if self.table[fd] is not None:
            raise OSError(_errno.EEXIST, "the descriptor is watched already")
        self.serial = self.serial + 1 if self.serial < 0xFFFFFFFF else 1
        event.events, event.data.u64 = EPOLLIN, (<uint64_t>self.serial << 32) | <uint32_t>fd
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event) < 0:
            raise OSError(errno, _os.strerror(errno))
        one.fd, one.serial, one.armed = fd, self.serial, EPOLLIN
        self.table[fd] = one
        self.count += 1
        return 0

    cdef bint arm(self, Socket one, uint32_t events) noexcept:
        """Ask for these events; False where the kernel would not."""
        cdef epoll_event event
        if one.armed == events:
            return True
        event.events, event.data.u64 = events, (<uint64_t>one.serial << 32) | <uint32_t>one.fd
        if epoll_ctl(self.epoll, EPOLL_CTL_MOD, one.fd, &event) < 0:
            return False
        one.armed = events
        return True

    cdef int part(self, Socket one) noexcept:
        """Watch it no more; its descriptor is the caller's."""
        cdef int fd = one.fd
        if fd < 0:
            return -1
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, NULL)
        self.table[fd] = None
        self.count -= 1
        self.bytes_kept -= one.size
        one.fd = -1
        return fd

    cdef void shut(self, Socket one) noexcept:
        """Close it. Its bytes are freed with the object: a reader further up may be at them."""
        cdef int fd = self.part(one)
        one.size = one.looked = one.wanted = 0
        one.out = None
        if fd >= 0:
            close_descriptor(fd)

    cdef int events(self, epoll_event* found) noexcept:
        """What is ready now, at most EVENTS."""
        cdef int n
        if self.epoll < 0:
            return 0
        while True:
            n = epoll_wait(self.epoll, found, EVENTS, 0)
            if n >= 0:
                return n
            if errno != EINTR:
                return 0

    cdef void wake(self) noexcept:
        """Have the loop come again though no socket is ready."""
        cdef uint64_t one = 1
        if not self.woken and self.waker >= 0:
            self.woken = write_descriptor(self.waker, &one, sizeof(one)) == sizeof(one)

    cdef void woke(self) noexcept:
        cdef uint64_t count
        if self.woken:
            read_descriptor(self.waker, &count, sizeof(count))
            self.woken = False

    cdef Py_ssize_t read(self, Socket one, const unsigned char** data, Py_ssize_t* size) except -3:
        """One read: how many bytes came, or ENDED, NOTHING, BROKEN. `data` is what was kept before and what came, until the next read."""
        cdef Py_ssize_t room, most
        cdef unsigned char* larger
        cdef unsigned char* to
        cdef ssize_t got
        if one.size == 0:
            to, most = self.scratch, SCRATCH
        else:
            most = one.wanted - one.size if one.wanted > one.size else PIECE
            if most > SCRATCH:
                most = SCRATCH
            if one.room - one.size < most:
                room = one.size + most
                larger = <unsigned char*>realloc(one.data, room)
                if larger is NULL:
                    raise MemoryError
                one.data, one.room = larger, room
            to = one.data + one.size
        while True:
            got = recv(one.fd, to, most, MSG_DONTWAIT)
            if got > 0:
                if one.size == 0:
                    data[0], size[0] = self.scratch, got
                else:
                    one.size += got
                    self.bytes_kept += got
                    data[0], size[0] = one.data, one.size
                return got
            if got == 0:
                return ENDED
            if errno != EINTR:
                return NOTHING if errno == EAGAIN else BROKEN

    cdef bint worth_a_look(self, Socket one, const unsigned char* data, Py_ssize_t size) noexcept:
        """Whether what came can make a difference to a reader who found the message not whole before.

        A head that comes in crumbs would otherwise be read anew for each of them.
        """
        if one.wanted > 0:
            return size >= one.wanted
        if one.looked == 0 or size > MOST_HEAD or one.looked >= size:
            return True
        return memchr(data + one.looked, 10, size - one.looked) is not NULL

    cdef int keep(self, Socket one, const unsigned char* data, Py_ssize_t size) except -1:
        """Keep these bytes (of what `read` gave, or of the kept ones) and nothing else."""
        cdef unsigned char* larger
        self.bytes_kept += size - one.size
        if size == 0:
            if one.data is not NULL:
                free(one.data)
                one.data, one.room = NULL, 0
            one.size = 0
            return 0
        if one.data is NULL or not (one.data <= data < one.data + one.room):
            if one.room < size:
                larger = <unsigned char*>realloc(one.data, size)
                if larger is NULL:
                    self.bytes_kept -= size - one.size
                    raise MemoryError
                one.data, one.room = larger, size
            memcpy(one.data, data, size)
        elif data != one.data:
            memmove(one.data, data, size)
        one.size = size
        return 0

    cdef int write(self, Socket one) noexcept:
        """Write what is to be written, as much as the socket takes: 1 when all is out, 0 when some is left, -1 when the connection is gone."""
        cdef const char* data = one.out
        cdef Py_ssize_t size = len(one.out)
        cdef ssize_t taken
        while one.sent < size:
            taken = send(one.fd, data + one.sent, size - one.sent, MSG_DONTWAIT | MSG_NOSIGNAL)
            if taken >= 0:
                one.sent += taken
            elif errno == EAGAIN:
                return 0
            elif errno != EINTR:
                return -1
        one.out = None
        one.sent = one.marked = 0
        return 1
