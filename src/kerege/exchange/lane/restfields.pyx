# cython: language_level=3
"""Header lines of a REST message, found and told apart: the native form of `exchange.restheaders`.

What a name says is asked of `restheaders` when this module is loaded, and so is which characters may stand where: the rules are
written down once. Whatever is not plainly a header line is not the native path's.
"""

from libc.string cimport memchr, memcpy

from kerege.exchange import restheaders, resttarget
from kerege.exchange.errors import ExchangeError

cdef extern from *:
    """
    /* Control characters but tabs. Written so that compilers make vector instructions of it. */
    #if defined(__GNUC__) && !defined(__clang__)
    __attribute__((optimize("O3")))
    #endif
    static Py_ssize_t kerege_controls(const unsigned char *data, Py_ssize_t size)
    {
        Py_ssize_t found = 0;
        while (size > 0) {
            int many = size < 240 ? (int)size : 240;
            unsigned char here = 0;
            for (int i = 0; i < many; i++)
                here += (unsigned char)(((data[i] < 0x20) & (data[i] != 9)) | (data[i] == 0x7f));
            found += here;
            data += many;
            size -= many;
        }
        return found;
    }
    """
    Py_ssize_t kerege_controls(const unsigned char* data, Py_ssize_t size) noexcept nogil

cdef enum:
    LONGEST = 31
    BUCKETS = 128
    MOST_KNOWN = 64
    MOST_OWN = 16

cdef struct Name:
    unsigned char text[LONGEST + 1]
    Py_ssize_t size
    int flags
    int known
    int following  # with the same number, from 1; 0: none

cdef const char* OWN = b"x-road-"
cdef unsigned char CLASS[256]
cdef unsigned char LOW[256]
cdef Name NAMES[MOST_KNOWN + 1]
cdef int HEADS[BUCKETS]

_WHICH = {
    b"x-road-client": CLIENT,
    b"x-road-id": MESSAGE_ID,
    b"x-road-request-id": REQUEST_ID,
    b"x-road-security-server": SERVER,
    b"accept": ACCEPT,
    b"content-type": CONTENT_TYPE,
    b"content-length": CONTENT_LENGTH,
    b"connection": CONNECTION,
    b"proxy-connection": FRAMING,
    b"transfer-encoding": FRAMING,
    b"upgrade": FRAMING,
    b"trailer": FRAMING,
    b"expect": FRAMING,
}


cdef Bytes classes() noexcept nogil:
    """For each byte the kinds of places it may stand in."""
    return CLASS


cdef inline int bucket(Bytes name, Py_ssize_t size) noexcept nogil:
    return <int>((size * 7 + LOW[name[0]] + 3 * LOW[name[size - 1]]) & (BUCKETS - 1))


