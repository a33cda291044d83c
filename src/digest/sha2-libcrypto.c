/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * One message at a time through libcrypto, on any processor.
 *
 * The low-level functions keep their state on the stack and cannot fail; the EVP ones that OpenSSL 3
 * prefers allocate, and take 0.2 us more a message, or 0.03 with a context that somebody keeps.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "digest/sha2-internal.h"

static const uint8_t zeros[4096];

static bool always(void)
{
	return true;
}

static void hash256(const struct sha2_length *length, const struct sha2_msg *msgs, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		SHA256_CTX ctx;

		SHA256_Init(&ctx);
		SHA256_Update(&ctx, msgs[i].data, msgs[i].len);
		for (size_t rest = length->size - msgs[i].len; rest;) {
			size_t n = MIN(rest, sizeof(zeros));

			SHA256_Update(&ctx, zeros, n);
			rest -= n;
		}
		SHA256_Final(msgs[i].out, &ctx);
	}
}

static void hash512(const struct sha2_length *length, const struct sha2_msg *msgs, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		SHA512_CTX ctx;

		SHA512_Init(&ctx);
		SHA512_Update(&ctx, msgs[i].data, msgs[i].len);
		for (size_t rest = length->size - msgs[i].len; rest;) {
			size_t n = MIN(rest, sizeof(zeros));

			SHA512_Update(&ctx, zeros, n);
			rest -= n;
		}
		SHA512_Final(msgs[i].out, &ctx);
	}
}

void sha2_load(void)
{
	SHA256_CTX c256;
	SHA512_CTX c512;

	SHA256_Init(&c256);
	SHA512_Init(&c512);
}

/* Costs are those of a processor without SHA instructions: where it has them, a kernel here uses
 * them too. */
const struct sha2_impl sha256_libcrypto = {
	.name = "libcrypto",
	.alg = CAIRN_SHA256,
	.lanes = 1,
	.cost = 68,
	.supported = always,
	.hash = hash256,
};

const struct sha2_impl sha512_libcrypto = {
	.name = "libcrypto",
	.alg = CAIRN_SHA512,
	.lanes = 1,
	.cost = 36,
	.supported = always,
	.hash = hash512,
};
