/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * SHA-256 with the SHA extensions of x86: one, two or four messages, interleaved.
 *
 * The round instruction takes longer to finish than to start, so one message alone leaves the unit
 * waiting; with four there are more values than registers, and still it is the fastest.
 */
#include "digest/sha2-internal.h"

#ifdef __x86_64__

#include <immintrin.h>

#include "digest/sha2-cpu-internal.h"

#define TARGET      __attribute__((target("sha,sse4.1")))
#define INLINE      static inline __attribute__((always_inline))
#define NR_MAX      4
#define LOAD(p)     _mm_loadu_si128((const __m128i *)(const void *)(p))
#define STORE(p, x) _mm_storeu_si128((__m128i *)(void *)(p), x)

static bool supported(void)
{
	return CPU_HAS_SHA;
}

/* For each of the n messages; k is a constant in each copy, so that arrays become registers. */
#define EACH(...)                                                                                  \
	do {                                                                                       \
		{                                                                                  \
			enum { k = 0 };                                                            \
			__VA_ARGS__                                                                \
		}                                                                                  \
		if (n > 1) {                                                                       \
			enum { k = 1 };                                                            \
			__VA_ARGS__                                                                \
		}                                                                                  \
		if (n > 2) {                                                                       \
			enum { k = 2 };                                                            \
			__VA_ARGS__                                                                \
		}                                                                                  \
		if (n > 2) {                                                                       \
			enum { k = 3 };                                                            \
			__VA_ARGS__                                                                \
		}                                                                                  \
	} while (0)

/* Four rounds; wk: their words with constants. */
#define ROUNDS_4(wk)                                                                               \
	EACH(__m128i x = wk; cdgh[k] = _mm_sha256rnds2_epu32(cdgh[k], abef[k], x);                 \
	     abef[k] = _mm_sha256rnds2_epu32(abef[k], cdgh[k], _mm_shuffle_epi32(x, 0x0e));)

#define CONSTANTS(i) LOAD(&sha256_k[4 * (i)])

#define FROM_MESSAGE(i)                                                                            \
	_mm_add_epi32(w[i][k] = _mm_shuffle_epi8(LOAD(block[k] + 16 * (i)), swap), CONSTANTS(i))

/* Extends the schedule in place: w[] is the last 16 words. */
#define FROM_SCHEDULE(i)                                                                           \
	_mm_add_epi32(                                                                             \
		w[(i) % 4][k] = _mm_sha256msg2_epu32(                                              \
			_mm_add_epi32(                                                             \
				_mm_sha256msg1_epu32(w[(i) % 4][k], w[((i) + 1) % 4][k]),          \
				_mm_alignr_epi8(w[((i) + 3) % 4][k], w[((i) + 2) % 4][k], 4)),     \
			w[((i) + 3) % 4][k]),                                                      \
		CONSTANTS(i))

#define FROM_TABLE(i) LOAD(&kw[4 * (i)])

#define LOAD_STATE                                                                                 \
	__m128i abef[NR_MAX], cdgh[NR_MAX];                                                        \
	EACH(abef[k] = s[k][0]; cdgh[k] = s[k][1];)

#define ADD_STATE                                                                                  \
	EACH(s[k][0] = _mm_add_epi32(s[k][0], abef[k]); s[k][1] = _mm_add_epi32(s[k][1], cdgh[k]);)

/* One block of each of @n messages. */
TARGET INLINE void compress(__m128i s[NR_MAX][2], const uint8_t *const block[NR_MAX], int n)
{
	const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
	__m128i w[4][NR_MAX];
	LOAD_STATE;

	ROUNDS_4(FROM_MESSAGE(0));
	ROUNDS_4(FROM_MESSAGE(1));
	ROUNDS_4(FROM_MESSAGE(2));
	ROUNDS_4(FROM_MESSAGE(3));
	ROUNDS_4(FROM_SCHEDULE(4));
	ROUNDS_4(FROM_SCHEDULE(5));
	ROUNDS_4(FROM_SCHEDULE(6));
	ROUNDS_4(FROM_SCHEDULE(7));
	ROUNDS_4(FROM_SCHEDULE(8));
	ROUNDS_4(FROM_SCHEDULE(9));
	ROUNDS_4(FROM_SCHEDULE(10));
	ROUNDS_4(FROM_SCHEDULE(11));
	ROUNDS_4(FROM_SCHEDULE(12));
	ROUNDS_4(FROM_SCHEDULE(13));
	ROUNDS_4(FROM_SCHEDULE(14));
	ROUNDS_4(FROM_SCHEDULE(15));
	ADD_STATE;
}

