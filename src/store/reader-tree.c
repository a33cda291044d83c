/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The tree of an object: computed in one pass over its content, or loaded from the store's cache.
 *
 * A span is what one block of leaves stands for: 128 blocks of content (64 with SHA-512). The hash of
 * that block is in level 1, or is the root. So an object whose leaves are not kept can still be read:
 * what covers a whole span is hashed to a block of leaves, which must have the span's hash; for less
 * than that the leaves come from the cache's file, or the whole span is read.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/parallel.h"
#include "store/reader-internal.h"
#include "store/trees.h"
#include "sys/io.h"

int reader_bad_digest(const struct reader_object *o, struct cairn_error *err)
{
	return error_set(err, -EILSEQ, CAIRN_ERROR_DIGEST,
			 "object %s: its content does not have its digest", o->path);
}

void reader_forget_tree(struct reader_object *o)
{
	if (o->tree_fd >= 0)
		close(o->tree_fd);
	o->tree_fd = -1;
	free(o->tree);
	free(o->leaves);
	o->tree = o->leaves = NULL;
}

/* --- in one pass ------------------------------------------------------------------------------- */

struct build {
	const struct reader_object *o;
	int file;                         /* gets the tree, -1: none */
	uint8_t *pieces[READER_JOBS_MAX]; /* by worker */
	uint8_t *leaves;                  /* all of level 0, or NULL */
	uint8_t *level1;                  /* where the hashes of its blocks go; NULL: no levels */
	uint8_t *root;
};

/* One piece: its leaves, and the hash of each block of them. */
static int build_piece(void *arg, unsigned int worker, size_t i)
{
	const struct build *b = (const struct build *)arg;
	const struct merkle *m = &b->o->m;
	const unsigned int digest_size = m->sha->digest_size;
	const uint64_t offset = (uint64_t)i * READER_PIECE, block = offset / VERITY_BLOCK_SIZE;
	const size_t size = (size_t)MIN((uint64_t)READER_PIECE, m->size - offset);
	const size_t hashes = (size_t)merkle_blocks(size) * digest_size;
	uint8_t own[READER_PIECE / VERITY_BLOCK_SIZE * CAIRN_DIGEST_MAX] = {0};
	uint8_t *leaves = own;
	ssize_t n = pread_full(b->o->fd, b->pieces[worker], size, (off_t)offset);

	if (n < 0)
		return (int)n;
	if ((size_t)n < size)
		return -EILSEQ;
	if (!b->level1)
		leaves = b->root;
	else if (b->leaves)
		leaves = b->leaves + block * digest_size;
	merkle_hash_blocks(m, b->pieces[worker], size, leaves);
	if (b->level1)
		merkle_hash_blocks(m, leaves, hashes, b->level1 + block / m->fanout * digest_size);
	if (b->file >= 0)
		return pwrite_all(b->file, leaves, ROUND_UP(hashes, (size_t)VERITY_BLOCK_SIZE),
				  (off_t)(m->offset[0] + block * digest_size));
	return 0;
}

static int build_pieces(const struct reader *r, struct build *b, void *whole)
{
	const uint64_t size = b->o->m.size;
	const size_t nr = (size_t)MAX((size + READER_PIECE - 1) / READER_PIECE, UINT64_C(1));
	unsigned int workers = MIN(MAX(r->options.jobs, 1u), READER_JOBS_MAX);
	int k = 0;

	if (whole) {
		b->pieces[0] = (uint8_t *)whole;
		return build_piece(b, 0, 0);
	}
	workers = (unsigned int)MIN(nr, workers);
	for (unsigned int i = 0; i < workers; i++) {
		b->pieces[i] = (uint8_t *)malloc(READER_PIECE);
		if (!b->pieces[i])
			k = -ENOMEM;
	}
	if (!k)
		k = parallel_for(workers, nr, build_piece, b);
	for (unsigned int i = 0; i < workers; i++)
		free(b->pieces[i]);
	return k;
}

/* Makes room for the tree: *@leaves is NULL where they are not kept. */
static int make_room(const struct reader *r, const struct merkle *m, uint8_t **tree,
		     uint8_t **leaves)
{
	*tree = (uint8_t *)malloc((size_t)m->offset[0] + 1);
	if (!*tree)
		return -ENOMEM;
	if (m->blocks[0] * VERITY_BLOCK_SIZE > r->options.leaves_max)
		return 0;
	*leaves = (uint8_t *)calloc(1, (size_t)(m->blocks[0] * VERITY_BLOCK_SIZE));
	return *leaves ? 0 : -ENOMEM;
}

static int build(const struct reader *r, struct reader_object *o, int file, void *whole)
{
	const struct merkle *m = &o->m;
	cleanup_free uint8_t *tree = NULL;
	cleanup_free uint8_t *leaves = NULL;
	struct build b = {.o = o, .root = o->root, .file = file};
	struct cairn_digest digest;
	int k;

	if (m->levels) {
		k = make_room(r, m, &tree, &leaves);
		if (k < 0)
			return k;
		b.leaves = leaves;
		b.level1 = m->levels > 1 ? tree + m->offset[1] : o->root;
	}
	k = build_pieces(r, &b, whole);
	if (k < 0)
		return k;
	if (m->levels > 1)
		merkle_build(m, tree, 1, o->root);
	merkle_digest(m, o->root, &digest);
	if (memcmp(&digest, &o->digest, sizeof(digest)))
		return -EILSEQ;
	o->tree = take_ptr(tree);
	o->leaves = take_ptr(leaves);
	return file < 0 ? 0 : pwrite_all(file, o->tree, (size_t)m->offset[0], 0);
}

