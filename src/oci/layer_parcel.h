/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * The contents of a layer, and all its other bytes, on their way into the store: gathered into parcels, and worked
 * on a parcel at a time, by a thread of their own where that is wanted. So small files are hashed many at once.
 *
 * What becomes of them (digests, objects, the split stream) is known at the end. Errors come late: from a later
 * call than the one that told what is wrong.
 */
#ifndef OCI_LAYER_PARCEL_H
#define OCI_LAYER_PARCEL_H

#include "oci/layer_import.h"

/* A content that is to come, with more than LAYER_INLINE_MAX bytes. */
struct parcel_content {
	struct layer_file *file; /* NULL: nobody needs its digests */
	uint64_t size;           /* bytes of all of it */
	const void *cookie;      /* NULL: options->stored() is not told of it */
	const char *path;        /* in messages, quoted */
};

struct parcels;

/* @options is borrowed until the end. */
int parcels_new(const struct layer_import_options *options, struct parcels **ret);
void parcels_free(struct parcels *p);

DEFINE_CLEANUP(struct parcels *, parcels, parcels_free)

/* Bytes for the split stream that are no object. Does nothing if there is none. */
int parcels_inline(struct parcels *p, const void *data, size_t size, struct cairn_error *err);

/* The next bytes of a content: @done bytes of it came before. */
int parcels_content(struct parcels *p, const struct parcel_content *content, uint64_t done,
		    const void *data, size_t size, struct cairn_error *err);

/* In place of all bytes of a content: the object that has them is in the store. Only for layers whose contents get
 * digests of the store's algorithm alone. */
int parcels_known(struct parcels *p, const struct parcel_content *content,
		  const struct cairn_digest *id, struct cairn_error *err);

/* Waits for what was told so far. Returns 0 or the first error. */
int parcels_wait(struct parcels *p, struct cairn_error *err);

/* The end: tells @builder the digests, writes the split stream, and adds what is known of it to @res. */
int parcels_finish(struct parcels *p, struct layer_builder *builder,
		   struct layer_import_result *res, struct cairn_error *err);

#endif
