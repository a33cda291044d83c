/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* What the files of the reader share: the table (reader.c), trees (reader-tree.c), reading
 * (reader-read.c). */
#ifndef STORE_READER_INTERNAL_H
#define STORE_READER_INTERNAL_H

#include <pthread.h>
#include <sys/stat.h>

#include "digest/merkle.h"
#include "store/reader.h"

#define READER_BUCKETS 4096 /* a power of two */

/* Read and hashed at a time: two spans of SHA-256, enough for every kernel. */
#define READER_PIECE ((size_t)1 << 20)

/* How long a file must have been left alone for its change time to tell the next change. */
#define READER_REST_SECONDS 2

enum reader_state {
	READER_NEW,      /* open, but nothing is known of its content */
	READER_ENFORCED, /* the kernel vouches for it */
	READER_TREE,     /* the tree is known */
	READER_BAD,      /* its content has not its digest */
};

/*
 * An object.
 *
 * 1. The links, @refs and @charged belong to the reader's lock. An object with @refs 0 is touched by
 *    nobody else.
 * 2. @fd is opened, and @state and what it speaks of changed, under @lock. @state is set last, so
 *    that a reader who sees READER_TREE may use the tree without the lock.
 * 3. tree has the levels from 1 on. leaves is level 0, or NULL for an object whose leaves are too many:
 *    they are in the file tree_fd, or are computed again a block at a time.
 */
struct reader_object {
	struct reader_object *next;          /* in its bucket */
	struct reader_object *newer, *older; /* by use */
	unsigned int refs;
	uint64_t charged; /* bytes that count against the list's limit */
	struct reader_list *list;
	uint64_t hash;

	pthread_mutex_t lock;
	_Atomic int state;
	_Atomic bool stale; /* a block was wrong: open it anew, it may have been replaced */
	int fd;             /* -1: not open */
	bool known_size;    /* m is set */
	struct merkle m;
	uint8_t root[CAIRN_DIGEST_MAX];
	uint8_t *tree;
	uint8_t *leaves;
	int tree_fd;
	const struct cairn_store *store; /* that it is from */
	int trees;                       /* the directory of that store's trees, -1: none */
	struct stat st;                  /* of the file that is open, or was last */

	struct cairn_digest digest;
	uint32_t path_len;
	char path[]; /* NUL-terminated, without slashes in front */
};

/* Objects by use. */
struct reader_list {
	struct reader_object *newest, *oldest;
	unsigned int nr, max;
	uint64_t charged, max_charged;
};

struct reader {
	pthread_mutex_t lock;
	struct reader_options options;
	size_t nr_stores;
	const struct cairn_store **stores;
	bool *has_verity; /* by store: files there could have fs-verity */
	int *trees;       /* by store: the directory of its trees, -1: none */
	_Atomic bool swept;

	struct reader_object *buckets[READER_BUCKETS];
	struct reader_list small, large;
};

/* --- reader.c ---------------------------------------------------------------------------------- */

/* Counts what an object has allocated, and lets go of others until the limits hold. */
void reader_charge(struct reader *r, struct reader_object *o);

/* --- reader-tree.c ----------------------------------------------------------------------------- */

#define READER_JOBS_MAX 64u /* threads that compute a tree */

int reader_bad_digest(const struct reader_object *o, struct cairn_error *err);

/* Makes the tree of @o known and its state READER_TREE or READER_BAD, if it is READER_NEW. @whole: NULL,
 * or room for all of the content, at most READER_PIECE, which is then read to it; *@ret_filled tells
 * whether that was done and it was verified. Returns 0, -EILSEQ, or another negative errno. */
int reader_prepare(struct reader *r, struct reader_object *o, void *whole, bool *ret_filled,
		   struct cairn_error *err);
void reader_forget_tree(struct reader_object *o);

/* Bytes of a span. */
static inline uint64_t reader_span_size(const struct reader_object *o)
{
	return (uint64_t)o->m.fanout * VERITY_BLOCK_SIZE;
}

/* The hash that the block of leaves number @span must have. */
static inline const uint8_t *reader_span_hash(const struct reader_object *o, uint64_t span)
{
	return o->m.levels == 1 ? o->root : o->tree + o->m.offset[1] + span * o->m.sha->digest_size;
}

/* Hashes all blocks of a span, in @data, to @leaves (4096 bytes). Returns 0; -EILSEQ: they have not
 * the span's hash. */
int reader_check_span(const struct reader_object *o, uint64_t span, const void *data, size_t size,
		      uint8_t *leaves);

/* The same for a span that is not in memory. */
int reader_leaves(const struct reader_object *o, uint64_t span, uint8_t *leaves);

#endif
