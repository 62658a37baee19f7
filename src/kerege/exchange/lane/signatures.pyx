# cython: language_level=3
"""Documents of one signer: the native form of `xades_forms.Layout` and of `xades.Pieces` (UG-SIGDOC; XAdES, ETSI TS 101 903).

All documents of a signer are the same five pieces with four fields between them: the digest the signature covers, the digest of the
signed properties, the signature value, the signing time. `Layout` takes the fields out of one, `Pieces` puts them into one. What is signed
is checked, and who signed, in Python.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport (
    PyDateTime_DATE_GET_HOUR, PyDateTime_DATE_GET_MICROSECOND, PyDateTime_DATE_GET_MINUTE, PyDateTime_DATE_GET_SECOND,
    PyDateTime_GET_DAY, PyDateTime_GET_MONTH, PyDateTime_GET_YEAR, import_datetime, datetime,
)
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memcmp, memcpy, memset

import hashlib

import_datetime()

cdef enum:
    SIZE = 64       # of a digest
    WRITTEN = 88    # the same in base64
    TIME = 24       # 2026-11-22T18:45:01.123Z
    MOST = 1 << 20  # bytes of a document or of a signature value; real ones have some thousands

cdef object _sha512 = hashlib.sha512
cdef const char* _TIME = b"0000-00-00T00:00:00.000Z"
cdef const char* _BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
cdef unsigned char[256] _values  # of base64's signs; 255 for all others


cdef void _set_values() noexcept:
    cdef int at
    memset(_values, 255, 256)
    for at in range(64):
        _values[<unsigned char>_BASE64[at]] = <unsigned char>at


_set_values()


cdef bytes _decoded(const unsigned char* text, Py_ssize_t size):
    """What base64 says; None where it is not whole groups of its signs with at most two `=` at the very end."""
    cdef Py_ssize_t groups = size // 4, pad = 0, at
    cdef unsigned int a, b, c, d, three
    cdef bytes out
    cdef unsigned char* to
    if size <= 0 or size % 4 or size > MOST:
        return None
    if text[size - 1] == c"=":
        pad = 2 if text[size - 2] == c"=" else 1
        groups -= 1
    out = PyBytes_FromStringAndSize(NULL, 3 * (size // 4) - pad)
    to = <unsigned char*>PyBytes_AS_STRING(out)
    for at in range(groups):
        a, b, c, d = _values[text[0]], _values[text[1]], _values[text[2]], _values[text[3]]
        if (a | b | c | d) > 63:
            return None
        three = (a << 18) | (b << 12) | (c << 6) | d
        to[0], to[1], to[2] = <unsigned char>(three >> 16), <unsigned char>(three >> 8), <unsigned char>three
        text += 4
        to += 3
    if pad:
        a, b = _values[text[0]], _values[text[1]]
        c = 0 if pad == 2 else _values[text[2]]
        if (a | b | c) > 63:
            return None
        to[0] = <unsigned char>((a << 2) | (b >> 4))
        if pad == 1:
            to[1] = <unsigned char>((b << 4) | (c >> 2))
    return out


cdef Py_ssize_t _written_size(Py_ssize_t size) noexcept:
    return (size + 2) // 3 * 4


cdef char* _write(char* to, bytes value) noexcept:
    """`value` in base64; where it ends. There is room for `_written_size` of its size."""
    cdef const unsigned char* source = <const unsigned char*>PyBytes_AS_STRING(value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value), at
    cdef unsigned int three
    for at in range(size // 3):
        three = (source[0] << 16) | (source[1] << 8) | source[2]
        to[0], to[1] = _BASE64[three >> 18], _BASE64[(three >> 12) & 63]
        to[2], to[3] = _BASE64[(three >> 6) & 63], _BASE64[three & 63]
        source += 3
        to += 4
    if size % 3 == 1:
        to[0], to[1], to[2], to[3] = _BASE64[source[0] >> 2], _BASE64[(source[0] & 3) << 4], c"=", c"="
        to += 4
    elif size % 3 == 2:
        three = (source[0] << 8) | source[1]
        to[0], to[1] = _BASE64[three >> 10], _BASE64[(three >> 4) & 63]
        to[2], to[3] = _BASE64[(three << 2) & 63], c"="
        to += 4
    return to


cdef inline char* _put(char* to, bytes data) noexcept:
    memcpy(to, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    return to + PyBytes_GET_SIZE(data)


cdef bytes _joined(bytes one, const char* data, Py_ssize_t size):
    cdef bytes out = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(one) + size)
    memcpy(_put(PyBytes_AS_STRING(out), one), data, size)
    return out


cdef class Layout:
    """`xades_forms.Layout`: where the fields stand, and what stands between them."""
    cdef bytes head, between, to_value, to_time, tail, info_start, properties_start
    cdef Py_ssize_t size, digest, over, value, value_size, time, info, info_end, properties, properties_end

    def __cinit__(
        self, bytes xml not None, tuple digest not None, tuple over not None, tuple value not None, tuple time not None,
        tuple info not None, tuple properties not None, bytes info_start not None, bytes properties_start not None,
    ):
        cdef Py_ssize_t digest_end, over_end, value_end, time_end
        self.size = PyBytes_GET_SIZE(xml)
        self.digest, digest_end = digest
        self.over, over_end = over
        self.value, value_end = value
        self.time, time_end = time
        self.info, self.info_end = info
        self.properties, self.properties_end = properties
        if not (
            0 <= self.info <= self.digest <= digest_end <= self.over <= over_end <= self.info_end <= self.value
            and self.value < value_end <= self.properties <= self.time <= time_end <= self.properties_end <= self.size <= MOST
            and digest_end - self.digest == WRITTEN and over_end - self.over == WRITTEN and time_end - self.time == TIME
        ):
            raise ValueError("these are no places of a document's fields")
        self.value_size = value_end - self.value
        self.head, self.between, self.to_value = xml[: self.digest], xml[digest_end : self.over], xml[over_end : self.value]
        self.to_time, self.tail = xml[value_end : self.time], xml[time_end:]
        self.info_start, self.properties_start = info_start, properties_start

    cpdef bint matches(self, bytes xml):
        """Whether `xml` is these pieces, with whatever in its four fields."""
        cdef const char* text
        if xml is None or PyBytes_GET_SIZE(xml) != self.size:
            return False
        text = PyBytes_AS_STRING(xml)
        # the certificate stands before the time: no two signers have that piece in common
        return (
            _is(text + self.value + self.value_size, self.to_time)
            and _is(text + self.time + TIME, self.tail)
            and _is(text, self.head)
            and _is(text + self.digest + WRITTEN, self.between)
            and _is(text + self.over + WRITTEN, self.to_value)
        )

    cpdef tuple fields(self, bytes xml):
        """Of a document of this layout: digest, digest of the properties, value, time, and both parts as they are signed.

        None where a field has another alphabet than it has in `xades`' documents, or `xml` is of another size.
        """
        cdef const char* text
        cdef bytes digest, over, value
        cdef int at
        if xml is None or PyBytes_GET_SIZE(xml) != self.size:
            return None
        text = PyBytes_AS_STRING(xml)
        for at in range(TIME):
            if _TIME[at] == c"0":
                if not c"0" <= text[self.time + at] <= c"9":
                    return None
            elif text[self.time + at] != _TIME[at]:
                return None
        digest = _decoded(<const unsigned char*>text + self.digest, WRITTEN)
        over = _decoded(<const unsigned char*>text + self.over, WRITTEN)
        value = _decoded(<const unsigned char*>text + self.value, self.value_size)
        if digest is None or over is None or value is None:
            return None
        return (
            digest, over, value, PyUnicode_DecodeASCII(text + self.time, TIME, NULL),
            _joined(self.info_start, text + self.info, self.info_end - self.info),
            _joined(self.properties_start, text + self.properties, self.properties_end - self.properties),
        )


cdef inline bint _is(const char* text, bytes piece) noexcept:
    return memcmp(text, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece)) == 0


cdef class Pieces:
    """`xades.Pieces`: what a signer's documents over one kind of file have in common."""
    cdef bytes info, between, info_end, properties, properties_end, head, to_value, to_time, tail

    def __cinit__(
        self, bytes info not None, bytes between not None, bytes info_end not None, bytes properties not None,
        bytes properties_end not None, bytes head not None, bytes to_value not None, bytes to_time not None,
        bytes tail not None,
    ):
        self.info, self.between, self.info_end = info, between, info_end
        self.properties, self.properties_end = properties, properties_end
        self.head, self.to_value, self.to_time, self.tail = head, to_value, to_time, tail

    def document(self, bytes digest not None, datetime now not None, sign):
        """The document over `digest`, signed at `now` by `sign`, which gives the signature value over bytes."""
        cdef char[TIME] time
        cdef char[WRITTEN] over
        cdef Py_ssize_t size = _written_size(PyBytes_GET_SIZE(digest))
        cdef bytes properties, found, info, value, out
        cdef char* to
        _write_time(time, now)
        properties = PyBytes_FromStringAndSize(
            NULL, PyBytes_GET_SIZE(self.properties) + TIME + PyBytes_GET_SIZE(self.properties_end)
        )
        to = _put(PyBytes_AS_STRING(properties), self.properties)
        memcpy(to, time, TIME)
        _put(to + TIME, self.properties_end)
        found = _sha512(properties).digest()
        if PyBytes_GET_SIZE(found) != SIZE:
            raise ValueError("SHA-512 has 64 bytes")
        _write(over, found)
        info = PyBytes_FromStringAndSize(
            NULL,
            PyBytes_GET_SIZE(self.info) + size + PyBytes_GET_SIZE(self.between) + WRITTEN + PyBytes_GET_SIZE(self.info_end),
        )
        to = _put(_write(_put(PyBytes_AS_STRING(info), self.info), digest), self.between)
        memcpy(to, over, WRITTEN)
        _put(to + WRITTEN, self.info_end)
        value = sign(info)
        if value is None or PyBytes_GET_SIZE(value) > MOST:
            raise ValueError("a key gave no signature value")
        out = PyBytes_FromStringAndSize(
            NULL,
            PyBytes_GET_SIZE(self.head) + size + PyBytes_GET_SIZE(self.between) + WRITTEN + PyBytes_GET_SIZE(self.to_value)
            + _written_size(PyBytes_GET_SIZE(value)) + PyBytes_GET_SIZE(self.to_time) + TIME + PyBytes_GET_SIZE(self.tail),
        )
        to = _put(_write(_put(PyBytes_AS_STRING(out), self.head), digest), self.between)
        memcpy(to, over, WRITTEN)
        to = _put(_write(_put(to + WRITTEN, self.to_value), value), self.to_time)
        memcpy(to, time, TIME)
        _put(to + TIME, self.tail)
        return out


cdef void _write_time(char* to, datetime now):
    """As `xades` writes it: to the millisecond, with a Z."""
    memcpy(to, _TIME, TIME)
    _digits(to, PyDateTime_GET_YEAR(now), 4)
    _digits(to + 5, PyDateTime_GET_MONTH(now), 2)
    _digits(to + 8, PyDateTime_GET_DAY(now), 2)
    _digits(to + 11, PyDateTime_DATE_GET_HOUR(now), 2)
    _digits(to + 14, PyDateTime_DATE_GET_MINUTE(now), 2)
    _digits(to + 17, PyDateTime_DATE_GET_SECOND(now), 2)
    _digits(to + 20, PyDateTime_DATE_GET_MICROSECOND(now) // 1000, 3)


cdef inline void _digits(char* to, int value, int count) noexcept:
    while count > 0:
        count -= 1
        to[count] = <char>(c"0" + value % 10)
        value //= 10
