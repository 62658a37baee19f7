#ifndef KEREGE_OUTLINES_MARKS_H
#define KEREGE_OUTLINES_MARKS_H

#include <stddef.h>
#include <stdint.h>

#define MARK_BYTES 24
#define SECRET_BYTES 32

/* BLAKE2b (RFC 7693) of `size` bytes, 8 bytes of digest, the secret as salt and personalisation: the digest as a number, big-endian. */
uint64_t marks_key(const uint8_t secret[SECRET_BYTES], const uint8_t *data, size_t size);

/* Marks in the order of their bytes, from `from` to `to`; -1 where there is no memory for it. */
int marks_sort(const uint8_t *from, uint8_t *to, size_t count);

#endif
