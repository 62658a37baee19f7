# cython: language_level=3
"""The native form of `exchange.opmon.line` for answered calls, and the sums that a node's totals and `opmon_health` want of them.

The line of a REST call that was answered (X-Road PR-OPMON) is its own numbers and identifiers, what the caller says about itself, and an
end that nearly all lines of its way share. The end is made by the Python module and remembered with the way. A call whose line this
module does not make goes through the Python module: one that was not answered, or says what would have to be escaped.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.string cimport memchr, memcmp, memcpy

from kerege.exchange.lane.call cimport Call, Part, Way
from kerege.exchange.lane.linepieces cimport MOST_MASKED, is_named, is_plain, is_plain_id, put_mask, put_number, put_text

from kerege.exchange import opmon
from kerege.exchange.opmon_health import SLOT_SECONDS

cdef enum:
    MOST_HEAD = 2048   # labels, ten numbers of at most 20 digits, and at most four texts of MOST_TEXT
    MOST_ENDS = 32     # of one way; a stranger's paths must not fill the memory
    MOST_TAKEN = 512   # calls added up together: what may be summed below fits 64 bits
    MOST_BOUNDS = 16

cdef long long LARGEST = 100000000  # milliseconds or bytes whose square is summed here
cdef long long SLOT_MS = SLOT_SECONDS * 1000
cdef str PRODUCER = opmon.PRODUCER


cdef class Ending:
    """The end of lines that differ in nothing else, for one answer's status, verb and masked path."""
    cdef int status
    cdef str verb
    cdef bytes masked   # empty on the consumer's side, whose lines have no path
    cdef bytes text     # with the line's own end


cdef class Endings:
    """The ends of one way's lines, for one side and its addresses."""
    cdef list known
    cdef Py_ssize_t oldest


cdef class Spread:
    """Count, sum, sum of squares, least and greatest, as `opmon_health` adds them up."""
    cdef readonly long long count, total, squares, least, greatest


cdef class Sum:
    """The calls of one data service that ended within one slot of time."""
    cdef readonly object service
    cdef readonly long long slot
    cdef readonly long long succeeded, failed
    cdef readonly long long last_good, last_bad   # milliseconds since 1970; 0: none
    cdef readonly Spread durations, requests, responses


cdef class Taken:
    """The lines of several calls, in their order, and what they add up to.

    lines      one for each call
    ended      for each its end, in milliseconds since 1970, and its line
    sums       on the provider's side: per service, oldest first; a service may be in it more than once
    """
    cdef readonly list lines, ended, sums
    cdef readonly Py_ssize_t succeeded, failed
    cdef long long buckets[2][MOST_BOUNDS + 1]
    cdef long long milliseconds[2]
    cdef long long bytes_in[2]
    cdef long long bytes_out[2]
    cdef int bounds

    def __len__(self):
        return PyList_GET_SIZE(self.lines)

    def total(self, bint succeeded):
        """Of those that succeeded, or of the others: counts per bucket and one above, milliseconds in all, bytes in, bytes out."""
        counts = [self.buckets[succeeded][at] for at in range(self.bounds + 1)]
        return counts, self.milliseconds[succeeded], self.bytes_in[succeeded], self.bytes_out[succeeded]


def line(Call call not None, str side not None, str own_address, str client_address, str service_address, service_type):
    """`opmon.line` for the exchange that `opmon.exchange_of` makes of the call."""
    cdef Endings endings
    cdef bytes made = None
    if _simple(call):
        endings = _endings(call.way, (side, own_address, client_address, service_address, service_type))
        made = _line(call, endings, side, own_address, client_address, service_address, service_type)
    if made is None:
        return opmon.line(opmon.exchange_of(call, side, own_address, client_address, service_address, service_type))
    return made


