# cython: language_level=3
"""Chain files of messages that share a signature, written and checked: the native form of `batch.Batch.chain` and `hashchain.quick`.

A message here has one part or two (its body). What is in any other form than `batch` writes does not hold here, which says nothing: it
is `hashchain.verify`'s, which reads every form, and says what does not hold.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.string cimport memcmp, memcpy

from kerege.exchange.lane.call cimport Part

from kerege.exchange.batch import BETWEEN, ITEM_TAIL, LEFT, MOST_LEAVES, part_uri
from kerege.exchange.batch import _DATA, _DOWN, _HEAD, _RESULT, _STEP, _STEP_END, _TAIL, _VALUE
from kerege.exchange.lane.digest import digest_many

ctypedef const unsigned char* Bytes

cdef enum:
    SIZE = 64          # of a digest
    WRITTEN = 88       # of one in base64
    MOST_STEPS = 16    # down a tree; ten are enough for the largest
    FRAME = 225        # of a step over two digests
    LEFT_AT = 7
    RIGHT_AT = 118

assert MOST_LEAVES <= 1 << MOST_STEPS

# the files' pieces, as `batch` has them, around numbers and digests
cdef bytes HEAD = _HEAD, TAIL = _TAIL, STEP_END = _STEP_END
cdef bytes STEP, STEP_AFTER, DOWN, DOWN_AFTER, VALUE, VALUE_AFTER, MESSAGE, MESSAGE_AFTER, BODY, BODY_AFTER, RESULT, RESULT_AFTER
STEP, STEP_AFTER = _STEP.split(b"%d")
DOWN, DOWN_AFTER = _DOWN.split(b"%d")
VALUE, VALUE_AFTER = _VALUE.split(b"%b")
MESSAGE, MESSAGE_AFTER = (_DATA % part_uri(0)).split(b"%b")
BODY, BODY_AFTER = (_DATA % part_uri(1)).split(b"%b")
RESULT, RESULT_AFTER = _RESULT.split(b"%b")

cdef bytes FRAMED = LEFT + bytes(SIZE) + BETWEEN + bytes(SIZE) + ITEM_TAIL
assert len(FRAMED) == FRAME and len(LEFT) == LEFT_AT and len(LEFT) + SIZE + len(BETWEEN) == RIGHT_AT

cdef const char* LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
cdef signed char VALUES[256]


cdef void _load() noexcept:
    cdef int at
    for at in range(256):
        VALUES[at] = -1
    for at in range(64):
        VALUES[<unsigned char>LETTERS[at]] = <signed char>at


_load()


cdef void encode(Bytes source, unsigned char* to) noexcept nogil:
    """A digest in base64."""
    cdef unsigned int three
    cdef int group
    for group in range(21):
        three = (source[3 * group] << 16) | (source[3 * group + 1] << 8) | source[3 * group + 2]
        to[4 * group] = LETTERS[three >> 18]
        to[4 * group + 1] = LETTERS[(three >> 12) & 63]
        to[4 * group + 2] = LETTERS[(three >> 6) & 63]
        to[4 * group + 3] = LETTERS[three & 63]
    to[84], to[85], to[86], to[87] = LETTERS[source[63] >> 2], LETTERS[(source[63] & 3) << 4], c"=", c"="


cdef bint decode(Bytes source, unsigned char* to) noexcept nogil:
    """A digest from base64, in its one form; False where it is none."""
    cdef int group, a, b, c, d
    for group in range(21):
        a, b = VALUES[source[4 * group]], VALUES[source[4 * group + 1]]
        c, d = VALUES[source[4 * group + 2]], VALUES[source[4 * group + 3]]
        if (a | b | c | d) < 0:
            return False
        to[3 * group] = <unsigned char>((a << 2) | (b >> 4))
        to[3 * group + 1] = <unsigned char>(((b & 15) << 4) | (c >> 2))
        to[3 * group + 2] = <unsigned char>(((c & 3) << 6) | d)
    a, b = VALUES[source[84]], VALUES[source[85]]
    if (a | b) < 0 or b & 15 or source[86] != c"=" or source[87] != c"=":
        return False
    to[63] = <unsigned char>((a << 2) | (b >> 4))
    return True


# --- writing ---

cdef class Tree:
    """What the messages under one signature repeat: the tree of a `batch.Batch` that is not plain, ready to be written."""

    def __init__(self, batch):
        cdef list nodes = list(batch._all)
        cdef Py_ssize_t at, count = len(nodes)
        if batch.plain:
            raise ValueError("a signature over one message alone has no chain")
        self.result, self.leaves = batch.result, len(batch)
        self.written = PyBytes_FromStringAndSize(NULL, count * WRITTEN)
        for at in range(count):
            if type(nodes[at]) is not bytes or len(nodes[at]) != SIZE:
                raise ValueError("a node is a digest of 64 bytes")
            encode(<Bytes>PyBytes_AS_STRING(nodes[at]), <unsigned char*>PyBytes_AS_STRING(self.written) + at * WRITTEN)


cdef inline unsigned char* put(unsigned char* to, bytes what) noexcept:
    memcpy(to, PyBytes_AS_STRING(what), PyBytes_GET_SIZE(what))
    return to + PyBytes_GET_SIZE(what)


cdef inline unsigned char* put_number(unsigned char* to, int number) noexcept nogil:
    """Of one or two digits."""
    if number >= 10:
        to[0] = <unsigned char>(c"0" + number // 10)
        to += 1
    to[0] = <unsigned char>(c"0" + number % 10)
    return to + 1


cdef inline unsigned char* put_digest(unsigned char* to, bytes before, Bytes digest, bytes after) noexcept:
    """`digest` as it is written."""
    to = put(to, before)
    memcpy(to, digest, WRITTEN)
    return put(to + WRITTEN, after)


cdef Py_ssize_t chain_most(Tree tree) noexcept:
    """Bytes that no chain file of a message with at most two parts exceeds."""
    cdef Py_ssize_t step = PyBytes_GET_SIZE(STEP) + PyBytes_GET_SIZE(STEP_AFTER) + PyBytes_GET_SIZE(STEP_END) + 4 + 2 * WRITTEN
    step += PyBytes_GET_SIZE(VALUE) + PyBytes_GET_SIZE(VALUE_AFTER) + PyBytes_GET_SIZE(DOWN) + PyBytes_GET_SIZE(DOWN_AFTER)
    step += PyBytes_GET_SIZE(MESSAGE) + PyBytes_GET_SIZE(MESSAGE_AFTER) + PyBytes_GET_SIZE(BODY) + PyBytes_GET_SIZE(BODY_AFTER)
    return PyBytes_GET_SIZE(HEAD) + PyBytes_GET_SIZE(TAIL) + (MOST_STEPS + 1) * step


cdef unsigned char* put_chain(unsigned char* to, Tree tree, Part part) except NULL:
    """The chain file of `part`, a leaf of `tree` by its `index`, into room of `chain_most`; ValueError where it is none of its leaves."""
    cdef unsigned char message[WRITTEN]
    cdef unsigned char body[WRITTEN]
    cdef Py_ssize_t siblings[MOST_STEPS]
    cdef bint right[MOST_STEPS]
    cdef Py_ssize_t at = part.index, length = tree.leaves, first = 0, carried = -1, count = tree.leaves, sibling, made
    cdef int steps = 0, depth
    cdef bint alone = part.body is None
    cdef Bytes nodes = <Bytes>PyBytes_AS_STRING(tree.written)
    if at >= length or part.digest is None or PyBytes_GET_SIZE(part.digest) != SIZE:
        raise ValueError("a message is no leaf of its tree")
    if not alone and (part.body_digest is None or PyBytes_GET_SIZE(part.body_digest) != SIZE):
        raise ValueError("a digest is 64 bytes")
    encode(<Bytes>PyBytes_AS_STRING(part.digest), message)
    if not alone:
        encode(<Bytes>PyBytes_AS_STRING(part.body_digest), body)
    # a level: `made` nodes from `first` on, and perhaps one that was carried up
    while length > 1:
        made = length - (1 if carried >= 0 else 0)
        sibling = at ^ 1
        if sibling < length:
            if steps == MOST_STEPS:
                raise ValueError("a tree is too deep")
            right[steps], siblings[steps] = at & 1, first + sibling if sibling < made else carried
            steps += 1
        if length & 1:
            carried = carried if carried >= 0 else first + made - 1
        else:
            carried = -1
        first, count = count, count + length // 2
        length, at = (length + 1) // 2, at >> 1
    to = put(to, HEAD)
    for depth in range(steps):
        to = put(put_number(put(to, STEP), depth), STEP_AFTER)
        sibling = siblings[steps - 1 - depth]
        if right[steps - 1 - depth]:
            to = put_digest(to, VALUE, nodes + sibling * WRITTEN, VALUE_AFTER)
        if alone and depth == steps - 1:
            to = put_digest(to, MESSAGE, message, MESSAGE_AFTER)
        else:
            to = put(put_number(put(to, DOWN), depth + 1), DOWN_AFTER)
        if not right[steps - 1 - depth]:
            to = put_digest(to, VALUE, nodes + sibling * WRITTEN, VALUE_AFTER)
        to = put(to, STEP_END)
    if not alone or steps == 0:
        to = put(put_number(put(to, STEP), steps), STEP_AFTER)
        to = put_digest(to, MESSAGE, message, MESSAGE_AFTER)
        if not alone:
            to = put_digest(to, BODY, body, BODY_AFTER)
        to = put(to, STEP_END)
    return put(to, TAIL)


def written(Tree tree not None, Part part not None):
    """The chain file of `part`: `batch.Batch.chain`. ValueError where it is no leaf of the tree, or was not hashed."""
    cdef unsigned char* room = <unsigned char*>PyMem_Malloc(chain_most(tree))
    if room is NULL:
        raise MemoryError()
    try:
        return PyBytes_FromStringAndSize(<char*>room, put_chain(room, tree, part) - room)
    finally:
        PyMem_Free(room)


# --- checking ---

cdef struct Climb:
    int steps
    bint right[MOST_STEPS]
    unsigned char siblings[MOST_STEPS][SIZE]


cdef inline bint said(Bytes* at, Bytes end, bytes what) noexcept:
    """Whether `what` stands there; then `at` is behind it."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(what)
    if end - at[0] < size or memcmp(at[0], PyBytes_AS_STRING(what), size) != 0:
        return False
    at[0] += size
    return True


