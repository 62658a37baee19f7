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

/* Two registers hold the state as the instructions want it: ABEF and CDGH. Four rounds at a time; the schedule is made on the way. */
__attribute__((target("sha,sse4.1,ssse3"))) static void blocks(__m128i state[2], const uint8_t *data, size_t count) {
    const __m128i turned = _mm_set_epi64x(0x0C0D0E0F08090A0BLL, 0x0405060700010203LL);
    __m128i abef = state[0], cdgh = state[1];
    for (; count; count--, data += BLOCK) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
#pragma GCC unroll 4
        for (int at = 0; at < 4; at++)
            w[at] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * at)), turned);
#pragma GCC unroll 16
        for (int four = 0; four < 16; four++) {
            const int now = four & 3;
            if (four >= 4) {
                const __m128i seven = _mm_alignr_epi8(w[(four + 3) & 3], w[(four + 2) & 3], 4); /* words 7 before */
                const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[now], w[(four + 1) & 3]), seven);
                w[now] = _mm_sha256msg2_epu32(sum, w[(four + 3) & 3]);
            }
            __m128i added = _mm_add_epi32(w[now], _mm_loadu_si128((const __m128i *)(CONSTANTS + 4 * four)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, added);
            added = _mm_shuffle_epi32(added, 0x0E);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, added);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    state[0] = abef, state[1] = cdgh;
}

__attribute__((target("sha,sse4.1,ssse3"))) void segments_sha256(
    const uint8_t first[32], const uint8_t *data, size_t size, uint8_t digest[32]) {
    /* a b e f and c d g h of the initial value, highest word first */
    __m128i state[2] = {
        _mm_set_epi32(0x6A09E667, (int)0xBB67AE85u, 0x510E527F, (int)0x9B05688Cu),
        _mm_set_epi32(0x3C6EF372, (int)0xA54FF53Au, 0x1F83D9AB, 0x5BE0CD19),
    };
    const uint64_t bits = ((uint64_t)size + 32) * 8;
    uint8_t last[2 * BLOCK];
    uint32_t words[8];
    size_t left = 32;
    memset(last, 0, sizeof last);
    memcpy(last, first, 32);
    if (size >= BLOCK - 32) {
        memcpy(last + 32, data, BLOCK - 32);
        blocks(state, last, 1);
        data += BLOCK - 32, size -= BLOCK - 32;
        blocks(state, data, size / BLOCK);
        data += size / BLOCK * BLOCK, size %= BLOCK;
        memset(last, 0, sizeof last);
        left = 0;
    }
    if (size) memcpy(last + left, data, size);
    left += size;
    last[left] = 0x80;
    const size_t room = left + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    for (int at = 0; at < 8; at++) last[room - 1 - at] = (uint8_t)(bits >> (8 * at));
    blocks(state, last, room / BLOCK);
    words[0] = (uint32_t)_mm_extract_epi32(state[0], 3), words[1] = (uint32_t)_mm_extract_epi32(state[0], 2);
    words[2] = (uint32_t)_mm_extract_epi32(state[1], 3), words[3] = (uint32_t)_mm_extract_epi32(state[1], 2);
    words[4] = (uint32_t)_mm_extract_epi32(state[0], 1), words[5] = (uint32_t)_mm_extract_epi32(state[0], 0);
    words[6] = (uint32_t)_mm_extract_epi32(state[1], 1), words[7] = (uint32_t)_mm_extract_epi32(state[1], 0);
    for (int at = 0; at < 8; at++)
        for (int byte = 0; byte < 4; byte++) digest[4 * at + byte] = (uint8_t)(words[at] >> (24 - 8 * byte));
}

#else

int segments_able(void) { return 0; }

void segments_sha256(const uint8_t first[32], const uint8_t *data, size_t size, uint8_t digest[32]) {
    (void)first, (void)data, (void)size;
    memset(digest, 0, 32);
}

#endif
