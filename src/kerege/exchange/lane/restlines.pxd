# The rules of a REST message's lines (`exchange.rest`, `node.http.messages`) for the native path.
from kerege.exchange.lane.call cimport Call, Part
from kerege.exchange.lane.restfields cimport Field

cdef enum:
    PARTIAL = 0   # more bytes are to come
    WHOLE = 1
    OTHER = -1    # not this path's affair: whoever reads on is the Python module
    NO_LENGTH = -1

cdef int read_http_request(const unsigned char* data, Py_ssize_t size, Py_ssize_t largest, Call call, Py_ssize_t* used) except -2
cdef int read_http_answer(const unsigned char* data, Py_ssize_t size, Py_ssize_t largest, Call call, Py_ssize_t* used) except -2
cdef bytes http_request_of(Call call)
cdef bytes http_answer_of(Call call)
cpdef bint read_request(Part part, Call call)
cpdef bint read_answer(Part part, Call call)
cdef bint simple_framing(const Field* fields, int count, Py_ssize_t* length) noexcept nogil
cdef int decimal(unsigned char* to, Py_ssize_t number) noexcept nogil
