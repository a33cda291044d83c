/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * fs-verity digests of bytes (image-format §9): block size 4096, no salt.
 *
 *	one content in memory    verity_digest_data()
 *	one content in pieces    verity_init(), verity_update()…, verity_final(), again, verity_fini()
 *	… by several threads     verity_leaves() of each piece, verity_add_leaves() in order
 *	many, mostly small ones  verity_batch_new(), verity_batch_add()…, verity_batch_flush(), again
 *
 * A set of algorithms is made of CAIRN_ALG_BIT(); a result @ret is an array of one digest for each
 * bit, lowest first (at most VERITY_ALGS_MAX). Objects belong to one thread at a time.
 */
#ifndef DIGEST_VERITY_H
#define DIGEST_VERITY_H

#include <cairn/digest.h>

#include "base/macro.h"
#include "digest/sha2.h"

#define VERITY_BLOCK_SIZE 4096
#define VERITY_ALGS_MAX   2

/* 2^64 bytes are 2^52 blocks, and a block holds 64 hashes of SHA-512: levels of 2^52, 2^46 … 2^4, 1. */
#define VERITY_LEVELS_MAX 10

/* --- one content in pieces ------------------------------------------------------------------- */

/*
 * The Merkle tree of one algorithm, built from the left.
 *
 * 1. level[k] holds the hashes of level k (0: of the data blocks) that are not yet hashed
 *    themselves; used[k] bytes of it, always less than its capacity.
 * 2. nr[k] counts all the hashes that level k has had. The root is the only hash of its level.
 */
struct verity_tree {
	const struct sha2 *sha;
	uint8_t *level[VERITY_LEVELS_MAX];
	size_t used[VERITY_LEVELS_MAX];
	uint64_t nr[VERITY_LEVELS_MAX];
};

/*
 * A content that arrives in order.
 *
 * 1. pending[] holds the bytes not yet hashed, always fewer than SHA2_LANES_MAX blocks.
 * 2. Blocks are hashed SHA2_LANES_MAX at a time until the end of the content.
 */
struct verity {
	unsigned int nr_trees;
	struct verity_tree trees[VERITY_ALGS_MAX];
	uint8_t *pending;
	size_t nr_pending; /* bytes */
	uint64_t size;     /* bytes of the content so far */
	void *memory;      /* all the buffers above */
};

/* Makes @v ready for a first content. Allocates 0.3 MiB (0.5 for two algorithms), whatever the size
 * of the content will be. Returns 0, -EINVAL for an empty or unknown set, -ENOMEM; @v is untouched
 * when it fails. */
int verity_init(struct verity *v, unsigned int algs);

/* Frees what @v holds. A zeroed struct is fine. */
void verity_fini(struct verity *v);

/* The next @size bytes of the content, which are not needed after the return. Long pieces are hashed
 * where they are, without a copy; short ones cost little (pieces of 1000 bytes a tenth). */
void verity_update(struct verity *v, const void *data, size_t size);

/* Hashes pieces by themselves, for verity_add_leaves(): @data[0..@size), whole blocks but at the end of
 * the content, to @ret, which has room for the digest of each block. One algorithm. */
void verity_leaves(enum cairn_alg alg, const void *data, size_t size, uint8_t *ret);

/* Instead of verity_update(), of a @v of one algorithm: the next @size bytes are those that
 * verity_leaves() made @leaves from. */
void verity_add_leaves(struct verity *v, const uint8_t *leaves, size_t size);

/* Ends the content and makes @v ready for the next. Returns the number of digests in @ret. */
int verity_final(struct verity *v, struct cairn_digest *ret);

/* verity_update() and verity_final() in one, without the copy of what makes no whole group. */
int verity_finish(struct verity *v, const void *data, size_t size, struct cairn_digest *ret);

#define cleanup_verity __attribute__((__cleanup__(verity_fini)))

/* --- one content in memory ------------------------------------------------------------------- */

/* Returns the number of digests in @ret, or as verity_init(). */
int verity_digest_data(const void *data, size_t size, unsigned int algs, struct cairn_digest *ret);

/* --- many contents --------------------------------------------------------------------------- */

#define VERITY_BATCH_FILES   1024      /* contents that can wait; enough to fill any kernel */
#define VERITY_BATCH_BLOCKS  4096      /* and their blocks: 128 full groups, 0.5 MiB of hashes */
#define VERITY_BATCH_CONTENT (1 << 20) /* bytes; a longer content fills groups by itself */

struct verity_batch;

/* Makes an empty batch for contents of the same set of algorithms. Allocates 1 MiB. Returns as
 * verity_init(). */
int verity_batch_new(unsigned int algs, struct verity_batch **ret_batch);

/* Frees the batch. Contents that still wait get no digest. NULL is fine. */
void verity_batch_free(struct verity_batch *b);

/* Queues the content @data[0..@size). It must stay as it is until the next verity_batch_flush(),
 * which is also when @ret, one digest for each algorithm, is sure to be filled. A full batch hashes
 * what waits by itself; a content above VERITY_BATCH_CONTENT is hashed at once. Best is to read files
 * into a buffer of up to 2 MiB and to flush when it is full. */
void verity_batch_add(struct verity_batch *b, const void *data, size_t size,
		      struct cairn_digest *ret);

/* Hashes all that waits: the blocks of all contents together, then their trees level by level, then
 * all descriptors. */
void verity_batch_flush(struct verity_batch *b);

DEFINE_CLEANUP(struct verity_batch *, verity_batch, verity_batch_free)

#endif
