# The chain files of messages that share a signature (`exchange.batch`, `exchange.hashchain`) for the native path.
from kerege.exchange.lane.call cimport Part


cdef class Tree:
    cdef readonly bytes result      # the result file
    cdef bytes written              # all nodes in base64, level by level from the leaves up
    cdef Py_ssize_t leaves

cdef Py_ssize_t chain_most(Tree tree) noexcept
cdef unsigned char* put_chain(unsigned char* to, Tree tree, Part part) except NULL
