# REST messages in the signed form, for the native path (`exchange.rest`).
from kerege.exchange.lane.call cimport Call, Part
from kerege.exchange.lane.restfields cimport MOST_FIELDS, Bytes, Field

cdef struct Lines:        # a message in the signed form
    Bytes first
    Bytes second
    Py_ssize_t first_size
    Py_ssize_t second_size
    int count
    Field fields[MOST_FIELDS]

cdef str verb_name(int verb)
cdef int verb_size(int verb) noexcept nogil
cdef int verb_of(Bytes data, Py_ssize_t size) noexcept nogil
cdef int status_of(Bytes at, Py_ssize_t size) noexcept nogil
cdef bint take_request(Call call, Field* fields, int count, int verb, Bytes written, Py_ssize_t written_size, bytes body)
cdef bint take_answer(Call call, const Field* fields, int count, Bytes line, Py_ssize_t line_size)
cdef bint lines_of(bytes content, Lines* out) noexcept
cdef bint request_read(Part part, Call call)
cdef bint answer_read(Part part, Call call)
