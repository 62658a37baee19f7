# cython: language_level=3, nonecheck=True
"""Records of many messages that share a signature, and their bytes in the message log.

The native form of `logrecord.encode_records` over what `node.records.Recorder.record` makes: the same payload, byte for byte, without a
record being made. What it does not take (a tree that is stored as chain files, identifiers beyond ASCII, sizes beyond a row's) goes to
`encode_records`.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from kerege.exchange.lane.call cimport Call, Part, Way

import hashlib
from collections.abc import Sequence
from functools import partial

import orjson

from kerege.exchange.batch import HashChain, TreeChain
from kerege.exchange.logrecord import COLUMNS, REST, LogRecord, encode_records, microseconds
from kerege.exchange.logrecord import _LEAVES_PER_CHAIN, ROW

cdef enum:
    FIELDS = 8      # numbers of a row (`logrecord.ROW`)
    ROW_SIZE = 32
    DIGEST = 64
    RECENT = 8      # ways of one group that are found without a dictionary

assert ROW.size == ROW_SIZE and ROW.format == "<8I"

cdef Py_ssize_t _LARGEST = 0xFFFFFFFE  # what a row can say of a size
cdef Py_ssize_t _PER_CHAIN = _LEAVES_PER_CHAIN
cdef object _dumps = orjson.dumps, _record = LogRecord, _chain = TreeChain, _files = HashChain, _microseconds = microseconds
cdef int _version = COLUMNS
cdef str _kind = REST


cdef class RecordGroup:
    """Records of messages under one signature: a sequence of LogRecord, each made when it is looked at.

    tree    a batch.Batch, or None for a signature over one message alone (a tree that is `plain` is the same)
    parts   a Part for each message: `index` is its leaf in the tree; `body_digest` is there where a body is
    calls   a Call for each message, in the same order, with its ids and its way
    result, chains   in place of a tree: its result file, and a chain file for each message, as they came

    Nobody changes the parts, and of the calls what is named here, until the records are durable. Raises ValueError for parts and calls
    that do not go together, and TypeError for something else than these.
    """

    def __init__(
        self, time, str direction not None, str side not None, bytes signature not None, tree, parts, calls,
        bytes result=None, chains=None,
    ):
        cdef Py_ssize_t at, leaves, weight = PyBytes_GET_SIZE(signature)
        cdef Part part
        cdef Call call
        if tree is not None and tree.plain:
            tree = None
        self.time, self.direction, self.side, self.signature, self.tree = time, direction, side, signature, tree
        self.parts, self.calls = tuple(parts), tuple(calls)
        if PyTuple_GET_SIZE(self.parts) != PyTuple_GET_SIZE(self.calls) or not self.parts:
            raise ValueError("a group of records has one call for each message, and at least one")
        self.result, self.chains = result, None if chains is None else tuple(chains)
        if (result is None) != (chains is None) or (chains is not None and tree is not None):
            raise ValueError("chain files go with their result, and without a tree")
        if chains is not None and PyTuple_GET_SIZE(self.chains) != PyTuple_GET_SIZE(self.parts):
            raise ValueError("every message has its chain file")
        leaves = 0 if tree is None else len(tree)
        for at in range(PyTuple_GET_SIZE(self.parts)):
            part, call = self.parts[at], self.calls[at]  # the only place that looks whether they are what they are taken for
            if part is None or call is None or part.content is None or call.way is None:
                raise ValueError("a record is of a message and its way")
            if call.message_id is None or call.request_id is None:
                raise ValueError("a record is of a message with ids")
            if tree is not None and part.index >= <size_t>leaves:
                raise ValueError("a message is no leaf of its tree")
            weight += PyBytes_GET_SIZE(part.content)
            if chains is not None:
                if type(self.chains[at]) is not bytes:
                    raise TypeError("a chain file is bytes")
                weight += PyBytes_GET_SIZE(<bytes>self.chains[at])
            if _kept(part, call.way):
                weight += PyBytes_GET_SIZE(part.body)
        self.weight = weight

    def __len__(self):
        return PyTuple_GET_SIZE(self.parts)

    def __getitem__(self, index):
        cdef Py_ssize_t at, size = PyTuple_GET_SIZE(self.parts)
        if isinstance(index, slice):
            return [self._one(at) for at in range(*index.indices(size))]
        at = index
        if at < 0:
            at += size
        if at < 0 or at >= size:
            raise IndexError("a record that the group has not")
        return self._one(at)

    def __iter__(self):
        return iter(self[:])

    def __reversed__(self):
        return iter(self[::-1])

    def __contains__(self, value):
        return value in self[:]

    def index(self, value, *bounds):
        return self[:].index(value, *bounds)

    def count(self, value):
        return self[:].count(value)

    def __repr__(self):
        return f"RecordGroup({self.direction}, {self.side}, {len(self)} records)"

    def _chain_of(self, Py_ssize_t at, Part part):
        if self.chains is not None:
            return _files(self.result, self.chains[at])
        return None if self.tree is None else _chain(self.tree, part.index, partial(_digests, part))

    def _one(self, Py_ssize_t at):
        """The record of message `at`, which is there."""
        cdef Part part = <Part>PyTuple_GET_ITEM(self.parts, at)
        cdef Call call = <Call>PyTuple_GET_ITEM(self.calls, at)
        return _record(
            self.time,
            self.direction,
            self.side,
            call.message_id.decode("latin-1"),  # ASCII by the header's rule, and no error where it is not
            call.request_id.decode("latin-1"),
            call.way.client,
            call.way.service,
            part.content,
            part.body if _kept(part, call.way) else None,
            self.signature,
            self._chain_of(at, part),
            _kind,
            () if part.body is None else (_body_digest(part),),
        )


Sequence.register(RecordGroup)


cdef inline bint _kept(Part part, Way way) noexcept:
    return part.body is not None and PyBytes_GET_SIZE(part.body) <= way.kept


def _body_digest(Part part):
    return part.body_digest if part.body_digest is not None else hashlib.sha512(part.body).digest()


def _digests(Part part):
    """Of the parts of a message, as they were signed."""
    content = part.digest if part.digest is not None else hashlib.sha512(part.content).digest()
    return (content,) if part.body is None else (content, _body_digest(part))


cpdef bytes encode_groups(list groups):
    """The payload of one frame: what `encode_records` makes of all records of the groups, in order."""
    cdef bytes payload = _encoded(groups)
    return encode_records([one for group in groups for one in group]) if payload is None else payload


def encode_mixed(records):
    """The payload of records and groups in any order, and how many records it holds. Where all are groups no record is made."""
    groups = [one for one in records if isinstance(one, RecordGroup)]
    if len(groups) == len(records):
        return encode_groups(groups), sum([len(group) for group in groups])
    flat = []
    for one in records:
        if isinstance(one, RecordGroup):
            flat += one
        else:
            flat.append(one)
    return encode_records(flat), len(flat)


cdef class _Heads:
    """What records share, in order of its first use: contexts, files, trees (`logrecord._Encoding`)."""
    cdef dict contexts, file_numbers, tree_numbers
    cdef list said, files, trees, here, alive

    def __cinit__(self):
        self.contexts, self.file_numbers, self.tree_numbers = {}, {}, {}
        self.said, self.files, self.trees, self.here, self.alive = [], [], [], [], []

    cdef Py_ssize_t context(self, RecordGroup group, Way way) except -1:
        """The number of the context of a group's messages that go this way."""
        client, service = way.client, way.service
        shared = group.tree if group.chains is None else group.result
        key = (id(group.signature), id(shared), id(service), id(client), id(group.time), group.direction, group.side)
        known = self.contexts.get(key)
        if known is not None:
            return known
        tree = -1
        if group.tree is not None:
            tree = self.tree_numbers.setdefault(id(group.tree), len(self.trees))
            if tree == len(self.trees):
                self.trees.append(group.tree)
                self.here.append(0)
        self.alive.append((client, service))  # as long as their identities stand for them
        number, result = len(self.said), -1 if group.chains is None else self.file(group.result)
        self.said.append(
            (
                _microseconds(group.time), group.direction, group.side, str(client), str(service), _kind,
                self.file(group.signature), result, tree,
            )
        )
        self.contexts[key] = number
        return number

    cdef object file(self, bytes file):
        number = self.file_numbers.setdefault(id(file), len(self.files))
        if number == len(self.files):
            self.files.append(file)
        return number


