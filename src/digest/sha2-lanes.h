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
 *   LOAD(p) STORE(p, x)     a vector; STORE to aligned memory
 *   GATHER(p, stride)       a vector of 16-byte pieces, each @stride bytes after the one before
 *   TO_WORDS(r)             see below
 *
 * Blocks of a file are 4096 bytes apart, so all lanes meet in one set of the first-level cache and
 * push each other out. While a block is hashed, the next one of every message is therefore copied
 * to stage[], a line now and then between the rounds, where waiting for it costs nothing.
 *
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

/* The unrolled rounds index by constants only: nothing for UBSan to find, and a minute to compile. */
#define UNROLLED TARGET __attribute__((no_sanitize("undefined")))

#define STEP       (16 * sizeof(WORD)) /* bytes of a message that one compression takes */
#define PREFETCH   256                 /* bytes further on: memory answers in about that time */
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

/* Compilers reorder sums. FIXED keeps the order, in which what is known last is added last: a quarter
 * of the time with one vector. */
#define FIXED(x) __asm__("" : "+v"(x))

#define ROUND(a, b, c, d, e, f, g, h, wk)                                                          \
	EACH(V t1 = ADD(h[v], wk); FIXED(t1); t1 = ADD(t1, CH(e[v], f[v], g[v])); FIXED(t1);       \
	     t1 = ADD(t1, SUM1(e[v])); FIXED(t1); d[v] = ADD(d[v], t1);                            \
	     V t2 = ADD(MAJ(a[v], b[v], c[v]), SUM0(a[v])); FIXED(t2); h[v] = ADD(t1, t2);)

