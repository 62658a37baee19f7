/* The compression of FIPS 180-4, section 6.4.2, on LANES inputs at a time; `digest_sha512.c` includes it once for each width.

   Wants: NAME, TARGET, LANES, V (the vector of LANES 64-bit numbers), ADD, XOR3, ROTATE, SHIFT, CHOOSE, MAJORITY, ALL (one number in every
   lane), LOAD16 (the 16 words of a block from the lanes' addresses, in the order of the machine). */

#define SUM0(x) XOR3(ROTATE(x, 28), ROTATE(x, 34), ROTATE(x, 39))
#define SUM1(x) XOR3(ROTATE(x, 14), ROTATE(x, 18), ROTATE(x, 41))
#define SIGMA0(x) XOR3(ROTATE(x, 1), ROTATE(x, 8), SHIFT(x, 7))
#define SIGMA1(x) XOR3(ROTATE(x, 19), ROTATE(x, 61), SHIFT(x, 6))
#define EXPAND(i) w[(i) & 15] = ADD(ADD(w[(i) & 15], SIGMA0(w[((i) + 1) & 15])), ADD(w[((i) + 9) & 15], SIGMA1(w[((i) + 14) & 15])))
#define ROUND(a, b, c, d, e, f, g, h, i)                                                             \
    t = ADD(ADD(ADD(w[i], ALL(k[i])), h), ADD(CHOOSE(e, f, g), SUM1(e)));                            \
    d = ADD(d, t);                                                                                   \
    h = ADD(t, ADD(MAJORITY(a, b, c), SUM0(a)));
#define EIGHT(at)                                                                                    \
    ROUND(a, b, c, d, e, f, g, h, (at) + 0) ROUND(h, a, b, c, d, e, f, g, (at) + 1)                   \
    ROUND(g, h, a, b, c, d, e, f, (at) + 2) ROUND(f, g, h, a, b, c, d, e, (at) + 3)                   \
    ROUND(e, f, g, h, a, b, c, d, (at) + 4) ROUND(d, e, f, g, h, a, b, c, (at) + 5)                   \
    ROUND(c, d, e, f, g, h, a, b, (at) + 6) ROUND(b, c, d, e, f, g, h, a, (at) + 7)
#define EXPANDED(a, b, c, d, e, f, g, h, i) EXPAND(i); ROUND(a, b, c, d, e, f, g, h, i)
#define EIGHT_EXPANDED(at)                                                                           \
    EXPANDED(a, b, c, d, e, f, g, h, (at) + 0) EXPANDED(h, a, b, c, d, e, f, g, (at) + 1)             \
    EXPANDED(g, h, a, b, c, d, e, f, (at) + 2) EXPANDED(f, g, h, a, b, c, d, e, (at) + 3)             \
    EXPANDED(e, f, g, h, a, b, c, d, (at) + 4) EXPANDED(d, e, f, g, h, a, b, c, (at) + 5)             \
    EXPANDED(c, d, e, f, g, h, a, b, (at) + 6) EXPANDED(b, c, d, e, f, g, h, a, (at) + 7)

/* `blocks` blocks of 128 bytes from each of `at`, whose addresses are moved on; the state's word i of lane l is state[i * LANES + l]. */
TARGET static void NAME(uint64_t *state, const unsigned char **at, uint64_t blocks)
{
    V *kept = (V *)state;
    V a = kept[0], b = kept[1], c = kept[2], d = kept[3], e = kept[4], f = kept[5], g = kept[6], h = kept[7], t;
    V w[16];
    while (blocks--) {
        const uint64_t *k = ROUND_CONSTANTS;
        LOAD16(w, at);
        for (int lane = 0; lane < LANES; lane++)
            at[lane] += 128;
        EIGHT(0)
        EIGHT(8)
        for (k += 16; k < ROUND_CONSTANTS + 80; k += 16) {
            EIGHT_EXPANDED(0)
            EIGHT_EXPANDED(8)
        }
        kept[0] = a = ADD(a, kept[0]);
        kept[1] = b = ADD(b, kept[1]);
        kept[2] = c = ADD(c, kept[2]);
        kept[3] = d = ADD(d, kept[3]);
        kept[4] = e = ADD(e, kept[4]);
        kept[5] = f = ADD(f, kept[5]);
        kept[6] = g = ADD(g, kept[6]);
        kept[7] = h = ADD(h, kept[7]);
    }
}

#undef SUM0
#undef SUM1
#undef SIGMA0
#undef SIGMA1
#undef EXPAND
#undef ROUND
#undef EIGHT
#undef EXPANDED
#undef EIGHT_EXPANDED
#undef NAME
#undef TARGET
#undef LANES
#undef V
#undef ADD
#undef XOR3
#undef ROTATE
#undef SHIFT
#undef CHOOSE
#undef MAJORITY
#undef ALL
#undef LOAD16
