/* SPDX-License-Identifier: LGPL-2.1-or-later OR Apache-2.0 */
/*
 * IMAGE on a command line: the path of a file, or what a store calls an image.
 *
 *  1. "ref:NAME", "sha256:HEX" and "sha512:HEX" are looked up in the store.
 *  2. What exists as a file is that file, whatever the store has; so is all that begins with / or
 *     with ./ or ../
 *  3. Everything else is looked up in the store as cairn_store_resolve() says.
 *
 * The stores are those of --store, in order; without any the default one (place.h), if it exists.
 */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include "cli.h"
#include "stores.h"

/* Where an image was found. */
struct image_found {
	int fd;                     /* read-only */
	const char *store;          /* path of the store; NULL: it is a file */
	struct cairn_digest digest; /* of one in a store, whose content was found to have it */
	bool whole;                 /* the command line has the whole digest */
};

/* Opens what @name says, looking in @stores (NULL: the default one). Returns EXIT_DONE, or an exit status
 * after telling why not. */
int image_find(const char *name, const struct opt_list *stores, struct image_found *ret);

/* The stores for the contents of an image: those of @stores; without any the one where it was found. */
int image_stores(const struct image_found *image, const struct opt_list *stores,
		 struct store_list *ret);

static inline void cleanup_image_p(struct image_found *image)
{
	if (image->fd >= 0)
		close(image->fd);
}
#define cleanup_image __attribute__((__cleanup__(cleanup_image_p)))

#endif
