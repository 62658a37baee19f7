# cython: language_level=3
"""Lines that are much alike, compressed: a zlib stream (RFC 1950, RFC 1951) in which each line is told by what differs from one before.

`zlib.decompress` reads it. A general compressor looks for every piece of a line wherever it may have stood before; monitoring's lines
have the same labels in the same order, so that here each is laid beside the line before it, label by label. The codes of the one block
are made for such lines once, when the module is loaded.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy, memset

from heapq import heapify, heappop, heappush
from zlib import adler32

cdef enum:
    FARTHEST = 32768      # how far back a match may be, RFC 1951
    LONGEST = 258
    SHORTEST = 4          # shorter ones cost more than their bytes
    LITERALS = 286        # the literal and length alphabet, and that of distances
    DISTANCES = 30
    END = 256
    LABEL = 6             # so many bytes after a comma say which label it is
    MOST_SOUGHT = 16      # labels that are looked for in the line before, of one line: it is looked through for each
    KINDS = 256           # lines are told apart by how they end
    ENDING = 384          # so many bytes of it
    LARGEST = 0x7000000   # of one piece


cdef struct Code:
    unsigned int bits     # in the order in which they are written, the first lowest
    unsigned int size


cdef struct Writer:
    unsigned char* at
    unsigned long long bits
    unsigned int size     # of `bits`; fewer than 8 between two symbols


cdef Code _literal[LITERALS]
cdef Code _distance[DISTANCES]
cdef Code _length[LONGEST + 1]           # a match's length: its code with the extra bits
cdef unsigned char _place[512]           # which distance code: distances to 256 themselves, farther ones by 128
cdef unsigned short _base[DISTANCES]
cdef unsigned char _extra[DISTANCES]


cdef inline void _put(Writer* to, unsigned long long bits, unsigned int size) noexcept nogil:
    """At most 48 bits."""
    to.bits |= bits << to.size
    to.size += size
    while to.size >= 8:
        to.at[0] = <unsigned char>(to.bits & 0xFF)
        to.at += 1
        to.bits >>= 8
        to.size -= 8


cdef inline void _put_literals(Writer* to, const unsigned char* data, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(size):
        _put(to, _literal[data[at]].bits, _literal[data[at]].size)


cdef inline void _put_match(Writer* to, Py_ssize_t size, Py_ssize_t back) noexcept nogil:
    """`size` bytes, SHORTEST or more, that stand `back` bytes before; as many matches as they take."""
    cdef int place = _place[back - 1] if back <= 256 else _place[256 + ((back - 1) >> 7)]
    cdef unsigned long long far = _distance[place].bits
    cdef unsigned int far_size = _distance[place].size + _extra[place]
    cdef Py_ssize_t here
    far |= <unsigned long long>(back - _base[place]) << _distance[place].size
    while size:
        here = size if size <= LONGEST else LONGEST
        if 0 < size - here < 3:  # no match is shorter than 3
            here -= 3
        _put(to, _length[here].bits | far << _length[here].size, _length[here].size + far_size)
        size -= here


cdef inline Py_ssize_t _alike(const unsigned char* one, const unsigned char* other, Py_ssize_t most) noexcept nogil:
    cdef Py_ssize_t at = 0
    while most - at >= 16 and not memcmp(one + at, other + at, 16):
        at += 16
    while at < most and one[at] == other[at]:
        at += 1
    return at


cdef Py_ssize_t _labelled(const unsigned char* data, Py_ssize_t at, Py_ssize_t end, const unsigned char* label) noexcept nogil:
    """Where in data[at:end] a comma is followed by this label; -1 where it is not."""
    cdef const unsigned char* found
    while end - at >= LABEL:
        found = <const unsigned char*>memchr(data + at, 44, end - at - LABEL + 1)
        if found == NULL:
            return -1
        if not memcmp(found, label, LABEL):
            return found - data
        at = found - data + 1
    return -1


cdef void _line(Writer* to, const unsigned char* data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t beside, Py_ssize_t stop) noexcept nogil:
    """The line data[at:end] by the one before, data[beside:stop]: what is alike from label to label as matches."""
    cdef Py_ssize_t begun = beside, alike, here
    cdef int sought = 0
    cdef const unsigned char* comma
    while at < end:
        alike = 0
        if beside < stop and at - beside <= FARTHEST:
            here = end - at if end - at < stop - beside else stop - beside
            alike = _alike(data + at, data + beside, here)
            if alike < LABEL and data[at] == 44 and end - at >= LABEL and sought < MOST_SOUGHT:
                # one of the two lines says something that the other does not
                sought += 1
                here = _labelled(data, begun, stop, data + at)
                if here >= 0 and at - here <= FARTHEST:
                    beside = here
                    here = end - at if end - at < stop - beside else stop - beside
                    alike = _alike(data + at, data + beside, here)
        if alike >= SHORTEST:
            _put_match(to, alike, at - beside)
            at += alike
            beside += alike
            continue
        comma = <const unsigned char*>memchr(data + at + 1, 44, end - at - 1)
        here = comma - data if comma != NULL else end
        _put_literals(to, data + at, here - at)
        at = here
        if beside < stop:
            comma = <const unsigned char*>memchr(data + beside + 1, 44, stop - beside - 1)
            beside = comma - data if comma != NULL else stop


cdef unsigned int _kind(const unsigned char* data, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """A number below KINDS for lines that end alike."""
    cdef unsigned long long sum = 0, word
    if end - at > ENDING:
        at = end - ENDING
    while end - at >= 8:
        memcpy(&word, data + at, 8)
        sum = (sum ^ word) * <unsigned long long>0x9E3779B97F4A7C15
        at += 8
    return <unsigned int>(sum >> 56)


cdef void _head(Writer* to) noexcept nogil:
    """The block's head: that it is the last, and the sizes of all codes, four bits each (RFC 1951, 3.2.7)."""
    cdef int at
    _put(to, 0x0178, 16)  # RFC 1950: deflate with a window of 32 KiB, no dictionary, compressed fast
    _put(to, 1 | 2 << 1, 3)
    _put(to, LITERALS - 257, 5)
    _put(to, DISTANCES - 1, 5)
    _put(to, 15, 4)
    for at in range(19):  # in the order 16, 17, 18, 0, ...: no repeats, 0 to 15 in four bits each
        _put(to, 0 if at < 3 else 4, 3)
    for at in range(LITERALS):
        _put_size(to, _literal[at].size)
    for at in range(DISTANCES):
        _put_size(to, _distance[at].size)


