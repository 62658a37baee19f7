# cython: language_level=3
"""What a REST call is aimed at, who calls, and the identifiers of messages: the native form of `exchange.resttarget`, and of as much of
`exchange.ids` as needs no decoding.

An identifier or a path that could be written in two ways is not the native path's.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp

from kerege.exchange.lane.restfields cimport FIRST, PART, PRINTED, SEGMENT, Bytes, classes, equal_low, put, text

cdef enum:
    RANDOM = 16 * 1024  # bytes asked of the system at once

cdef Bytes CLASS = classes()
cdef const char* OWN = b"vnd.kerege."  # in the media types that this software answers with itself: `node.translate.CANONICAL`
cdef const char* HEX = b"0123456789abcdef"
cdef bytes RANDOMS = b""
cdef Py_ssize_t RANDOM_AT = 0


cdef bint printed(Bytes at, Py_ssize_t size) noexcept nogil:
    """An identifier of a message as it is written and as it is read: 1 to 255 printable ASCII characters, no space around them."""
    cdef Py_ssize_t i
    if size < 1 or size > 255 or at[0] == c" " or at[size - 1] == c" ":
        return False
    for i in range(size):
        if not CLASS[at[i]] & PRINTED:
            return False
    return True


cdef bytes new_uuid(Bytes before, Py_ssize_t size):
    """A random UUID (version 4) as text, after `before` and a hyphen where `size` is not 0; as `node.core.new_uuid`."""
    global RANDOMS, RANDOM_AT
    cdef bytes out = PyBytes_FromStringAndSize(NULL, (size + 1 if size else 0) + 36)
    cdef unsigned char* to = <unsigned char*>PyBytes_AS_STRING(out)
    cdef Bytes random
    cdef unsigned char byte
    cdef int i
    if RANDOM_AT + 16 > PyBytes_GET_SIZE(RANDOMS):
        RANDOMS, RANDOM_AT = os.urandom(RANDOM), 0
    random = text(RANDOMS) + RANDOM_AT
    RANDOM_AT += 16
    if size:
        to = put(to, before, size)
        to[0] = c"-"
        to += 1
    for i in range(16):
        byte = random[i]
        if i == 6:
            byte = (byte & 0x0F) | 0x40
        elif i == 8:
            byte = (byte & 0x3F) | 0x80
        if i == 4 or i == 6 or i == 8 or i == 10:
            to[0] = c"-"
            to += 1
        to[0], to[1] = HEX[byte >> 4], HEX[byte & 15]
        to += 2
    return out


def _forget_randoms():
    """A process that branches off must not make the same identifiers."""
    global RANDOMS, RANDOM_AT
    RANDOMS, RANDOM_AT = b"", 0


os.register_at_fork(after_in_child=_forget_randoms)


cdef Py_ssize_t parts_of(Bytes at, Bytes end, int count, Py_ssize_t* first) noexcept nogil:
    """The size of `count` parts of an identifier with slashes between them, each written as it is read; -1 where that is not so."""
    cdef Bytes begin = at
    cdef Bytes part
    cdef int i
    for i in range(count):
        if i:
            if at == end or at[0] != c"/":
                return -1
            at += 1
        part = at
        while at < end and CLASS[at[0]] & PART:
            at += 1
        if at == part or at - part > 255 or (part[0] == c"." and (at - part == 1 or (at - part == 2 and part[1] == c"."))):
            return -1
        if i == 0:
            first[0] = at - part
    return at - begin


cdef bint taken_apart(Bytes at, Py_ssize_t size, Target* out) noexcept nogil:
    """`resttarget.parts_of`, where the service needs no decoding and the path has one reading; all bytes are a target's already."""
    cdef Bytes end = at + size
    cdef Py_ssize_t first
    if size < 4 or memcmp(at, b"/r1/", 4) != 0:
        return False
    at += 4
    out.service = at
    out.service_size = parts_of(at, end, 5, &first)
    if out.service_size < 0:
        return False
    at += out.service_size
    out.path = at
    if at < end and at[0] != c"/" and at[0] != c"?":
        return False
    while at < end and at[0] != c"?":
        if at[0] == c"/":
            if at + 1 < end and at[1] != c"?" and not CLASS[at[1]] & FIRST:
                return False
        elif not CLASS[at[0]] & SEGMENT:
            return False
        at += 1
    out.path_size = at - out.path
    out.query, out.query_size = NULL, 0
    if at < end:
        out.query, out.query_size = at + 1, end - at - 1
    return True


cdef Py_ssize_t client_plain(Bytes at, Py_ssize_t size) noexcept nogil:
    """The size of the instance in a subsystem's identifier that is written as it is read; 0 where it is anything else."""
    cdef Py_ssize_t first
    return first if parts_of(at, at + size, 4, &first) == size else 0


cdef bint names_own(Bytes at, Py_ssize_t size) noexcept nogil:
    """Whether a media type of this software's own is named in it."""
    cdef Py_ssize_t i
    for i in range(size - 10):
        if at[i + 3] == c"." and equal_low(at + i, 11, OWN, 11):
            return True
    return False