def take(
    list calls not None, Py_ssize_t at, str side not None, str own_address, str client_address, str service_address,
    service_type, tuple bounds not None,
):
    """The calls from `at` on, up to the first one that the Python module has to make a line of, and to `MOST_TAKEN` of them.

    bounds   the greatest milliseconds of each bucket that durations are counted in, ascending
    """
    cdef Taken taken = Taken.__new__(Taken)
    cdef Py_ssize_t end = PyList_GET_SIZE(calls), response
    cdef long long limits[MOST_BOUNDS]
    cdef long long duration
    cdef int bucket, good
    cdef bint producer = side == PRODUCER
    cdef object one
    cdef Call call
    cdef Way way = None
    cdef Endings endings = None
    cdef bytes made
    if len(bounds) > MOST_BOUNDS:
        raise ValueError(f"at most {MOST_BOUNDS} bounds")
    taken.bounds = <int>len(bounds)
    for bucket in range(taken.bounds):
        limits[bucket] = bounds[bucket]
    taken.lines, taken.ended, taken.sums = [], [], []
    key = (side, own_address, client_address, service_address, service_type)
    if at < 0:
        return taken
    if end - at > MOST_TAKEN:
        end = at + MOST_TAKEN
    while at < end and at < PyList_GET_SIZE(calls):
        one = <object>PyList_GET_ITEM(calls, at)
        at += 1
        if not isinstance(one, Call):
            break
        call = <Call>one
        if not _simple(call):
            break
        duration = call.response_out - call.request_in
        response = _size(call.answer)
        if duration > LARGEST or response > LARGEST or _size(call.request) > LARGEST:
            break
        if duration < 0:
            duration = 0
        if call.way is not way:
            way = call.way
            endings = _endings(way, key)
        made = _line(call, endings, side, own_address, client_address, service_address, service_type)
        if made is None:
            break
        taken.lines.append(made)
        taken.ended.append((call.response_out, made))
        good = 1 if call.status < 400 else 0
        if good:
            taken.succeeded += 1
        else:
            taken.failed += 1
        bucket = 0
        while bucket < taken.bounds and duration > limits[bucket]:
            bucket += 1
        taken.buckets[good][bucket] += 1
        taken.milliseconds[good] += duration
        taken.bytes_in[good] += _size(call.request)
        taken.bytes_out[good] += response
        if producer:
            _add_up(taken.sums, call, good, duration)
    return taken


cdef inline Py_ssize_t _size(Part part) noexcept:
    return PyBytes_GET_SIZE(part.content) + (PyBytes_GET_SIZE(part.body) if part.body is not None else 0)


cdef bint _simple(Call call):
    """Whether the line is of an answered call, with all its times, that has no exchange of its own."""
    return (
        call.exchange is None
        and call.way is not None
        and call.request is not None
        and call.answer is not None
        and call.request.content is not None
        and call.answer.content is not None
        and call.verb is not None
        and call.path is not None
        and call.message_id is not None
        and call.request_id is not None
        and call.status > 0
        and call.request_in > 0
        and call.request_out > 0
        and call.response_in > 0
        and call.response_out > 0
    )


cdef void _add_up(list sums, Call call, int good, long long duration):
    """Into the newest sum of the service when it is of the same slot, else into a new one."""
    cdef Py_ssize_t at = PyList_GET_SIZE(sums), last = at - 8
    cdef long long slot = call.response_out // SLOT_MS
    cdef Sum found = None
    while at > 0 and at > last:
        at -= 1
        found = <Sum>PyList_GET_ITEM(sums, at)
        if found.service is call.way.service:
            break
        found = None
    if found is None or found.slot != slot:
        found = Sum.__new__(Sum)
        found.service, found.slot = call.way.service, slot
        found.durations, found.requests = Spread.__new__(Spread), Spread.__new__(Spread)
        found.responses = Spread.__new__(Spread)
        sums.append(found)
    if good:
        found.succeeded += 1
        if call.response_out > found.last_good:
            found.last_good = call.response_out
        _spread(found.durations, duration)
        _spread(found.requests, _size(call.request))
        _spread(found.responses, _size(call.answer))
    else:
        found.failed += 1
        if call.response_out > found.last_bad:
            found.last_bad = call.response_out


cdef inline void _spread(Spread spread, long long value) noexcept:
    if value < spread.least or not spread.count:
        spread.least = value
    if value > spread.greatest:
        spread.greatest = value
    spread.count += 1
    spread.total += value
    spread.squares += value * value


# --- lines ---


cdef Endings _endings(Way way, tuple key):
    cdef Endings found
    if way.lines is None:
        way.lines = {}
    kept = way.lines.get(key)
    if isinstance(kept, Endings):
        return <Endings>kept
    if len(way.lines) >= MOST_ENDS:
        way.lines.clear()
    found = Endings.__new__(Endings)
    found.known, found.oldest = [], 0
    way.lines[key] = found
    return found


