# cython: language_level=3, nonecheck=True
"""What is done to every call of a batch at each end of a link (`node.lane.calling`, `node.lane.answering`), without Python in the loop.

Nothing is decided here: who waits for which answer, and by which way a request goes, is in the dictionaries that are given.
"""

from kerege.exchange.lane.call cimport Call, Part, Way
from kerege.exchange.lane.restlines cimport read_answer, read_request

from kerege.exchange.lane.digest import request_hashes


def begin(list calls, dict waiting, long long first, double deadline):
    """Give requests their streams, from `first` on, and put them among those that wait; their messages."""
    cdef Call call
    cdef list parts = []
    cdef long long stream = first
    for item in calls:
        call = <Call?>item
        call.stream = call.request.stream = <unsigned int>stream
        call.deadline = deadline
        waiting[stream] = call
        parts.append(call.request)
        stream += 1
    return parts


def sent(list calls, long long moment):
    """When their requests left, in milliseconds since 1970."""
    for item in calls:
        (<Call?>item).request_out = moment


def given(list calls, long long moment):
    """When their answers left."""
    for item in calls:
        (<Call?>item).response_out = moment


def answers(dict waiting, list parts):
    """Of answers whose messages are hashed: the calls that wait for them and that they truly answer, and the streams of all others."""
    cdef Call call
    cdef Part part
    cdef list calls = [], found = [], good = [], others = []
    cdef set seen = set()
    cdef Py_ssize_t at
    for item in parts:
        part = <Part?>item
        if part.stream in seen:  # answered twice: the link's own way takes the first, or refuses it, and has the others be nothing
            return [], [(<Part?>one).stream for one in parts]
        seen.add(part.stream)
        known = waiting.get(part.stream)
        if type(known) is Call and not (<Call>known).answered and (<Call>known).answer is None:
            calls.append(known)
            found.append(part)
        else:
            others.append(part.stream)
    request_hashes(calls)
    for at in range(len(calls)):
        call, part = <Call>calls[at], <Part>found[at]
        if read_answer(part, call):
            good.append(call)
        else:
            others.append(part.stream)
    return good, others


def answered(list calls, long long moment):
    """They are answered, at `moment`; the messages of the answers."""
    cdef list parts = []
    cdef Call call
    for item in calls:
        call = <Call?>item
        call.answered = True
        call.response_in = moment
        parts.append(call.answer)
    return parts


def drop(dict waiting, list calls):
    """Those that still wait, which they do no more."""
    cdef list still = []
    for item in calls:
        if waiting.get((<Call?>item).stream) is item:
            del waiting[(<Call>item).stream]
            still.append(item)
    return still


def requests(list parts, dict under_way, object end, object more, long long moment, object way_of, object may):
    """Of requests whose messages are hashed: calls with the way they go, and the streams of all others.

    more     what each call has as its own
    way_of   (service, client, verb), call -> Way or None; asked once for each key
    may      way, call -> whether a call may go by a way that does not let every path pass (`way.more` is not None)
    """
    cdef Call call
    cdef Part part
    cdef Way way
    cdef list calls = [], others = []
    cdef dict ways = {}
    cdef set seen = set()
    for item in parts:
        part = <Part?>item
        call = Call.__new__(Call)
        if part.stream in seen:  # two calls on one stream: nothing of this frame is carried out, and the link's own way says why
            return [], [(<Part?>one).stream for one in parts]
        seen.add(part.stream)
        if part.stream in under_way or not read_request(part, call):
            others.append(part.stream)
            continue
        key = (call.service_raw, call.client_raw, call.verb)
        if key in ways:
            found = ways[key]
        else:
            found = ways[key] = way_of(key, call)
        if found is None:
            others.append(part.stream)
            continue
        way = <Way?>found
        if way.more is not None and not may(way, call):
            others.append(part.stream)
            continue
        call.way, call.stream, call.end, call.more, call.request_in = way, part.stream, end, more, moment
        calls.append(call)
    return calls, others


