#ifndef KEREGE_OUTLINES_MARKS_H
#define KEREGE_OUTLINES_MARKS_H

#include <stddef.h>
#include <stdint.h>

#define MARK_BYTES 24
#define SECRET_BYTES 32

/* BLAKE2b (RFC 7693) of `size` bytes, 8 bytes of digest, the secret as salt and personalisation: the digest as a number, big-endian. */
uint64_t marks_key(const uint8_t secret[SECRET_BYTES], const uint8_t *data, size_t size);

/* Whether no byte is above 127. */
int marks_ascii(const uint8_t *data, size_t size);

/* One mark. */
void marks_put(uint8_t to[MARK_BYTES], uint64_t key, uint64_t number, uint32_t size, uint32_t copy);

/* Marks in the order of their bytes, from `from` to `to`; -1 where there is no memory for it. */
int marks_sort(const uint8_t *from, uint8_t *to, size_t count);

#endif
