/* What the processor can do at most: independent chains of fused multiply-adds in registers. Knows no memory. */

#ifndef VECTOR_BYTES
#define VECTOR_BYTES 16
#endif
#ifndef REAL
#define REAL float
#endif

typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));

/* Runs `iterations` times 12 chains of 4 steps a = a * m + s and returns the number of operations done. */
double fma_chains(long iterations, REAL *sink) {
    const vec m = (vec){} + (REAL)0.5, s = (vec){} + (REAL)1;
    vec a0 = m - 5, a1 = m - 4, a2 = m - 3, a3 = m - 2, a4 = m - 1, a5 = m, a6 = m + 1; /* all different: none is saved */
    vec a7 = m + 2, a8 = m + 3, a9 = m + 4, a10 = m + 5, a11 = m + 6;
    for (long i = 0; i < iterations; ++i) {
        for (int step = 0; step < 4; ++step) {
            a0 = a0 * m + s, a1 = a1 * m + s, a2 = a2 * m + s, a3 = a3 * m + s;
            a4 = a4 * m + s, a5 = a5 * m + s, a6 = a6 * m + s, a7 = a7 * m + s;
            a8 = a8 * m + s, a9 = a9 * m + s, a10 = a10 * m + s, a11 = a11 * m + s;
        }
    }
    const vec sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11;
    for (unsigned lane = 0; lane < VECTOR_BYTES / sizeof(REAL); ++lane) *sink += sum[lane];
    return 2.0 * 12 * 4 * (double)iterations * (VECTOR_BYTES / sizeof(REAL));
}