cdef inline bint said_number(Bytes* at, Bytes end, int number) noexcept:
    cdef unsigned char text[2]
    cdef Py_ssize_t size = put_number(text, number) - text
    if end - at[0] < size or memcmp(at[0], text, size) != 0:
        return False
    at[0] += size
    return True


cdef inline bint said_digest(Bytes* at, Bytes end, bytes before, Bytes digest, bytes after) noexcept:
    """Whether this digest stands there; `digest` as it is written. Where it does not, `at` stays: something else may be asked for."""
    cdef Bytes here = at[0]
    if not said(&here, end, before) or end - here < WRITTEN or memcmp(here, digest, WRITTEN) != 0:
        return False
    here += WRITTEN
    if not said(&here, end, after):
        return False
    at[0] = here
    return True


cdef inline bint sibling_of(Bytes* at, Bytes end, unsigned char* to) noexcept:
    cdef Bytes here = at[0]
    if not said(&here, end, VALUE) or end - here < WRITTEN or not decode(here, to):
        return False
    here += WRITTEN
    if not said(&here, end, VALUE_AFTER):
        return False
    at[0] = here
    return True


cdef bint climb_of(bytes chain, Part part, Climb* out) noexcept:
    """The way from the message up the tree that `chain` states; False where it is not in our form, or is another message's."""
    cdef unsigned char message[WRITTEN]
    cdef unsigned char body[WRITTEN]
    cdef Bytes at = <Bytes>PyBytes_AS_STRING(chain)
    cdef Bytes end = at + PyBytes_GET_SIZE(chain)
    cdef bint alone = part.body is None, last = False
    cdef int depth = 0
    encode(<Bytes>PyBytes_AS_STRING(part.digest), message)
    if not alone:
        encode(<Bytes>PyBytes_AS_STRING(part.body_digest), body)
    if not said(&at, end, HEAD):
        return False
    while True:
        if not (said(&at, end, STEP) and said_number(&at, end, depth) and said(&at, end, STEP_AFTER)):
            return False
        if said_digest(&at, end, MESSAGE, message, MESSAGE_AFTER):
            if not alone:
                if not said_digest(&at, end, BODY, body, BODY_AFTER):
                    return False
                break
            # a message alone stands beside its sibling
            if depth == MOST_STEPS or not sibling_of(&at, end, out.siblings[depth]):
                return False
            out.right[depth], last = False, True
        elif depth == MOST_STEPS:
            return False
        elif said(&at, end, DOWN):
            if not (said_number(&at, end, depth + 1) and said(&at, end, DOWN_AFTER) and sibling_of(&at, end, out.siblings[depth])):
                return False
            out.right[depth] = False
        elif sibling_of(&at, end, out.siblings[depth]):
            out.right[depth] = True
            if alone and said_digest(&at, end, MESSAGE, message, MESSAGE_AFTER):
                last = True
            elif not (said(&at, end, DOWN) and said_number(&at, end, depth + 1) and said(&at, end, DOWN_AFTER)):
                return False
        else:
            return False
        depth += 1
        if last:
            break
        if not said(&at, end, STEP_END):
            return False
    out.steps = depth
    return said(&at, end, STEP_END) and said(&at, end, TAIL) and at == end


