# What a REST call is aimed at and who calls, for the native path (`exchange.resttarget`, `exchange.ids`).
from kerege.exchange.lane.restfields cimport Bytes

cdef struct Target:       # `resttarget.Target`, without a slash before the service
    Bytes service
    Bytes path
    Bytes query           # NULL: none
    Py_ssize_t service_size
    Py_ssize_t path_size
    Py_ssize_t query_size

cdef bint taken_apart(Bytes at, Py_ssize_t size, Target* out) noexcept nogil
cdef Py_ssize_t client_plain(Bytes at, Py_ssize_t size) noexcept nogil
cdef bint printed(Bytes at, Py_ssize_t size) noexcept nogil
cdef bint names_own(Bytes at, Py_ssize_t size) noexcept nogil
cdef bytes new_uuid(Bytes before, Py_ssize_t size)
