# cython: language_level=3, boundscheck=False, wraparound=False
"""The whole frames at the beginning of a piece of a message log segment, a great many in one go.

The native form of `logframes.frames`, of its plain case alone: each frame's head, link, end and padding are looked at as there, and at the
first that is not whole in every respect this ends. What that is, the end of what was written, a crash's torn tail, damage, a frame that
goes on after the piece, is said by `logframes`. Nothing is taken on a processor without instructions for SHA-256.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef extern from "segments_sha256.h":
    int segments_able() noexcept nogil
    struct segments_job:
        const uint8_t* first
        const uint8_t* data
        size_t size
    void segments_sha256(const segments_job* one, const segments_job* other, uint8_t (*digests)[32]) noexcept nogil
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


cdef bint _one(
    const uint8_t* data, Py_ssize_t size, Py_ssize_t at, uint64_t number, const uint8_t* marker, _Found* found,
) noexcept nogil:
    """Whether a frame stands at `at`, which is not negative, whole but for its link."""
    cdef Py_ssize_t end, after
    cdef const uint8_t* head = data + at
    if at > size - HEAD:
        return False
    found.at, found.size, found.records = at, _number(head + 8), _number(head + 12)
    if memcmp(head, marker, MARKER) or not found.size or segments_crc32(head, FIXED) != _number(head + FIXED):
        return False
    if (_number(head + 48) | <uint64_t>_number(head + 52) << 32) != number:
        return False
    if <Py_ssize_t>found.size > size - at - HEAD - 4:
        return False
    end, after = at + HEAD + found.size + 4, _after(found)
    return memcmp(data + end - 4, b"\nKRG", 4) == 0 and _zeros(data + end, (after if after < size else size) - end)


cdef inline Py_ssize_t _after(const _Found* found) noexcept nogil:
    """Where the sector begins after a frame's end."""
    cdef Py_ssize_t end = found.at + HEAD + found.size + 4
    return end + (SECTOR - end % SECTOR) % SECTOR


cdef Py_ssize_t _walk(
    const uint8_t* data, Py_ssize_t size, Py_ssize_t at, uint64_t number, const uint8_t* before, const uint8_t* marker,
    _Found* found, Py_ssize_t most,
) noexcept nogil:
    """How many whole frames there are from `at` on. Two links are computed at a time: a frame's head says the link the next goes on from."""
    cdef Py_ssize_t count = 0, here, one
    cdef segments_job jobs[2]
    cdef uint8_t digests[2][32]
    while count < most:
        here = 0
        while here < 2 and count + here < most and _one(data, size, at, number, marker, &found[count + here]):
            jobs[here].first, jobs[here].data, jobs[here].size = before, data + at + HEAD, found[count + here].size
            before = data + at + 16
            at, number, here = _after(&found[count + here]), number + 1, here + 1
        if not here:
            break
        segments_sha256(&jobs[0], &jobs[1] if here == 2 else NULL, digests)
        for one in range(here):
            if memcmp(digests[one], data + found[count].at + 16, LINK):
                return count
            count += 1
        if here < 2:
            break
    return count


def walk(bytes data not None, Py_ssize_t at, bytes link not None, uint64_t number, bytes marker not None) -> list:
    """The frames from `at` on, where `link` is the link before and `number` the next frame's number: of each where it begins and ends in the
    data, the link after it, how many records it says it has, and its payload. A few thousand at the most. Others may use the
    interpreter meanwhile."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data), most = size // SECTOR + 1, count, one
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
            made.append((
                at,
                _after(&found[one]),
                PyBytes_FromStringAndSize(<char*>(bytes_of + at + 16), LINK),
                found[one].records,
                PyBytes_FromStringAndSize(<char*>(bytes_of + at + HEAD), found[one].size),
            ))
        return made
    finally:
        PyMem_Free(found)
