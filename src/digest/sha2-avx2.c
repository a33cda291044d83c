/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * SHA-2 with AVX2: eight messages (SHA-256) or four (SHA-512) in a vector.
 *
 * For processors without AVX-512, and for SHA-256 also without the SHA extensions. Rotation is three
 * instructions here; a second vector would not fit into the sixteen registers.
 */
#include "digest/sha2-internal.h"

#ifdef __x86_64__

#include <endian.h>
#include <immintrin.h>

#include "digest/sha2-cpu-internal.h"

#define TARGET __attribute__((target("avx2")))

static bool supported(void)
{
	return CPU_HAS_AVX2;
}

#define V             __m256i
#define LOAD(p)       _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, x)   _mm256_store_si256((__m256i *)(void *)(p), x)
#define XOR(a, b)     _mm256_xor_si256(a, b)
#define XOR3(a, b, c) XOR(XOR(a, b), c)
#define CH(e, f, g)   XOR(_mm256_and_si256(XOR(f, g), e), g)
#define MAJ(a, b, c)  XOR(_mm256_and_si256(XOR(a, b), XOR(b, c)), b) /* b ^ c was a ^ b before */

#define LOAD_16(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define GATHER(p, stride)                                                                          \
	_mm256_inserti128_si256(_mm256_castsi128_si256(LOAD_16(p)), LOAD_16((p) + (stride)), 1)

/* --- SHA-256 --------------------------------------------------------------------------------- */

TARGET static inline void to_words32(__m256i r[4])
{
	const __m256i swap = _mm256_broadcastsi128_si256(
		_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
	__m256i ab_low = _mm256_unpacklo_epi32(r[0], r[1]);
	__m256i ab_high = _mm256_unpackhi_epi32(r[0], r[1]);
	__m256i cd_low = _mm256_unpacklo_epi32(r[2], r[3]);
	__m256i cd_high = _mm256_unpackhi_epi32(r[2], r[3]);

	r[0] = _mm256_shuffle_epi8(_mm256_unpacklo_epi64(ab_low, cd_low), swap);
	r[1] = _mm256_shuffle_epi8(_mm256_unpackhi_epi64(ab_low, cd_low), swap);
	r[2] = _mm256_shuffle_epi8(_mm256_unpacklo_epi64(ab_high, cd_high), swap);
	r[3] = _mm256_shuffle_epi8(_mm256_unpackhi_epi64(ab_high, cd_high), swap);
}

#define LANES_OF_V  8
#define ADD(a, b)   _mm256_add_epi32(a, b)
#define SHR(x, n)   _mm256_srli_epi32(x, n)
#define ROR(x, n)   _mm256_or_si256(SHR(x, n), _mm256_slli_epi32(x, 32 - (n)))
#define SET1(x)     _mm256_set1_epi32((int)(x))
#define TO_WORDS(r) to_words32(r)

#define KERNEL  hash256x8
#define ALG     256
#define VECTORS 1
#include "digest/sha2-lanes.h"

#undef LANES_OF_V
#undef ADD
#undef SHR
#undef ROR
#undef SET1
#undef TO_WORDS

const struct sha2_impl sha256_avx2x8 = {
	.name = "avx2x8",
	.alg = CAIRN_SHA256,
	.lanes = 8,
	.cost = 200,
	.supported = supported,
	.hash = hash256x8,
};

/* --- SHA-512 --------------------------------------------------------------------------------- */

TARGET static inline void to_words64(__m256i r[2])
{
	const __m256i swap = _mm256_broadcastsi128_si256(
		_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
	__m256i low = _mm256_unpacklo_epi64(r[0], r[1]);
	__m256i high = _mm256_unpackhi_epi64(r[0], r[1]);

	r[0] = _mm256_shuffle_epi8(low, swap);
	r[1] = _mm256_shuffle_epi8(high, swap);
}

#define LANES_OF_V  4
#define ADD(a, b)   _mm256_add_epi64(a, b)
#define SHR(x, n)   _mm256_srli_epi64(x, n)
#define ROR(x, n)   _mm256_or_si256(SHR(x, n), _mm256_slli_epi64(x, 64 - (n)))
#define SET1(x)     _mm256_set1_epi64x((long long)(x))
#define TO_WORDS(r) to_words64(r)

#define KERNEL  hash512x4
#define ALG     512
#define VECTORS 1
#include "digest/sha2-lanes.h"

const struct sha2_impl sha512_avx2x4 = {
	.name = "avx2x4",
	.alg = CAIRN_SHA512,
	.lanes = 4,
	.cost = 120,
	.supported = supported,
	.hash = hash512x4,
};

#endif