cdef bytes _encoded(list groups):
    """The payload; None where it is `encode_records`'s affair."""
    cdef RecordGroup group
    cdef Part part
    cdef Call call
    cdef Way way
    cdef _Heads heads = _Heads()
    cdef Py_ssize_t records = 0, row = 0, at, slot, seen, context, texts = 0, blobs = 0, shared = 0
    cdef PyObject* clients[RECENT]
    cdef PyObject* services[RECENT]
    cdef Py_ssize_t numbers[RECENT]
    cdef bytes contexts, one
    for group in groups:
        if group is None:
            return None
        records += PyTuple_GET_SIZE(group.parts)
    if not records or records > _LARGEST // ROW_SIZE:
        return None
    contexts = PyBytes_FromStringAndSize(NULL, records * <Py_ssize_t>sizeof(uint32_t))
    cdef uint32_t* of = <uint32_t*>PyBytes_AS_STRING(contexts)
    for group in groups:
        seen = 0
        for at in range(PyTuple_GET_SIZE(group.parts)):
            part, call = <Part>PyTuple_GET_ITEM(group.parts, at), <Call>PyTuple_GET_ITEM(group.calls, at)
            way = call.way
            if way is None or part.content is None or call.message_id is None or call.request_id is None:
                return None
            for slot in range(seen):
                if clients[slot] is <PyObject*>way.client and services[slot] is <PyObject*>way.service:
                    context = numbers[slot]
                    break
            else:
                context = heads.context(group, way)
                if seen < RECENT:
                    clients[seen], services[seen], numbers[seen] = <PyObject*>way.client, <PyObject*>way.service, context
                    seen += 1
            of[row] = <uint32_t>context
            row += 1
            texts += PyBytes_GET_SIZE(call.message_id) + PyBytes_GET_SIZE(call.request_id)
            blobs += PyBytes_GET_SIZE(part.content)
            if group.chains is not None:
                blobs += PyBytes_GET_SIZE(<bytes>PyTuple_GET_ITEM(group.chains, at))
            if part.body is not None:
                blobs += DIGEST
                if _kept(part, way):
                    blobs += PyBytes_GET_SIZE(part.body)
        if group.tree is not None:
            slot = heads.tree_numbers[id(group.tree)]
            heads.here[slot] += PyTuple_GET_SIZE(group.parts)
    cdef list leaves = []
    for at in range(PyList_GET_SIZE(heads.trees)):
        tree = heads.trees[at]
        if len(tree) > _PER_CHAIN * heads.here[at]:
            return None
        leaves.append(b"".join(tree.leaves))
    head = {
        "v": _version,
        "n": records,
        "c": heads.said,
        "f": [len(file) for file in heads.files],
        "l": [len(tree) for tree in heads.trees],
        "x": texts,
    }
    cdef bytes raw = _dumps(head)
    if PyBytes_GET_SIZE(raw) > _LARGEST:
        return None
    cdef list front = [raw, *heads.files, *leaves]
    for one in front:
        shared += PyBytes_GET_SIZE(one)
    # from here to the end no Python code runs: what was counted is what is copied, and every copy looks at its room all the same
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, 4 + shared + records * ROW_SIZE + texts + blobs)
    cdef unsigned char* to = <unsigned char*>PyBytes_AS_STRING(payload)
    _put_number(to, <uint32_t>PyBytes_GET_SIZE(raw))
    to += 4
    for one in front:
        memcpy(to, PyBytes_AS_STRING(one), PyBytes_GET_SIZE(one))
        to += PyBytes_GET_SIZE(one)
    cdef _Room rows, text, blob
    rows.at, rows.left = to, records * ROW_SIZE
    text.at, text.left = rows.at + rows.left, texts
    blob.at, blob.left = text.at + text.left, blobs
    row = 0
    for group in groups:
        for at in range(PyTuple_GET_SIZE(group.parts)):
            part, call = <Part>PyTuple_GET_ITEM(group.parts, at), <Call>PyTuple_GET_ITEM(group.calls, at)
            if row >= records or not _put_record(
                &rows, &text, &blob, of[row], part, call, group.tree is not None,
                None if group.chains is None else <bytes>PyTuple_GET_ITEM(group.chains, at),
            ):
                return None
            row += 1
    if row != records or text.left or blob.left:
        return None
    return payload


