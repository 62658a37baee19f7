# cython: language_level=3, boundscheck=False, wraparound=False
"""Marks of the records of one frame of the message log, for its index.

The native form of `logoutline.marks_of_rows` and `logoutline.in_order`: the same bytes. What it does not take (identifiers beyond ASCII,
as a row counts characters; rows or identifiers beyond where they should end; contexts that are not there) is None, and their affair.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "outlines_marks.h":
    enum:
        MARK_BYTES
        SECRET_BYTES
    uint64_t marks_key(const uint8_t* secret, const uint8_t* data, size_t size) noexcept nogil
    bint marks_ascii(const uint8_t* data, size_t size) noexcept nogil
    void marks_put(uint8_t* to, uint64_t key, uint64_t number, uint32_t size, uint32_t copy) noexcept nogil
    int marks_sort(const uint8_t* source, uint8_t* to, size_t count) noexcept nogil

cdef enum:
    ROW_SIZE = 32  # `logrecord.ROW`: context, leaf, lengths of message id, request id, message, body (+ 1), chain file; digests

cdef uint64_t _LARGEST = 0xFFFFFFFF


cdef struct _Shared:
    uint32_t copy
    uint64_t signature


cdef inline uint32_t _number(const uint8_t* at) noexcept nogil:
    return at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24


def marks(
    bytes payload not None,
    Py_ssize_t rows,
    Py_ssize_t texts,
    Py_ssize_t end,
    list contexts not None,
    uint64_t first,
    bytes secret not None,
):
    """The marks of the rows at `rows`, whose identifiers stand from `texts` to `end`; None where it is not for here.

    contexts   of each context the number of whose copy it is of, and the bytes of its signature
    first      the number of the first record
    secret     32 bytes: the index's own
    """
    cdef Py_ssize_t size = PyBytes_GET_SIZE(payload), known = PyList_GET_SIZE(contexts), count, at
    if PyBytes_GET_SIZE(secret) != SECRET_BYTES or not 0 <= rows <= texts <= end <= size or not 0 < known <= 1 << 20:
        return None
    if (texts - rows) % ROW_SIZE:
        return None
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(payload)
    cdef const uint8_t* key = <const uint8_t*>PyBytes_AS_STRING(secret)
    if not marks_ascii(data + texts, end - texts):
        return None
    cdef _Shared* shared = <_Shared*>PyMem_Malloc(known * sizeof(_Shared))
    if shared == NULL:
        return None
    try:
        for at in range(known):
            shared[at].copy, shared[at].signature = contexts[at]
            if shared[at].signature > _LARGEST:
                return None
        count = (texts - rows) // ROW_SIZE
        made = PyBytes_FromStringAndSize(NULL, count * MARK_BYTES)
        if not _fill(<uint8_t*>PyBytes_AS_STRING(made), data + rows, count, data + texts, end - texts, shared, known, first, key):
            return None
        return made
    finally:
        PyMem_Free(shared)


cdef bint _fill(
    uint8_t* to, const uint8_t* row, Py_ssize_t count, const uint8_t* text, Py_ssize_t left,
    const _Shared* shared, Py_ssize_t known, uint64_t first, const uint8_t* secret,
) noexcept nogil:
    cdef Py_ssize_t at, identifier, both
    cdef uint64_t size, body
    cdef uint32_t context
    for at in range(count):
        context, identifier = _number(row), _number(row + 8)
        both = identifier + <Py_ssize_t>_number(row + 12)
        if context >= known or both > left:
            return False
        body = _number(row + 20)
        size = <uint64_t>_number(row + 16) + (body - 1 if body else 0) + shared[context].signature
        size = size if size < _LARGEST else _LARGEST
        marks_put(to, marks_key(secret, text, identifier), first + at, <uint32_t>size, shared[context].copy)
        text += both
        left -= both
        row += ROW_SIZE
        to += MARK_BYTES
    return True


def in_order(bytes marks not None):
    """The marks, sorted; None where they are not whole or there is no memory for it. Others may use the interpreter meanwhile."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(marks)
    cdef int done
    if size % MARK_BYTES:
        return None
    made = PyBytes_FromStringAndSize(NULL, size)
    cdef const uint8_t* source = <const uint8_t*>PyBytes_AS_STRING(marks)
    cdef uint8_t* to = <uint8_t*>PyBytes_AS_STRING(made)
    with nogil:
        done = marks_sort(source, to, size // MARK_BYTES)
    return made if done == 0 else None
