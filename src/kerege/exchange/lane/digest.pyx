# cython: language_level=3, nonecheck=True
"""SHA-512 of many inputs at once: of messages and bodies, of the steps and trees over them, and of request hashes.

The native form of `hashlib.sha512` in a loop, of `batch.pair_digest` and `batch._grow`, and of `rest.request_hash`. With AVX-512 eight
inputs are hashed together, with AVX2 four (digest_sha512.c, FIPS 180-4); where the processor has neither, hashlib does it. Any thread may
call any function here; the interpreter's lock is let go while more than `LARGE` bytes are hashed.

`how` is for tests: "avx512", "avx2" or "plain" in place of the best there is; ValueError for what this machine has not.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from kerege.exchange.lane.call cimport Call, Part

import hashlib

cdef extern from "digest_sha512.h" nogil:
    int KEREGE_PLAIN
    int KEREGE_AVX2
    int KEREGE_AVX512
    struct kerege_sha512_job:
        const unsigned char* data
        uint64_t size
        unsigned char* out
    int kerege_sha512_best()
    int kerege_sha512_many(const kerege_sha512_job* jobs, uint32_t* order, uint32_t count, int how)

cdef enum:
    SIZE = 64         # of a digest
    STEP = 225        # of the step over two digests
    LEFT = 7          # where in it the left one stands
    RIGHT = 118       # and the right one
    WRITTEN = 88      # a digest in base64
    LARGE = 262144    # bytes; hashing more takes long enough to let other threads run
    ALONE = 512       # bytes; a larger input that is the only one is hashed sooner by OpenSSL
    MOST = 1 << 20    # inputs of one call

cdef object _sha512 = hashlib.sha512
cdef int _best = kerege_sha512_best()
cdef dict _ranks = {"plain": KEREGE_PLAIN, "avx2": KEREGE_AVX2, "avx512": KEREGE_AVX512}

# DER of SEQUENCE { SEQUENCE {digest, URI of SHA-512, SEQUENCE {}}, the same of the other } (`batch.pair_digest`)
cdef bytes _item_tail = b"\x0c\x27http://www.w3.org/2001/04/xmlenc#sha512\x30\x00"
cdef bytes _step = b"\x30\x81\xde\x30\x6d\x04\x40" + bytes(SIZE) + _item_tail + b"\x30\x6d\x04\x40" + bytes(SIZE) + _item_tail
assert len(_step) == STEP

cdef const char* _BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def implementations():
    """What this machine can do, the best first."""
    return [name for name, rank in sorted(_ranks.items(), key=lambda pair: -pair[1]) if rank <= _best]


cdef int _how(str how) except -1:
    if how is None:
        return _best
    rank = _ranks.get(how)
    if rank is None or rank > _best:
        raise ValueError(f"no such way to hash on this machine: {how}")
    return rank


cdef class _Jobs:
    """Inputs to be hashed together. What they point to must live until `run` returns: `hold` keeps bytes."""
    cdef kerege_sha512_job* jobs
    cdef uint32_t* order
    cdef uint32_t count, room
    cdef uint64_t total
    cdef list hold

    def __cinit__(self, Py_ssize_t room):
        if room < 0 or room > MOST:
            raise ValueError("too many inputs at once")
        self.jobs = <kerege_sha512_job*>PyMem_Malloc((room + 1) * sizeof(kerege_sha512_job))
        self.order = <uint32_t*>PyMem_Malloc((room + 1) * sizeof(uint32_t))
        if self.jobs is NULL or self.order is NULL:
            raise MemoryError()
        self.count, self.room, self.total, self.hold = 0, <uint32_t>room, 0, []

    def __dealloc__(self):
        PyMem_Free(self.jobs)
        PyMem_Free(self.order)

    cdef bytes add(self, const unsigned char* data, Py_ssize_t size):
        """The bytes that will be the digest, after `run`."""
        if self.count >= self.room:
            raise ValueError("too many inputs at once")
        cdef bytes out = PyBytes_FromStringAndSize(NULL, SIZE)
        cdef kerege_sha512_job* job = &self.jobs[self.count]
        job.data, job.size, job.out = data, <uint64_t>size, <unsigned char*>PyBytes_AS_STRING(out)
        self.count += 1
        self.total += <uint64_t>size
        return out

    cdef bytes add_bytes(self, bytes data):
        if data is None:
            raise TypeError("bytes are hashed, not None")
        self.hold.append(data)
        return self.add(<const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int run(self, int how) except -1:
        cdef uint32_t at
        cdef bytes data, digest
        if self.count == 0:
            return 0
        if how == KEREGE_PLAIN or (self.count == 1 and self.total > ALONE):
            for at in range(self.count):
                if <Py_ssize_t>self.count == PyList_GET_SIZE(self.hold):
                    data = <bytes>PyList_GET_ITEM(self.hold, at)
                else:
                    data = PyBytes_FromStringAndSize(<const char*>self.jobs[at].data, <Py_ssize_t>self.jobs[at].size)
                digest = _sha512(data).digest()
                memcpy(self.jobs[at].out, PyBytes_AS_STRING(digest), SIZE)
        elif self.total > LARGE:
            with nogil:
                kerege_sha512_many(self.jobs, self.order, self.count, how)
        else:
            kerege_sha512_many(self.jobs, self.order, self.count, how)
        return 0


cdef class _Steps:
    """Room for the bytes of steps over two digests."""
    cdef unsigned char* room
    cdef Py_ssize_t count

    def __cinit__(self, Py_ssize_t count):
        if count < 0 or count > MOST:
            raise ValueError("too many steps at once")
        self.room, self.count = <unsigned char*>PyMem_Malloc(count * STEP + 1), count
        if self.room is NULL:
            raise MemoryError()

    def __dealloc__(self):
        PyMem_Free(self.room)

    cdef const unsigned char* put(self, Py_ssize_t at, bytes left, bytes right) except NULL:
        if at < 0 or at >= self.count or not _is_digest(left) or not _is_digest(right):
            raise ValueError("a step is over two digests of 64 bytes")
        cdef unsigned char* step = self.room + at * STEP
        memcpy(step, PyBytes_AS_STRING(_step), STEP)
        memcpy(step + LEFT, PyBytes_AS_STRING(left), SIZE)
        memcpy(step + RIGHT, PyBytes_AS_STRING(right), SIZE)
        return step


cdef inline bint _is_digest(bytes value):
    return value is not None and PyBytes_GET_SIZE(value) == SIZE


cpdef list digest_many(list inputs, str how=None):
    """SHA-512 of each, in order."""
    cdef _Jobs jobs = _Jobs(PyList_GET_SIZE(inputs))
    cdef list out = [jobs.add_bytes(one) for one in inputs]
    jobs.run(_how(how))
    return out


cpdef digest_parts(list parts, str how=None):
    """Fill `digest`, `body_digest` and `leaf` of every part; what one has already is left."""
    cdef Py_ssize_t count = PyList_GET_SIZE(parts), at, steps = 0
    cdef int way = _how(how)
    cdef _Jobs jobs = _Jobs(2 * count)
    cdef _Steps room
    cdef Part part
    cdef list digests = [], bodies = [], over = [], leaves = [], owners = list(parts), of = [], of_bodies = []
    for part in owners:
        if part.digest is None:
            digests.append(jobs.add_bytes(part.content))
            of.append(part)
        if part.body is not None and part.body_digest is None:
            bodies.append(jobs.add_bytes(part.body))
            of_bodies.append(part)
    jobs.run(way)
    for at in range(PyList_GET_SIZE(of)):
        (<Part>PyList_GET_ITEM(of, at)).digest = <bytes>PyList_GET_ITEM(digests, at)
    for at in range(PyList_GET_SIZE(of_bodies)):
        (<Part>PyList_GET_ITEM(of_bodies, at)).body_digest = <bytes>PyList_GET_ITEM(bodies, at)
    for part in owners:
        if part.leaf is None:
            if part.body is None:
                part.leaf = part.digest
            else:
                over.append(part)
    steps = PyList_GET_SIZE(over)
    if not steps:
        return
    room, jobs = _Steps(steps), _Jobs(steps)
    for at in range(steps):
        part = <Part>PyList_GET_ITEM(over, at)
        leaves.append(jobs.add(room.put(at, part.digest, part.body_digest), STEP))
    jobs.run(way)
    for at in range(steps):
        (<Part>PyList_GET_ITEM(over, at)).leaf = <bytes>PyList_GET_ITEM(leaves, at)


cpdef request_hashes(list calls, str how=None):
    """Set `request_hash` of every call, from its request's digests; they are made where they are not there yet.

    X-Road-Request-Hash (PR-REST 4.3): base64 of the digest of the signed request, or of the SHA-512 of it and the body's digest.
    """
    cdef Py_ssize_t count = PyList_GET_SIZE(calls), at
    cdef list owners = list(calls), whole = [], missing = []
    cdef _Jobs jobs = _Jobs(count)
    cdef Call call
    cdef Part part
    cdef bytes both
    for call in owners:
        part = call.request
        if part.digest is None or (part.body is not None and part.body_digest is None):
            missing.append(part)
    if missing:
        digest_parts(missing, how)
    for call in owners:
        part = call.request
        if part.body is None:
            whole.append(part.digest)
        else:
            if not _is_digest(part.digest) or not _is_digest(part.body_digest):
                raise ValueError("a digest is 64 bytes")
            both = PyBytes_FromStringAndSize(NULL, 2 * SIZE)
            memcpy(PyBytes_AS_STRING(both), PyBytes_AS_STRING(part.digest), SIZE)
            memcpy(PyBytes_AS_STRING(both) + SIZE, PyBytes_AS_STRING(part.body_digest), SIZE)
            whole.append(jobs.add_bytes(both))
    jobs.run(_how(how))
    for at in range(count):
        (<Call>PyList_GET_ITEM(owners, at)).request_hash = _written(<bytes>PyList_GET_ITEM(whole, at))


cdef bytes _written(bytes digest):
    """A digest in base64."""
    if not _is_digest(digest):
        raise ValueError("a digest is 64 bytes")
    cdef bytes out = PyBytes_FromStringAndSize(NULL, WRITTEN)
    cdef const unsigned char* source = <const unsigned char*>PyBytes_AS_STRING(digest)
    cdef char* to = PyBytes_AS_STRING(out)
    cdef unsigned int three
    cdef int group
    for group in range(21):
        three = (source[3 * group] << 16) | (source[3 * group + 1] << 8) | source[3 * group + 2]
        to[4 * group] = _BASE64[three >> 18]
        to[4 * group + 1] = _BASE64[(three >> 12) & 63]
        to[4 * group + 2] = _BASE64[(three >> 6) & 63]
        to[4 * group + 3] = _BASE64[three & 63]
    to[84], to[85], to[86], to[87] = _BASE64[source[63] >> 2], _BASE64[(source[63] & 3) << 4], c"=", c"="
    return out


cpdef list grow(object leaves, str how=None):
    """All nodes of the tree over `leaves`, level by level from the leaves up; None where one of them is no SHA-512 digest."""
    cdef list nodes = list(leaves), level, above
    cdef Py_ssize_t pairs, at
    cdef int way = _how(how)
    cdef _Jobs jobs
    cdef _Steps room
    for leaf in nodes:
        if type(leaf) is not bytes or PyBytes_GET_SIZE(leaf) != SIZE:
            return None
    if PyList_GET_SIZE(nodes) < 2:
        return nodes
    level = nodes
    room, jobs = _Steps(PyList_GET_SIZE(nodes) // 2), _Jobs(PyList_GET_SIZE(nodes) // 2)
    nodes = level[:]
    while PyList_GET_SIZE(level) > 1:
        pairs = PyList_GET_SIZE(level) // 2
        above, jobs.count, jobs.total = [], 0, 0
        for at in range(pairs):
            above.append(
                jobs.add(room.put(at, <bytes>PyList_GET_ITEM(level, 2 * at), <bytes>PyList_GET_ITEM(level, 2 * at + 1)), STEP)
            )
        jobs.run(way)
        nodes += above
        if PyList_GET_SIZE(level) & 1:
            above.append(<bytes>PyList_GET_ITEM(level, PyList_GET_SIZE(level) - 1))
        level = above
    return nodes
