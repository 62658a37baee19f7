/* Keys of message identifiers and the sorting of marks: see outlines.pyx. */
#include "outlines_marks.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 128
#define PER_BUCKET 4
#define MOST_BUCKETS ((size_t)1 << 20)
#define BY_INSERTION 24

static const uint64_t START[8] = {
    0x6A09E667F3BCC908u, 0xBB67AE8584CAA73Bu, 0x3C6EF372FE94F82Bu, 0xA54FF53A5F1D36F1u,
    0x510E527FADE682D1u, 0x9B05688C2B3E6C1Fu, 0x1F83D9ABFB41BD6Bu, 0x5BE0CD19137E2179u,
};

static const uint8_t ORDER[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
};

static inline uint64_t little(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static inline uint64_t big(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

static inline uint64_t right(uint64_t value, int bits) { return value >> bits | value << (64 - bits); }

#define MIX(a, b, c, d, x, y)         \
    do {                              \
        a += b + (x);                 \
        d = right(d ^ a, 32);         \
        c += d;                       \
        b = right(b ^ c, 24);         \
        a += b + (y);                 \
        d = right(d ^ a, 16);         \
        c += d;                       \
        b = right(b ^ c, 63);         \
    } while (0)

static void compress(uint64_t h[8], const uint8_t block[BLOCK], uint64_t so_far, int last) {
    uint64_t m[16], v[16];
    for (int at = 0; at < 16; at++) m[at] = little(block + 8 * at);
    for (int at = 0; at < 8; at++) v[at] = h[at], v[at + 8] = START[at];
    v[12] ^= so_far;
    if (last) v[14] = ~v[14];
#pragma GCC unroll 12
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = ORDER[round];
        MIX(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
        MIX(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
        MIX(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
        MIX(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
        MIX(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
        MIX(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
        MIX(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
        MIX(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
    }
    for (int at = 0; at < 8; at++) h[at] ^= v[at] ^ v[at + 8];
}

uint64_t marks_key(const uint8_t secret[SECRET_BYTES], const uint8_t *data, size_t size) {
    uint64_t h[8], so_far = 0;
    uint8_t block[BLOCK];
    memcpy(h, START, sizeof h);
    h[0] ^= 0x01010008u; /* 8 bytes of digest, no key, one node */
    for (int at = 0; at < 4; at++) h[4 + at] ^= little(secret + 8 * at);
    while (size > BLOCK) {
        so_far += BLOCK;
        compress(h, data, so_far, 0);
        data += BLOCK;
        size -= BLOCK;
    }
    memset(block, 0, sizeof block);
    if (size) memcpy(block, data, size);
    compress(h, block, so_far + size, 1);
    return __builtin_bswap64(h[0]);
}

int marks_ascii(const uint8_t *data, size_t size) {
    uint64_t high = 0, word;
    for (; size >= sizeof word; data += sizeof word, size -= sizeof word) {
        memcpy(&word, data, sizeof word);
        high |= word;
    }
    for (; size; size--) high |= *data++;
    return (high & 0x8080808080808080u) == 0;
}

void marks_put(uint8_t to[MARK_BYTES], uint64_t key, uint64_t number, uint32_t size, uint32_t copy) {
    key = htobe64(key), number = htobe64(number), size = htobe32(size), copy = htobe32(copy);
    memcpy(to, &key, 8);
    memcpy(to + 8, &number, 8);
    memcpy(to + 16, &size, 4);
    memcpy(to + 20, &copy, 4);
}

static int by_place(const void *one, const void *other) { return memcmp(one, other, MARK_BYTES); }

static void in_order(uint8_t *marks, size_t count) {
    if (count > BY_INSERTION) {
        qsort(marks, count, MARK_BYTES, by_place);
        return;
    }
    for (size_t at = 1; at < count; at++) {
        uint8_t mark[MARK_BYTES], *hole = marks + at * MARK_BYTES;
        if (memcmp(hole - MARK_BYTES, hole, MARK_BYTES) <= 0) continue;
        memcpy(mark, hole, MARK_BYTES);
        while (hole > marks && memcmp(hole - MARK_BYTES, mark, MARK_BYTES) > 0) {
            memcpy(hole, hole - MARK_BYTES, MARK_BYTES);
            hole -= MARK_BYTES;
        }
        memcpy(hole, mark, MARK_BYTES);
    }
}

/* Keys are spread evenly: as many buckets by their first bits as there are a few marks for each, then each bucket by itself. */
int marks_sort(const uint8_t *from, uint8_t *to, size_t count) {
    size_t buckets = 1, *ends, so_far = 0;
    int bits = 0;
    while (buckets < MOST_BUCKETS && buckets * PER_BUCKET < count) buckets <<= 1, bits++;
    ends = calloc(buckets, sizeof *ends);
    if (ends == NULL) return -1;
    for (size_t at = 0; at < count; at++) ends[bits ? big(from + at * MARK_BYTES) >> (64 - bits) : 0]++;
    for (size_t bucket = 0; bucket < buckets; bucket++) {
        size_t here = ends[bucket];
        ends[bucket] = so_far;
        so_far += here;
    }
    for (size_t at = 0; at < count; at++) {
        const uint8_t *mark = from + at * MARK_BYTES;
        memcpy(to + ends[bits ? big(mark) >> (64 - bits) : 0]++ * MARK_BYTES, mark, MARK_BYTES);
    }
    so_far = 0;
    for (size_t bucket = 0; bucket < buckets; bucket++) {
        in_order(to + so_far * MARK_BYTES, ends[bucket] - so_far);
        so_far = ends[bucket];
    }
    free(ends);
    return 0;
}
