/* SHA-512 of many inputs at a time (FIPS 180-4). An input of its own in each 64-bit lane of a vector register: eight with AVX-512, four with
   AVX2. A lane whose input is finished takes the next one; lanes without an input follow another one's, and nobody reads what they make. */
#include "digest_sha512.h"

#include <string.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <immintrin.h>

static const uint64_t ROUND_CONSTANTS[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817
};

static const uint64_t FIRST[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179
};

#define WIDEST 8
#define SWAP_128 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07

/* Loops over a block's words are unrolled, so that the words stay in registers. */

/* --- eight lanes, AVX-512 --- */

__attribute__((target("avx512f,avx512bw,avx512vl"), always_inline)) static inline void
load_8(__m512i *w, const unsigned char **at)
{
    const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi8(SWAP_128));
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        __m512i r[8], t[8];
#pragma GCC unroll 8
        for (int lane = 0; lane < 8; lane++)
            r[lane] = _mm512_shuffle_epi8(_mm512_loadu_si512((const void *)(at[lane] + 64 * half)), swap);
#pragma GCC unroll 4
        for (int pair = 0; pair < 4; pair++) { /* even words of two lanes, odd words of the two */
            t[pair] = _mm512_unpacklo_epi64(r[2 * pair], r[2 * pair + 1]);
            t[4 + pair] = _mm512_unpackhi_epi64(r[2 * pair], r[2 * pair + 1]);
        }
#pragma GCC unroll 2
        for (int odd = 0; odd < 2; odd++) {
            const __m512i *s = t + 4 * odd;
            const __m512i low = _mm512_shuffle_i64x2(s[0], s[1], 0x44), high = _mm512_shuffle_i64x2(s[0], s[1], 0xee);
            const __m512i low2 = _mm512_shuffle_i64x2(s[2], s[3], 0x44), high2 = _mm512_shuffle_i64x2(s[2], s[3], 0xee);
            w[8 * half + odd + 0] = _mm512_shuffle_i64x2(low, low2, 0x88);
            w[8 * half + odd + 2] = _mm512_shuffle_i64x2(low, low2, 0xdd);
            w[8 * half + odd + 4] = _mm512_shuffle_i64x2(high, high2, 0x88);
            w[8 * half + odd + 6] = _mm512_shuffle_i64x2(high, high2, 0xdd);
        }
    }
}

#define NAME pass_8
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl")))
#define LANES 8
#define V __m512i
#define ADD(x, y) _mm512_add_epi64(x, y)
#define XOR3(x, y, z) _mm512_ternarylogic_epi64(x, y, z, 0x96)
#define ROTATE(x, n) _mm512_ror_epi64(x, n)
#define SHIFT(x, n) _mm512_srli_epi64(x, n)
#define CHOOSE(x, y, z) _mm512_ternarylogic_epi64(x, y, z, 0xca)
#define MAJORITY(x, y, z) _mm512_ternarylogic_epi64(x, y, z, 0xe8)
#define ALL(k) _mm512_set1_epi64((long long)(k))
#define LOAD16 load_8
#include "digest_sha512_rounds.h"

/* --- four lanes --- */

#define LOAD_4(NAME, TARGET)                                                                                         \
    __attribute__((target(TARGET), always_inline)) static inline void NAME(__m256i *w, const unsigned char **at)     \
    {                                                                                                                \
        const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi8(SWAP_128));                                    \
_Pragma("GCC unroll 4")                                                                                              \
        for (int part = 0; part < 4; part++) {                                                                       \
            __m256i r[4];                                                                                            \
_Pragma("GCC unroll 4")                                                                                              \
            for (int lane = 0; lane < 4; lane++)                                                                     \
                r[lane] = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(at[lane] + 32 * part)), swap);    \
            const __m256i even = _mm256_unpacklo_epi64(r[0], r[1]), odd = _mm256_unpackhi_epi64(r[0], r[1]);         \
            const __m256i even2 = _mm256_unpacklo_epi64(r[2], r[3]), odd2 = _mm256_unpackhi_epi64(r[2], r[3]);       \
            w[4 * part + 0] = _mm256_permute2x128_si256(even, even2, 0x20);                                          \
            w[4 * part + 1] = _mm256_permute2x128_si256(odd, odd2, 0x20);                                            \
            w[4 * part + 2] = _mm256_permute2x128_si256(even, even2, 0x31);                                          \
            w[4 * part + 3] = _mm256_permute2x128_si256(odd, odd2, 0x31);                                            \
        }                                                                                                            \
    }