cdef bint result_names(bytes result, bytes root) noexcept:
    """Whether `result` is the result file of this root."""
    cdef unsigned char text[WRITTEN]
    cdef Bytes at = <Bytes>PyBytes_AS_STRING(result)
    cdef Bytes end = at + PyBytes_GET_SIZE(result)
    encode(<Bytes>PyBytes_AS_STRING(root), text)
    return said_digest(&at, end, RESULT, text, RESULT_AFTER) and at == end


cdef inline bint is_digest(bytes value) noexcept:
    return value is not None and PyBytes_GET_SIZE(value) == SIZE


def hold(list parts not None, list chains not None, list results not None):
    """Of each hashed part, whether its chain file covers exactly it and gives its result file. All steps of one height are hashed together."""
    cdef Py_ssize_t count = PyList_GET_SIZE(parts), at, most = 0
    cdef list reached = [None] * count, frames, who, out = [False] * count
    cdef Climb* climbs
    cdef Part part
    cdef bytes frame, chain, root, result
    cdef unsigned char* room
    cdef int height
    if PyList_GET_SIZE(chains) != count or PyList_GET_SIZE(results) != count:
        raise ValueError("every part has its chain and its result")
    climbs = <Climb*>PyMem_Malloc((count + 1) * sizeof(Climb))
    if climbs is NULL:
        raise MemoryError()
    try:
        for at in range(count):
            part, chain = <Part?>parts[at], chains[at]
            if chain is None or results[at] is None or not is_digest(part.digest) or not is_digest(part.leaf):
                continue
            if part.body is not None and not is_digest(part.body_digest):
                continue
            if not climb_of(chain, part, &climbs[at]):
                continue
            reached[at] = part.leaf
            most = max(most, climbs[at].steps)
        for height in range(most):
            frames, who = [], []
            for at in range(count):
                if reached[at] is None or climbs[at].steps <= height:
                    continue
                frame = PyBytes_FromStringAndSize(PyBytes_AS_STRING(FRAMED), FRAME)
                room = <unsigned char*>PyBytes_AS_STRING(frame)
                root = reached[at]
                if climbs[at].right[climbs[at].steps - 1 - height]:
                    memcpy(room + LEFT_AT, climbs[at].siblings[climbs[at].steps - 1 - height], SIZE)
                    memcpy(room + RIGHT_AT, PyBytes_AS_STRING(root), SIZE)
                else:
                    memcpy(room + LEFT_AT, PyBytes_AS_STRING(root), SIZE)
                    memcpy(room + RIGHT_AT, climbs[at].siblings[climbs[at].steps - 1 - height], SIZE)
                frames.append(frame)
                who.append(at)
            made = digest_many(frames)
            for at in range(len(who)):
                reached[<Py_ssize_t>who[at]] = made[at]
        for at in range(count):
            root = reached[at]
            if root is not None:
                result = results[at]
                out[at] = result_names(result, root)
    finally:
        PyMem_Free(climbs)
    return out
