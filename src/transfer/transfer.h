/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * Bringing contents into a store from elsewhere.
 *
 *	wants.c  what an image needs, and a store lacks
 *	copy.c   from another store
 *	fetch.c  from a web server: the image, then its contents
 *	slot.c   one download: in memory, or into a file that a later fetch goes on with
 *	index.c  the list of images that a server shows
 *	bring.c  objects from either side
 *	container.c, container-take.c  container images that come along
 *	image.c  all of it: an image with what belongs to it
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
	uint64_t size; /* bytes; WANT_SIZE_UNKNOWN: only to be fetched */
	uint64_t most; /* of unknown size: bytes that it may have; 0: those of a large disk */
};

struct wants {
	struct want *want; /* in the order of their digests, each once */
	size_t nr, room;
	uint64_t bytes;
};

#define WANTS_INIT ((struct wants){0})
void wants_fini(struct wants *w);
#define cleanup_wants __attribute__((__cleanup__(wants_fini)))

/* The objects of a tree, all of which must be named by their digest. */
int wants_of_tree(const struct tree *t, struct wants *ret, struct cairn_error *err);

/* Adds one at the end. Returns 0 or -ENOMEM. */
int wants_add(struct wants *w, const struct cairn_digest *digest, uint64_t size);

/* Puts them in order, each once. Returns 0; -EINVAL (FORMAT): one is said to have two sizes. */
int wants_sort(struct wants *w, struct cairn_error *err);

/* The place of @digest in @w, which is in order; -ENOENT. */
int64_t wants_find(const struct wants *w, const struct cairn_digest *digest);

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

/* What a name means there. */
struct fetch_found {
	struct cairn_digest image; /* alg 0: no image, or not to be known before it is fetched */
	uint64_t image_size;       /* 0: not known */
	struct cairn_digest container; /* the split stream of a manifest; alg 0: it names none */
	bool list;                     /* the server has a list */
};

/* Looks @remote up (NULL: options->digest alone). Returns 0; -ENOENT: it names nothing; -EILSEQ (DIGEST): it names another
 * image than options->digest; or another negative errno. */
int fetch_look(struct fetch *f, const char *remote, struct fetch_found *ret,
	       struct cairn_error *err);

/* The bytes of the image that was found, into @image; they have the digest *@ret_digest. */
int fetch_image(struct fetch *f, const char *remote, const struct fetch_found *found,
		struct buf *image, struct cairn_digest *ret_digest, struct cairn_error *err);

/* Brings @w. @digests: as for transfer_copy(). Adds to the counts of @ret. */
int fetch_objects(struct fetch *f, const struct wants *w, uint8_t *digests,
		  struct cairn_transfer_result *ret, struct cairn_error *err);

/* Hands each of @w that is there to @take, in a file, instead of adding it to the store. @take returns 0;
 * -EILSEQ: it has not its digest; or another negative errno. What is not there, or not right, is left out. */
int fetch_each(struct fetch *f, const struct wants *w,
	       int (*take)(void *arg, const struct cairn_digest *id, int fd), void *arg,
	       struct cairn_error *err);

DEFINE_CLEANUP(struct fetch *, fetch, fetch_close)

/* --- all of it ------------------------------------------------------------------------------- */

/* As cairn_store_copy() and cairn_store_fetch(), of checked arguments; @options and @ret are given. */
int transfer_from_store(struct cairn_store *to, const struct cairn_store *from,
			const struct cairn_digest *digest, const char *name,
			const struct cairn_transfer_options *options,
			struct cairn_transfer_result *ret, struct cairn_error *err);
int transfer_from_server(struct cairn_store *to, const char *url, const char *remote,
			 const char *name, const struct cairn_transfer_options *options,
			 struct cairn_transfer_result *ret, struct cairn_error *err);

/* --- the list of images ---------------------------------------------------------------------- */

#define INDEX_FILE     "cairn/index"
#define INDEX_SIZE_MAX (16u << 20) /* bytes: a hundred thousand references */

enum index_kind { INDEX_IMAGE, INDEX_CONTAINER };

/* One line of a list. */
struct index_line {
	enum index_kind kind;
	struct cairn_digest digest; /* of the image, or of the split stream of a manifest */
	uint64_t size;              /* bytes of that */
	const char *name;           /* not NUL-terminated */
	size_t len;
};

/* Appends the list of @s to @to. @ret_nr: its lines of each kind. */
int index_print(const struct cairn_store *s, struct buf *to, uint64_t ret_nr[2],
		struct cairn_error *err);

/* Calls @fn for every line of @text[0..@size). Returns 0; -EINVAL (FORMAT): it is no such list, or cut
 * short, and then @fn may have been called; or what @fn returned below 0. */
int index_parse(const char *text, size_t size, int (*fn)(void *arg, const struct index_line *line),
		void *arg, struct cairn_error *err);

/* Replaces the file that is served. */
int index_write(struct cairn_store *s, uint64_t ret_nr[2], struct cairn_error *err);

#endif
