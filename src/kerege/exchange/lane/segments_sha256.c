/* SHA-256 by the processor's own instructions, and CRC-32: see segments.pyx. */
#include "segments_sha256.h"

#include <string.h>

#define BLOCK 64

uint32_t segments_crc32(const uint8_t *data, size_t size) {
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = ~0u;
    for (size_t at = 0; at < size; at++) {
        crc ^= data[at];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)

#include <immintrin.h>

static const uint32_t CONSTANTS[64] = {
    0x428A2F98u, 0x71374491u, 0xB5C0FBCFu, 0xE9B5DBA5u, 0x3956C25Bu, 0x59F111F1u, 0x923F82A4u, 0xAB1C5ED5u,
    0xD807AA98u, 0x12835B01u, 0x243185BEu, 0x550C7DC3u, 0x72BE5D74u, 0x80DEB1FEu, 0x9BDC06A7u, 0xC19BF174u,
    0xE49B69C1u, 0xEFBE4786u, 0x0FC19DC6u, 0x240CA1CCu, 0x2DE92C6Fu, 0x4A7484AAu, 0x5CB0A9DCu, 0x76F988DAu,
    0x983E5152u, 0xA831C66Du, 0xB00327C8u, 0xBF597FC7u, 0xC6E00BF3u, 0xD5A79147u, 0x06CA6351u, 0x14292967u,
    0x27B70A85u, 0x2E1B2138u, 0x4D2C6DFCu, 0x53380D13u, 0x650A7354u, 0x766A0ABBu, 0x81C2C92Eu, 0x92722C85u,
    0xA2BFE8A1u, 0xA81A664Bu, 0xC24B8B70u, 0xC76C51A3u, 0xD192E819u, 0xD6990624u, 0xF40E3585u, 0x106AA070u,
    0x19A4C116u, 0x1E376C08u, 0x2748774Cu, 0x34B0BCB5u, 0x391C0CB3u, 0x4ED8AA4Au, 0x5B9CCA4Fu, 0x682E6FF3u,
    0x748F82EEu, 0x78A5636Fu, 0x84C87814u, 0x8CC70208u, 0x90BEFFFAu, 0xA4506CEBu, 0xBEF9A3F7u, 0xC67178F2u,
};

int segments_able(void) {
    uint32_t leaf = 7, sub = 0, b, d;
    if (!__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("ssse3")) return 0;
    uint32_t most = 0;
    __asm__("cpuid" : "+a"(most), "=b"(b), "+c"(sub), "=d"(d));
    if (most < 7) return 0;
    sub = 0;
    __asm__("cpuid" : "+a"(leaf), "=b"(b), "+c"(sub), "=d"(d));
    return b >> 29 & 1;
}

#define TARGET __attribute__((target("sha,sse4.1,ssse3")))

/* One input: two registers hold the state as the instructions want it (ABEF and CDGH), then the whole blocks that follow the first. */
struct input {
    __m128i abef, cdgh;
    const uint8_t *data;
    size_t blocks, size;
};

/* Four rounds; the schedule is made on the way. */
#define ROUNDS(IN, W, FOUR)                                                                                              \
    do {                                                                                                                 \
        if ((FOUR) >= 4) {                                                                                               \
            const __m128i seven = _mm_alignr_epi8(W[((FOUR) + 3) & 3], W[((FOUR) + 2) & 3], 4); /* words 7 before */     \
            const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(W[(FOUR) & 3], W[((FOUR) + 1) & 3]), seven);          \
            W[(FOUR) & 3] = _mm_sha256msg2_epu32(sum, W[((FOUR) + 3) & 3]);                                              \
        }                                                                                                                \
        __m128i added = _mm_add_epi32(W[(FOUR) & 3], _mm_loadu_si128((const __m128i *)(CONSTANTS + 4 * (FOUR))));        \
        IN.cdgh = _mm_sha256rnds2_epu32(IN.cdgh, IN.abef, added);                                                        \
        added = _mm_shuffle_epi32(added, 0x0E);                                                                          \
        IN.abef = _mm_sha256rnds2_epu32(IN.abef, IN.cdgh, added);                                                        \
    } while (0)

TARGET static inline void load(__m128i w[4], const uint8_t *data) {
    const __m128i turned = _mm_set_epi64x(0x0C0D0E0F08090A0BLL, 0x0405060700010203LL);
#pragma GCC unroll 4
    for (int at = 0; at < 4; at++)
        w[at] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * at)), turned);
}

