/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * fs-verity digests of many contents at once.
 *
 * Half of the files of a real tree have one block: alone, each would leave most lanes of a wide
 * kernel idle. So contents wait, and the steps of all of them that do not depend on each other run
 * together: all data blocks, all blocks of hashes level by level, all descriptors.
 */
#include <errno.h>
#include <string.h>

#include "digest/verity-internal.h"

/*
 * A content that waits.
 *
 * @data[0..@size) is what the current level hashes: the content, then its hashes. Once @size is 0
 * the root is known.
 */
struct item {
	const uint8_t *data;
	size_t size;
	struct cairn_digest *ret;
};

/*
 * 1. items[0..nr) wait, with nr_blocks data blocks in all.
 * 2. A level of hashes is written to one of hashes[] while the level below is read from the other.
 * 3. large is for contents that do not wait.
 */
struct verity_batch {
	unsigned int nr_algs;
	const struct sha2 *sha[VERITY_ALGS_MAX];
	struct verity large;
	size_t nr;
	size_t nr_blocks;
	struct item items[VERITY_BATCH_FILES];
	struct item work[VERITY_BATCH_FILES];
	struct verity_descriptor descriptors[VERITY_BATCH_FILES];
	uint8_t hashes[2][VERITY_BATCH_BLOCKS * CAIRN_DIGEST_MAX];
};

_Static_assert(VERITY_BATCH_CONTENT / VERITY_BLOCK_SIZE <= VERITY_BATCH_BLOCKS, "one content fits");

int verity_batch_new(unsigned int algs, struct verity_batch **ret_batch)
{
	cleanup(verity_batch) struct verity_batch *b = NULL;
	int r;

	b = malloc(sizeof(*b));
	if (!b)
		return -ENOMEM;

	b->nr = 0;
	b->nr_blocks = 0;
	r = verity_init(&b->large, algs);
	if (r < 0) {
		b->large = (struct verity){0};
		return r;
	}

	b->nr_algs = (unsigned int)verity_algs(algs, b->sha);
	*ret_batch = take_ptr(b);
	return 0;
}

void verity_batch_free(struct verity_batch *b)
{
	if (!b)
		return;
	verity_fini(&b->large);
	free(b);
}

static size_t blocks_of(size_t size)
{
	return (size + VERITY_BLOCK_SIZE - 1) / VERITY_BLOCK_SIZE;
}

/* --- queue of messages ----------------------------------------------------------------------- */

/* Messages on their way into groups. */
struct queue {
	const struct sha2 *sha;
	const struct sha2_length *length;
	size_t nr;
	struct sha2_msg msgs[SHA2_LANES_MAX];
};

static void queue_flush(struct queue *q)
{
	sha2_hash(q->sha, q->length, q->msgs, q->nr);
	q->nr = 0;
}

static void queue_put(struct queue *q, const void *data, size_t len, uint8_t *out)
{
	q->msgs[q->nr++] = (struct sha2_msg){.data = data, .len = len, .out = out};
	if (q->nr == SHA2_LANES_MAX)
		queue_flush(q);
}

/* --- levels ---------------------------------------------------------------------------------- */

/* Hashes the blocks of every content of @work whose root is not known yet: a single block to its
 * descriptor, more to @hashes. Returns whether there were any. */
static bool hash_level(struct verity_batch *b, const struct sha2 *sha, uint8_t *hashes)
{
	struct queue q = {.sha = sha, .length = &sha->block};
	bool any = false;

	for (size_t i = 0; i < b->nr; i++) {
		struct item *item = &b->work[i];
		size_t nr = blocks_of(item->size);
		uint8_t *out = nr == 1 ? b->descriptors[i].root : hashes;

		if (!nr)
			continue;

		any = true;
		for (size_t at = 0; at < item->size; at += VERITY_BLOCK_SIZE) {
			queue_put(&q, item->data + at, MIN(item->size - at, VERITY_BLOCK_SIZE),
				  out + at / VERITY_BLOCK_SIZE * sha->digest_size);
		}
		item->data = hashes;
		item->size = nr == 1 ? 0 : nr * sha->digest_size;
		hashes += item->size;
	}
	queue_flush(&q);
	return any;
}

/* One algorithm, its digests to ret[@slot] of each content. */
static void hash_items(struct verity_batch *b, unsigned int slot)
{
	const struct sha2 *sha = b->sha[slot];
	struct queue q = {.sha = sha, .length = &sha->descriptor};

	for (size_t i = 0; i < b->nr; i++) {
		b->work[i] = b->items[i];
		verity_descriptor_init(&b->descriptors[i], sha->alg, b->items[i].size);
	}

	for (unsigned int k = 0; hash_level(b, sha, b->hashes[k & 1]); k++)
		;

	for (size_t i = 0; i < b->nr; i++) {
		queue_put(&q, &b->descriptors[i], sizeof(b->descriptors[i]),
			  verity_digest_init(&b->items[i].ret[slot], sha->alg));
	}
	queue_flush(&q);
}

/* --- the batch ------------------------------------------------------------------------------- */

/* Length class of a content's only block; of contents that have more, all blocks but one are full. */
#define LENGTH_UNIT    64
#define LENGTH_CLASSES (VERITY_BLOCK_SIZE / LENGTH_UNIT + 1)

static size_t length_class(const struct item *item)
{
	return MIN(item->size / LENGTH_UNIT, (size_t)LENGTH_CLASSES - 1);
}

/* Puts the contents in order of length: where all messages that are hashed side by side have ended, the rest
 * of their blocks is zeros and takes half the time. */
static void order_items(struct verity_batch *b)
{
	size_t starts[LENGTH_CLASSES + 1] = {0};

	for (size_t i = 0; i < b->nr; i++)
		starts[length_class(&b->items[i]) + 1]++;
	for (size_t c = 1; c < LENGTH_CLASSES; c++)
		starts[c] += starts[c - 1];
	for (size_t i = 0; i < b->nr; i++)
		b->work[starts[length_class(&b->items[i])]++] = b->items[i];
	memcpy(b->items, b->work, b->nr * sizeof(*b->items));
}

void verity_batch_flush(struct verity_batch *b)
{
	order_items(b);
	for (unsigned int slot = 0; slot < b->nr_algs; slot++)
		hash_items(b, slot);
	b->nr = 0;
	b->nr_blocks = 0;
}

void verity_batch_add(struct verity_batch *b, const void *data, size_t size,
		      struct cairn_digest *ret)
{
	if (size > VERITY_BATCH_CONTENT) {
		(void)verity_finish(&b->large, data, size, ret);
		return;
	}

	if (b->nr == VERITY_BATCH_FILES || b->nr_blocks + blocks_of(size) > VERITY_BATCH_BLOCKS)
		verity_batch_flush(b);
	b->items[b->nr++] = (struct item){.data = data, .size = size, .ret = ret};
	b->nr_blocks += blocks_of(size);
}