LOAD_4(load_4_avx512, "avx512f,avx512bw,avx512vl")
LOAD_4(load_4_avx2, "avx2")

#define NAME pass_4_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl")))
#define LANES 4
#define V __m256i
#define ADD(x, y) _mm256_add_epi64(x, y)
#define XOR3(x, y, z) _mm256_ternarylogic_epi64(x, y, z, 0x96)
#define ROTATE(x, n) _mm256_ror_epi64(x, n)
#define SHIFT(x, n) _mm256_srli_epi64(x, n)
#define CHOOSE(x, y, z) _mm256_ternarylogic_epi64(x, y, z, 0xca)
#define MAJORITY(x, y, z) _mm256_ternarylogic_epi64(x, y, z, 0xe8)
#define ALL(k) _mm256_set1_epi64x((long long)(k))
#define LOAD16 load_4_avx512
#include "digest_sha512_rounds.h"

#define NAME pass_4_avx2
#define TARGET __attribute__((target("avx2")))
#define LANES 4
#define V __m256i
#define ADD(x, y) _mm256_add_epi64(x, y)
#define XOR3(x, y, z) _mm256_xor_si256(_mm256_xor_si256(x, y), z)
#define ROTATE(x, n) _mm256_or_si256(_mm256_srli_epi64(x, n), _mm256_slli_epi64(x, 64 - (n)))
#define SHIFT(x, n) _mm256_srli_epi64(x, n)
#define CHOOSE(x, y, z) _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z)))
#define MAJORITY(x, y, z) _mm256_or_si256(_mm256_and_si256(x, y), _mm256_and_si256(z, _mm256_or_si256(x, y)))
#define ALL(k) _mm256_set1_epi64x((long long)(k))
#define LOAD16 load_4_avx2
#include "digest_sha512_rounds.h"

/* --- inputs to lanes --- */

typedef void (*pass_t)(uint64_t *state, const unsigned char **at, uint64_t blocks);

struct lane {
    const unsigned char *at;
    uint64_t left;      /* blocks at `at` */
    uint64_t last;      /* blocks in `tail` that follow; 0: `at` is in it already */
    unsigned char *out; /* NULL: the lane has no input */
    unsigned char tail[256]; /* the rest of the input with its padding and length */
};

static void begin(struct lane *lane, const struct kerege_sha512_job *job)
{
    const uint64_t whole = job->size / 128;
    const size_t rest = (size_t)(job->size % 128);
    const size_t tail = rest < 112 ? 128 : 256; /* 1 byte of 0x80 and 16 of the length must follow */
    if (rest)
        memcpy(lane->tail, job->data + 128 * whole, rest);
    memset(lane->tail + rest, 0, tail - rest);
    lane->tail[rest] = 0x80;
    for (int at = 0; at < 8; at++)
        lane->tail[tail - 1 - at] = (unsigned char)((job->size << 3) >> (8 * at)); /* bits; fewer than 2^64 by the caller's bound */
    lane->out = job->out;
    if (whole) {
        lane->at = job->data;
        lane->left = whole;
        lane->last = tail / 128;
    } else {
        lane->at = lane->tail;
        lane->left = tail / 128;
        lane->last = 0;
    }
}

static void give(const uint64_t *state, int lanes, int of, unsigned char *out)
{
    for (int word = 0; word < 8; word++) {
        const uint64_t swapped = __builtin_bswap64(state[word * lanes + of]);
        memcpy(out + 8 * word, &swapped, 8);
    }
}

static void start_state(uint64_t *state, int lanes, int of)
{
    for (int word = 0; word < 8; word++)
        state[word * lanes + of] = FIRST[word];
}