/* --- the store's cache ------------------------------------------------------------------------- */

/* Takes the upper levels from the tree's file, if there is a right one. Its leaves are read when they are
 * needed: a block of them for a block of content. */
static bool load(struct reader_object *o)
{
	const struct merkle *m = &o->m;
	cleanup_fd int fd = trees_open(o->trees, &o->digest, m->tree_size);
	cleanup_free uint8_t *tree = NULL;

	if (fd < 0)
		return false;
	tree = (uint8_t *)malloc((size_t)m->offset[0]);
	if (!tree || pread_full(fd, tree, (size_t)m->offset[0], 0) != (ssize_t)m->offset[0] ||
	    !merkle_check(m, tree, 1, &o->digest, o->root))
		return false;
	o->tree_fd = take_fd(&fd);
	o->tree = take_ptr(tree);
	return true;
}

/* The tree of a large object, which may be in the cache, or go there. What goes wrong with the cache is
 * as if there were none. */
static int build_large(struct reader *r, struct reader_object *o)
{
	struct pending file cleanup_pending = PENDING_INIT;
	int k;

	if (load(o))
		return 0;
	if (o->trees < 0 || !(r->options.flags & READER_KEEP_TREES) ||
	    pending_open(o->trees, ".tmp-tree-", 0644, &file) < 0)
		return build(r, o, -1, NULL);
	k = build(r, o, file.fd, NULL);
	if (!k)
		trees_publish(&file, &o->digest);
	else if (o->tree || k == -ENOSPC || k == -EDQUOT) /* the file could not be written */
		k = o->tree ? 0 : build(r, o, -1, NULL);
	if (!atomic_exchange(&r->swept, true))
		trees_sweep(o->trees, o->store);
	return k;
}

/* It is not read again before it has changed; but whether it has can only be told if it had rested before
 * it was read: clocks of file systems are coarse. */
static void mark_bad(struct reader_object *o)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	o->stale = true;
	if (now.tv_sec - o->st.st_ctim.tv_sec > READER_REST_SECONDS)
		o->state = READER_BAD;
}

int reader_prepare(struct reader *r, struct reader_object *o, void *whole, bool *ret_filled,
		   struct cairn_error *err)
{
	int k = 0;

	*ret_filled = false;
	pthread_mutex_lock(&o->lock);
	if (o->state == READER_NEW) {
		k = o->m.size < TREES_CONTENT_MIN ? build(r, o, -1, whole) : build_large(r, o);
		if (k == -EILSEQ)
			mark_bad(o);
		else if (!k)
			o->state = READER_TREE;
		*ret_filled = !k && whole;
	}
	if (k == -EILSEQ || o->state == READER_BAD)
		k = reader_bad_digest(o, err);
	else if (k < 0)
		error_errno(err, k, "read object %s", o->path);
	pthread_mutex_unlock(&o->lock);
	if (!k)
		reader_charge(r, o);
	return k;
}

/* --- leaves that are not kept ------------------------------------------------------------------- */

/* Of span number @span, from its blocks in @data. Returns 0 or -EILSEQ. */
int reader_check_span(const struct reader_object *o, uint64_t span, const void *data, size_t size,
		      uint8_t *leaves)
{
	const unsigned int digest_size = o->m.sha->digest_size;
	uint8_t hash[CAIRN_DIGEST_MAX];

	merkle_hash_blocks(&o->m, data, size, leaves);
	merkle_hash_blocks(&o->m, leaves, merkle_blocks(size) * digest_size, hash);
	return memcmp(hash, reader_span_hash(o, span), digest_size) ? -EILSEQ : 0;
}

/* The same from the cache's file. */
static bool load_leaves(const struct reader_object *o, uint64_t span, uint8_t *leaves)
{
	const uint64_t offset = o->m.offset[0] + span * VERITY_BLOCK_SIZE;

	return o->tree_fd >= 0 &&
	       pread_full(o->tree_fd, leaves, VERITY_BLOCK_SIZE, (off_t)offset) ==
		       VERITY_BLOCK_SIZE &&
	       merkle_bad_block(&o->m, leaves, VERITY_BLOCK_SIZE, reader_span_hash(o, span)) < 0;
}

int reader_leaves(const struct reader_object *o, uint64_t span, uint8_t *leaves)
{
	const uint64_t offset = span * reader_span_size(o);
	const size_t size = (size_t)MIN(reader_span_size(o), o->m.size - offset);
	cleanup_free uint8_t *data = NULL;
	ssize_t n;

	if (load_leaves(o, span, leaves))
		return 0;
	data = (uint8_t *)malloc(size);
	if (!data)
		return -ENOMEM;
	n = pread_full(o->fd, data, size, (off_t)offset);
	if (n < 0)
		return (int)n;
	return (size_t)n < size ? -EILSEQ : reader_check_span(o, span, data, size, leaves);
}
