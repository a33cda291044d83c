/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A Merkle tree that is kept, so that single blocks of a content can be verified (image-format §9).
 *
 * The tree of fs-verity: level 0 has the hash of each data block of 4096 bytes, level k + 1 the hash of
 * each block of level k, until a level has one block, whose hash is the root. In memory and in files
 * the levels stand as the kernel gives them out, highest first, each filled with zeros to whole blocks:
 *
 *	offset[1] = 0      offset[0]
 *	| level 1 (1 block) | level 0 (blocks[0] blocks)          |  tree_size
 *
 * A content of at most one block has no levels: the block's hash is the root. An empty one has a root
 * of zeros.
 */
#ifndef DIGEST_MERKLE_H
#define DIGEST_MERKLE_H

#include "digest/verity.h"

/* The shape of the tree of one content. */
struct merkle {
	const struct sha2 *sha;
	uint64_t size;                      /* bytes of the content */
	uint64_t nr_blocks;                 /* data blocks, the last one perhaps not whole */
	uint32_t fanout;                    /* hashes in a block: 128 or 64 */
	unsigned int levels;                /* stored ones, 0 to VERITY_LEVELS_MAX */
	uint64_t nr[VERITY_LEVELS_MAX];     /* hashes in level k: the blocks below it */
	uint64_t blocks[VERITY_LEVELS_MAX]; /* blocks that they take */
	uint64_t offset[VERITY_LEVELS_MAX]; /* of level k in the tree, in bytes */
	uint64_t tree_size;                 /* bytes of all levels; 1/127 of the content at most */
};

/* Blocks that @size bytes take. */
static inline uint64_t merkle_blocks(uint64_t size)
{
	return size / VERITY_BLOCK_SIZE + (size % VERITY_BLOCK_SIZE != 0);
}

/* Returns 0; -EINVAL: unknown algorithm; -EFBIG: above 2^63 bytes. */
int merkle_init(struct merkle *m, enum cairn_alg alg, uint64_t size);

/* Hashes of the blocks in @data[0..@size), one after the other, to @out. The last block is filled with
 * zeros in thought where it is not whole. */
void merkle_hash_blocks(const struct merkle *m, const void *data, size_t size, uint8_t *out);

/* Compares the blocks in @data[0..@size) with their hashes. Returns the number of the first that has
 * another, or -1 if all are right. */
int64_t merkle_bad_block(const struct merkle *m, const void *data, size_t size,
			 const uint8_t *hashes);

/* Given level @lowest of @tree, computes those above it and the root, @root (digest_size bytes). With
 * @lowest 1 level 0 is not touched and need not be there. @m must have that level. */
void merkle_build(const struct merkle *m, uint8_t *tree, unsigned int lowest, uint8_t *root);

/* The digest of a content of that size with that root. */
void merkle_digest(const struct merkle *m, const uint8_t *root, struct cairn_digest *ret);

/* Whether the levels of @tree from the highest down to @lowest belong to @digest. *@root is their root
 * then. @m must have that level. */
bool merkle_check(const struct merkle *m, const uint8_t *tree, unsigned int lowest,
		  const struct cairn_digest *digest, uint8_t *root);

#endif
