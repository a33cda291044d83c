/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the streaming and the batched engine share: the descriptor, whose hash is the digest. */
#ifndef DIGEST_VERITY_INTERNAL_H
#define DIGEST_VERITY_INTERNAL_H

#include <assert.h>
#include <endian.h>

#include "digest/verity.h"

#define VERITY_LOG_BLOCK_SIZE  12
#define VERITY_DESCRIPTOR_SIZE 256

/* The kernel's struct fsverity_descriptor as far as it is not always zero. */
struct verity_descriptor {
	uint8_t version;
	uint8_t alg;
	uint8_t log_block_size;
	uint8_t salt_size;
	uint32_t reserved;
	uint64_t data_size; /* little-endian */
	uint8_t root[CAIRN_DIGEST_MAX];
};

_Static_assert(sizeof(struct verity_descriptor) == 80, "on-disk layout");

/* Fills all but the root, which is zero then: right as it is for an empty content. */
static inline void verity_descriptor_init(struct verity_descriptor *d, enum cairn_alg alg,
					  uint64_t size)
{
	*d = (struct verity_descriptor){
		.version = 1,
		.alg = (uint8_t)alg,
		.log_block_size = VERITY_LOG_BLOCK_SIZE,
		.data_size = htole64(size),
	};
}

/* Plans of the algorithms in @algs, lowest first. Returns how many, or -EINVAL. */
int verity_algs(unsigned int algs, const struct sha2 *ret[VERITY_ALGS_MAX]);

/* Room for a digest of @alg in @digest: sets the algorithm, clears the bytes, returns where they go. */
static inline uint8_t *verity_digest_init(struct cairn_digest *digest, enum cairn_alg alg)
{
	*digest = (struct cairn_digest){.alg = alg};
	return digest->bytes;
}

#endif
