/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * An image with one more layer, as a source: documents that are made here, and the tar of the layer. It is then pulled
 * like any other, so that there is one way into the store.
 */
#ifndef OCI_COMMIT_H
#define OCI_COMMIT_H

#include "oci/image.h"

struct commit {
	const char *diff_id; /* of the layer, which is plain */
	uint64_t size;       /* bytes of its tar */
	const char *created; /* RFC 3339; of the image and in its history */
	const char *created_by;
	const char *comment; /* NULL: none */

	/* Gives the bytes of the tar to @fn. */
	int (*write)(void *arg, source_fn fn, void *fn_arg, struct cairn_error *err);
	void *arg;
};

/* @base: what is below, a container image; it and @commit are borrowed until the source is freed. The media types are OCI's,
 * whatever those of @base are; its other parts stay. -EINVAL (FORMAT): it has as many layers as there can be. */
int oci_source_commit_open(const struct oci_image *base, const struct commit *commit,
			   struct source **ret, struct cairn_error *err);

#endif