cdef inline bint alike(Bytes one, Bytes other, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        if LOW[one[i]] != LOW[other[i]]:
            return False
    return True


cdef void look(Field* field) noexcept nogil:
    """What the field's name says; it has at least one character, all of them a token's."""
    cdef Bytes name = field.name
    cdef Py_ssize_t size = field.name_size
    cdef const char* own = OWN
    cdef unsigned char low
    cdef int i, at = HEADS[bucket(name, size)]
    while at:
        if NAMES[at].size == size and alike(name, NAMES[at].text, size):
            field.flags, field.known = NAMES[at].flags, NAMES[at].known
            return
        at = NAMES[at].following
    field.flags, field.known = 0, UNKNOWN
    low = LOW[name[0]]
    if low == c"x" and size >= 7:
        field.flags = XROAD
        for i in range(1, 7):
            low = LOW[name[i]]
            if low == c"_" and (i == 1 or i == 6):
                field.flags = 0  # with underscores it is none of X-Road's own, but may be taken for one
            elif low != <unsigned char>own[i]:
                field.flags = 0
                return
        if memchr(name, c"_", size) is not NULL:
            field.flags |= SHADOWS | NOT_FROM_PROVIDER
    elif low == c"p" and size >= 6 and equal_low(name, 6, b"proxy-", 6):
        field.flags = NOT_FOR_CLIENT


cdef int fields_of(Bytes start, Bytes at, Bytes end, bint http, Field* fields, Bytes* after) noexcept nogil:
    """The header lines from `at` on; at most MOST_FIELDS. -1: not simple; -2: not whole yet (of HTTP only).

    http    they end with an empty line, before `end`, and what follows it is `after`; white space before a value is none of it,
            white space after it is, as httptools reads it. Else they are those of the signed form, up to `end`
    start   where the message begins: one line before `at` with HTTP, two in the signed form, each ended by CRLF
    """
    cdef Bytes line = at
    cdef Bytes line_end
    cdef Bytes mark
    cdef int count = 0
    while line < end or http:
        line_end = line
        if line < end:
            line_end = <Bytes>memchr(line, c"\n", end - line)
        if line >= end or line_end is NULL:
            if not http:
                return -1
            # a carriage return that ends what came may be the first half of a line's end
            if kerege_controls(start, end - start) != 2 * (count + 1) + (1 if line < end and end[-1] == c"\r" else 0):
                return -1
            return -2
        if line_end == line or line_end[-1] != c"\r":
            return -1
        if http and line_end == line + 1:
            after[0] = line_end + 1
            if kerege_controls(start, after[0] - start) != 2 * (count + 2):
                return -1
            return count
        if count == MOST_FIELDS:
            return -1
        mark = line
        while CLASS[mark[0]] & TOKEN:  # stops at the line's end at the latest
            mark += 1
        if mark[0] != c":" or mark == line:
            return -1
        fields[count].name, fields[count].name_size = line, mark - line
        mark += 1
        if http:
            while mark[0] == c" " or mark[0] == c"\t":
                mark += 1
        fields[count].value, fields[count].value_size = mark, line_end - 1 - mark
        look(&fields[count])
        count += 1
        line = line_end + 1
    after[0] = end
    # two for each line's end: so no other is there
    return count if kerege_controls(start, end - start) == 2 * (count + 2) else -1


cdef bint said_once(const Field* fields, int count, int dropped) noexcept nogil:
    """No header of X-Road's own is there twice or shadowed, of those without a flag of `dropped`: `restheaders.Shape.plain`."""
    cdef int own[MOST_OWN]
    cdef int i, j, found = 0
    for i in range(count):
        if fields[i].flags & dropped or not fields[i].flags & (XROAD | SHADOWS):
            continue
        if fields[i].flags & SHADOWS or found == MOST_OWN:
            return False
        for j in range(found):
            if fields[own[j]].name_size == fields[i].name_size and alike(
                fields[own[j]].name, fields[i].name, fields[i].name_size
            ):
                return False
        own[found] = i
        found += 1
    return True


def _flags(name):
    found = restheaders.name_of(name)
    said = (
        (found.xroad, XROAD), (found.shadows, SHADOWS), (found.once, ONCE), (found.hop_by_hop, HOP_BY_HOP),
        (found.dropped_from_client, NOT_FROM_CLIENT), (found.dropped_from_provider, NOT_FROM_PROVIDER),
        (found.not_for_client, NOT_FOR_CLIENT),
    )
    return sum(flag for true, flag in said if true)


def _passes(call, *given):
    try:
        return call(*given)
    except ExchangeError:
        return None


def _load():
    """Fill the tables with what `restheaders` and `resttarget` say."""
    cdef int at = 0
    cdef bytes name
    for byte in range(256):
        one, char = bytes((byte,)), chr(byte)
        LOW[byte] = one.lower()[0]
        CLASS[byte] = 0
        if _passes(restheaders.name_of, one):
            CLASS[byte] |= TOKEN
        if _passes(resttarget.parts_of, f"/r1/a/b/c/d/e?{char}"):
            CLASS[byte] |= TARGET
        parts = _passes(resttarget.parts_of, f"/r1/a/b/c/d/e{char}")
        if parts is not None and parts[0].service == f"e{char}":
            CLASS[byte] |= PART
        if char != "/" and resttarget._PLAIN_PATH.match(f"/a{char}"):
            CLASS[byte] |= SEGMENT
        if resttarget._PLAIN_PATH.match(f"/{char}"):
            CLASS[byte] |= FIRST
        if 0x20 <= byte <= 0x7E:
            CLASS[byte] |= PRINTED
    known = restheaders._NOT_FROM_CLIENT | restheaders._NOT_FROM_PROVIDER | restheaders.NOT_FOR_THE_CLIENT
    for name in sorted(known | set(restheaders._SAID_ONCE) | set(_WHICH)):
        at += 1
        if at > MOST_KNOWN or len(name) > LONGEST:
            raise ImportError("more or longer names of headers than there is room for")
        memcpy(NAMES[at].text, <Bytes>name, len(name))
        NAMES[at].size, NAMES[at].flags, NAMES[at].known = len(name), _flags(name), _WHICH.get(name, UNKNOWN)
        number = bucket(NAMES[at].text, NAMES[at].size)
        NAMES[at].following, HEADS[number] = HEADS[number], at


_load()


def flags_of(bytes name):
    """What the native path takes a header's name to say, for tests; None where it is no name."""
    cdef Field field[1]
    cdef Bytes text = name
    cdef Py_ssize_t i, size = len(name)
    for i in range(size):
        if not CLASS[text[i]] & TOKEN:
            return None
    if size == 0:
        return None
    field[0].name, field[0].name_size = text, size
    look(field)
    return field[0].flags
