# Pieces of a monitoring record's line (`lines`), for the native path: texts and numbers in JSON, headers' names, masked paths.
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr, memcpy

cdef enum:
    MOST_TEXT = 255    # opmon.LONGEST_TEXT: longer ones are cut, by the Python module
    MOST_MASKED = 48   # a slash, a resource's name of at most 40 characters, and "/*"
    MOST_NAME = 40


cdef inline bint is_resource(const unsigned char* at, Py_ssize_t size) noexcept:
    """`resttarget._RESOURCE`: a small letter, then small letters, _, - and digits of which no two stand together."""
    cdef Py_ssize_t index
    if size < 1 or size > MOST_NAME or not 97 <= at[0] <= 122:
        return False
    for index in range(1, size):
        if 97 <= at[index] <= 122 or at[index] == 95 or at[index] == 45:
            continue
        if not 48 <= at[index] <= 57:
            return False
        if index + 1 < size and 48 <= at[index + 1] <= 57:
            return False
    return True


cdef inline Py_ssize_t put_mask(bytes path, unsigned char* out) noexcept:
    """`resttarget.masked_path`, into `out` of MOST_MASKED bytes; how many it is."""
    cdef const unsigned char* at = <const unsigned char*>PyBytes_AS_STRING(path)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(path), first, made = 1
    cdef const unsigned char* slash
    if size and at[0] == 47:
        at, size = at + 1, size - 1
    slash = <const unsigned char*>memchr(at, 47, size)
    first = size if slash == NULL else slash - at
    out[0] = 47
    if first:
        if is_resource(at, first):
            memcpy(out + 1, at, first)
            made += first
        else:
            out[1] = 42
            made = 2
    if slash != NULL:
        out[made] = 47
        made += 1
        if first + 1 < size:
            out[made] = 42
            made += 1
    return made


cdef inline unsigned char* put_text(unsigned char* out, const char* text) noexcept:
    while text[0]:
        out[0] = <unsigned char>text[0]
        out += 1
        text += 1
    return out


cdef inline unsigned char* put_number(unsigned char* out, unsigned long long value) noexcept:
    cdef unsigned char digits[20]
    cdef int count = 0
    while True:
        digits[count] = <unsigned char>(48 + value % 10)
        count += 1
        value //= 10
        if not value:
            break
    while count:
        count -= 1
        out[0] = digits[count]
        out += 1
    return out


cdef inline bint is_plain(const unsigned char* at, Py_ssize_t size) noexcept:
    """Whether a text stands in JSON as it is, and whole: printable ASCII without quotation marks and backslashes."""
    cdef Py_ssize_t index
    if size > MOST_TEXT:
        return False
    for index in range(size):
        if not 32 <= at[index] <= 126 or at[index] == 34 or at[index] == 92:
            return False
    return True


cdef inline bint is_plain_id(bytes value) noexcept:
    """The same of an identifier, which the Python module takes without spaces around it."""
    cdef const unsigned char* at = <const unsigned char*>PyBytes_AS_STRING(value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
    return is_plain(at, size) and (not size or (at[0] != 32 and at[size - 1] != 32))


cdef inline bint is_named(const unsigned char* at, Py_ssize_t size, const char* name, Py_ssize_t length) noexcept:
    """Whether a header's line has this name, in whatever letters."""
    cdef Py_ssize_t index
    cdef unsigned char one
    if size <= length or at[length] != 58:
        return False
    for index in range(length):
        one = at[index]
        if 65 <= one <= 90:
            one |= 32
        if one != <unsigned char>name[index]:
            return False
    return True
