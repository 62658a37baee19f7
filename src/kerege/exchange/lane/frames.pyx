# cython: language_level=3
"""The native form of `exchange.linkframes` for frames of small REST messages: many messages at a time, one object for each.

The layout, its limits and why it looks like this are that module's (docs/decisions/0105). A frame that is not simple, or that breaks a
rule, is not this module's: `decode` and `encode` give None, and the Python module reads or writes it, or says what is wrong with it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.string cimport memcmp, memcpy

from kerege.exchange.lane.call cimport Part

from kerege.exchange.batch import MOST_LEAVES, Batch
from kerege.exchange.bodies import Attachment
from kerege.exchange.linkmessages import Group, LinkMessage
from kerege.exchange.multipart import REST_REQUEST, REST_RESPONSE

cdef enum:
    HEAD = 12         # linkframes._HEAD: magic, version, kind, flags, count, length
    GROUP = 9         # _GROUP: signature, leaves of its tree, messages here, flags
    MESSAGE = 15      # _MESSAGE: stream, kind, leaf, content, headers, attachments
    ATTACHMENT = 11   # _ATTACHMENT: flags, headers, body
    LARGEST_BODY = 64 * 1024   # a larger one is announced (`node.link.bodies`), or the Python reader refuses it
    LARGEST_CONTENT = 64 * 1024  # so is a larger signed content, which may be beyond a node's limit
    FIELD = 6         # _FIELD: name, value
    NAME = 23         # x-original-content-type
    SHA512 = 64
    LARGEST_SIGNATURE = 262144
    MOST_16 = 0xFFFF

REQUESTS = 0  # what a group's `kind` says, and `encode` is told
ANSWERS = 1

cdef const char* NAME_TEXT = "x-original-content-type"
cdef Py_ssize_t MOST_32 = 0xFFFFFFFF
cdef int LEAVES = MOST_LEAVES
cdef object _CONTENT_TYPE = b"x-original-content-type"
cdef tuple _KINDS = (REST_REQUEST, REST_RESPONSE)


cdef inline unsigned int _two(const unsigned char* at) noexcept nogil:
    return (<unsigned int>at[0] << 8) | at[1]


cdef inline unsigned int _four(const unsigned char* at) noexcept nogil:
    return (<unsigned int>at[0] << 24) | (<unsigned int>at[1] << 16) | (<unsigned int>at[2] << 8) | at[3]


cdef inline void _put_two(unsigned char* at, Py_ssize_t value) noexcept nogil:
    at[0], at[1] = <unsigned char>((value >> 8) & 0xFF), <unsigned char>(value & 0xFF)


cdef inline void _put_four(unsigned char* at, Py_ssize_t value) noexcept nogil:
    _put_two(at, value >> 16)
    _put_two(at + 2, value)


cdef class LaneGroup:
    """Messages under one signature, as `linkmessages.Group` has them, as parts.

    kind   0: requests, 1: answers; all of one group are of the same
    """

    cdef public bytes signature
    cdef public bytes others
    cdef public list parts
    cdef public int size
    cdef public int kind
    cdef public bint chained
    cdef object _batch
    cdef object _python

    @property
    def messages(self):
        """The parts under the name that `Group` has for its messages; each has `digests` once they were hashed."""
        return self.parts

    def batch(self):
        """The signature's tree, from the parts' own digests. Grown by the Python group where they were not hashed yet."""
        cdef Part part
        cdef Py_ssize_t here = 0, at = 0
        if self._batch is not None:
            return self._batch
        if self._python is not None or not self._hashed():
            self._batch = self.python().batch()
            return self._batch
        leaves, own = [], []
        for index in range(self.size):
            part = self.parts[here] if here < len(self.parts) else None
            if part is not None and (part.index == <unsigned int>index or not self.others):
                leaves.append(part.leaf)
                own.append((part.digest,) if part.body is None else (part.digest, part.body_digest))
                here += 1
            else:
                leaves.append(self.others[at : at + SHA512])
                own.append(None)
                at += SHA512
        self._batch = Batch(leaves, own)
        return self._batch

    def python_signed(self):
        """This group as `trust.Trust.check_group` takes one: it looks at `chained`, `signature`, `batch` and `messages` only."""
        return self

    cdef bint _hashed(self):
        cdef Part part
        for part in self.parts:
            if part.digest is None or part.leaf is None or (part.body is not None and part.body_digest is None):
                return False
        return True

    def python(self):
        """The same group for the Python modules, with the digests that are known; one object however often it is asked for."""
        cdef Part part
        if self._python is not None:
            return self._python
        hashed = self._hashed()
        kind = _KINDS[self.kind]
        messages = []
        for part in self.parts:
            attachments = () if part.body is None else (Attachment((), part.body),)
            headers = () if part.content_type is None else ((_CONTENT_TYPE, part.content_type),)
            digests = part.digests if hashed else None
            messages.append(LinkMessage(part.stream, kind, part.content, attachments, headers, part.index, digests))
        made = Group(self.signature, tuple(messages), self.size, self.others, chained=self.chained)
        if self._batch is not None:
            made._batch = self._batch
        self._python = made
        return made


def encode(
    bytes signature not None, list parts not None, int kind, int size, bytes others not None, bint chained,
    Py_ssize_t most_bytes, Py_ssize_t most_messages,
):
    """The one frame of `linkframes.encode_messages` for one group; None where it would take more, or cannot be written.

    kind   0: requests, 1: answers
    """
    cdef Py_ssize_t here = PyList_GET_SIZE(parts), total, length, at
    cdef Part part
    cdef object one
    cdef unsigned char* out
    if kind < 0 or kind > 1 or here < 1 or here > most_messages or here > MOST_16 or size < 0 or size > MOST_16:
        return None
    total = GROUP + PyBytes_GET_SIZE(signature) + PyBytes_GET_SIZE(others)
    for at in range(here):
        one = <object>PyList_GET_ITEM(parts, at)
        if not isinstance(one, Part):
            return None
        part = <Part>one
        if part.content is None or part.index > MOST_16:
            return None
        total += MESSAGE + PyBytes_GET_SIZE(part.content)
        if part.content_type is not None and PyBytes_GET_SIZE(part.content_type) > 0:
            if PyBytes_GET_SIZE(part.content_type) > MOST_16 - FIELD - NAME:
                return None
            total += FIELD + NAME + PyBytes_GET_SIZE(part.content_type)
        if part.body is not None:
            total += ATTACHMENT + PyBytes_GET_SIZE(part.body)
    if total > most_bytes or total > MOST_32:
        return None
    cdef bytes made = PyBytes_FromStringAndSize(NULL, HEAD + total)
    out = <unsigned char*>PyBytes_AS_STRING(made)
    memcpy(out, b"KL\x01\x02\x00\x00\x00\x01", 8)  # version 1, MESSAGES, no flags, one group
    _put_four(out + 8, total)
    out += HEAD
    _put_four(out, PyBytes_GET_SIZE(signature))
    _put_two(out + 4, size)
    _put_two(out + 6, here)
    out[8] = 1 if chained else 0
    out = _put(_put(out + GROUP, signature), others)
    for at in range(here):
        part = <Part>PyList_GET_ITEM(parts, at)
        length = 0
        if part.content_type is not None and PyBytes_GET_SIZE(part.content_type) > 0:
            length = FIELD + NAME + PyBytes_GET_SIZE(part.content_type)
        _put_four(out, part.stream)
        out[4] = <unsigned char>kind
        _put_two(out + 5, part.index)
        _put_four(out + 7, PyBytes_GET_SIZE(part.content))
        _put_two(out + 11, length)
        _put_two(out + 13, 0 if part.body is None else 1)
        out += MESSAGE
        if length:
            _put_two(out, NAME)
            _put_four(out + 2, length - FIELD - NAME)
            memcpy(out + FIELD, NAME_TEXT, NAME)
            out = _put(out + FIELD + NAME, part.content_type)
        out = _put(out, part.content)
        if part.body is not None:
            length = PyBytes_GET_SIZE(part.body)
            out[0] = out[1] = out[2] = 0  # not announced, no headers of its own
            _put_four(out + 3, 0)
            _put_four(out + 7, length)
            out = _put(out + ATTACHMENT, part.body)
    return [made]


cdef inline unsigned char* _put(unsigned char* out, bytes data) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    memcpy(out, PyBytes_AS_STRING(data), size)
    return out + size


def decode(bytes data not None, Py_ssize_t at, Py_ssize_t end, int count, Py_ssize_t most_messages):
    """The groups of the MESSAGES frame whose content is data[at:end], as `linkframes._read_groups` gives them; None where it is not simple.

    count          groups that the frame's head says
    most_messages  in all of them together
    """
    cdef const unsigned char* start = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t others_at, messages_at, signature_size, left = most_messages
    cdef int size, here, flags
    cdef LaneGroup group
    if at < 0 or end > PyBytes_GET_SIZE(data) or at > end or count < 1:
        return None
    groups = []
    while count:
        count -= 1
        if end - at < GROUP:
            return None
        signature_size = _four(start + at)
        size, here, flags = _two(start + at + 4), _two(start + at + 6), start[at + 8]
        at += GROUP
        if not 0 < here <= size <= LEAVES or here > left or flags > 1 or (size > 1 and flags != 1):
            return None
        left -= here
        if signature_size > LARGEST_SIGNATURE:
            return None
        others_at = at + signature_size
        messages_at = others_at + SHA512 * (size - here)  # at most 320 KiB further: no overflow
        if messages_at + here * MESSAGE > end:
            return None
        group = LaneGroup.__new__(LaneGroup)
        group.signature = PyBytes_FromStringAndSize(<const char*>start + at, signature_size)
        group.others = PyBytes_FromStringAndSize(<const char*>start + others_at, messages_at - others_at)
        group.size, group.chained, group.parts = size, flags == 1, []
        at = _messages(group, here, start, messages_at, end)
        if at < 0:
            return None
        groups.append(group)
    if at != end:
        return None
    return groups


cdef Py_ssize_t _messages(LaneGroup group, int here, const unsigned char* start, Py_ssize_t at, Py_ssize_t end) except -2:
    """The messages of a group into its parts: where the next group begins, or -1 when one is not simple."""
    cdef int before = -1, kind, leaf, attachments, first = -1
    cdef Py_ssize_t headers_size, content_size, body_size
    cdef const unsigned char* head
    cdef Part part
    cdef list parts = group.parts
    while here:
        here -= 1
        if end - at < MESSAGE:
            return -1
        head = start + at
        kind, leaf, content_size = head[4], _two(head + 5), _four(head + 7)
        headers_size, attachments = _two(head + 11), _two(head + 13)
        at += MESSAGE
        if first < 0:
            first = kind
        if kind > 1 or kind != first or attachments > 1 or not before < leaf < group.size:
            return -1
        before = leaf
        if content_size > LARGEST_CONTENT:
            return -1
        if end - at < headers_size or end - at - headers_size < content_size:
            return -1
        part = Part.__new__(Part)
        part.stream, part.index = _four(head), leaf
        if headers_size:
            # exactly one header, the caller's own content type; an empty one is not told apart from none in a part
            if headers_size <= FIELD + NAME or _two(start + at) != NAME or memcmp(start + at + FIELD, NAME_TEXT, NAME):
                return -1
            if _four(start + at + 2) != <unsigned int>(headers_size - FIELD - NAME):
                return -1
            part.content_type = PyBytes_FromStringAndSize(
                <const char*>start + at + FIELD + NAME, headers_size - FIELD - NAME
            )
            at += headers_size
        part.content = PyBytes_FromStringAndSize(<const char*>start + at, content_size)
        at += content_size
        if attachments:
            if end - at < ATTACHMENT:
                return -1
            head = start + at
            # not announced, without headers, and of less than four gigabytes, as everything within a frame is
            if head[0] or head[1] or head[2] or _four(head + 3):
                return -1
            body_size = _four(head + 7)
            at += ATTACHMENT
            if body_size > LARGEST_BODY or end - at < body_size:
                return -1
            part.body = PyBytes_FromStringAndSize(<const char*>start + at, body_size)
            at += body_size
        parts.append(part)
    group.kind = first
    return at
