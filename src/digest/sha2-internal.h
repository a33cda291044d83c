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

#endif
