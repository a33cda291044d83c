/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* SHA-256 with the cryptographic extensions of ARMv8: two messages, interleaved. */
#include "digest/sha2-internal.h"

#ifdef SHA2_ARMV8

#include <arm_neon.h>
#include <sys/auxv.h>

#ifdef __clang__
#define TARGET __attribute__((target("sha2")))
#else
#define TARGET __attribute__((target("+crypto")))
#endif
#define NR 2

static bool supported(void)
{
	return getauxval(AT_HWCAP) & HWCAP_SHA2;
}

/* For each message; k is a constant in each copy, so that arrays become registers. */
#define EACH(...)                                                                                  \
	do {                                                                                       \
		{                                                                                  \
			enum { k = 0 };                                                            \
			__VA_ARGS__                                                                \
		}                                                                                  \
		{                                                                                  \
			enum { k = 1 };                                                            \
			__VA_ARGS__                                                                \
		}                                                                                  \
	} while (0)

/* Four rounds; wk: their words with constants. */
#define ROUNDS_4(wk)                                                                               \
	EACH(uint32x4_t x = wk; uint32x4_t before = abcd[k];                                       \
	     abcd[k] = vsha256hq_u32(abcd[k], efgh[k], x);                                         \
	     efgh[k] = vsha256h2q_u32(efgh[k], before, x);)

#define LOAD_STATE                                                                                 \
	uint32x4_t abcd[NR], efgh[NR];                                                             \
	EACH(abcd[k] = s[k][0]; efgh[k] = s[k][1];)

#define ADD_STATE                                                                                  \
	EACH(s[k][0] = vaddq_u32(s[k][0], abcd[k]); s[k][1] = vaddq_u32(s[k][1], efgh[k]);)

#define CONSTANTS(i) vld1q_u32(&sha256_k[4 * (i)])

#define FROM_MESSAGE(i)                                                                            \
	vaddq_u32(w[i][k] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block[k] + 16 * (i)))),       \
		  CONSTANTS(i))

/* Extends the schedule in place: w[] is the last 16 words. */
#define FROM_SCHEDULE(i)                                                                           \
	vaddq_u32(w[(i) % 4][k] =                                                                  \
			  vsha256su1q_u32(vsha256su0q_u32(w[(i) % 4][k], w[((i) + 1) % 4][k]),     \
					  w[((i) + 2) % 4][k], w[((i) + 3) % 4][k]),               \
		  CONSTANTS(i))

#define FROM_TABLE(i) vld1q_u32(&kw[4 * (i)])

/* One block of each message. */
TARGET static void compress(uint32x4_t s[NR][2], const uint8_t *const block[NR])
{
	uint32x4_t w[4][NR];
	LOAD_STATE;

	ROUNDS_4(FROM_MESSAGE(0));
	ROUNDS_4(FROM_MESSAGE(1));
	ROUNDS_4(FROM_MESSAGE(2));
	ROUNDS_4(FROM_MESSAGE(3));
	for (int t = 4; t < 16; t += 4) {
		ROUNDS_4(FROM_SCHEDULE(t + 0));
		ROUNDS_4(FROM_SCHEDULE(t + 1));
		ROUNDS_4(FROM_SCHEDULE(t + 2));
		ROUNDS_4(FROM_SCHEDULE(t + 3));
	}
	ADD_STATE;
}

/* One block that is the same for every message, and whose schedule is known. */
TARGET static void compress_same(uint32x4_t s[NR][2], const uint32_t kw[64])
{
	LOAD_STATE;

	for (int i = 0; i < 16; i++)
		ROUNDS_4(FROM_TABLE(i));
	ADD_STATE;
}

/* Lanes above @nr repeat the first. */
TARGET static void hash2(const struct sha2_length *length, const struct sha2_msg *msgs,
			 unsigned int nr)
{
	const struct sha2_msg *msg[NR];
	const uint8_t *block[NR];
	uint8_t tail[NR][SHA256_BLOCK];
	uint32x4_t s[NR][2];
	size_t longest = 0;
	size_t at = 0;

	EACH(msg[k] = &msgs[k < nr ? k : 0]; longest = MAX(longest, msg[k]->len);
	     s[k][0] = vld1q_u32(sha256_iv); s[k][1] = vld1q_u32(sha256_iv + 4););
	for (; at < longest; at += SHA256_BLOCK) {
		EACH(block[k] = sha256_find_block(msg[k], at, tail[k]););
		compress(s, block);
	}
	for (; at < length->size; at += SHA256_BLOCK)
		compress_same(s, sha256_k); /* zeros: their schedule is zero */
	compress_same(s, length->w32);
	for (unsigned int k = 0; k < nr; k++) {
		vst1q_u8(msgs[k].out, vrev32q_u8(vreinterpretq_u8_u32(s[k][0])));
		vst1q_u8(msgs[k].out + 16, vrev32q_u8(vreinterpretq_u8_u32(s[k][1])));
	}
}

/* Never measured, only tried in an emulator. libcrypto has the same instructions for one message, so
 * the cost is set such that two go here, one there. */
const struct sha2_impl sha256_armv8x2 = {
	.name = "armv8x2",
	.alg = CAIRN_SHA256,
	.lanes = 2,
	.cost = 100,
	.supported = supported,
	.hash = hash2,
};

#endif