/* One block that is the same for every message, and whose schedule is known. */
TARGET INLINE void compress_same(__m128i s[NR_MAX][2], const uint32_t kw[64], int n)
{
	LOAD_STATE;

	for (int i = 0; i < 16; i++)
		ROUNDS_4(FROM_TABLE(i));
	ADD_STATE;
}

/* The instructions want the words of the state as f e b a and h g d c. */
TARGET INLINE void load_iv(__m128i s[2])
{
	s[0] = _mm_set_epi32((int)sha256_iv[0], (int)sha256_iv[1], (int)sha256_iv[4],
			     (int)sha256_iv[5]);
	s[1] = _mm_set_epi32((int)sha256_iv[2], (int)sha256_iv[3], (int)sha256_iv[6],
			     (int)sha256_iv[7]);
}

TARGET INLINE void store(const __m128i s[2], uint8_t *out)
{
	const __m128i swap = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	__m128i abef = _mm_shuffle_epi8(s[0], swap);
	__m128i cdgh = _mm_shuffle_epi8(s[1], swap);

	STORE(out, _mm_unpacklo_epi64(abef, cdgh));
	STORE(out + 16, _mm_unpackhi_epi64(abef, cdgh));
}

/* @n messages side by side; those above @nr repeat the first. */
TARGET INLINE void hash(const struct sha2_length *length, const struct sha2_msg *msgs,
			unsigned int nr, int n)
{
	const struct sha2_msg *msg[NR_MAX];
	const uint8_t *block[NR_MAX];
	uint8_t tail[NR_MAX][SHA256_BLOCK];
	__m128i s[NR_MAX][2];
	size_t longest = 0;
	size_t at = 0;

	EACH(msg[k] = &msgs[k < nr ? k : 0]; longest = MAX(longest, msg[k]->len); load_iv(s[k]););
	for (; at < longest; at += SHA256_BLOCK) {
		EACH(block[k] = sha256_find_block(msg[k], at, tail[k]););
		compress(s, block, n);
	}
	for (; at < length->size; at += SHA256_BLOCK)
		compress_same(s, sha256_k, n); /* zeros: their schedule is zero */
	compress_same(s, length->w32, n);
	EACH(if (k < nr) store(s[k], msgs[k].out););
}

TARGET static void hash1(const struct sha2_length *length, const struct sha2_msg *msgs,
			 unsigned int nr)
{
	hash(length, msgs, nr, 1);
}

TARGET static void hash2(const struct sha2_length *length, const struct sha2_msg *msgs,
			 unsigned int nr)
{
	hash(length, msgs, nr, 2);
}

TARGET static void hash4(const struct sha2_length *length, const struct sha2_msg *msgs,
			 unsigned int nr)
{
	hash(length, msgs, nr, 4);
}

const struct sha2_impl sha256_shani = {
	.name = "shani",
	.alg = CAIRN_SHA256,
	.lanes = 1,
	.cost = 20,
	.supported = supported,
	.hash = hash1,
};

const struct sha2_impl sha256_shani2 = {
	.name = "shani2",
	.alg = CAIRN_SHA256,
	.lanes = 2,
	.cost = 27,
	.supported = supported,
	.hash = hash2,
};

const struct sha2_impl sha256_shani4 = {
	.name = "shani4",
	.alg = CAIRN_SHA256,
	.lanes = 4,
	.cost = 44,
	.supported = supported,
	.hash = hash4,
};

#endif
