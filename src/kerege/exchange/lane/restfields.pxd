# Header lines of a REST message, found and told apart, for the native path (`exchange.restheaders`); and bytes put together.
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp, memcpy

ctypedef const unsigned char* Bytes

cdef enum:
    MOST_FIELDS = 72      # of a message; one with more is not the native path's

cdef enum:                # what a name says: `restheaders.Name`
    XROAD = 1
    SHADOWS = 2
    ONCE = 4
    HOP_BY_HOP = 8
    NOT_FROM_CLIENT = 16
    NOT_FROM_PROVIDER = 32
    NOT_FOR_CLIENT = 64

cdef enum:                # which it is, of those whose value is read
    UNKNOWN = 0
    CLIENT = 1
    MESSAGE_ID = 2
    REQUEST_ID = 3
    SERVER = 4
    ACCEPT = 5
    CONTENT_TYPE = 6
    CONTENT_LENGTH = 7
    CONNECTION = 8
    FRAMING = 9           # says that a message's end or its connection's use is not simple

cdef enum:                # of bytes, for `CLASS`
    TOKEN = 1             # may stand in a header's name
    TARGET = 2            # in a request target
    PART = 4              # in a part of an identifier that is written as it is read
    SEGMENT = 8           # in a segment of a path that has one reading
    FIRST = 16            # at the beginning of such a segment
    PRINTED = 32          # printable ASCII, or a space

cdef struct Field:        # its line is name, ":", perhaps white space, value, CRLF
    Bytes name
    Bytes value
    Py_ssize_t name_size
    Py_ssize_t value_size
    int flags
    int known

cdef Bytes classes() noexcept nogil
cdef int fields_of(Bytes start, Bytes at, Bytes end, bint http, Field* fields, Bytes* after) noexcept nogil
cdef bint said_once(const Field* fields, int count, int dropped) noexcept nogil


cdef inline Bytes text(bytes given) noexcept:
    return <Bytes>PyBytes_AS_STRING(given)


cdef inline bytes made(Bytes at, Py_ssize_t size):
    return PyBytes_FromStringAndSize(<const char*>at, size)


cdef inline unsigned char* put(unsigned char* to, Bytes what, Py_ssize_t size) noexcept nogil:
    memcpy(to, what, size)
    return to + size


cdef inline unsigned char* put_text(unsigned char* to, const char* what, Py_ssize_t size) noexcept nogil:
    memcpy(to, what, size)
    return to + size


cdef inline bint equal_low(Bytes at, Py_ssize_t size, const char* low, Py_ssize_t low_size) noexcept nogil:
    """Whether it is `low`, however its letters are written."""
    cdef Py_ssize_t i
    cdef unsigned char wanted
    if size != low_size:
        return False
    for i in range(size):
        wanted = <unsigned char>low[i]
        if at[i] != wanted and not (c"A" <= at[i] <= c"Z" and at[i] + 32 == wanted):
            return False
    return True


cdef inline Py_ssize_t length_said(const Field* one) noexcept nogil:
    """What a Content-Length says, in at most 15 digits and nothing else; -1: it is not plain."""
    cdef Py_ssize_t i, length = 0
    if one.value_size < 1 or one.value_size > 15:
        return -1
    for i in range(one.value_size):
        if not c"0" <= one.value[i] <= c"9":
            return -1
        length = length * 10 + (one.value[i] - c"0")
    return length


cdef inline unsigned char* put_line(unsigned char* to, const char* name, Py_ssize_t name_size, bytes value) noexcept:
    to = put_text(to, name, name_size)
    to = put(to, text(value), PyBytes_GET_SIZE(value))
    return put_text(to, b"\r\n", 2)


cdef inline bint equal(Bytes at, Py_ssize_t size, const char* other, Py_ssize_t other_size) noexcept nogil:
    return size == other_size and memcmp(at, other, size) == 0