cdef Ending _ending(Call call, Endings endings, str side, str own, str client, str service, service_type):
    """The end of the call's line: the one that is remembered, or what the Python module makes of it."""
    cdef unsigned char masked[MOST_MASKED]
    cdef Py_ssize_t size = put_mask(call.path, masked) if side == PRODUCER else 0
    cdef Ending known
    cdef Py_ssize_t at
    for at in range(PyList_GET_SIZE(endings.known)):
        known = <Ending>PyList_GET_ITEM(endings.known, at)
        if (
            known.status == call.status
            and PyBytes_GET_SIZE(known.masked) == size
            and not memcmp(PyBytes_AS_STRING(known.masked), masked, size)
            and (known.verb is call.verb or known.verb == call.verb)
        ):
            return known
    exchange = opmon.exchange_of(call, side, own, client, service, service_type)
    known = Ending.__new__(Ending)
    known.status, known.verb = call.status, call.verb
    known.masked = PyBytes_FromStringAndSize(<const char*>masked, size)
    known.text = opmon.line_end(exchange, exchange.request).encode() + b"\n"
    if PyList_GET_SIZE(endings.known) < MOST_ENDS:
        endings.known.append(known)
    else:
        endings.known[endings.oldest] = known
        endings.oldest = (endings.oldest + 1) % MOST_ENDS
    return known


cdef unsigned char* _said(bytes content, unsigned char* out) noexcept:
    """What the caller says about itself in the signed bytes, written at `out`; NULL when that is for the Python module."""
    cdef const unsigned char* at = <const unsigned char*>PyBytes_AS_STRING(content)
    cdef const unsigned char* end = at + PyBytes_GET_SIZE(content)
    cdef const unsigned char* stop
    cdef const unsigned char* value
    cdef bint user = False, issue = False, is_user
    while at < end:
        stop = <const unsigned char*>memchr(at, 10, end - at)
        if stop == NULL:
            return NULL
        if (at[0] | 32) == 120 and stop - at > 12:  # an x, and room for the shortest of the names
            is_user = is_named(at, stop - at, "x-road-userid", 13)
            if is_user or is_named(at, stop - at, "x-road-issue", 12):
                value = at + (14 if is_user else 13)
                if value >= stop or stop[-1] != 13 or (user if is_user else issue):
                    return NULL
                if not is_plain(value, stop - 1 - value):
                    return NULL
                if is_user:
                    user = True
                else:
                    issue = True
                if stop - 1 > value:
                    out = put_text(out, ',"messageUserId":"' if is_user else ',"messageIssue":"')
                    memcpy(out, value, stop - 1 - value)
                    out += stop - 1 - value
                    out[0] = 34
                    out += 1
            elif is_named(at, stop - at, "x-road-represented-party", 24):
                return NULL
        at = stop + 1
    return out


cdef bytes _line(Call call, Endings endings, str side, str own, str client, str service, service_type):
    """The line of a call that is `_simple`; None when it is for the Python module."""
    cdef unsigned char head[MOST_HEAD]
    cdef unsigned char* out = head
    cdef Ending ending
    cdef Py_ssize_t size, rest
    cdef bytes made
    if not is_plain_id(call.message_id) or not is_plain_id(call.request_id):
        return None
    out = put_number(put_text(out, '{"monitoringDataTs":'), call.response_out // 1000)
    out = put_number(put_text(out, ',"requestInTs":'), call.request_in)
    out = put_number(put_text(out, ',"requestOutTs":'), call.request_out)
    out = put_number(put_text(out, ',"responseInTs":'), call.response_in)
    out = put_number(put_text(out, ',"responseOutTs":'), call.response_out)
    out = put_number(put_text(out, ',"requestSize":'), _size(call.request))
    out = put_number(put_text(out, ',"responseSize":'), _size(call.answer))
    out = put_text(out, ',"messageId":"')
    size = PyBytes_GET_SIZE(call.message_id)
    memcpy(out, PyBytes_AS_STRING(call.message_id), size)
    out = put_text(out + size, '","xRequestId":"')
    size = PyBytes_GET_SIZE(call.request_id)
    memcpy(out, PyBytes_AS_STRING(call.request_id), size)
    out += size
    out[0] = 34
    out = _said(call.request.content, out + 1)
    if out == NULL:
        return None
    out[0] = 44
    size = out + 1 - head
    ending = _ending(call, endings, side, own, client, service, service_type)
    rest = PyBytes_GET_SIZE(ending.text)
    made = PyBytes_FromStringAndSize(NULL, size + rest)
    memcpy(PyBytes_AS_STRING(made), head, size)
    memcpy(PyBytes_AS_STRING(made) + size, PyBytes_AS_STRING(ending.text), rest)
    return made
