/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A SHA-2 kernel with one message in each lane of a vector: a template, included once for a kernel.
 *
 * The includer defines, for each kernel:
 *   KERNEL                  name of the function: void KERNEL(length, msgs, nr)
 *   ALG                     256 or 512
 *   VECTORS                 1, or 2 for a second vector whose work fills the latencies of the first
 * and for all kernels of a word size:
 *   TARGET                  attribute for the instructions used
 *   V, LANES_OF_V           the vector, how many words it has
 *   ADD ROR SHR SET1 XOR3 CH MAJ    FIPS 180-4 on vectors
 *   GATHER(p, stride)       a vector of 16-byte pieces, each @stride bytes after the one before
 *   TO_WORDS(r)             see below
 *
 * A block goes through stage[], because blocks 4096 bytes apart share one set of the first-level
 * cache and push each other out; copying the next block while this one is hashed hides that.
 * A unit is 16 bytes of every message, for SHA-256 words 4 u to 4 u + 3, transposed just before the
 * rounds that need it (a…p: messages, 0…3: words):
 *
 *	GATHER   [a0 a1 a2 a3 | e0 e1 e2 e3 | i… | m…], [b… | f… | j… | n…], [c… …], [d… …]
 *	TO_WORDS [a0 b0 c0 d0 | e0 f0 g0 h0 | i0 … | m0 …], [a1 b1 …], [a2 …], [a3 …]
 */

#define LANES      (LANES_OF_V * VECTORS)
#define CAT_(a, b) a##b
#define CAT(a, b)  CAT_(a, b)
#define FN(name)   CAT(CAT(KERNEL, _), name)

#if ALG == 256
#define WORD       uint32_t
#define ROUNDS     64
#define K          sha256_k
#define IV         sha256_iv
#define KW(length) ((length)->w32)
#define SUM0(x)    XOR3(ROR(x, 2), ROR(x, 13), ROR(x, 22))
#define SUM1(x)    XOR3(ROR(x, 6), ROR(x, 11), ROR(x, 25))
#define SIGMA0(x)  XOR3(ROR(x, 7), ROR(x, 18), SHR(x, 3))
#define SIGMA1(x)  XOR3(ROR(x, 17), ROR(x, 19), SHR(x, 10))
#define TO_BE(x)   htobe32(x)
#else
#define WORD       uint64_t
#define ROUNDS     80
#define K          sha512_k
#define IV         sha512_iv
#define KW(length) ((length)->w64)
#define SUM0(x)    XOR3(ROR(x, 28), ROR(x, 34), ROR(x, 39))
#define SUM1(x)    XOR3(ROR(x, 14), ROR(x, 18), ROR(x, 41))
#define SIGMA0(x)  XOR3(ROR(x, 1), ROR(x, 8), SHR(x, 7))
#define SIGMA1(x)  XOR3(ROR(x, 19), ROR(x, 61), SHR(x, 6))
#define TO_BE(x)   htobe64(x)
#endif

#define STEP       (16 * sizeof(WORD)) /* bytes of a message that one compression takes */
#define UNIT_WORDS (16 / (int)sizeof(WORD))

