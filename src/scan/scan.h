/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * A directory on disk becomes a tree, and its files' contents objects, in one read of each file.
 *
 * What comes out depends on the directory alone: not on the order in which the kernel lists names, nor
 * on the number of threads, nor does the error that is reported when several files are bad: it is that
 * of the first in path order. (A failure that is not a file's own, a full disk say, stops at once.)
 */
#ifndef SCAN_SCAN_H
#define SCAN_SCAN_H

#include <cairn/tree.h>

#include "base/error.h"
#include "sys/pending.h"
#include "tree/tree.h"

struct scan_cache;

/* Where contents go: what a scan needs of a store. Several threads call these at once; each returns a
 * negative errno, with words in @err, on failure. Threads that the scan starts have no descriptors but
 * @dirfd, @fds and the standard ones. */
#define SCAN_SINK_FDS_MAX 64

struct scan_sink {
	struct cairn_store *store;
	enum cairn_alg alg; /* names objects */
	int dirfd;          /* the directory of objects: refused as part of the source */
	bool empty;         /* no object is there yet */
	const int *fds;     /* other descriptors that the functions need */
	unsigned int nr_fds;

	/* Whether the content is there: 1 or 0. */
	int (*has)(const struct cairn_store *store, const struct cairn_digest *digest,
		   uint64_t size, struct cairn_error *err);

	/* Adds a content from memory; keep() was told of it before. 1: it is new; 0: it was there. */
	int (*put)(struct cairn_store *store, const struct cairn_digest *digest, const void *data,
		   size_t size, struct cairn_error *err);

	/* Sees to it that contents stay if they are there, as has() does of each: @keys[0..@nr) are the first
	 * eight bytes of their digests. */
	int (*keep)(struct cairn_store *store, const uint64_t *keys, size_t nr,
		    struct cairn_error *err);

	/* The time at which a name of a content whose digest begins with the byte @first last came
	 * or went. -ENOENT: there is none. May be NULL when no cache is given. */
	int (*stamp)(const struct cairn_store *store, uint8_t first, struct timespec *ret);

	/* Opens a file to be filled; names it, and returns as put(). */
	int (*begin)(const struct cairn_store *store, struct pending *ret, struct cairn_error *err);
	int (*commit)(struct cairn_store *store, struct pending *p,
		      const struct cairn_digest *digest, uint64_t size, struct cairn_error *err);
};

/* The sealed tree of the directory @path below @dirfd. @options: as for cairn_tree_from_directory(),
 * but for the store: @sink takes its place, and may be NULL. @cache: NULL, or what is known from earlier
 * scans with such options, for one scan. @res may be NULL. Returns 0; -ESTALE: what the cache said of the sink did
 * not hold to the end, and without a cache it will; or another negative errno. */
int scan_directory(int dirfd, const char *path, const struct cairn_scan_options *options,
		   const struct scan_sink *sink, struct scan_cache *cache, struct tree **ret,
		   struct cairn_scan_result *res, struct cairn_error *err);

#endif
