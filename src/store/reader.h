/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Reading objects at random, each byte verified from the very buffer that is handed out.
 *
 *	reader_new()
 *	reader_get()        an object by name and digest: found, opened, and known by its digest
 *	reader_read()       a range of it
 *	reader_put()
 *	reader_free()
 *
 * What vouches for an object's bytes is one of:
 *  1. the kernel, where it enforces fs-verity with the very digest that is wanted;
 *  2. its Merkle tree (digest/merkle.h). It is computed from the content when the object is first
 *     used, or read from the store's cache (store/trees.h), and must give the digest. From then
 *     on each block that is read is hashed and compared.
 *
 * What is kept is bounded by the constants below, whatever is read: of the objects that nobody uses, the
 * least recently used are forgotten. All functions but those of making and freeing
 * may be called by any number of threads at once.
 */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "store/store.h"

/* Objects that are remembered, small ones and large ones apart, so that a walk over a million small files
 * does not cost the tree of a large one. Each keeps a descriptor open (a large one two). */
#define READER_LARGE     ((uint64_t)4 << 20) /* bytes of content */
#define READER_SMALL_MAX 1024
#define READER_LARGE_MAX 256
/* Bytes of the large ones' trees: those of 8 GB. The small ones' are 32 MiB at the very most. */
#define READER_TREES_MAX ((uint64_t)64 << 20)
/* A tree with a larger lowest level is kept without it (objects from 2 GB on); see reader-tree.c. */
#define READER_LEAVES_MAX ((uint64_t)16 << 20)

struct reader;
struct reader_object;

enum reader_flags {
	READER_UNVERIFIED = 1 << 0, /* hand out what is there */
	READER_KEEP_TREES =
		1 << 1, /* write large trees to the store's cache, where it is writable */
};

struct reader_options {
	unsigned int flags; /* enum reader_flags */
	unsigned int jobs; /* threads that compute the tree of a large object; 0, 1: the caller's */
	uint64_t leaves_max; /* instead of READER_LEAVES_MAX, for tests; 0: that */
};

/* An object, as an image names it. */
struct reader_key {
	const char *
		path; /* below the stores, path_len bytes without NUL; slashes in front are skipped */
	uint32_t path_len;          /* 1 to 4095 */
	uint64_t size;              /* bytes that it must have; UINT64_MAX: whatever it has */
	struct cairn_digest digest; /* alg 0: none, which only READER_UNVERIFIED allows */
};

/* A reader of objects from @stores[0..@nr), the first that has a name gives it. The stores stay the
 * caller's and must stay open. Returns 0 or -ENOMEM. */
int reader_new(const struct cairn_store *const *stores, size_t nr,
	       const struct reader_options *options, struct reader **ret);
/* Every object must have been put. NULL is fine. */
void reader_free(struct reader *r);

/* The directory of the cache of @stores[@store], for who must be allowed to use it; -1: none. */
int reader_trees(const struct reader *r, size_t store);

/* Finds and opens an object. Returns 0; -ENOENT: no store has it; -EILSEQ (kind DIGEST): it has not the
 * size that it must have, or there is nothing to verify it by; or another negative errno. The content
 * is not looked at yet. */
int reader_get(struct reader *r, const struct reader_key *key, struct reader_object **ret,
	       struct cairn_error *err);
void reader_put(struct reader *r, struct reader_object *o);
/* Likewise, and it will not be asked for again. */
void reader_drop(struct reader *r, struct reader_object *o);

uint64_t reader_object_size(const struct reader_object *o);
/* Whether the kernel vouches for it, and the descriptor, the object's, valid until reader_put(). */
bool reader_object_enforced(const struct reader_object *o);
int reader_object_fd(const struct reader_object *o);

/* Reads @size bytes at @offset, fewer at the end. Best are whole blocks, 1 MiB of them.
 * Returns the bytes in @buffer; -EILSEQ (kind DIGEST): some block of them, named in @err and in
 * *@ret_block (may be NULL; UINT64_MAX: the whole object), is not what the digest says, and @buffer is
 * then not to be used; or another negative errno. Blocks elsewhere can be read all the same, unless
 * the object never had its digest. */
ssize_t reader_read(struct reader *r, struct reader_object *o, void *buffer, size_t size,
		    uint64_t offset, uint64_t *ret_block, struct cairn_error *err);

/* Where, from @offset on, the next data begins (@whence SEEK_DATA) or the next hole (SEEK_HOLE; the end
 * counts as one), as lseek(2). A hole is only told where zeros are right. Returns an offset; -ENXIO:
 * there is no more; or as reader_read(). */
int64_t reader_seek(struct reader *r, struct reader_object *o, uint64_t offset, int whence,
		    struct cairn_error *err);

DEFINE_CLEANUP(struct reader *, reader, reader_free)

#endif
