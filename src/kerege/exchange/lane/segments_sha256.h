#ifndef KEREGE_SEGMENTS_SHA256_H
#define KEREGE_SEGMENTS_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* Whether this processor has instructions for SHA-256; without them nothing here may be called. */
int segments_able(void);

/* SHA-256 (FIPS 180-4) of 32 bytes and then `size` bytes. */
void segments_sha256(const uint8_t first[32], const uint8_t *data, size_t size, uint8_t digest[32]);

/* The CRC-32 that zlib has, of a few bytes. */
uint32_t segments_crc32(const uint8_t *data, size_t size);

#endif
