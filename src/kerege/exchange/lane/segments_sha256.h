#ifndef KEREGE_SEGMENTS_SHA256_H
#define KEREGE_SEGMENTS_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* Whether this processor has instructions for SHA-256; without them nothing here may be called. */
int segments_able(void);

/* 32 bytes, and the data after them. */
struct segments_job {
    const uint8_t *first, *data;
    size_t size;
};

/* SHA-256 (FIPS 180-4) of one or (`other` not NULL) of two inputs, which together take little longer than one. */
void segments_sha256(const struct segments_job *one, const struct segments_job *other, uint8_t digests[2][32]);

/* The CRC-32 that zlib has, of a few bytes. */
uint32_t segments_crc32(const uint8_t *data, size_t size);

#endif
