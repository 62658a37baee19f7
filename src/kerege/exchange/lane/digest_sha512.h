/* SHA-512 (FIPS 180-4) of many inputs at a time, one input in each lane of a vector register. */
#ifndef KEREGE_DIGEST_SHA512_H
#define KEREGE_DIGEST_SHA512_H

#include <stddef.h>
#include <stdint.h>

enum { KEREGE_PLAIN = 0, KEREGE_AVX2 = 1, KEREGE_AVX512 = 2 };

/* One input and where its 64 bytes go. The bytes are read only while `kerege_sha512_many` runs. */
struct kerege_sha512_job {
    const unsigned char *data;
    uint64_t size;
    unsigned char *out;
};

/* The best that this processor and its system can do; KEREGE_PLAIN: nothing of this file. */
int kerege_sha512_best(void);

/* All jobs, by KEREGE_AVX2 or KEREGE_AVX512, which the processor must have. `order` has room for `count` numbers. 0, or -1 when `how` is
   neither (nothing is done then). */
int kerege_sha512_many(const struct kerege_sha512_job *jobs, uint32_t *order, uint32_t count, int how);

#endif