TARGET static void blocks(struct input *input, const uint8_t *data, size_t count) {
    struct input in = *input;
    for (; count; count--, data += BLOCK) {
        const __m128i abef = in.abef, cdgh = in.cdgh;
        __m128i w[4];
        load(w, data);
#pragma GCC unroll 16
        for (int four = 0; four < 16; four++) ROUNDS(in, w, four);
        in.abef = _mm_add_epi32(in.abef, abef);
        in.cdgh = _mm_add_epi32(in.cdgh, cdgh);
    }
    input->abef = in.abef, input->cdgh = in.cdgh;
}

/* As many blocks of both: an instruction of one is under way while the other's begins. */
TARGET static void blocks_of_both(struct input *one, struct input *other) {
    struct input a = *one, b = *other;
    const size_t count = a.blocks < b.blocks ? a.blocks : b.blocks;
    for (size_t block = 0; block < count; block++) {
        const __m128i a_abef = a.abef, a_cdgh = a.cdgh, b_abef = b.abef, b_cdgh = b.cdgh;
        __m128i v[4], w[4];
        load(v, a.data + block * BLOCK);
        load(w, b.data + block * BLOCK);
#pragma GCC unroll 16
        for (int four = 0; four < 16; four++) {
            ROUNDS(a, v, four);
            ROUNDS(b, w, four);
        }
        a.abef = _mm_add_epi32(a.abef, a_abef);
        a.cdgh = _mm_add_epi32(a.cdgh, a_cdgh);
        b.abef = _mm_add_epi32(b.abef, b_abef);
        b.cdgh = _mm_add_epi32(b.cdgh, b_cdgh);
    }
    a.data += count * BLOCK, a.blocks -= count;
    b.data += count * BLOCK, b.blocks -= count;
    *one = a, *other = b;
}

/* The 32 bytes before the data and, where that makes a block, the first of the data. */
TARGET static void begin(struct input *in, const struct segments_job *job) {
    /* a b e f and c d g h of the initial value, highest word first */
    in->abef = _mm_set_epi32(0x6A09E667, (int)0xBB67AE85u, 0x510E527F, (int)0x9B05688Cu);
    in->cdgh = _mm_set_epi32(0x3C6EF372, (int)0xA54FF53Au, 0x1F83D9AB, 0x5BE0CD19);
    in->data = job->data, in->size = job->size, in->blocks = 0;
    if (in->size >= BLOCK - 32) {
        uint8_t first[BLOCK];
        memcpy(first, job->first, 32);
        memcpy(first + 32, in->data, BLOCK - 32);
        blocks(in, first, 1);
        in->data += BLOCK - 32, in->size -= BLOCK - 32;
        in->blocks = in->size / BLOCK, in->size %= BLOCK;
    }
}

TARGET static void finish(struct input *in, const struct segments_job *job, uint8_t digest[32]) {
    const uint64_t bits = ((uint64_t)job->size + 32) * 8;
    uint8_t last[2 * BLOCK];
    uint32_t words[8];
    size_t left = 0;
    blocks(in, in->data, in->blocks);
    in->data += in->blocks * BLOCK;
    memset(last, 0, sizeof last);
    if (job->size < BLOCK - 32) {
        memcpy(last, job->first, 32);
        left = 32;
    }
    if (in->size) memcpy(last + left, in->data, in->size);
    left += in->size;
    last[left] = 0x80;
    const size_t room = left + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    for (int at = 0; at < 8; at++) last[room - 1 - at] = (uint8_t)(bits >> (8 * at));
    blocks(in, last, room / BLOCK);
    words[0] = (uint32_t)_mm_extract_epi32(in->abef, 3), words[1] = (uint32_t)_mm_extract_epi32(in->abef, 2);
    words[2] = (uint32_t)_mm_extract_epi32(in->cdgh, 3), words[3] = (uint32_t)_mm_extract_epi32(in->cdgh, 2);
    words[4] = (uint32_t)_mm_extract_epi32(in->abef, 1), words[5] = (uint32_t)_mm_extract_epi32(in->abef, 0);
    words[6] = (uint32_t)_mm_extract_epi32(in->cdgh, 1), words[7] = (uint32_t)_mm_extract_epi32(in->cdgh, 0);
    for (int at = 0; at < 8; at++)
        for (int byte = 0; byte < 4; byte++) digest[4 * at + byte] = (uint8_t)(words[at] >> (24 - 8 * byte));
}

TARGET void segments_sha256(const struct segments_job *one, const struct segments_job *other, uint8_t digests[2][32]) {
    struct input a, b;
    begin(&a, one);
    if (other != NULL) {
        begin(&b, other);
        blocks_of_both(&a, &b);
        finish(&b, other, digests[1]);
    }
    finish(&a, one, digests[0]);
}

#else

int segments_able(void) { return 0; }

void segments_sha256(const struct segments_job *one, const struct segments_job *other, uint8_t digests[2][32]) {
    (void)one, (void)other;
    memset(digests, 0, 64);
}

#endif
