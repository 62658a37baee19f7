# Records of messages that share a signature, on their way into the message log.


cdef class RecordGroup:
    cdef readonly object time       # datetime
    cdef readonly str direction     # "request" or "response"
    cdef readonly str side          # "client" or "provider"
    cdef readonly bytes signature
    cdef readonly object tree       # batch.Batch, or None for a signature over one message alone
    cdef readonly tuple parts       # Part
    cdef readonly tuple calls       # Call, in the same order
    cdef readonly Py_ssize_t weight # bytes of the signature, the messages and the bodies that are kept
    cdef readonly bytes result      # in place of a tree: the result file that came
    cdef readonly tuple chains      # and a chain file of each message

cpdef bytes encode_groups(list groups)
