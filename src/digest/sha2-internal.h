/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* The kernels, and what all of them need. */
#ifndef DIGEST_SHA2_INTERNAL_H
#define DIGEST_SHA2_INTERNAL_H

#include <string.h>

#include "digest/sha2.h"

#define SHA256_BLOCK 64
#define SHA512_BLOCK 128

/* FIPS 180-4 §4.2, §5.3 */
extern const uint32_t sha256_k[64];
extern const uint32_t sha256_iv[8];
extern const uint64_t sha512_k[80];
extern const uint64_t sha512_iv[8];

/* Where the block at @at of @msg is: in place, padded in @tail, or nothing but zeros. */
static inline const uint8_t *sha256_find_block(const struct sha2_msg *msg, size_t at,
					       uint8_t tail[SHA256_BLOCK])
{
	static const uint8_t zeros[SHA256_BLOCK];

	if (at + SHA256_BLOCK <= msg->len)
		return (const uint8_t *)msg->data + at;
	if (at >= msg->len)
		return zeros;
	memset(tail, 0, SHA256_BLOCK);
	memcpy(tail, (const uint8_t *)msg->data + at, msg->len - at);
	return tail;
}

/* --- kernels --------------------------------------------------------------------------------- */

extern const struct sha2_impl sha256_libcrypto;
extern const struct sha2_impl sha512_libcrypto;

#ifdef __x86_64__
extern const struct sha2_impl sha256_avx512x16;
extern const struct sha2_impl sha256_avx512x32;
extern const struct sha2_impl sha256_shani;
extern const struct sha2_impl sha256_shani2;
extern const struct sha2_impl sha256_shani4;
extern const struct sha2_impl sha256_avx2x8;
extern const struct sha2_impl sha512_avx512x8;
extern const struct sha2_impl sha512_avx512x16;
extern const struct sha2_impl sha512_avx2x4;
#endif

/* Older clang has the intrinsics only when the whole build targets the extension. */
#if defined(__AARCH64EL__) &&                                                                      \
	(!defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_SHA2))
#define SHA2_ARMV8
extern const struct sha2_impl sha256_armv8x2;
#endif

#endif
