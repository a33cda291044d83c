/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Bringing contents into a store from elsewhere.
 *
 *	wants.c  what an image needs, and a store lacks
 *	copy.c   from another store
 *	fetch.c  from a web server: the image, then its contents
 *	slot.c   one download: in memory, or into a file that a later fetch goes on with
 *	index.c  the list of images that a server shows
 */
#ifndef TRANSFER_TRANSFER_H
#define TRANSFER_TRANSFER_H

#include <cairn/transfer.h>

#include "base/buf.h"
#include "store/store.h"
#include "tree/tree.h"

/* --- what is needed -------------------------------------------------------------------------- */

#define WANT_SIZE_UNKNOWN UINT64_MAX

struct want {
	struct cairn_digest digest;
	uint64_t size; /* bytes; WANT_SIZE_UNKNOWN: only to be fetched by fetch_each() */
};

struct wants {
	struct want *want; /* sorted by digest, each once */
	size_t nr;
	uint64_t bytes;
};

#define WANTS_INIT ((struct wants){0})
void wants_fini(struct wants *w);
#define cleanup_wants __attribute__((__cleanup__(wants_fini)))

/* The objects of a tree, all of which must be named by their digest. */
int wants_of_tree(const struct tree *t, struct wants *ret, struct cairn_error *err);

/* Leaves those that @s and its parents lack. */
int wants_lacking(struct wants *w, const struct cairn_store *s, struct cairn_error *err);

/* --- from another store ---------------------------------------------------------------------- */

/* Brings @w from @from to @to. @digests: NULL, or the digests of @to's algorithm that they have there, in
 * the order of @w. Adds to the counts of @ret. */
int transfer_copy(struct cairn_store *to, const struct cairn_store *from, const struct wants *w,
		  const struct cairn_transfer_options *options, uint8_t *digests,
		  struct cairn_transfer_result *ret, struct cairn_error *err);

/* --- from a web server ----------------------------------------------------------------------- */

#define FETCH_IMAGE_MAX ((size_t)1 << 30) /* bytes of an image: ten million files */

struct fetch;

/* @url: of the store, as served. */
int fetch_open(struct cairn_store *to, const char *url,
	       const struct cairn_transfer_options *options, struct fetch **ret,
	       struct cairn_error *err);
void fetch_close(struct fetch *f);

/* The bytes of the image that is called @remote there (NULL: of options->digest), into @image; they have the
 * digest *@ret_digest. */
int fetch_image(struct fetch *f, const char *remote, struct buf *image,
		struct cairn_digest *ret_digest, struct cairn_error *err);

/* Brings @w. Adds to the counts of @ret. */
int fetch_objects(struct fetch *f, const struct wants *w, struct cairn_transfer_result *ret,
		  struct cairn_error *err);

/* Hands each of @w that is there to @take, in a file, instead of adding it to the store. @take returns 0;
 * -EILSEQ: it has not its digest; or another negative errno. What is not there, or not right, is left out. */
int fetch_each(struct fetch *f, const struct wants *w,
	       int (*take)(void *arg, const struct cairn_digest *id, int fd), void *arg,
	       struct cairn_error *err);

DEFINE_CLEANUP(struct fetch *, fetch, fetch_close)

/* --- the list of images ---------------------------------------------------------------------- */

#define INDEX_FILE     "cairn/index"
#define INDEX_SIZE_MAX (16u << 20) /* bytes: a hundred thousand references */

/* One image of a list. */
struct index_line {
	struct cairn_digest digest;
	uint64_t size;    /* bytes of the image */
	const char *name; /* not NUL-terminated */
	size_t len;
};

/* Appends the list of @s to @to. *@ret_nr: its lines. */
int index_print(const struct cairn_store *s, struct buf *to, uint64_t *ret_nr,
		struct cairn_error *err);

/* Calls @fn for every line of @text[0..@size). Returns 0; -EINVAL (FORMAT): it is no such list, or cut
 * short, and then @fn may have been called; or what @fn returned below 0. */
int index_parse(const char *text, size_t size, int (*fn)(void *arg, const struct index_line *line),
		void *arg, struct cairn_error *err);

/* Replaces the file that is served. */
int index_write(struct cairn_store *s, uint64_t *ret_nr, struct cairn_error *err);

#endif