cdef inline void _put_size(Writer* to, unsigned int size) noexcept nogil:
    # a code of four bits is its number, its highest bit first
    _put(to, (size & 1) << 3 | (size & 2) << 1 | (size & 4) >> 1 | (size & 8) >> 3, 4)


def pack(bytes data not None):
    """`data` as a zlib stream. For lines that are alike a third of the work of `zlib.compress(data, 1)`; for others a poor compression.

    Raises ValueError for more than 112 MiB, MemoryError.
    """
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data), at = 0, end, made, beside
    cdef Py_ssize_t before[2]
    cdef Py_ssize_t known[KINDS][2]   # where the last line of each kind began and ended
    cdef unsigned int kind
    cdef const unsigned char* start = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef const unsigned char* found
    cdef unsigned char* out
    cdef Writer to
    if size > LARGEST:
        raise ValueError("too much for one piece")
    # a literal is of at most 15 bits, a match of at most 48 and of four bytes or more: never 16 bits for a byte
    out = <unsigned char*>malloc(size * 2 + 1024)
    if out == NULL:
        raise MemoryError
    with nogil:
        to.at, to.bits, to.size = out, 0, 0
        _head(&to)
        before[0] = before[1] = 0
        memset(known, 0, sizeof(known))
        while at < size:
            found = <const unsigned char*>memchr(start + at, 10, size - at)
            end = found - start + 1 if found != NULL else size
            kind = _kind(start, at, end)
            beside = known[kind][0]
            if known[kind][1] and at - beside <= FARTHEST:
                _line(&to, start, at, end, beside, known[kind][1])
            else:
                _line(&to, start, at, end, before[0], before[1])
            before[0] = known[kind][0] = at
            before[1] = known[kind][1] = at = end
        _put(&to, _literal[END].bits, _literal[END].size)
        if to.size:
            _put(&to, 0, 8 - to.size)
    try:
        sum = adler32(data)
        for shift in (24, 16, 8, 0):
            to.at[0] = (sum >> shift) & 0xFF
            to.at += 1
        made = to.at - out
        return PyBytes_FromStringAndSize(<const char*>out, made)
    finally:
        free(out)


