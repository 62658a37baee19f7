# cython: language_level=3
"""REST messages in the signed form, made of HTTP and read: the native form of `exchange.rest`.

Byte for byte what the Python module makes, of messages that are plain in all: what it would refuse, and what needs decoding, is not
this module's. Header lines are `restfields`', targets and identifiers `resttargets`', HTTP is `restlines`'.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp

from kerege.exchange.lane.call cimport Call, Part
from kerege.exchange.lane.restfields cimport (
    ACCEPT, CLIENT, CONNECTION, CONTENT_TYPE, MESSAGE_ID, NOT_FROM_CLIENT, NOT_FROM_PROVIDER, ONCE, REQUEST_ID, SERVER, SHADOWS, TARGET,
    Bytes, Field, classes, equal, fields_of, made, put, put_line, put_text, said_once, text,
)
from kerege.exchange.lane.resttargets cimport Target, client_plain, names_own, new_uuid, printed, taken_apart

cdef enum:
    VERBS = 7
    WITH_HEAD = 6  # the last of the verbs: its answer has no body, which the Python modules know how to frame

cdef tuple VERB = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
cdef const char* VERB_TEXT[VERBS]
cdef int VERB_SIZE[VERBS]  # with the space after it
VERB_TEXT[:] = [b"GET ", b"POST ", b"PUT ", b"DELETE ", b"PATCH ", b"OPTIONS ", b"HEAD "]
VERB_SIZE[:] = [4, 5, 4, 7, 6, 8, 5]

cdef Bytes CLASS = classes()


cdef str verb_name(int verb):
    return <str>VERB[verb]


cdef int verb_size(int verb) noexcept nogil:
    """With the space after it."""
    return VERB_SIZE[verb]


cdef int verb_of(Bytes data, Py_ssize_t size) noexcept nogil:
    """Which verb stands at the beginning, with a space after it. -1: none; -2: as far as it came it may be one."""
    cdef int i
    for i in range(VERBS):
        if memcmp(data, VERB_TEXT[i], min(size, VERB_SIZE[i])) == 0:
            return i if size >= VERB_SIZE[i] else -2
    return -1


cdef int status_of(Bytes at, Py_ssize_t size) noexcept nogil:
    """The final status (200 to 599) at the beginning of what stands after an HTTP version: alone, or with a space and a reason. 0: none."""
    cdef int i
    if size < 3 or not c"2" <= at[0] <= c"5" or (size > 3 and at[3] != c" "):
        return 0
    for i in range(1, 3):
        if not c"0" <= at[i] <= c"9":
            return 0
    return (at[0] - c"0") * 100 + (at[1] - c"0") * 10 + (at[2] - c"0")


# --- the message made of HTTP ---

cdef void take_target(Call call, const Target* target):
    call.service_raw = made(target.service, target.service_size)
    call.path = made(target.path, target.path_size)
    call.query = None if target.query is NULL else made(target.query, target.query_size)


cdef bint take_request(Call call, Field* fields, int count, int verb, Bytes written, Py_ssize_t written_size, bytes body):
    """The message to sign, of a client's request whose target is `written`: `rest.request_from_client` and `encode`.

    False where it is not for this path; then nothing of `call` was changed.
    """
    cdef Target target
    cdef Field* one
    cdef int i
    cdef int client = -1, message_id = -1, accept = -1, content_type = -1
    cdef Py_ssize_t size, instance
    cdef unsigned char* to
    cdef Part part
    if verb == WITH_HEAD or not taken_apart(written, written_size, &target) or not said_once(fields, count, NOT_FROM_CLIENT):
        return False
    size = VERB_SIZE[verb] + 1 + written_size + 2  # with a line's end in place of the space after the verb
    for i in range(count):
        one = &fields[i]
        if one.known == CLIENT:
            client = i
        elif one.known == MESSAGE_ID:
            message_id = i
        elif one.known == ACCEPT:
            accept = i
            if names_own(one.value, one.value_size):
                return False
        elif one.known == CONTENT_TYPE:
            content_type = i
        elif one.known == SERVER:
            return False
        if not one.flags & NOT_FROM_CLIENT:
            size += one.name_size + one.value_size + 3
    instance = 0 if client < 0 else client_plain(fields[client].value, fields[client].value_size)
    if instance == 0:
        return False
    if message_id >= 0 and not printed(fields[message_id].value, fields[message_id].value_size):
        return False
    take_target(call, &target)
    call.client_raw = made(fields[client].value, fields[client].value_size)
    call.accept = None if accept < 0 else made(fields[accept].value, fields[accept].value_size)
    if message_id >= 0:
        call.message_id = made(fields[message_id].value, fields[message_id].value_size)
    else:
        call.message_id = new_uuid(fields[client].value, instance)
        size += 12 + PyBytes_GET_SIZE(call.message_id)
    call.request_id = new_uuid(NULL, 0)
    size += 20 + 36
    part = Part.__new__(Part)
    part.content = PyBytes_FromStringAndSize(NULL, size)
    part.body = body
    if content_type >= 0 and fields[content_type].value_size:
        part.content_type = made(fields[content_type].value, fields[content_type].value_size)
    to = <unsigned char*>PyBytes_AS_STRING(part.content)
    to = put_text(to, VERB_TEXT[verb], VERB_SIZE[verb] - 1)
    to = put_text(to, b"\r\n", 2)
    to = put(to, written, written_size)
    to = put_text(to, b"\r\n", 2)
    for i in range(count):
        one = &fields[i]
        if not one.flags & NOT_FROM_CLIENT:
            to = put(to, one.name, one.name_size + 1)     # with its colon
            to = put(to, one.value, one.value_size + 2)   # with its line's end
    if message_id < 0:
        to = put_line(to, b"x-road-id:", 10, call.message_id)
    put_line(to, b"x-road-request-id:", 18, call.request_id)
    call.request = part
    return True


cdef bint take_answer(Call call, const Field* fields, int count, Bytes line, Py_ssize_t line_size):
    """`call.answer` without its body; `line` is what stands after the HTTP version. False where it is not for this path."""
    cdef const Field* one
    cdef unsigned char* to
    cdef Py_ssize_t size
    cdef Part part
    cdef int i
    if call.way is None or call.way.client_written is None or call.way.service_written is None:
        return False
    if call.message_id is None or call.request_id is None or call.request_hash is None:
        return False
    if line_size > 3 and memchr(line, c"\t", line_size) is not NULL:
        return False  # in a reason a tab is a control character
    size = 3 + 2 + max(line_size - 4, 0) + 2 + 12 + 16 + 17 + 20 + 22
    size += PyBytes_GET_SIZE(call.message_id) + PyBytes_GET_SIZE(call.request_id) + PyBytes_GET_SIZE(call.request_hash)
    size += PyBytes_GET_SIZE(call.way.client_written) + PyBytes_GET_SIZE(call.way.service_written)
    for i in range(count):
        one = &fields[i]
        if not one.flags & NOT_FROM_PROVIDER:
            size += one.name_size + one.value_size + 3
    part = Part.__new__(Part)
    part.content = PyBytes_FromStringAndSize(NULL, size)
    to = <unsigned char*>PyBytes_AS_STRING(part.content)
    to = put(to, line, 3)
    to = put_text(to, b"\r\n", 2)
    if line_size > 4:
        to = put(to, line + 4, line_size - 4)
    to = put_text(to, b"\r\n", 2)
    for i in range(count):
        one = &fields[i]
        if not one.flags & NOT_FROM_PROVIDER:
            to = put(to, one.name, one.name_size + 1)
            to = put(to, one.value, one.value_size + 2)
    to = put_line(to, b"x-road-id:", 10, call.message_id)
    to = put_line(to, b"x-road-client:", 14, call.way.client_written)
    to = put_line(to, b"x-road-service:", 15, call.way.service_written)
    to = put_line(to, b"x-road-request-id:", 18, call.request_id)
    put_line(to, b"x-road-request-hash:", 20, call.request_hash)
    call.answer = part
    return True


# --- the signed form read ---

cdef inline bint equal_line(const Field* field, const char* name, Py_ssize_t name_size, bytes value) noexcept:
    return (
        value is not None
        and equal(field.name, field.name_size, name, name_size)
        and equal(field.value, field.value_size, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    )


cdef bint lines_of(bytes content, Lines* out) noexcept:
    """Two lines and header lines, each ended by CRLF; no control character but tabs in any."""
    cdef Bytes at, end, line, after
    if content is None:
        return False
    at = text(content)
    end = at + PyBytes_GET_SIZE(content)
    line = <Bytes>memchr(at, c"\n", end - at)
    if line is NULL or line == at or line[-1] != c"\r":
        return False
    out.first, out.first_size = at, line - 1 - at
    at = line + 1
    line = <Bytes>memchr(at, c"\n", end - at)
    if line is NULL or line == at or line[-1] != c"\r":
        return False
    out.second, out.second_size = at, line - 1 - at
    out.count = fields_of(out.first, line + 1, end, False, out.fields, &after)
    return out.count >= 0


cdef bint request_read(Part part, Call call):
    """Whether `part` is a request that `rest.decode_request` takes, plain in all; then `call` has it and its parts."""
    cdef Lines lines
    cdef Target target
    cdef const Field* one
    cdef Py_ssize_t i
    cdef int verb, client = -1, message_id = -1, request_id = -1
    if not lines_of(part.content, &lines) or not said_once(lines.fields, lines.count, 0):
        return False
    for verb in range(WITH_HEAD + 1):
        if equal(lines.first, lines.first_size, VERB_TEXT[verb], VERB_SIZE[verb] - 1):
            break
    else:
        return False
    if verb == WITH_HEAD:
        return False
    for i in range(lines.second_size):
        if not CLASS[lines.second[i]] & TARGET:
            return False
    if not taken_apart(lines.second, lines.second_size, &target):
        return False
    for i in range(lines.count):
        one = &lines.fields[i]
        if one.known == CLIENT:
            client = i
        elif one.known == MESSAGE_ID:
            message_id = i
        elif one.known == REQUEST_ID:
            request_id = i
        elif one.known == SERVER:
            return False
    if client < 0 or message_id < 0 or request_id < 0:
        return False
    one = &lines.fields[client]
    if not client_plain(one.value, one.value_size):
        return False
    for i in (message_id, request_id):
        if not printed(lines.fields[i].value, lines.fields[i].value_size):
            return False
    take_target(call, &target)
    call.verb = <str>VERB[verb]
    call.target = made(lines.second, lines.second_size)
    call.client_raw = made(one.value, one.value_size)
    call.message_id = made(lines.fields[message_id].value, lines.fields[message_id].value_size)
    call.request_id = made(lines.fields[request_id].value, lines.fields[request_id].value_size)
    call.request = part
    return True


cdef bint answer_read(Part part, Call call):
    """Whether `part` is an answer to the request of `call`: `rest.decode_response` and `rest.check_consistent`; then `call` has it."""
    cdef Lines lines
    cdef const Field* own
    cdef int status, i
    if not lines_of(part.content, &lines) or lines.count < 5:
        return False
    status = status_of(lines.first, lines.first_size) if lines.first_size == 3 else 0
    if status == 0:
        return False
    own = &lines.fields[lines.count - 5]
    if not (
        equal_line(own, b"x-road-id", 9, call.message_id)
        and equal_line(own + 1, b"x-road-client", 13, call.way.client_written)
        and equal_line(own + 2, b"x-road-service", 14, call.way.service_written)
        and equal_line(own + 3, b"x-road-request-id", 17, call.request_id)
        and equal_line(own + 4, b"x-road-request-hash", 19, call.request_hash)
    ):
        return False
    for i in range(lines.count):
        if lines.fields[i].flags & SHADOWS or lines.fields[i].known == CONNECTION:
            return False
        if lines.fields[i].flags & ONCE and i < lines.count - 5:
            return False
    call.status, call.answer = status, part
    return True