/* For each vector. */
#define EACH(...)                                                                                  \
	do {                                                                                       \
		{                                                                                  \
			enum { v = 0 };                                                            \
			__VA_ARGS__                                                                \
		}                                                                                  \
		if (VECTORS > 1) {                                                                 \
			enum { v = VECTORS - 1 };                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	} while (0)

/* Compilers reorder sums; FIXED keeps the order, in which what comes last is added last. */
#define FIXED(x) __asm__("" : "+v"(x))

#define ROUND(a, b, c, d, e, f, g, h, wk)                                                          \
	EACH(V t1 = ADD(h[v], wk); FIXED(t1); t1 = ADD(t1, CH(e[v], f[v], g[v])); FIXED(t1);       \
	     t1 = ADD(t1, SUM1(e[v])); FIXED(t1); d[v] = ADD(d[v], t1);                            \
	     t1 = ADD(t1, MAJ(a[v], b[v], c[v])); FIXED(t1); h[v] = ADD(t1, SUM0(a[v]));)

/* 16 rounds; wk(i) is the word of round t + i with its constant. */
#define ROUNDS_16(wk)                                                                              \
	do {                                                                                       \
		ROUND(a, b, c, d, e, f, g, h, wk(0));                                              \
		ROUND(h, a, b, c, d, e, f, g, wk(1));                                              \
		ROUND(g, h, a, b, c, d, e, f, wk(2));                                              \
		ROUND(f, g, h, a, b, c, d, e, wk(3));                                              \
		ROUND(e, f, g, h, a, b, c, d, wk(4));                                              \
		ROUND(d, e, f, g, h, a, b, c, wk(5));                                              \
		ROUND(c, d, e, f, g, h, a, b, wk(6));                                              \
		ROUND(b, c, d, e, f, g, h, a, wk(7));                                              \
		ROUND(a, b, c, d, e, f, g, h, wk(8));                                              \
		ROUND(h, a, b, c, d, e, f, g, wk(9));                                              \
		ROUND(g, h, a, b, c, d, e, f, wk(10));                                             \
		ROUND(f, g, h, a, b, c, d, e, wk(11));                                             \
		ROUND(e, f, g, h, a, b, c, d, wk(12));                                             \
		ROUND(d, e, f, g, h, a, b, c, wk(13));                                             \
		ROUND(c, d, e, f, g, h, a, b, wk(14));                                             \
		ROUND(b, c, d, e, f, g, h, a, wk(15));                                             \
	} while (0)

#define FROM_MESSAGE(i)                                                                            \
	({                                                                                         \
		if ((i) % UNIT_WORDS == 0)                                                         \
			FN(unit)(w, v, stage, i);                                                  \
		ADD(w[i][v], SET1(K[i]));                                                          \
	})

/* Extends the schedule in place: w[] is the last 16 words. */
#define FROM_SCHEDULE(i)                                                                           \
	ADD(w[i][v] = ADD(ADD(w[i][v], SIGMA0(w[((i) + 1) % 16][v])),                              \
			  ADD(w[((i) + 9) % 16][v], SIGMA1(w[((i) + 14) % 16][v]))),               \
	    SET1(K[t + (i)]))

#define FROM_TABLE(i) SET1(kw[t + (i)])

#define LOAD_STATE                                                                                 \
	V a[VECTORS], b[VECTORS], c[VECTORS], d[VECTORS];                                          \
	V e[VECTORS], f[VECTORS], g[VECTORS], h[VECTORS];                                          \
	EACH(a[v] = s[0][v]; b[v] = s[1][v]; c[v] = s[2][v]; d[v] = s[3][v]; e[v] = s[4][v];       \
	     f[v] = s[5][v]; g[v] = s[6][v]; h[v] = s[7][v];)

#define ADD_STATE                                                                                  \
	EACH(s[0][v] = ADD(s[0][v], a[v]); s[1][v] = ADD(s[1][v], b[v]);                           \
	     s[2][v] = ADD(s[2][v], c[v]); s[3][v] = ADD(s[3][v], d[v]);                           \
	     s[4][v] = ADD(s[4][v], e[v]); s[5][v] = ADD(s[5][v], f[v]);                           \
	     s[6][v] = ADD(s[6][v], g[v]); s[7][v] = ADD(s[7][v], h[v]);)

/* Words @i, @i + 1 … of the messages of vector @v. */
TARGET static inline __attribute__((always_inline)) void FN(unit)(V w[16][VECTORS], int v,
								  const uint8_t stage[LANES][STEP],
								  int i)
{
	const uint8_t *p = stage[v * LANES_OF_V] + (size_t)i * sizeof(WORD);
	V r[UNIT_WORDS];

	for (int k = 0; k < UNIT_WORDS; k++)
		r[k] = GATHER(p + (size_t)k * STEP, UNIT_WORDS * STEP);
	TO_WORDS(r);
	for (int k = 0; k < UNIT_WORDS; k++)
		w[i + k][v] = r[k];
}

/* One block of every message. */
TARGET static void FN(compress)(V s[8][VECTORS], const uint8_t stage[LANES][STEP])
{
	V w[16][VECTORS];
	LOAD_STATE;

	ROUNDS_16(FROM_MESSAGE);
	for (int t = 16; t < ROUNDS; t += 16)
		ROUNDS_16(FROM_SCHEDULE);
	ADD_STATE;
}

/* One block that is the same for every message, and whose schedule is known. */
TARGET static void FN(compress_same)(V s[8][VECTORS], const WORD *kw)
{
	LOAD_STATE;

	for (int t = 0; t < ROUNDS; t += 16)
		ROUNDS_16(FROM_TABLE);
	ADD_STATE;
}

/* The block at @at of every message, all of which have it whole. */
TARGET static inline void FN(copy)(uint8_t stage[LANES][STEP], const uint8_t *const data[LANES],
				   size_t at)
{
	for (int lane = 0; lane < LANES; lane++)
		memcpy(stage[lane], data[lane] + at, STEP);
}

/* The same where some messages end. */
TARGET static void FN(copy_part)(uint8_t stage[LANES][STEP], const uint8_t *const data[LANES],
				 const size_t len[LANES], size_t at)
{
	for (int lane = 0; lane < LANES; lane++) {
		size_t rest = len[lane] > at ? len[lane] - at : 0;

		if (rest >= STEP) {
			memcpy(stage[lane], data[lane] + at, STEP);
			continue;
		}
		memset(stage[lane], 0, STEP);
		if (rest)
			memcpy(stage[lane], data[lane] + at, rest);
	}
}

TARGET static void FN(store)(V s[8][VECTORS], const struct sha2_msg *msgs, unsigned int nr)
{
	WORD words[8][LANES];

	memcpy(words, s, sizeof(words));
	for (unsigned int lane = 0; lane < nr; lane++) {
		WORD digest[8];

		for (int i = 0; i < 8; i++)
			digest[i] = TO_BE(words[i][lane]);
		memcpy(msgs[lane].out, digest, sizeof(digest));
	}
}

TARGET static void KERNEL(const struct sha2_length *length, const struct sha2_msg *msgs,
			  unsigned int nr)
{
	const uint8_t *data[LANES];
	size_t len[LANES];
	size_t shortest = SIZE_MAX;
	size_t longest = 0;
	size_t at = 0;
	uint8_t stage[2][LANES][STEP] __attribute__((aligned(64)));
	V s[8][VECTORS];

	/* Lanes without a message repeat the first. */
	for (unsigned int lane = 0; lane < LANES; lane++) {
		const struct sha2_msg *msg = &msgs[lane < nr ? lane : 0];

		data[lane] = msg->data;
		len[lane] = msg->len;
		shortest = MIN(shortest, msg->len);
		longest = MAX(longest, msg->len);
	}
	for (int i = 0; i < 8; i++)
		EACH(s[i][v] = SET1(IV[i]););

	FN(copy_part)(stage[0], data, len, 0);
	for (size_t n = 0; at < longest; n++) {
		at += STEP;
		if (at + STEP <= shortest)
			FN(copy)(stage[(n + 1) % 2], data, at);
		else if (at < longest)
			FN(copy_part)(stage[(n + 1) % 2], data, len, at);
		FN(compress)(s, stage[n % 2]);
	}
	for (; at < length->size; at += STEP)
		FN(compress_same)(s, K); /* zeros: their schedule is zero */
	FN(compress_same)(s, KW(length));
	FN(store)(s, msgs, nr);
}

#undef KERNEL
#undef ALG
#undef VECTORS
#undef LANES
#undef CAT_
#undef CAT
#undef FN
#undef WORD
#undef ROUNDS
#undef K
#undef IV
#undef KW
#undef SUM0
#undef SUM1
#undef SIGMA0
#undef SIGMA1
#undef TO_BE
#undef STEP
#undef UNIT_WORDS
#undef EACH
#undef FIXED
#undef ROUND
#undef ROUNDS_16
#undef FROM_MESSAGE
#undef FROM_SCHEDULE
#undef FROM_TABLE
#undef LOAD_STATE
#undef ADD_STATE
