# cython: language_level=3
"""The HTTP around REST messages, whole and simple: the native form of what `node.http.reading`, `node.rest_consumer`,
`node.rest_provider`, `node.http.messages` and `node.http.client` do with small messages.

What is not simple (RFC 9112 framing in any but its plainest form, anything that would be refused) is not this module's: it says OTHER,
None or False, and whoever asked takes the Python modules, which word every refusal. The messages themselves are `restsigned`'s.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp

from kerege.exchange.lane.call cimport Call, Part
from kerege.exchange.lane.restfields cimport (
    CONNECTION, CONTENT_LENGTH, FRAMING, HOP_BY_HOP, MOST_FIELDS, NOT_FOR_CLIENT, TARGET, Bytes, Field, classes, equal, equal_low,
    fields_of, length_said, made, put, put_line, put_text, text,
)
from kerege.exchange.lane.restsigned cimport (
    Lines, answer_read, lines_of, request_read, status_of, take_answer, take_request, verb_name, verb_of, verb_size,
)

cdef enum:
    HEAD = 16 * 1024      # bytes of a head; a longer one is read by the Python server
    INLINE = 64 * 1024    # bytes of a body that travels in one piece (`node.link_bodies.INLINE`)
    FIELDS = 60           # header lines of an HTTP message

# what an answer is called whose provider gave it no reason: `node.http.messages`
_REASONS = {
    200: b"OK", 204: b"No Content", 400: b"Bad Request", 404: b"Not Found", 405: b"Method Not Allowed", 406: b"Not Acceptable",
    408: b"Request Timeout", 413: b"Content Too Large", 431: b"Request Header Fields Too Large", 500: b"Internal Server Error",
    502: b"Bad Gateway", 503: b"Service Unavailable",
}

cdef dict REASONS = _REASONS
cdef Bytes CLASS = classes()
cdef Bytes SLASH = <Bytes><const char*>b"/"


# --- HTTP that comes in ---

cdef bint simple_framing(const Field* fields, int count, Py_ssize_t* length) noexcept nogil:
    """Whether nothing but perhaps one Content-Length says where the body ends, and the connection is kept. NO_LENGTH: it says nothing."""
    cdef const Field* one
    cdef int at
    length[0] = NO_LENGTH
    if count > FIELDS:
        return False
    for at in range(count):
        one = &fields[at]
        if one.known == CONTENT_LENGTH:
            if length[0] != NO_LENGTH:
                return False
            length[0] = length_said(one)
            if length[0] < 0:
                return False
        elif one.known == CONNECTION:
            if not equal_low(one.value, one.value_size, b"keep-alive", 10):
                return False
        elif one.known == FRAMING:
            return False
    return True


cdef int read_http_request(const unsigned char* data, Py_ssize_t size, Py_ssize_t largest, Call call, Py_ssize_t* used) except -2:
    """A client's request at the beginning of `data`, of at most `largest` bytes. PARTIAL: `used` is how many it will have, 0: not known.

    WHOLE: `used` are its own, `call` has head, verb and target, and `request`: the message to sign, with its parts in `call` beside it.
    None where it is no message for this path (or would be refused); then `call.more` is its body.
    """
    cdef Field fields[MOST_FIELDS]
    cdef Bytes end = data + min(size, HEAD)
    cdef Bytes at
    cdef Bytes target
    cdef Bytes body
    cdef int more = PARTIAL if size < HEAD else OTHER
    cdef int verb, count
    cdef Py_ssize_t target_size, length, left
    used[0] = 0
    verb = verb_of(data, end - data)
    if verb < 0:
        return more if verb == -2 else OTHER
    target = at = data + verb_size(verb)
    while at < end and CLASS[at[0]] & TARGET:
        at += 1
    target_size = at - target
    if target_size and target[0] != c"/":
        return OTHER
    left = end - at
    if left == 0:
        return more
    if target_size == 0 or memcmp(at, b" HTTP/1.1\r\n", min(left, 11)) != 0:
        return OTHER
    if left < 11:
        return more
    count = fields_of(data, at + 11, end, True, fields, &body)
    if count < 0:
        return more if count == -2 else OTHER
    if not simple_framing(fields, count, &length):
        return OTHER
    if length == NO_LENGTH:
        length = 0
    if length > largest - (body - data):
        return OTHER
    used[0] = (body - data) + length
    if size < used[0]:
        return PARTIAL
    call.head = made(data, body - data)
    call.verb = verb_name(verb)
    call.target = made(target, target_size)
    content = made(body, length) if length else None
    if length > INLINE or not take_request(call, fields, count, verb, target, target_size, content):
        call.request = None
        call.more = b"" if content is None else content
    return WHOLE


cdef int read_http_answer(const unsigned char* data, Py_ssize_t size, Py_ssize_t largest, Call call, Py_ssize_t* used) except -2:
    """An agency's whole answer to the request of `call`, which fills `data`, as the message to sign (`rest.response_from_provider`).

    PARTIAL: `used` is how many bytes it will have, 0: not known. WHOLE: `call` has answer and status.
    """
    cdef Field fields[MOST_FIELDS]
    cdef Bytes end = data + min(size, HEAD)
    cdef Bytes line
    cdef Bytes body
    cdef int more = PARTIAL if size < HEAD else OTHER
    cdef int count, status
    cdef Py_ssize_t length
    cdef bint bodyless
    used[0] = 0
    if memcmp(data, b"HTTP/1.1 ", min(end - data, 9)) != 0:
        return OTHER
    line = NULL
    if data < end:
        line = <Bytes>memchr(data, c"\n", end - data)
    if line is NULL:
        return more
    if line < data + 13 or line[-1] != c"\r":  # at least three digits of a status before its end
        return OTHER
    status = status_of(data + 9, line - 1 - (data + 9))
    if status == 0:
        return OTHER
    count = fields_of(data, line + 1, end, True, fields, &body)
    if count < 0:
        return more if count == -2 else OTHER
    if not simple_framing(fields, count, &length):
        return OTHER
    bodyless = status == 204 or status == 304
    if length > INLINE or length > largest - (body - data):
        return OTHER
    if bodyless:
        if length > 0:
            return OTHER  # its length is another answer's
        length = 0
    elif length == NO_LENGTH:
        return OTHER
    used[0] = (body - data) + length
    if size < used[0]:
        return PARTIAL
    if size > used[0] or not take_answer(call, fields, count, data + 9, line - 1 - (data + 9)):
        used[0] = 0
        return OTHER
    call.answer.body = None if bodyless else made(body, length)
    call.status = status
    return WHOLE


# --- the signed form read ---

cpdef bint read_request(Part part, Call call):
    """Whether `part` is a request that `rest.decode_request` takes, plain in all; then `call` has it and its parts."""
    return part is not None and call is not None and request_read(part, call)


cpdef bint read_answer(Part part, Call call):
    """Whether `part` is an answer to the request of `call`: `rest.decode_response` and `rest.check_consistent`; then `call` has it."""
    return part is not None and call is not None and call.way is not None and answer_read(part, call)


# --- HTTP that goes out ---

cdef int decimal(unsigned char* to, Py_ssize_t number) noexcept nogil:
    """The number, not negative, in at most 20 digits; how many."""
    cdef unsigned char digits[20]
    cdef int many = 0, i
    while True:
        digits[many] = <unsigned char>(c"0" + number % 10)
        many += 1
        number //= 10
        if number == 0:
            break
    for i in range(many):
        to[i] = digits[many - 1 - i]
    return many


cdef bytes http_request_of(Call call):
    """The HTTP request to the agency at `call.way`, with its body: `http.client.encode_request` of `rest_provider`'s. None where the
    request is not one that `read_request` took."""
    cdef Lines lines
    cdef Bytes base
    cdef unsigned char* to
    cdef unsigned char number[20]
    cdef const Field* one
    cdef bytes out, body, path, query, netloc
    cdef Py_ssize_t base_size, at, size
    cdef int i, digits = 0
    if call.request is None or call.way is None or call.way.base is None or call.way.netloc is None or call.path is None:
        return None
    if not lines_of(call.request.content, &lines):
        return None
    body, path, query, netloc = call.request.body, call.path, call.query, call.way.netloc
    base, base_size, at = text(call.way.base), PyBytes_GET_SIZE(call.way.base), 0
    if PyBytes_GET_SIZE(path):
        while base_size and base[base_size - 1] == c"/":
            base_size -= 1
        while at < PyBytes_GET_SIZE(path) and text(path)[at] == c"/":
            at += 1
    elif base_size == 0:
        base, base_size = SLASH, 1
    if body is not None:
        digits = decimal(number, PyBytes_GET_SIZE(body))
    elif not bodyless_verb(lines.first, lines.first_size):
        digits = decimal(number, 0)
    size = lines.first_size + 1 + base_size + 11 + 6 + PyBytes_GET_SIZE(netloc) + 2 + 2
    size += PyBytes_GET_SIZE(path) - at + 1 if PyBytes_GET_SIZE(path) else 0
    size += PyBytes_GET_SIZE(query) + 1 if query is not None else 0
    size += 18 + digits if digits else 0
    size += PyBytes_GET_SIZE(body) if body is not None else 0
    for i in range(lines.count):
        one = &lines.fields[i]
        if not one.flags & HOP_BY_HOP:
            size += one.name_size + one.value_size + 4
    out = PyBytes_FromStringAndSize(NULL, size)
    to = put(<unsigned char*>PyBytes_AS_STRING(out), lines.first, lines.first_size)
    to = put_text(to, b" ", 1)
    to = put(to, base, base_size)
    if PyBytes_GET_SIZE(path):
        to = put_text(to, b"/", 1)
        to = put(to, text(path) + at, PyBytes_GET_SIZE(path) - at)
    if query is not None:
        to = put_text(to, b"?", 1)
        to = put(to, text(query), PyBytes_GET_SIZE(query))
    to = put_text(to, b" HTTP/1.1\r\n", 11)
    to = put_line(to, b"host: ", 6, netloc)
    to = put_fields(to, lines.fields, lines.count, HOP_BY_HOP)
    if digits:
        to = put_length(to, number, digits)
    to = put_text(to, b"\r\n", 2)
    if body is not None:
        put(to, text(body), PyBytes_GET_SIZE(body))
    return out


cdef bytes http_answer_of(Call call):
    """The HTTP answer to the client, with its body: `http.messages.encode_response` of `rest_consumer.http_answer`, the connection kept.
    None where the answer is not one that `read_answer` took."""
    cdef Lines lines
    cdef unsigned char* to
    cdef unsigned char number[20]
    cdef const Field* one
    cdef bytes out, body, reason
    cdef Bytes said
    cdef Py_ssize_t said_size, size
    cdef int i, status, digits = 0
    if call.answer is None or not lines_of(call.answer.content, &lines):
        return None
    status = status_of(lines.first, lines.first_size) if lines.first_size == 3 else 0
    if status == 0:
        return None
    body = call.answer.body
    if status == 204 or status == 304:
        body = None
    else:
        digits = decimal(number, 0 if body is None else PyBytes_GET_SIZE(body))
    said, said_size = lines.second, lines.second_size
    if said_size == 0:
        reason = REASONS.get(status, b"Status")
        said, said_size = text(reason), PyBytes_GET_SIZE(reason)
    size = 9 + 3 + 1 + said_size + 2 + 2
    size += 18 + digits if digits else 0
    size += PyBytes_GET_SIZE(body) if body is not None else 0
    for i in range(lines.count):
        one = &lines.fields[i]
        if not one.flags & NOT_FOR_CLIENT:
            size += one.name_size + one.value_size + 4
    out = PyBytes_FromStringAndSize(NULL, size)
    to = put_text(<unsigned char*>PyBytes_AS_STRING(out), b"HTTP/1.1 ", 9)
    to = put(to, lines.first, 3)
    to = put_text(to, b" ", 1)
    to = put(to, said, said_size)
    to = put_text(to, b"\r\n", 2)
    to = put_fields(to, lines.fields, lines.count, NOT_FOR_CLIENT)
    if digits:
        to = put_length(to, number, digits)
    to = put_text(to, b"\r\n", 2)
    if body is not None:
        put(to, text(body), PyBytes_GET_SIZE(body))
    return out


cdef bint bodyless_verb(Bytes at, Py_ssize_t size) noexcept nogil:
    """Whether a request without a body says nothing of its length: `http.client.encode_request`."""
    return equal(at, size, b"GET", 3) or equal(at, size, b"DELETE", 6) or equal(at, size, b"OPTIONS", 7)


cdef unsigned char* put_fields(unsigned char* to, const Field* fields, int count, int dropped) noexcept nogil:
    cdef const Field* one
    cdef int i
    for i in range(count):
        one = &fields[i]
        if not one.flags & dropped:
            to = put(to, one.name, one.name_size + 1)
            to = put_text(to, b" ", 1)
            to = put(to, one.value, one.value_size + 2)
    return to


cdef unsigned char* put_length(unsigned char* to, Bytes number, int digits) noexcept nogil:
    to = put_text(to, b"content-length: ", 16)
    to = put(to, number, digits)
    return put_text(to, b"\r\n", 2)


# --- for tests, and whoever has bytes ---

def read_http_request_bytes(bytes data not None, Py_ssize_t largest, Call call not None):
    """`read_http_request` of `data`: the outcome and `used`."""
    cdef Py_ssize_t used = 0
    return read_http_request(text(data), PyBytes_GET_SIZE(data), largest, call, &used), used


def read_http_answer_bytes(bytes data not None, Py_ssize_t largest, Call call not None):
    """`read_http_answer` of `data`: the outcome and `used`."""
    cdef Py_ssize_t used = 0
    return read_http_answer(text(data), PyBytes_GET_SIZE(data), largest, call, &used), used


def http_request_bytes(Call call not None):
    return http_request_of(call)


def http_answer_bytes(Call call not None):
    return http_answer_of(call)
