/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Holes. Where a file system says that there is one, programs do not read but take zeros, so a hole is only
 * believed where the leaves say that zeros are right. To call a hole data is never wrong.
 */
#include <errno.h>
#include <string.h>

#include "store/reader-internal.h"

/* Blocks of a hole that are looked at in one call: 1 GiB. What comes after them is called data. */
#define BLOCKS_MAX ((uint64_t)1 << 18)

/* The leaf of block @block. @span: which block of leaves is in @leaves; UINT64_MAX: none. */
static const uint8_t *leaf_of(const struct reader_object *o, uint64_t block, uint64_t *span,
			      uint8_t leaves[VERITY_BLOCK_SIZE])
{
	const unsigned int digest_size = o->m.sha->digest_size;

	if (!o->m.levels)
		return o->root;
	if (o->leaves)
		return o->leaves + block * digest_size;
	if (*span != block / o->m.fanout && reader_leaves(o, block / o->m.fanout, leaves) < 0)
		return NULL;
	*span = block / o->m.fanout;
	return leaves + block % o->m.fanout * digest_size;
}

/* The first block from @first on, before @end, that is not one of zeros; or @end. */
static uint64_t first_data(const struct reader_object *o, uint64_t first, uint64_t end)
{
	static const uint8_t zeros[VERITY_BLOCK_SIZE];
	uint8_t zero[CAIRN_DIGEST_MAX], leaves[VERITY_BLOCK_SIZE] = {0};
	const uint64_t stop = MIN(end, first + BLOCKS_MAX);
	uint64_t span = UINT64_MAX;

	merkle_hash_blocks(&o->m, zeros, sizeof(zeros), zero);
	for (; first < stop; first++) {
		const uint8_t *leaf = leaf_of(o, first, &span, leaves);

		if (!leaf || memcmp(leaf, zero, o->m.sha->digest_size))
			return first;
	}
	return stop;
}

static int64_t seek_data(const struct reader_object *o, uint64_t offset)
{
	const off_t next = lseek(o->fd, (off_t)offset, SEEK_DATA);
	uint64_t data = next < 0 ? o->m.size : (uint64_t)next, block;

	if (next < 0 && errno != ENXIO)
		return (int64_t)offset; /* such a file system has no holes */
	if (data > offset && o->state != READER_ENFORCED) {
		block = first_data(o, offset / VERITY_BLOCK_SIZE, merkle_blocks(data));
		if (block * VERITY_BLOCK_SIZE < data)
			data = MAX(offset, block * VERITY_BLOCK_SIZE);
	}
	return data < o->m.size ? (int64_t)data : -ENXIO;
}

/* The hole may begin within a block that has data as well: then it is told from the next on. */
static int64_t seek_hole(const struct reader_object *o, uint64_t offset)
{
	const off_t next = lseek(o->fd, (off_t)offset, SEEK_HOLE);
	const uint64_t hole = next < 0 ? o->m.size : (uint64_t)next;
	const uint64_t block = hole / VERITY_BLOCK_SIZE;

	if (o->state == READER_ENFORCED || hole >= o->m.size)
		return (int64_t)MIN(hole, o->m.size);
	/* One block of it is proof enough: SEEK_DATA looks at the others. */
	if (first_data(o, block, block + 1) > block)
		return (int64_t)hole;
	if (block + 1 < o->m.nr_blocks && hole % VERITY_BLOCK_SIZE &&
	    first_data(o, block + 1, block + 2) > block + 1)
		return (int64_t)((block + 1) * VERITY_BLOCK_SIZE);
	return (int64_t)o->m.size;
}

int64_t reader_seek(struct reader *r, struct reader_object *o, uint64_t offset, int whence,
		    struct cairn_error *err)
{
	bool filled;
	int k;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return error_set(err, -EINVAL, CAIRN_ERROR_USAGE, "seek in an object: unknown way");
	if (offset >= o->m.size)
		return -ENXIO;
	if (o->state == READER_NEW || o->state == READER_BAD) {
		k = reader_prepare(r, o, NULL, &filled, err);
		if (k < 0)
			return k;
	}
	return whence == SEEK_DATA ? seek_data(o, offset) : seek_hole(o, offset);
}