cdef struct _Room:
    unsigned char* at
    Py_ssize_t left


cdef inline bint _put(_Room* room, bytes data) noexcept:
    """Copy; False where there is no room, or nothing to copy from."""
    if data is None:
        return False
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if size > room.left:
        return False
    memcpy(room.at, PyBytes_AS_STRING(data), size)
    room.at += size
    room.left -= size
    return True


cdef inline void _put_number(unsigned char* at, uint32_t value) noexcept:
    """Little-endian."""
    at[0], at[1], at[2], at[3] = value & 255, (value >> 8) & 255, (value >> 16) & 255, value >> 24


cdef inline bint _ascii(bytes text) noexcept:
    cdef const unsigned char* data = <const unsigned char*>PyBytes_AS_STRING(text)
    cdef Py_ssize_t at, size = PyBytes_GET_SIZE(text)
    cdef unsigned char high = 0
    for at in range(size):
        high |= data[at]
    return high < 0x80


cdef bint _put_record(
    _Room* rows, _Room* text, _Room* blob, uint32_t context, Part part, Call call, bint in_tree, bytes chain
) noexcept:
    """One row, its texts and its blobs; False where this is not for a row of this kind."""
    cdef Way way = call.way
    cdef int at
    if way is None or part.content is None or call.message_id is None or call.request_id is None or rows.left < ROW_SIZE:
        return False
    cdef bint kept = _kept(part, way)
    cdef Py_ssize_t content = PyBytes_GET_SIZE(part.content), body = PyBytes_GET_SIZE(part.body) if kept else 0
    cdef Py_ssize_t file = 0 if chain is None else PyBytes_GET_SIZE(chain)
    if not _ascii(call.message_id) or not _ascii(call.request_id):
        return False  # a row counts characters
    if content > _LARGEST or body > _LARGEST - 1 or file > _LARGEST or text.left > _LARGEST:
        return False
    cdef uint32_t numbers[FIELDS]
    numbers[0], numbers[1] = context, part.index if in_tree else 0
    numbers[2], numbers[3] = <uint32_t>PyBytes_GET_SIZE(call.message_id), <uint32_t>PyBytes_GET_SIZE(call.request_id)
    numbers[4], numbers[5] = <uint32_t>content, <uint32_t>(body + 1) if kept else 0
    numbers[6], numbers[7] = <uint32_t>file, 0 if part.body is None else 1
    for at in range(FIELDS):
        _put_number(rows.at + 4 * at, numbers[at])
    rows.at += ROW_SIZE
    rows.left -= ROW_SIZE
    if not _put(text, call.message_id) or not _put(text, call.request_id) or not _put(blob, part.content):
        return False
    if kept and not _put(blob, part.body):
        return False
    if file and not _put(blob, chain):
        return False
    return part.body is None or (
        part.body_digest is not None and PyBytes_GET_SIZE(part.body_digest) == DIGEST and _put(blob, part.body_digest)
    )
