/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/* Bringing images into a store, from a store that is open or from one that is served: what both share. */
#ifndef TRANSFER_BRING_INTERNAL_H
#define TRANSFER_BRING_INTERNAL_H

#include "store/names.h"
#include "transfer/transfer.h"

struct transfer {
	struct cairn_store *to;
	const struct cairn_store *from; /* NULL: @fetch */
	struct fetch *fetch;
	enum cairn_alg alg; /* of the digests there */
	const struct cairn_transfer_options *options;
	const char *container; /* its name there, for messages */
	struct cairn_transfer_result result;
};

/* Leaves those of @w that are lacking, sees that there is room, and brings them. Where @t->alg is not that of the
 * store all are brought, and *@ret_digests (with free()) are the digests that they have here, in the order of @w; else
 * it is NULL. */
int transfer_bring(struct transfer *t, struct wants *w, uint8_t **ret_digests,
		   struct cairn_error *err);

/* The digest here of what has @there, after transfer_bring(). @w, @digests: as that left them. */
int transfer_map(const struct transfer *t, const struct wants *w, const uint8_t *digests,
		 const struct cairn_digest *there, struct cairn_digest *ret,
		 struct cairn_error *err);

/* Opens the object @id of over there, at most @most bytes, after it was found to have its digest. @keep: what is fetched
 * for it becomes an object here, if it is of the same algorithm. Returns a descriptor or a negative errno. */
int transfer_open(struct transfer *t, const struct cairn_digest *id, uint64_t most, bool keep,
		  struct cairn_error *err);

/* --- container images (container.c, container-take.c) ------------------------------------------------------- */

/*
 * A container image that is to come along:
 *
 *  1. container_open()	manifest and config, by their digests
 *  2. container_makes()	whether its layers make the image that has its name
 *  3. container_wants()	what it needs, with sizes: nothing large has come so far
 *  4. container_take()	after that was brought: diff_ids and blobs are computed, and only then there are names
 */
struct container;

/* @stream: of the manifest. @digest: that it must have, "sha256:…"; NULL: any. Returns 1; 0: it cannot come along,
 * t->result.container says why; or a negative errno. */
int container_open(struct transfer *t, const struct cairn_digest *stream, const char *digest,
		   struct container **ret, struct cairn_error *err);
void container_free(struct container *c);
DEFINE_CLEANUP(struct container *, container, container_free)

/* The image that its config refers to, in digests of over there; alg 0: none. */
struct cairn_digest container_image(const struct container *c);

/* Opens the layers, and tells whether they make the image @digest (of over there) of @format by any rules. Returns 1; 0, and
 * t->result.container says so; or a negative errno. */
int container_makes(struct container *c, const struct cairn_digest *digest, int format,
		    struct cairn_error *err);

/* Adds what the store needs of it. */
int container_wants(struct container *c, struct wants *w, struct cairn_error *err);

/* Puts it into the store, and its names into @names. @w, @digests: as transfer_bring() left them. @image: here. */
int container_take(struct container *c, const struct wants *w, const uint8_t *digests,
		   const struct cairn_digest *image, int format, const char *name,
		   struct names_batch *names, struct cairn_error *err);

#endif
