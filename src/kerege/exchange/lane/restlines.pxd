# The rules of a REST message's lines (`exchange.rest`, `node.httpmessages`) for the native path.
from kerege.exchange.lane.call cimport Call, Part

cdef enum:
    PARTIAL = 0   # more bytes are to come
    WHOLE = 1
    OTHER = -1    # not this path's affair: whoever reads on is the Python module

cdef int read_http_request(const unsigned char* data, Py_ssize_t size, Py_ssize_t largest, Call call, Py_ssize_t* used) except -2
cdef int read_http_answer(const unsigned char* data, Py_ssize_t size, Py_ssize_t largest, Call call, Py_ssize_t* used) except -2
cdef bytes http_request_of(Call call)
cdef bytes http_answer_of(Call call)
cpdef bint read_request(Part part, Call call)
cpdef bint read_answer(Part part, Call call)
