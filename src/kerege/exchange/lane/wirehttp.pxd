# The HTTP around messages of X-Road's wire, for the native path: where a message ends, and what its headers say of it.
from kerege.exchange.lane.restfields cimport Bytes

cdef enum:
    HEAD = 16 * 1024   # bytes of an HTTP head

cdef struct Http:         # of a whole message
    Bytes body            # as it came
    Bytes end             # behind it
    Py_ssize_t size       # bytes of the body, without what its chunks are written with
    bint chunked
    bint kept             # the connection, after it
    Bytes kind            # the value of Content-Type
    Py_ssize_t kind_size
    Bytes request_id      # the value of X-Road-Request-Id; NULL where there is none
    Py_ssize_t request_id_size

cdef bint read_http(bytes data, Bytes line, Py_ssize_t largest, bint asked, bint ended, Http* found) noexcept
cdef Py_ssize_t missing_of(bytes data, Py_ssize_t largest) noexcept
cdef Py_ssize_t chunks(Bytes at, Bytes end, Py_ssize_t largest, unsigned char* to, Py_ssize_t* content) noexcept nogil