/* 16 rounds; wk(i) is the word of round t + i with its constant, also(i) what else is done then. */
#define ROUNDS_16(wk, also)                                                                        \
	do {                                                                                       \
		also(0);                                                                           \
		ROUND(a, b, c, d, e, f, g, h, wk(0));                                              \
		also(1);                                                                           \
		ROUND(h, a, b, c, d, e, f, g, wk(1));                                              \
		also(2);                                                                           \
		ROUND(g, h, a, b, c, d, e, f, wk(2));                                              \
		also(3);                                                                           \
		ROUND(f, g, h, a, b, c, d, e, wk(3));                                              \
		also(4);                                                                           \
		ROUND(e, f, g, h, a, b, c, d, wk(4));                                              \
		also(5);                                                                           \
		ROUND(d, e, f, g, h, a, b, c, wk(5));                                              \
		also(6);                                                                           \
		ROUND(c, d, e, f, g, h, a, b, wk(6));                                              \
		also(7);                                                                           \
		ROUND(b, c, d, e, f, g, h, a, wk(7));                                              \
		also(8);                                                                           \
		ROUND(a, b, c, d, e, f, g, h, wk(8));                                              \
		also(9);                                                                           \
		ROUND(h, a, b, c, d, e, f, g, wk(9));                                              \
		also(10);                                                                          \
		ROUND(g, h, a, b, c, d, e, f, wk(10));                                             \
		also(11);                                                                          \
		ROUND(f, g, h, a, b, c, d, e, wk(11));                                             \
		also(12);                                                                          \
		ROUND(e, f, g, h, a, b, c, d, wk(12));                                             \
		also(13);                                                                          \
		ROUND(d, e, f, g, h, a, b, c, wk(13));                                             \
		also(14);                                                                          \
		ROUND(c, d, e, f, g, h, a, b, wk(14));                                             \
		also(15);                                                                          \
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

/* Every lane once in the first 64 rounds. */
#define ROUNDS_A_LANE (64 / LANES)
#define COPY(i)                                                                                    \
	do {                                                                                       \
		if ((i) % ROUNDS_A_LANE == 0 && t < 64)                                            \
			FN(copy)                                                                   \
		(next[(t + (i)) / ROUNDS_A_LANE], source[(t + (i)) / ROUNDS_A_LANE]);              \
	} while (0)

#define NOTHING(i)

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
UNROLLED static inline __attribute__((always_inline)) void FN(unit)(
	V w[16][VECTORS], int v, const uint8_t stage[LANES][STEP], int i)
{
	const uint8_t *p = stage[v * LANES_OF_V] + (size_t)i * sizeof(WORD);
	V r[UNIT_WORDS];

	for (int k = 0; k < UNIT_WORDS; k++)
		r[k] = GATHER(p + (size_t)k * STEP, UNIT_WORDS * STEP);
	TO_WORDS(r);
	for (int k = 0; k < UNIT_WORDS; k++)
		w[i + k][v] = r[k];
}

/* One block of one message, and a hint that one further on will be wanted. */
TARGET static inline void FN(copy)(uint8_t to[STEP], const uint8_t *from)
{
	__builtin_prefetch(from + PREFETCH, 0, 2);
	for (size_t i = 0; i < STEP; i += sizeof(V))
		STORE(to + i, LOAD(from + i));
}

/* One block of every message, from @stage, and a copy of the next from @source[] to @next. */
UNROLLED static void FN(compress)(V s[8][VECTORS], const uint8_t stage[LANES][STEP],
				  uint8_t next[LANES][STEP], const uint8_t *const source[LANES])
{
	V w[16][VECTORS];
	int t = 0;
	LOAD_STATE;

	ROUNDS_16(FROM_MESSAGE, COPY);
	for (t = 16; t < ROUNDS; t += 16)
		ROUNDS_16(FROM_SCHEDULE, COPY);
	ADD_STATE;
}

/* One block that is the same for every message, and whose schedule is known. */
UNROLLED static void FN(compress_same)(V s[8][VECTORS], const WORD *kw)
{
	LOAD_STATE;

	for (int t = 0; t < ROUNDS; t += 16)
		ROUNDS_16(FROM_TABLE, NOTHING);
	ADD_STATE;
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

/* The messages of a call. Lanes without one repeat the first. */
struct FN(lanes) {
	const uint8_t *data[LANES];
	size_t len[LANES];
	size_t shortest;
	size_t longest;
	uint8_t tail[LANES][STEP]; /* the last block of a message, padded, if it is not whole */
};

static void FN(lanes_init)(struct FN(lanes) * in, const struct sha2_msg *msgs, unsigned int nr)
{
	in->shortest = SIZE_MAX;
	in->longest = 0;
	for (unsigned int lane = 0; lane < LANES; lane++) {
		const struct sha2_msg *msg = &msgs[lane < nr ? lane : 0];
		size_t rest = msg->len % STEP;

		in->data[lane] = msg->data;
		in->len[lane] = msg->len;
		in->shortest = MIN(in->shortest, msg->len);
		in->longest = MAX(in->longest, msg->len);
		if (rest) {
			memset(in->tail[lane], 0, STEP);
			memcpy(in->tail[lane], in->data[lane] + msg->len - rest, rest);
		}
	}
}

/* Where the block at @at is in each lane. */
static void FN(find)(const uint8_t *source[LANES], const struct FN(lanes) * in, size_t at)
{
	static const uint8_t zeros[STEP];

	if (at + STEP <= in->shortest) {
		for (int lane = 0; lane < LANES; lane++)
			source[lane] = in->data[lane] + at;
		return;
	}

	for (int lane = 0; lane < LANES; lane++) {
		if (at + STEP <= in->len[lane])
			source[lane] = in->data[lane] + at;
		else if (at < in->len[lane])
			source[lane] = in->tail[lane];
		else
			source[lane] = zeros;
	}
}

TARGET static void KERNEL(const struct sha2_length *length, const struct sha2_msg *msgs,
			  unsigned int nr)
{
	uint8_t stage[2][LANES][STEP] __attribute__((aligned(sizeof(V))));
	const uint8_t *source[LANES];
	struct FN(lanes) in;
	V s[8][VECTORS];
	size_t n = 0; /* blocks done */

	for (int i = 0; i < 8; i++)
		EACH(s[i][v] = SET1(IV[i]););

	FN(lanes_init)(&in, msgs, nr);
	FN(find)(source, &in, 0);
	for (int lane = 0; lane < LANES; lane++)
		FN(copy)(stage[0][lane], source[lane]);
	for (; n * STEP < in.longest; n++) {
		FN(find)(source, &in, (n + 1) * STEP);
		FN(compress)(s, stage[n % 2], stage[(n + 1) % 2], source);
	}
	for (; n * STEP < length->size; n++)
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
#undef UNROLLED
#undef STEP
#undef PREFETCH
#undef UNIT_WORDS
#undef EACH
#undef FIXED
#undef ROUND
#undef ROUNDS_16
#undef FROM_MESSAGE
#undef FROM_SCHEDULE
#undef FROM_TABLE
#undef ROUNDS_A_LANE
#undef COPY
#undef NOTHING
#undef LOAD_STATE
#undef ADD_STATE
