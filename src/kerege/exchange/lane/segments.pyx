# cython: language_level=3, boundscheck=False, wraparound=False
"""The whole frames at the beginning of a piece of a message log segment, a great many in one go.

The native form of `logframes.frames`, of its plain case alone: each frame's head, link, end and padding are looked at as there, and at the
first that is not whole in every respect this ends. What that is, the end of what was written, a crash's torn tail, damage, a frame that
goes on after the piece, is said by `logframes`. Nothing is taken on a processor without instructions for SHA-256.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from "segments_sha256.h":
    int segments_able() noexcept nogil
    void segments_sha256(const uint8_t* first, const uint8_t* data, size_t size, uint8_t* digest) noexcept nogil
    uint32_t segments_crc32(const uint8_t* data, size_t size) noexcept nogil

cdef enum:
    SECTOR = 512
    FIXED = 56  # of a frame's head, before its checksum: marker 8, length 4, records 4, link 32, number 8
    HEAD = 60
    MARKER = 8
    LINK = 32
    MOST = 4096  # frames at once

cdef bint _able = segments_able()
ABLE = bool(_able)


cdef struct _Found:
    Py_ssize_t at
    uint32_t size
    uint32_t records


cdef inline uint32_t _number(const uint8_t* at) noexcept nogil:
    return at[0] | <uint32_t>at[1] << 8 | <uint32_t>at[2] << 16 | <uint32_t>at[3] << 24


cdef bint _zeros(const uint8_t* at, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t one
    for one in range(size):
        if at[one]:
            return False
    return True


cdef Py_ssize_t _walk(
    const uint8_t* data, Py_ssize_t size, Py_ssize_t at, uint64_t number, const uint8_t* before, const uint8_t* marker,
    _Found* found, Py_ssize_t most,
) noexcept nogil:
    """How many whole frames there are from `at` on, which is not negative."""
    cdef Py_ssize_t count = 0, end, after
    cdef uint32_t length
    cdef uint8_t digest[LINK]
    cdef const uint8_t* head
    while count < most and at <= size - HEAD:
        head = data + at
        length = _number(head + 8)
        if memcmp(head, marker, MARKER) or not length or segments_crc32(head, FIXED) != _number(head + FIXED):
            break
        if (_number(head + 48) | <uint64_t>_number(head + 52) << 32) != number:
            break
        if <Py_ssize_t>length > size - at - HEAD - 4:
            break
        end = at + HEAD + length + 4
        after = end + (SECTOR - end % SECTOR) % SECTOR
        if memcmp(data + end - 4, b"\nKRG", 4) or not _zeros(data + end, (after if after < size else size) - end):
            break
        segments_sha256(before, head + HEAD, length, digest)
        if memcmp(digest, head + 16, LINK):
            break
        found[count].at, found[count].size, found[count].records = at, length, _number(head + 12)
        before = head + 16
        at, number, count = after, number + 1, count + 1
    return count


def walk(bytes data not None, Py_ssize_t at, bytes link not None, uint64_t number, bytes marker not None) -> list:
    """The frames from `at` on, where `link` is the link before and `number` the next frame's number: of each where it begins and ends in the
    data, the link after it, how many records it says it has, and its payload. A few thousand at the most. Others may use the
    interpreter meanwhile."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data), most = size // SECTOR + 1, count, one, end
    cdef const uint8_t* bytes_of = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef const uint8_t* before = <const uint8_t*>PyBytes_AS_STRING(link)
    cdef const uint8_t* mark = <const uint8_t*>PyBytes_AS_STRING(marker)
    cdef list made = []
    if not _able or at < 0 or at > size or PyBytes_GET_SIZE(link) != LINK or PyBytes_GET_SIZE(marker) != MARKER:
        return made
    most = most if most < MOST else MOST
    cdef _Found* found = <_Found*>PyMem_Malloc(most * sizeof(_Found))
    if found == NULL:
        return made
    try:
        with nogil:
            count = _walk(bytes_of, size, at, number, before, mark, found, most)
        for one in range(count):
            at = found[one].at
            end = at + HEAD + found[one].size + 4
            made.append((
                at,
                end + (SECTOR - end % SECTOR) % SECTOR,
                PyBytes_FromStringAndSize(<char*>(bytes_of + at + 16), LINK),
                found[one].records,
                PyBytes_FromStringAndSize(<char*>(bytes_of + at + HEAD), found[one].size),
            ))
        return made
    finally:
        PyMem_Free(found)