/* All jobs in `order`. With `narrow` the last four inputs go on in four lanes, which take less time than eight. */
static void run(const struct kerege_sha512_job *jobs, const uint32_t *order, uint32_t count, int lanes, pass_t pass, pass_t narrow)
{
    _Alignas(64) uint64_t state[8 * WIDEST];
    struct lane lane[WIDEST];
    const unsigned char *at[WIDEST];
    uint32_t next = 0;
    int busy = 0;
    if (narrow && count <= 4) {
        lanes = 4;
        pass = narrow;
        narrow = NULL;
    }
    for (int of = 0; of < lanes; of++) {
        start_state(state, lanes, of);
        lane[of].out = NULL;
        if (next < count) {
            begin(&lane[of], &jobs[order[next++]]);
            busy++;
        }
    }
    while (busy) {
        uint64_t blocks = UINT64_MAX;
        const unsigned char *any = NULL;
        for (int of = 0; of < lanes; of++)
            if (lane[of].out) {
                any = lane[of].at;
                if (lane[of].left < blocks)
                    blocks = lane[of].left;
            }
        for (int of = 0; of < lanes; of++)
            at[of] = lane[of].out ? lane[of].at : any;
        pass(state, at, blocks);
        for (int of = 0; of < lanes; of++) {
            if (!lane[of].out)
                continue;
            lane[of].at = at[of];
            lane[of].left -= blocks;
            if (lane[of].left)
                continue;
            if (lane[of].last) {
                lane[of].at = lane[of].tail;
                lane[of].left = lane[of].last;
                lane[of].last = 0;
                continue;
            }
            give(state, lanes, of, lane[of].out);
            if (next < count) {
                start_state(state, lanes, of);
                begin(&lane[of], &jobs[order[next++]]);
            } else {
                lane[of].out = NULL;
                busy--;
            }
        }
        if (narrow && next == count && busy && busy <= 4) {
            uint64_t wide[8 * WIDEST];
            int to = 0;
            memcpy(wide, state, sizeof wide);
            for (int of = 0; of < lanes; of++) {
                if (!lane[of].out)
                    continue;
                for (int word = 0; word < 8; word++)
                    state[word * 4 + to] = wide[word * lanes + of];
                if (to != of) {
                    const int in_tail = lane[of].last == 0;
                    const size_t offset = in_tail ? (size_t)(lane[of].at - lane[of].tail) : 0;
                    lane[to] = lane[of];
                    if (in_tail)
                        lane[to].at = lane[to].tail + offset;
                }
                to++;
            }
            for (; to < 4; to++)
                lane[to].out = NULL;
            lanes = 4;
            pass = narrow;
            narrow = NULL;
        }
    }
}

/* Long inputs first, by their number of blocks, so that the lanes end together: a counting sort. */
static void sort(const struct kerege_sha512_job *jobs, uint32_t *order, uint32_t count)
{
    enum { CLASSES = 64 };
    uint32_t first[CLASSES + 1] = {0};
    uint32_t job;
    for (job = 0; job < count; job++) {
        const uint64_t blocks = (jobs[job].size + 16) / 128;
        first[CLASSES - (blocks < CLASSES ? blocks : CLASSES - 1)]++; /* class 0 is the longest, counted at 1 */
    }
    for (int of = 1; of <= CLASSES; of++)
        first[of] += first[of - 1];
    for (job = 0; job < count; job++) {
        const uint64_t blocks = (jobs[job].size + 16) / 128;
        order[first[CLASSES - 1 - (blocks < CLASSES ? blocks : CLASSES - 1)]++] = job;
    }
}

int kerege_sha512_best(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return KEREGE_AVX512;
    return __builtin_cpu_supports("avx2") ? KEREGE_AVX2 : KEREGE_PLAIN;
}

int kerege_sha512_many(const struct kerege_sha512_job *jobs, uint32_t *order, uint32_t count, int how)
{
    if (how != KEREGE_AVX512 && how != KEREGE_AVX2)
        return -1;
    sort(jobs, order, count);
    if (how == KEREGE_AVX512)
        run(jobs, order, count, 8, pass_8, pass_4_avx512);
    else
        run(jobs, order, count, 4, pass_4_avx2, NULL);
    return 0;
}

#else

int kerege_sha512_best(void)
{
    return KEREGE_PLAIN;
}

int kerege_sha512_many(const struct kerege_sha512_job *jobs, uint32_t *order, uint32_t count, int how)
{
    (void)jobs, (void)order, (void)count, (void)how;
    return -1;
}

#endif
