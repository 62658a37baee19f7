# cython: language_level=3
"""X-Road's wire for small REST messages: HTTP and multipart in one go, the native form of `multipart`, `parts` and `node.wire`.

Written are the bytes that `parts.encode_message` and the Python modules around it make. Read is what has that form: whole (`wirehttp`), every
part's head of one line, every HTTP header that matters once. All else is not this module's: it says None, and the Python modules read it.
What several messages repeat (a signature, a chain's result, OCSP answers) is one object in all of them.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memchr, memcmp, memcpy

from kerege.exchange.lane.call cimport Call, Part
from kerege.exchange.lane.chains cimport Tree, chain_most, put_chain
from kerege.exchange.lane.restfields cimport Bytes, made, put, put_text, text
from kerege.exchange.lane.restlines cimport decimal
from kerege.exchange.lane.wirehttp cimport HEAD, Http, chunks, missing_of, read_http

from kerege.exchange.parts import CHAIN, CHAIN_RESULT, OCSP, REST_BODY, REST_REQUEST, REST_RESPONSE, SIGNATURE
from kerege.exchange.parts import _LETTERS

cdef extern from "string.h" nogil:
    void* memmem(const void* data, size_t size, const void* what, size_t what_size)

cdef enum:
    INLINE = 64 * 1024   # of a body, and of a signed content
    SMALL = 256 * 1024   # of every other part
    MOST_OCSP = 8
    BOUNDARY = 70        # of one that is read
    OWN = 34             # of one that is made
    RING = 32            # things that were seen and are looked for again
    REMEMBERED = 16 * 1024  # bytes of one; of strangers no more is kept

cdef const char* MIXED = b"multipart/mixed; charset=UTF-8; boundary="
cdef Py_ssize_t MIXED_SIZE = len(b"multipart/mixed; charset=UTF-8; boundary=")
cdef const char* TYPE = b"\r\ncontent-type: "
cdef Py_ssize_t TYPE_SIZE = 16

cdef bytes _OCSP = OCSP, _REQUEST = REST_REQUEST, _RESPONSE = REST_RESPONSE, _BODY = REST_BODY
cdef bytes _RESULT = CHAIN_RESULT, _CHAIN = CHAIN, _SIGNATURE = SIGNATURE, LETTERS = _LETTERS
assert len(LETTERS) == 256


# --- reading ---

cdef class Seen:
    """What came of late: bytes that come again are given as the same object."""
    cdef list signatures, results, answers

    def __init__(self):
        self.signatures, self.results, self.answers = [], [], []


cdef bytes known(list ring, Bytes at, Py_ssize_t size):
    """The bytes, as the object that was made of them before where there is one."""
    cdef Py_ssize_t i, count = len(ring)
    cdef bytes one
    if size > REMEMBERED:
        return made(at, size)
    for i in range(count - 1, -1, -1):
        one = <bytes>ring[i]
        if PyBytes_GET_SIZE(one) == size and memcmp(PyBytes_AS_STRING(one), at, size) == 0:
            return one
    one = made(at, size)
    if count >= RING:
        del ring[: RING // 2]
    ring.append(one)
    return one


cdef class Envelope:
    """A message as it came, not believed yet: the signed part, what signs it, and what came beside it.

    request_id   of a request, as the HTTP head says it
    size         bytes of the signed content and the body
    kept         the connection is, after it
    """
    cdef readonly Part part
    cdef readonly bytes signature, result, chain, request_id
    cdef readonly tuple ocsp
    cdef readonly Py_ssize_t size
    cdef readonly bint kept


cdef class _Reader:
    """Where the parts are, between the boundaries."""
    cdef Bytes at
    cdef Bytes end
    cdef unsigned char mark[BOUNDARY + 4]   # line end, two dashes, boundary
    cdef Py_ssize_t mark_size
    cdef Bytes body
    cdef Py_ssize_t size

    cdef bint is_next(self, bytes media_type) noexcept:
        """Whether a part of this type follows; then it is `body` and `size`, and `at` stands behind the delimiter after it."""
        cdef Bytes at = self.at
        cdef Bytes found
        cdef Py_ssize_t size = PyBytes_GET_SIZE(media_type)
        if self.end - at < TYPE_SIZE + size + 4 or memcmp(at, TYPE, TYPE_SIZE) != 0:
            return False
        at += TYPE_SIZE
        if memcmp(at, PyBytes_AS_STRING(media_type), size) != 0 or memcmp(at + size, b"\r\n\r\n", 4) != 0:
            return False
        at += size + 4
        # the line end before a delimiter may be the one that ends the part's head only where the Python reader says so too
        found = <Bytes>memmem(at, self.end - at, self.mark, self.mark_size)
        if found is NULL:
            return False
        self.body, self.size = at, found - at
        self.at = found + self.mark_size
        return True

    cdef bint is_closed(self) noexcept:
        """Whether the delimiter was the last one, and nothing but a line end follows."""
        cdef Py_ssize_t left = self.end - self.at
        if left < 2 or memcmp(self.at, b"--", 2) != 0:
            return False
        return left == 2 or (left == 4 and memcmp(self.at + 2, b"\r\n", 2) == 0)


cdef bint begin(_Reader reader, const Http* http, Bytes at) noexcept:
    """Whether the Content-Type names a boundary in our form, and the body, which is at `at`, begins with it."""
    cdef Py_ssize_t size = http.kind_size - MIXED_SIZE, i
    cdef Bytes name = http.kind + MIXED_SIZE
    if size < 1 or size > BOUNDARY or memcmp(http.kind, MIXED, MIXED_SIZE) != 0:
        return False
    for i in range(size):
        if not (c"a" <= name[i] <= c"z" or c"A" <= name[i] <= c"Z" or c"0" <= name[i] <= c"9" or name[i] == c"-" or name[i] == c"_"):
            return False
    memcpy(reader.mark, b"\r\n--", 4)
    memcpy(reader.mark + 4, name, size)
    reader.mark_size = size + 4
    if http.size < size + 2 or memcmp(at, reader.mark + 2, size + 2) != 0:
        return False
    reader.at, reader.end = at + size + 2, at + http.size
    return True


cdef Envelope read_parts(_Reader reader, bytes kind, Seen seen):
    cdef Envelope found = Envelope.__new__(Envelope)
    cdef Part part
    cdef list answers = None
    while reader.is_next(_OCSP):
        if answers is None:
            answers = []
        if len(answers) >= MOST_OCSP or reader.size > SMALL:
            return None
        answers.append(known(seen.answers, reader.body, reader.size))
    if not reader.is_next(kind) or reader.size > INLINE:
        return None
    part = found.part = Part.__new__(Part)
    part.content = made(reader.body, reader.size)
    found.size = reader.size
    if reader.is_next(_BODY):
        if reader.size > INLINE:
            return None
        part.body = made(reader.body, reader.size)
        found.size += reader.size
    if reader.is_next(_RESULT):
        if reader.size > SMALL:
            return None
        found.result = known(seen.results, reader.body, reader.size)
        if not reader.is_next(_CHAIN) or reader.size > SMALL:
            return None
        found.chain = made(reader.body, reader.size)
    if not reader.is_next(_SIGNATURE) or reader.size > SMALL or reader.size == 0:
        return None
    found.signature = known(seen.signatures, reader.body, reader.size)
    if not reader.is_closed():
        return None
    found.ocsp = () if answers is None else tuple(answers)
    return found


cdef Envelope read(bytes data, Bytes line, Py_ssize_t largest, bytes kind, Seen seen, bint ended):
    """The message in the whole HTTP message `data`, whose header lines begin at `line`."""
    cdef Http http
    cdef unsigned char* room = NULL
    cdef Bytes body
    cdef bint asked = kind is _REQUEST
    cdef _Reader reader
    cdef Envelope found = None
    if not read_http(data, line, largest, asked, ended, &http):
        return None
    body = http.body
    if http.chunked:
        room = <unsigned char*>PyMem_Malloc(http.end - body)
        if room is NULL:
            raise MemoryError()
        chunks(body, http.end, largest, room, &http.size)
        body = room
    try:
        reader = _Reader.__new__(_Reader)
        if begin(reader, &http, body):
            found = read_parts(reader, kind, seen)
    finally:
        PyMem_Free(room)
    if found is not None:
        found.kept = http.kept
        if asked:
            found.request_id = made(http.request_id, http.request_id_size)
    return found


def read_request(bytes data not None, Py_ssize_t largest, Seen seen not None):
    """The message in `data`, one whole HTTP request of another server with a body of at most `largest` bytes; None where it is not plain."""
    if PyBytes_GET_SIZE(data) < 17 or memcmp(text(data), b"POST / HTTP/1.1\r\n", 17) != 0:
        return None
    return read(data, text(data) + 17, largest, _REQUEST, seen, False)


def read_answer(bytes data not None, Py_ssize_t largest, Seen seen not None, bint ended=False):
    """The same of a whole HTTP answer that says 200; `ended`: the connection ended after it."""
    cdef Bytes start = text(data)
    cdef Bytes line
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if size < 14 or memcmp(start, b"HTTP/1.1 200 ", 13) != 0:
        return None
    line = <Bytes>memchr(start, c"\n", size)
    if line is NULL or line[-1] != c"\r" or line + 1 > start + HEAD:
        return None
    return read(data, line + 1, largest, _RESPONSE, seen, ended)


def missing(bytes data not None, Py_ssize_t largest):
    """How many bytes the message that begins here is still to have, at the least: `wirehttp.missing_of`."""
    return missing_of(data, largest)


# --- writing ---

cdef bytes RANDOM = b""
cdef Py_ssize_t RANDOM_AT = 0


def _forget():
    """A process that branches off must not make the same boundaries."""
    global RANDOM, RANDOM_AT
    RANDOM, RANDOM_AT = b"", 0


os.register_at_fork(after_in_child=_forget)


cdef int new_boundary(unsigned char* to) except -1:
    """`parts.new_boundary`."""
    global RANDOM, RANDOM_AT
    cdef int i
    if RANDOM_AT + OWN - 4 > PyBytes_GET_SIZE(RANDOM):
        RANDOM, RANDOM_AT = os.urandom((OWN - 4) * 128), 0
    memcpy(to, b"xtop", 4)
    for i in range(OWN - 4):
        to[4 + i] = text(LETTERS)[text(RANDOM)[RANDOM_AT + i]]
    RANDOM_AT += OWN - 4
    return 0


cdef unsigned char* put_head(unsigned char* to, const unsigned char* boundary, bytes media_type) noexcept:
    to = put_text(to, b"--", 2)
    to = put(to, boundary, OWN)
    to = put_text(to, TYPE, TYPE_SIZE)
    to = put(to, text(media_type), PyBytes_GET_SIZE(media_type))
    return put_text(to, b"\r\n\r\n", 4)


cdef inline unsigned char* put_part(unsigned char* to, const unsigned char* boundary, bytes media_type, bytes body) noexcept:
    to = put_head(to, boundary, media_type)
    to = put(to, text(body), PyBytes_GET_SIZE(body))
    return put_text(to, b"\r\n", 2)


cdef bytes written(
    Part part, bytes kind, bytes front, bytes content_type, bytes request_id, tuple ocsp, bytes signature, Tree tree
):
    """A whole HTTP message: `front`, for a request its two headers, the multipart."""
    cdef unsigned char boundary[OWN]
    cdef unsigned char number[20]
    cdef unsigned char* room
    cdef unsigned char* to
    cdef unsigned char* head
    cdef Py_ssize_t i, most, size, digits
    cdef bytes one, out
    most = PyBytes_GET_SIZE(part.content) + PyBytes_GET_SIZE(signature) + (6 + MOST_OCSP) * 128
    if part.body is not None:
        most += PyBytes_GET_SIZE(part.body)
    if tree is not None:
        most += chain_most(tree) + PyBytes_GET_SIZE(tree.result)
    if PyTuple_GET_SIZE(ocsp) > MOST_OCSP:
        raise ValueError("more OCSP answers than a message may have")
    for i in range(PyTuple_GET_SIZE(ocsp)):
        one = <bytes?><object>PyTuple_GET_ITEM(ocsp, i)
        most += PyBytes_GET_SIZE(one)
    room = <unsigned char*>PyMem_Malloc(most)
    if room is NULL:
        raise MemoryError()
    try:
        new_boundary(boundary)
        to = room
        for i in range(PyTuple_GET_SIZE(ocsp)):
            to = put_part(to, boundary, _OCSP, <bytes>PyTuple_GET_ITEM(ocsp, i))
        to = put_part(to, boundary, kind, part.content)
        if part.body is not None:
            to = put_part(to, boundary, _BODY, part.body)
        if tree is not None:
            to = put_part(to, boundary, _RESULT, tree.result)
            to = put_chain(put_head(to, boundary, _CHAIN), tree, part)
            to = put_text(to, b"\r\n", 2)
        to = put_part(to, boundary, _SIGNATURE, signature)
        to = put_text(to, b"--", 2)
        to = put(to, boundary, OWN)
        to = put_text(to, b"--\r\n", 4)
        size = to - room
        digits = decimal(number, size)
        i = PyBytes_GET_SIZE(front) + 16 + MIXED_SIZE + OWN + 18 + digits + 4
        if request_id is not None:
            i += PyBytes_GET_SIZE(content_type) + 21 + PyBytes_GET_SIZE(request_id)
        else:
            i += 27
        out = PyBytes_FromStringAndSize(NULL, i + size)
        head = <unsigned char*>PyBytes_AS_STRING(out)
        head = put(head, text(front), PyBytes_GET_SIZE(front))
        if request_id is not None:
            head = put(head, text(content_type), PyBytes_GET_SIZE(content_type))
            head = put_text(head, b"\r\nx-road-request-id: ", 21)
            head = put(head, text(request_id), PyBytes_GET_SIZE(request_id))
        head = put_text(head, TYPE, TYPE_SIZE)
        head = put_text(head, MIXED, MIXED_SIZE)
        head = put(head, boundary, OWN)
        if request_id is None:
            head = put_text(head, b"\r\nx-hash-algorithm: SHA-512", 27)
        head = put_text(head, b"\r\ncontent-length: ", 18)
        head = put(head, number, digits)
        head = put_text(head, b"\r\n\r\n", 4)
        memcpy(head, room, size)
        return out
    finally:
        PyMem_Free(room)


def front_of(bytes address not None, bytes version not None):
    """What all requests to one address begin with, up to the caller's own Content-Type."""
    return (
        b"POST / HTTP/1.1\r\nhost: %b\r\nx-road-message-type: REST\r\nx-hash-algorithm: SHA-512\r\nx-proxy-version: %b\r\n"
        b"x-original-content-type: " % (address, version)
    )


def request(Call call not None, bytes front not None, tuple ocsp not None, bytes signature not None, Tree tree):
    """The HTTP request to another server with the sealed request of `call`: `wire.request_headers` and `wire.encode`."""
    cdef Part part = call.request
    if part is None or part.content is None or call.request_id is None:
        raise ValueError("a call without its request")
    return written(
        part, _REQUEST, front, b"" if part.content_type is None else part.content_type, call.request_id, ocsp, signature, tree
    )


def answer(Call call not None, bytes signature not None, Tree tree):
    """The HTTP answer to another server with the sealed answer of `call`; the connection is kept."""
    cdef Part part = call.answer
    if part is None or part.content is None:
        raise ValueError("a call without its answer")
    return written(part, _RESPONSE, b"HTTP/1.1 200 OK", None, None, (), signature, tree)