def span(list lines not None):
    """The least and the greatest second of lines that begin with it, as `opmon.record` does; None where one does not, or there are none."""
    cdef long long least = 0, greatest = 0, value
    cdef Py_ssize_t at, index, size, count = PyList_GET_SIZE(lines)
    cdef const unsigned char* text
    cdef object one
    for at in range(count):
        one = <object>PyList_GET_ITEM(lines, at)
        if type(one) is not bytes:
            return None
        text, size = <const unsigned char*>PyBytes_AS_STRING(one), PyBytes_GET_SIZE(one)
        if size < 20 or memcmp(text, b'{"monitoringDataTs":', 20):
            return None
        value, index = 0, 20
        while index < size and index < 32 and 48 <= text[index] <= 57:
            value = value * 10 + text[index] - 48
            index += 1
        if index == 20 or index >= size or text[index] != 44:
            return None
        if value < least or not at:
            least = value
        if value > greatest or not at:
            greatest = value
    return (least, greatest) if count else None


# --- the codes ---


def _sizes(weights):
    """How many bits each symbol's code has, at most 15: Huffman's, with rare symbols taken for less rare until none is longer."""
    while True:
        heap = [(weight, at, (at,)) for at, weight in enumerate(weights)]
        heapify(heap)
        sizes = [0] * len(weights)
        while len(heap) > 1:
            first, order, some = heappop(heap)
            second, _, others = heappop(heap)
            for at in some + others:
                sizes[at] += 1
            heappush(heap, (first + second, order, some + others))
        if max(sizes) <= 15:
            return sizes
        weights = [weight // 2 + 1 for weight in weights]


def _codes(sizes):
    """RFC 1951, 3.2.2: the codes of these sizes, their bits in the order in which they are written."""
    codes, code = [0] * len(sizes), 0
    for size in range(1, 16):
        for at, one in enumerate(sizes):
            if one == size:
                codes[at] = int(f"{code:0{size}b}"[::-1], 2)
                code += 1
        code <<= 1
    return codes


def _weights():
    """How often symbols come in lines that differ in identifiers, times and sizes; what was counted in such lines, rounded."""
    literals = [1] * LITERALS
    for at in range(32, 127):
        literals[at] = 200
    for one in b"0123456789":
        literals[one] = 4000
    for one in b"abcdef":
        literals[one] = 3200
    literals[45] = 3500  # between the groups of a UUID
    for at in range(257, LITERALS):
        literals[at] = 500
    distances = [1] * DISTANCES
    for at in range(16, 24):
        distances[at] = 200
    return literals, distances


def _fill():
    cdef int at, code, last
    literals, distances = map(_sizes, _weights())
    for at, bits in enumerate(_codes(literals)):
        _literal[at].bits, _literal[at].size = bits, literals[at]
    for at, bits in enumerate(_codes(distances)):
        _distance[at].bits, _distance[at].size = bits, distances[at]
    # RFC 1951, 3.2.5
    at, extra = 3, 0
    for code in range(257, 285):
        if code >= 265 and (code - 265) % 4 == 0:
            extra += 1
        for more in range(1 << extra):
            if at < LONGEST:
                _length[at].bits = _literal[code].bits | more << _literal[code].size
                _length[at].size = _literal[code].size + extra
            at += 1
    _length[LONGEST] = _literal[285]
    at, extra = 1, 0
    for code in range(DISTANCES):
        if code >= 4 and code % 2 == 0:
            extra += 1
        _base[code], _extra[code] = at, extra
        last = at + (1 << extra) - 1
        for back in range(at, last + 1):
            if back <= 256:
                _place[back - 1] = code
            else:
                _place[256 + ((back - 1) >> 7)] = code
        at = last + 1


_fill()