def accepted(list calls, dict under_way, dict held):
    """Calls that are carried out now: among those under way, with the bytes they hold; their messages."""
    cdef Call call
    cdef Part part
    cdef list parts = []
    for item in calls:
        call = <Call?>item
        part = call.request
        under_way[call.stream] = None
        held[call.stream] = len(part.content) + (len(part.body) if part.body is not None else 0)
        parts.append(part)
    return parts


def size_of(list calls):
    """Bytes of their requests, all together."""
    cdef Py_ssize_t size = 0
    cdef Part part
    for item in calls:
        part = (<Call?>item).request
        size += len(part.content) + (len(part.body) if part.body is not None else 0)
    return size


def replies(list calls):
    """The messages of their answers, on the streams of their requests."""
    cdef Call call
    cdef list parts = []
    for item in calls:
        call = <Call?>item
        call.answer.stream = call.stream
        parts.append(call.answer)
    return parts


def done(list calls, dict under_way, dict held, set unwanted, long long moment):
    """Their answers left at `moment`: they are under way no more; the bytes they held."""
    cdef Call call
    cdef Py_ssize_t size = 0
    for item in calls:
        call = <Call?>item
        call.response_out = moment
        under_way.pop(call.stream, None)
        released = held.pop(call.stream, None)
        if released is not None:
            size += <Py_ssize_t>released
    if unwanted:
        for item in calls:
            unwanted.discard((<Call>item).stream)
    return size


def by(list calls, object of):
    """The calls in groups of those that have the same of their own (`more`), and about whose way `of` gives the same; one object each."""
    cdef Call call
    cdef dict ways = {}, groups = {}
    cdef Way before = None
    cdef object more = None
    cdef list last = None
    for item in calls:
        call = <Call?>item
        if last is None or call.way is not before or call.more is not more:
            before, more = call.way, call.more
            key = ways.get(id(before))
            if key is None:
                key = ways[id(before)] = (of(before),)
            last = groups.setdefault((id(key[0]), id(more)), [])
        last.append(call)
    return list(groups.values())


def ends(list calls):
    """The calls of each end (`Call.end`)."""
    cdef dict found = {}
    cdef object end, before = None
    cdef list last = None
    for item in calls:
        end = (<Call?>item).end
        if last is None or end is not before:
            before = end
            last = found.setdefault(id(end), [])
        last.append(item)
    return list(found.values())


def ways(list calls):
    """The ways they go, each once."""
    cdef dict found = {}
    cdef Way way, before = None
    for item in calls:
        way = (<Call?>item).way
        if way is not before:
            before = way
            found[id(way)] = way
    return list(found.values())


def sources(list calls):
    """The calls of each client to each data service, by both as they are written: ((service, client), calls)."""
    cdef dict found = {}
    cdef Call call, before = None
    cdef list last = None
    for item in calls:
        call = <Call?>item
        if before is None or call.service_raw != before.service_raw or call.client_raw != before.client_raw:
            before = call
            last = found.setdefault((call.service_raw, call.client_raw), [])
        last.append(call)
    return list(found.items())


def go(list calls, Way way):
    """They go this way; their messages."""
    cdef Call call
    cdef list parts = []
    for item in calls:
        call = <Call?>item
        call.way = way
        parts.append(call.request)
    return parts


def still(list calls, dict under_way):
    """Those that are under way."""
    return [call for call in calls if (<Call?>call).stream in under_way]


def tree(list parts):
    """Number messages as the leaves of one tree: the leaves, and the digests of each message's parts (`batch.Batch`)."""
    cdef Part part
    cdef list leaves = [], digests = []
    cdef unsigned int index = 0
    for item in parts:
        part = <Part?>item
        part.index = index
        index += 1
        leaves.append(part.leaf)
        digests.append((part.digest,) if part.body_digest is None else (part.digest, part.body_digest))
    return leaves, digests
