# cython: language_level=3
"""The HTTP around messages of X-Road's wire: the native form of what `node.http.reading` and `node.http.connection` do with small ones.

A body has a known length, or comes in chunks (RFC 9112 7.1: as X-Road's own servers send their requests), or, of an answer, ends with the
connection. Only the plainest form of each is read: one header that says so, no other coding, no extension of a chunk, no trailer. Whatever
two readers could take for different messages is not this module's, and neither is any refusal.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp, memcpy

from kerege.exchange.lane.restfields cimport (
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, FRAMING, MOST_FIELDS, REQUEST_ID, Field, equal, equal_low, fields_of,
    length_said, text,
)

cdef enum:
    FIELDS = 60        # header lines of a message
    DIGITS = 8         # of a chunk's size
    LAST = 5           # bytes of the shortest last chunk, with the empty line after it
    TO_THE_END = -1    # the body's length, where the connection's end ends it
    CHUNKED = -2       # where it comes in chunks

cdef signed char HEX[256]


def _load():
    for byte in range(256):
        HEX[byte] = int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else -1


_load()


cdef bint framing(const Field* fields, int count, bint asked, Py_ssize_t* length, bint* kept) noexcept nogil:
    """Whether at most one header says where the body ends, in its plainest form, and the connection's use is as plain.

    asked   a request, which has a length or chunks, and after which the connection is kept
    """
    cdef const Field* one
    cdef int at
    length[0], kept[0] = TO_THE_END, True
    if count > FIELDS:
        return False
    for at in range(count):
        one = &fields[at]
        if one.known == CONTENT_LENGTH:
            if length[0] != TO_THE_END:
                return False
            length[0] = length_said(one)
            if length[0] < 0:
                return False
        elif one.known == CONNECTION:
            if equal_low(one.value, one.value_size, b"close", 5):
                kept[0] = False
            elif not equal_low(one.value, one.value_size, b"keep-alive", 10):
                return False
        elif one.known == FRAMING:
            if length[0] != TO_THE_END or not equal_low(one.name, one.name_size, b"transfer-encoding", 17):
                return False
            if not equal(one.value, one.value_size, b"chunked", 7):
                return False
            length[0] = CHUNKED
    if asked:
        return kept[0] and length[0] != TO_THE_END
    if length[0] == TO_THE_END:
        kept[0] = False
    return True


cdef Py_ssize_t chunks(Bytes at, Bytes end, Py_ssize_t largest, unsigned char* to, Py_ssize_t* content) noexcept nogil:
    """Of a body in chunks from `at` on, of which all came up to `end`: 0: that is all of it; more: at least so many bytes are missing.

    -1: it is not plain, has more than `largest` bytes as it is written, or something follows it. `content` is how many bytes
    its chunks have together; they are put to `to`, where that is not NULL, and has room for as many as there are up to `end`.
    """
    cdef Py_ssize_t left, need, size, total = 0
    cdef Py_ssize_t came = end - at
    cdef int digits
    content[0] = 0
    if came > largest:
        return -1
    while True:
        size, digits = 0, 0
        while at < end and digits <= DIGITS and HEX[at[0]] >= 0:
            size = size * 16 + HEX[at[0]]
            digits += 1
            at += 1
        if digits > DIGITS or size > largest - total:
            return -1
        left = end - at
        need = 2  # bytes from here up to the end of this chunk, as far as that is known
        if left > 0 and (digits == 0 or at[0] != c"\r" or (left > 1 and at[1] != c"\n")):
            return -1
        if digits == 0:
            need = LAST
        elif size == 0:
            need = 4
            if left > 2 and (at[2] != c"\r" or (left > 3 and at[3] != c"\n")):
                return -1  # trailers
            if left == 4:
                content[0] = total
                return 0
            if left > 4:
                return -1
        else:
            need = 2 + size + 2
            if left > 2 + size and (at[2 + size] != c"\r" or (left > 3 + size and at[3 + size] != c"\n")):
                return -1
            if left < need:
                need += LAST
        if left < need:
            return need - left if need - left <= largest - came else -1
        if to is not NULL:
            memcpy(to + total, at + 2, size)
        total += size
        at += need


cdef bint read_http(bytes data, Bytes line, Py_ssize_t largest, bint asked, bint ended, Http* found) noexcept:
    """Whether `data` is one whole message of X-Road's wire with a body of at most `largest` bytes, plain in all; then `found` has it.

    line    where its header lines begin
    asked   it is a request, and says so
    ended   the connection ended after it
    """
    cdef Field fields[MOST_FIELDS]
    cdef const Field* one
    cdef bint algorithm = False, message_type = False
    cdef Bytes start = text(data)
    cdef Bytes end = start + PyBytes_GET_SIZE(data)
    cdef Py_ssize_t length
    cdef int i, count
    count = fields_of(start, line, min(end, start + HEAD), True, fields, &found.body)
    if count < 0 or not framing(fields, count, asked, &length, &found.kept):
        return False
    found.chunked, found.end = length == CHUNKED, end
    found.size = end - found.body
    if found.chunked:
        if chunks(found.body, end, largest, NULL, &found.size) != 0:
            return False
    elif found.size > largest or (length != found.size if length != TO_THE_END else not ended):
        return False
    found.kind = found.request_id = NULL
    for i in range(count):
        one = &fields[i]
        if one.known == CONTENT_TYPE:
            if found.kind is not NULL:
                return False
            found.kind, found.kind_size = one.value, one.value_size
        elif one.known == REQUEST_ID:
            if found.request_id is not NULL:
                return False
            found.request_id, found.request_id_size = one.value, one.value_size
        elif equal_low(one.name, one.name_size, b"x-hash-algorithm", 16):
            if algorithm or not equal_low(one.value, one.value_size, b"sha-512", 7):
                return False
            algorithm = True
        elif equal_low(one.name, one.name_size, b"x-road-message-type", 19):
            if message_type or not equal_low(one.value, one.value_size, b"rest", 4):
                return False
            message_type = True
    return found.kind is not NULL and not (asked and (found.request_id is NULL or not message_type))


cdef Py_ssize_t missing_of(bytes data, Py_ssize_t largest) noexcept:
    """How many bytes the one HTTP message that begins here, with a body of at most `largest` bytes, is still to have, at the least.

    0     it is whole, its head is not, or the message is not plain
    Of an answer that the connection's end will end: so many that it would be too large with them.
    """
    cdef Field fields[MOST_FIELDS]
    cdef Bytes start = text(data)
    cdef Bytes end = start + PyBytes_GET_SIZE(data)
    cdef Bytes line = <Bytes>memchr(start, c"\n", end - start)
    cdef Bytes body
    cdef Py_ssize_t length, size
    cdef int count
    cdef bint asked, kept
    if line is NULL or line == start or line[-1] != c"\r" or line + 1 > start + HEAD:
        return 0
    count = fields_of(start, line + 1, min(end, start + HEAD), True, fields, &body)
    asked = end - start < 13 or memcmp(start, b"HTTP/1.1 200 ", 13) != 0
    if count < 0 or not framing(fields, count, asked, &length, &kept):
        return 0
    if length == CHUNKED:
        return max(0, chunks(body, end, largest, NULL, &size))
    if length == TO_THE_END:
        length = largest + 1
    elif length > largest:
        return 0
    return max(0, length - (end - body))
