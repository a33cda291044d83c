/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * SHA-2 with AVX-512: sixteen messages (SHA-256) or eight (SHA-512) a vector, one vector or two.
 *
 * Rotations and three-operand logic are single instructions here; one vector leaves the units idle
 * a third of the time, waiting for its own results, which the second fills.
 */
#include "digest/sha2-internal.h"

#ifdef __x86_64__

#include <endian.h>
#include <immintrin.h>

#include "digest/sha2-cpu-internal.h"

#define TARGET __attribute__((target("avx512f,avx512bw")))

static bool supported(void)
{
	return CPU_HAS_AVX512;
}

#define V             __m512i
#define XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define CH(e, f, g)   _mm512_ternarylogic_epi64(e, f, g, 0xca)
#define MAJ(a, b, c)  _mm512_ternarylogic_epi64(a, b, c, 0xe8)

#define LOAD(p)            _mm512_loadu_si512(p)
#define STORE(p, x)        _mm512_store_si512(p, x)
#define LOAD_16(p)         _mm_loadu_si128((const __m128i *)(const void *)(p))
#define PUT_16(x, mask, p) _mm512_mask_broadcast_i32x4(x, mask, LOAD_16(p))
#define GATHER(p, stride)                                                                          \
	PUT_16(PUT_16(PUT_16(_mm512_castsi128_si512(LOAD_16(p)), 0x00f0, (p) + (stride)), 0x0f00,  \
		      (p) + 2 * (stride)),                                                         \
	       0xf000, (p) + 3 * (stride))

/* --- SHA-256 --------------------------------------------------------------------------------- */

TARGET static inline void to_words32(__m512i r[4])
{
	const __m512i swap = _mm512_broadcast_i32x4(
		_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
	__m512i ab_low = _mm512_unpacklo_epi32(r[0], r[1]);
	__m512i ab_high = _mm512_unpackhi_epi32(r[0], r[1]);
	__m512i cd_low = _mm512_unpacklo_epi32(r[2], r[3]);
	__m512i cd_high = _mm512_unpackhi_epi32(r[2], r[3]);

	r[0] = _mm512_shuffle_epi8(_mm512_unpacklo_epi64(ab_low, cd_low), swap);
	r[1] = _mm512_shuffle_epi8(_mm512_unpackhi_epi64(ab_low, cd_low), swap);
	r[2] = _mm512_shuffle_epi8(_mm512_unpacklo_epi64(ab_high, cd_high), swap);
	r[3] = _mm512_shuffle_epi8(_mm512_unpackhi_epi64(ab_high, cd_high), swap);
}

#define LANES_OF_V  16
#define ADD(a, b)   _mm512_add_epi32(a, b)
#define ROR(x, n)   _mm512_ror_epi32(x, n)
#define SHR(x, n)   _mm512_srli_epi32(x, n)
#define SET1(x)     _mm512_set1_epi32((int)(x))
#define TO_WORDS(r) to_words32(r)

#define KERNEL  hash256x16
#define ALG     256
#define VECTORS 1
#include "digest/sha2-lanes.h"

#define KERNEL  hash256x32
#define ALG     256
#define VECTORS 2
#include "digest/sha2-lanes.h"

#undef LANES_OF_V
#undef ADD
#undef ROR
#undef SHR
#undef SET1
#undef TO_WORDS

const struct sha2_impl sha256_avx512x16 = {
	.name = "avx512x16",
	.alg = CAIRN_SHA256,
	.lanes = 16,
	.cost = 105,
	.supported = supported,
	.hash = hash256x16,
};

const struct sha2_impl sha256_avx512x32 = {
	.name = "avx512x32",
	.alg = CAIRN_SHA256,
	.lanes = 32,
	.cost = 180,
	.supported = supported,
	.hash = hash256x32,
};

/* --- SHA-512 --------------------------------------------------------------------------------- */

TARGET static inline void to_words64(__m512i r[2])
{
	const __m512i swap = _mm512_broadcast_i32x4(
		_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
	__m512i low = _mm512_unpacklo_epi64(r[0], r[1]);
	__m512i high = _mm512_unpackhi_epi64(r[0], r[1]);

	r[0] = _mm512_shuffle_epi8(low, swap);
	r[1] = _mm512_shuffle_epi8(high, swap);
}

#define LANES_OF_V  8
#define ADD(a, b)   _mm512_add_epi64(a, b)
#define ROR(x, n)   _mm512_ror_epi64(x, n)
#define SHR(x, n)   _mm512_srli_epi64(x, n)
#define SET1(x)     _mm512_set1_epi64((long long)(x))
#define TO_WORDS(r) to_words64(r)

#define KERNEL  hash512x8
#define ALG     512
#define VECTORS 1
#include "digest/sha2-lanes.h"

#define KERNEL  hash512x16
#define ALG     512
#define VECTORS 2
#include "digest/sha2-lanes.h"

const struct sha2_impl sha512_avx512x8 = {
	.name = "avx512x8",
	.alg = CAIRN_SHA512,
	.lanes = 8,
	.cost = 64,
	.supported = supported,
	.hash = hash512x8,
};

const struct sha2_impl sha512_avx512x16 = {
	.name = "avx512x16",
	.alg = CAIRN_SHA512,
	.lanes = 16,
	.cost = 103,
	.supported = supported,
	.hash = hash512x16,
};

#endif
